"""Context next to the question: the same words as the stock engines', read again."""

import pytest
from llama_index.core.base.llms.types import CacheControl, CachePoint, TextBlock
from llama_index.core.chat_engine import (
    CondensePlusContextChatEngine,
    ContextChatEngine,
)
from llama_index.core.llms import ChatMessage, LLMMetadata, MockLLM
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.prompts import PromptTemplate
from llama_index.core.schema import NodeWithScore, TextNode
from llamaindex_google import IGNORED_HERE, in_thread
from llamaindex_kit import streamed
from llamaindex_rag import ANSWER, SHEETS, SYSTEM, Turning, asked, read_share, said

from llamaindex_promptcache import (
    PromptCachedCondensePlusContextChatEngine,
    PromptCachedContextChatEngine,
)
from llamaindex_promptcache.templates import ContextTurn

pytestmark = IGNORED_HERE

PAIRS = {
    "context": (ContextChatEngine, PromptCachedContextChatEngine),
    "condense": (
        CondensePlusContextChatEngine,
        PromptCachedCondensePlusContextChatEngine,
    ),
}
PROVIDERS = ("anthropic", "openai", "openai-matched", "responses", "google")
QUESTIONS = ("Who built it?", "And when {query_str}?", "Why {context_str}?")


def of(kind, llm, retriever=None, **changes):
    """Return an engine with a memory that drops nothing."""
    given = {"system_prompt": SYSTEM, **changes}
    memory = ChatMemoryBuffer.from_defaults(token_limit=100_000)
    return kind.from_defaults(
        retriever=retriever or Turning(), llm=llm, memory=memory, **given
    )


async def chat(engine, question):
    return engine.chat(question).response


async def stream_chat(engine, question):
    return streamed(engine.stream_chat(question))


async def achat(engine, question):
    return (await engine.achat(question)).response


async def astream_chat(engine, question):
    answer = await engine.astream_chat(question)
    return "".join([token async for token in answer.async_response_gen()])


# Synchronous calls of Google's class fail where an event loop runs.
WAYS = (in_thread(chat), in_thread(stream_chat), achat, astream_chat)


@pytest.fixture(params=PAIRS, ids=str)
def kinds(request):
    return PAIRS[request.param]


@pytest.fixture
def answering(emulator):
    """Return a function that has the model give the same long answer to everything."""

    def push(count):
        for number in range(count):
            emulator.answers.push(f"{number}. {ANSWER}")

    return push


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("provider", ["anthropic", "openai", "google"])
async def test_same_words(
    kinds, provider, way, make_llm, make_cache, answering, rows_of
):
    """Each request says what the stock one says: only the context stands elsewhere."""
    stock, ours = kinds
    answers = []
    for kind, name in ((stock, "plain"), (ours, "cached")):
        known = {"prompt_cache": make_cache()} if kind is ours else {}
        engine = of(kind, make_llm(provider, workspace=name, **known))
        # The second question of the other engine is condensed first.
        answering(2 if stock is ContextChatEngine else 3)
        answers.append([await way(engine, question) for question in QUESTIONS[:2]])
    plain, cached = asked(rows_of("plain")), asked(rows_of("cached"))

    assert answers[0] == answers[1]
    assert len(plain) == len(cached) == (2 if stock is ContextChatEngine else 3)
    for there, here in zip(plain, cached, strict=True):
        if len(said(there.body)) == 1:
            assert said(here.body) == said(there.body)
            continue
        (role, head), *middle, (_, question) = said(there.body)
        context = head.removesuffix(SYSTEM.strip())
        if context == head:
            # A model whose system prompt comes from the user has it in its own turn.
            assert middle.pop(0) == (role, SYSTEM)
        assert "was built in 1911" in context
        assert said(here.body) == [
            (role, SYSTEM if stock is ContextChatEngine else SYSTEM.strip()),
            *middle,
            ("user", _apart(context) + question),
        ]


def _apart(context):
    return context if context[-1].isspace() else f"{context}\n\n"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_read_again(kinds, provider, make_llm, make_cache, emulator, answering):
    """Over six turns with changing nodes, most of what is not new is read."""
    shares = []
    system = SYSTEM * 3 if provider == "google" else SYSTEM
    for kind in kinds:
        emulator.reset()
        answering(20)
        llm = make_llm(provider, prompt_cache=make_cache())
        engine = of(kind, llm, system_prompt=system)
        for turn in range(6):
            engine.chat(f"Question {turn}: who built it?")
            emulator.clock.advance(20)
        rows = [row for row in asked(emulator.ledger) if len(said(row.body)) > 1]
        shares.append(read_share(rows))
    stock, ours = shares

    assert stock == 0
    assert ours > (0.3 if provider in ("openai", "responses") else 0.42)


def test_blocks(make_llm, make_cache, emulator):
    """Context and question are blocks of one message, where blocks exist."""
    engine = of(
        PromptCachedContextChatEngine, make_llm("anthropic", prompt_cache=make_cache())
    )
    engine.chat("Who built it?")
    [message] = emulator.ledger[-1].body["messages"]

    context, question = message["content"]
    assert "was built in 1911" in context["text"]
    assert question["text"] == "Who built it?"


@pytest.mark.parametrize("provider", ["anthropic", "openai", "google"])
def test_no_context_stays(kinds, provider, make_llm, make_cache, emulator):
    """What was retrieved for a turn is neither in the memory nor in later requests."""
    engine = of(kinds[1], make_llm(provider, prompt_cache=make_cache()))
    first = engine.chat("Who built it?")
    second = engine.chat("And when?")
    *before, _ = said(emulator.ledger[-1].body)

    assert [message.content for message in engine.chat_history] == [
        "Who built it?",
        first.response,
        "And when?",
        second.response,
    ]
    assert not any("1911" in text for _, text in before)


def test_source_nodes(kinds, make_llm, make_cache):
    """The nodes of an answer are those that were retrieved, as by the stock engine."""
    stock, ours = (
        of(kind, make_llm("anthropic", prompt_cache=make_cache())).chat("Who?")
        for kind in kinds
    )

    assert [it.node_id for it in ours.source_nodes] == [
        it.node_id for it in stock.source_nodes
    ]
    assert [it.raw_input for it in ours.sources] == [
        it.raw_input for it in stock.sources
    ]


@pytest.mark.parametrize("way", WAYS)
async def test_braces(kinds, way, make_llm, make_cache, emulator):
    """Names of template variables in history, nodes and system prompt are text."""
    wild = "{query_str} {context_str} {context_msg} {existing_answer} {x} {"
    emulator.answers.push(f"An answer with {wild}")
    emulator.answers.push("A question")
    engine = of(
        kinds[1],
        make_llm("anthropic", prompt_cache=make_cache()),
        _Wild(wild),
        system_prompt=f"Be brief. {wild}",
        **({} if kinds[0] is ContextChatEngine else {"skip_condense": True}),
    )
    for question in (f"First {wild}", f"Second {wild}"):
        await way(engine, question)
    texts = [text for _, text in said(emulator.ledger[-1].body)]

    assert texts[:3] == [
        f"Be brief. {wild}",
        f"First {wild}",
        f"An answer with {wild}",
    ]
    assert f"A node with {wild}" in texts[3]
    assert texts[3].endswith(f"Second {wild}")


class _Wild(Turning):
    """A retriever of one node."""

    def __init__(self, wild):
        super().__init__()
        self._node = TextNode(text=f"A node with {wild}")

    def _retrieve(self, query_bundle):
        return [NodeWithScore(node=self._node, score=1.0)]


@pytest.mark.parametrize("way", WAYS)
async def test_refining(kinds, way, make_llm, make_cache, emulator):
    """Nodes that do not fit are asked about in turn, behind the same beginning."""
    llm = make_llm("anthropic", prompt_cache=make_cache())
    narrow = llm.metadata.model_copy(update={"context_window": 4_200})
    object.__setattr__(llm, "__class__", _narrow(type(llm), narrow))
    engine = of(kinds[1], llm, _Deep())
    for number in range(20):
        emulator.answers.push(f"Answer {number} with {{context_msg}}.")
    await way(engine, "Who built it?")
    requests = [said(row.body) for row in emulator.ledger]

    assert len(requests) > 1
    assert {request[0] for request in requests} == {requests[0][0]}
    assert {len(request) for request in requests} == {2}
    for number, (_, (_, turn)) in enumerate(requests[1:]):
        assert f"Answer {number} with {{context_msg}}." in turn
        assert turn.endswith("Who built it?")
        assert "1911" in turn


class _Deep(Turning):
    """A retriever of many nodes."""

    def _retrieve(self, query_bundle):
        return [NodeWithScore(node=node, score=1.0) for node in SHEETS[:12]]


def _narrow(kind, metadata):
    return type(kind.__name__, (kind,), {"metadata": property(lambda self: metadata)})


def test_templates(make_llm, make_cache, emulator):
    """Templates of the caller's are used, with what is set in them."""
    context = PromptTemplate("In {tone} words:\n{docs}", tone="few")
    context.template_var_mappings = {"context_str": "docs"}
    refine = PromptTemplate("{existing_answer} {context_msg} {loud}")
    refine.function_mappings = {"loud": lambda **given: given["context_msg"].upper()}
    engine = of(
        PromptCachedContextChatEngine,
        make_llm("anthropic", prompt_cache=make_cache()),
        _Wild("a tender"),
        context_template=context,
        context_refine_template=refine,
    )
    engine.chat("Who built it?")
    refined = engine._get_response_synthesizer([])._refine_template

    turn = "In few words:\nA node with a tender\n\nWho built it?"
    assert said(emulator.ledger[-1].body)[-1] == ("user", turn)
    [_, message] = refined.format_messages(
        query_str="Who?", existing_answer="He.", context_msg="a"
    )
    assert [block.text for block in message.blocks] == ["He. a A\n\n", "Who?"]


def test_prefix_messages(make_llm, make_cache, emulator):
    """Messages before the history keep their order, and a cache point its place."""
    point = CachePoint(cache_control=CacheControl(type="ephemeral", ttl="1h"))
    prefix = [
        ChatMessage(role="system", blocks=[TextBlock(text=SYSTEM), point]),
        ChatMessage("Hello."),
        ChatMessage("Good day.", role="assistant"),
    ]
    engine = PromptCachedContextChatEngine.from_defaults(
        Turning(),
        llm=make_llm("anthropic", prompt_cache=make_cache()),
        memory=ChatMemoryBuffer.from_defaults(token_limit=100_000),
        prefix_messages=prefix,
    )
    before = [message.model_dump_json() for message in prefix]
    engine.chat("Who built it?")
    body = emulator.ledger[-1].body

    assert [text for _, text in said(body)[:3]] == [SYSTEM, "Hello.", "Good day."]
    assert body["system"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert [message.model_dump_json() for message in prefix] == before


def test_no_system_prompt(kinds, make_llm, make_cache, emulator):
    """Without a system prompt there is no system message, not an empty one."""
    for empty in (None, "", "  "):
        engine = of(
            kinds[1],
            make_llm("anthropic", prompt_cache=make_cache()),
            system_prompt=empty,
        )
        engine.chat("Who built it?")

        [(role, _)] = said(emulator.ledger[-1].body)
        assert role == "user"


class TestCondensing:
    """The request that makes a question stand alone."""

    @pytest.mark.parametrize("provider", ["anthropic", "openai-matched"])
    def test_read_again(self, provider, make_llm, make_cache, emulator, answering):
        """Of a long history, what a turn before had sent is read."""
        answering(60)
        llm = make_llm(provider, prompt_cache=make_cache())
        engine = of(PromptCachedCondensePlusContextChatEngine, llm)
        for turn in range(10):
            engine.chat(f"Question {turn}: who built it?")
            emulator.clock.advance(20)
        rows = [row for row in asked(emulator.ledger) if len(said(row.body)) == 1]

        assert len(rows) == 10 - 1
        assert rows[-1].cache_read_input_tokens > 1_024

    def test_blocks(self, make_llm, make_cache, emulator):
        """Instructions come first, each message is a block, the question is last."""
        llm = make_llm("anthropic", prompt_cache=make_cache())
        engine = of(PromptCachedCondensePlusContextChatEngine, llm)
        first = engine.chat("Who built it?").response
        engine.chat("And when?")
        [message] = emulator.ledger[-2].body["messages"]
        texts = [block["text"] for block in message["content"]]

        assert texts[0].endswith("Chat History:\n  ")
        assert texts[1:3] == ["user: Who built it?", f"\nassistant: {first}"]
        assert "And when?" in texts[3]

    @pytest.mark.parametrize("prompt", ["{question} of {chat_history}", "{question}"])
    def test_other_order(self, prompt, make_llm, make_cache, emulator):
        """A prompt that begins with the question is sent as the stock engine does."""
        llm = make_llm("anthropic", prompt_cache=make_cache())
        engine = of(
            PromptCachedCondensePlusContextChatEngine, llm, condense_prompt=prompt
        )
        first = engine.chat("Who?").response
        engine.chat("When?")

        history = f"user: Who?\nassistant: {first}"
        body = emulator.ledger[-2].body
        [(_, text)] = said(body)
        assert len(body["messages"][0]["content"]) == 1
        assert text == prompt.format(question="When?", chat_history=history)

    def test_no_chat_model(self):
        """A model that only completes is given a text."""
        engine = of(PromptCachedCondensePlusContextChatEngine, _Completing())
        history = [ChatMessage("Who?"), ChatMessage("He.", role="assistant")]

        assert not LLMMetadata().is_chat_model
        assert "assistant: He." in engine._condense_question(history, "When?")


class _Completing(MockLLM):
    """An LLM that repeats what it is told, and cannot chat."""

    def chat(self, messages, **kwargs):
        raise AssertionError


def test_history_is_lent(make_llm, make_cache):
    """Messages of the history are handed out as copies: some LLMs write into them."""
    kept = ChatMessage("Who?", additional_kwargs={"a": 1})
    turn = ContextTurn([kept], PromptTemplate("{context_str}"))
    first, _ = turn.format_messages(query_str="q", context_str="c")
    first.blocks.append(TextBlock(text="more"))
    first.additional_kwargs["b"] = 2

    assert kept.content == "Who?"
    assert kept.additional_kwargs == {"a": 1}


@pytest.mark.parametrize("context", ["", " \n"])
def test_no_context(context):
    """A context that is blank is left out: a blank block would be refused."""
    turn = ContextTurn([], PromptTemplate("{context_str}"))
    [message] = turn.format_messages(query_str="q", context_str=context)

    assert [block.text for block in message.blocks] == ["q"]
