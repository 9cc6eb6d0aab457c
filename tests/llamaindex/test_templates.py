"""Cache points of the caller's: on every provider, in templates and in messages."""

import pytest
from llama_index.core.base.llms.types import (
    CacheControl,
    CachePoint,
    ImageBlock,
    TextBlock,
)
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.llms import ChatMessage
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.prompts import ChatPromptTemplate, PromptTemplate
from llama_index.core.query_engine import RetrieverQueryEngine
from llamaindex_google import IGNORED_HERE, PIXEL
from llamaindex_kit import ENGINE, ENGINE_CALL, Engine, streamed
from llamaindex_rag import CLASSES, asked, said

from llamaindex_promptcache import cacheable_qa_template
from promptcache import OptionError, options
from promptcache.emulator import Json

pytestmark = IGNORED_HERE

MARK = "prompt_cache_breakpoint"
LONG = "The T 9 was built in 1911. " * 250
OPENAI = ("openai", "responses")
MATCHED = ("openai-matched", "responses-matched")


def point(ttl="5m"):
    return CachePoint(cache_control=CacheControl(type="ephemeral", ttl=ttl))


def parts_of(body, number=-1):
    """Return the parts of a message, as texts and whether each has a breakpoint."""
    message = (body.get("messages") or body["input"])[number]
    content = message.get("content", message.get("output"))
    return [
        (part.get("text", part.get("type")), part.get(MARK))
        for part in ([{"text": content}] if isinstance(content, str) else content or ())
    ]


@pytest.fixture
def ask(make_llm, make_cache, emulator):
    """Return a function that has a cached LLM send; it gives body and receipt."""

    def send(provider, messages, **changes):
        before = [message.model_dump_json() for message in messages]
        cache = make_cache()
        with cache.collect() as receipts:
            make_llm(provider, prompt_cache=cache).chat(messages, **changes)
        assert [message.model_dump_json() for message in messages] == before
        return emulator.ledger[-1].body, receipts[-1]

    return send


class TestQueryEngine:
    """A query engine with a template whose context ends at a cache point."""

    @pytest.mark.parametrize("provider", CLASSES)
    def test_same_words(self, provider, make_llm, make_cache, shelf, rows_of):
        """The request says what the stock template says."""
        for workspace, changes in (
            ("plain", {}),
            ("cached", {"text_qa_template": cacheable_qa_template()}),
        ):
            known = {"prompt_cache": make_cache()} if changes else {}
            llm = make_llm(provider, workspace=workspace, **known)
            engine = RetrieverQueryEngine.from_args(shelf, llm=llm, **changes)
            answer = engine.query("Who built {it}?")
            assert answer.response != "Empty Response"
        [plain], [cached] = (asked(rows_of(name)) for name in ("plain", "cached"))

        assert said(cached.body) == said(plain.body)
        assert "Who built {it}?" in said(cached.body)[-1][1]

    @pytest.mark.parametrize("provider", ["anthropic", *OPENAI])
    def test_read_again(self, provider, make_llm, make_cache, shelf, emulator):
        """A second question about the same nodes reads them."""
        llm = make_llm(provider, prompt_cache=make_cache())
        engine = RetrieverQueryEngine.from_args(
            shelf, llm=llm, text_qa_template=cacheable_qa_template()
        )
        for question in ("Who built it?", "And when?"):
            engine.query(question)
        first, second = emulator.ledger

        assert first.cache_creation_input_tokens > 1_024
        # All but the first question, which may be written behind its nodes.
        left = first.cache_creation_input_tokens - second.cache_read_input_tokens
        assert 0 <= left < 40

    @pytest.mark.parametrize("provider", ["openai", "responses", "google"])
    def test_stock_class(self, provider, make_llm, shelf):
        """The stock class raises, which the engine makes an empty response."""
        engine = RetrieverQueryEngine.from_args(
            shelf,
            llm=make_llm(provider, workspace="plain"),
            text_qa_template=cacheable_qa_template(),
        )

        assert engine.query("Who built it?").response == "Empty Response"


class TestTemplate:
    """What the template is made of."""

    def test_own_words(self):
        """A template of the caller's keeps its words, values and variables."""
        own = PromptTemplate(
            "{tone} {context_str} Asked: {q}",
            tone="Short.",
            template_var_mappings={"query_str": "q"},
        )
        made = cacheable_qa_template(own, ttl="1h")
        [message] = made.format_messages(query_str="Who {x}?", context_str="a {q} b")
        before, mark, after = message.blocks

        assert before.text == "Short. a {q} b"
        assert mark.cache_control.ttl == "1h"
        assert after.text == " Asked: Who {x}?"
        assert own.template == "{tone} {context_str} Asked: {q}"

    def test_context_last(self):
        """Nothing follows the cache point where nothing follows the context."""
        given = ChatPromptTemplate.from_messages(
            [("system", "Be brief."), ("user", "{query_str} {context_str}")]
        )
        system, user = cacheable_qa_template(given).message_templates

        assert system.content == "Be brief."
        assert [block.block_type for block in user.blocks] == ["text", "cache"]
        assert len(given.message_templates[1].blocks) == 1

    def test_no_context(self):
        """A template without a context is refused, by name."""
        with pytest.raises(OptionError, match="context_str"):
            cacheable_qa_template(PromptTemplate("{query_str}"))


class TestOnOpenAI:
    """A cache point becomes a breakpoint, on both APIs."""

    @pytest.mark.parametrize("provider", OPENAI)
    def test_marked(self, provider, ask):
        """The text before a point is one part and ends with a breakpoint."""
        blocks = [
            TextBlock(text=LONG),
            TextBlock(text="More."),
            point(),
            TextBlock(text="Who?"),
        ]
        body, receipt = ask(provider, [ChatMessage(blocks=blocks)])

        assert parts_of(body) == [
            (f"{LONG}More.", {"mode": "explicit"}),
            ("Who?", None),
        ]
        assert "messages[0].content[0] 30m fixed" in receipt.breakpoints
        assert receipt.usage.written_tokens > 1_024

    @pytest.mark.parametrize("provider", MATCHED)
    def test_no_breakpoints(self, provider, ask):
        """A model without breakpoints gets the text, and the receipt says so."""
        blocks = [TextBlock(text=LONG), point(), TextBlock(text="Who?")]
        body, receipt = ask(provider, [ChatMessage(blocks=blocks)])

        assert said(body) == [("user", f"{LONG}Who?")]
        assert MARK not in str(body)
        assert any("dropped messages[0].content[0]" in it for it in receipt.notes)

    @pytest.mark.parametrize("provider", OPENAI)
    def test_every_role(self, provider, ask):
        """Points work on system, user and tool messages, not on answers."""
        call = {
            "id": "c1",
            "type": "function",
            "function": {"name": "look_up", "arguments": "{}"},
        }
        if provider == "responses":
            call = {
                "type": "function_call",
                "call_id": "c1",
                "name": "look_up",
                "arguments": "{}",
            }
        messages = [
            ChatMessage(role="system", blocks=[TextBlock(text=LONG), point()]),
            ChatMessage("Look it up."),
            ChatMessage(
                role="assistant",
                blocks=[TextBlock(text="I do."), point()],
                additional_kwargs={"tool_calls": [call]},
            ),
            ChatMessage(
                role="tool",
                blocks=[TextBlock(text="1911"), point()],
                additional_kwargs={"tool_call_id": "c1"},
            ),
        ]
        body, _ = ask(provider, messages)
        marks = [mark for it in range(-4, 0) for _, mark in _parts(body, it)]

        assert said(body)[0][1] == LONG
        assert _parts(body, 0) == [(LONG, {"mode": "explicit"})]
        assert _parts(body, -1) == [("1911", {"mode": "explicit"})]
        # And one of the planner's own, if it finds one worth a slot.
        assert sum(mark is not None for mark in marks) <= 3
        listed = body.get("messages") or body["input"]
        answers = [it["content"] for it in listed if it.get("role") == "assistant"]
        assert answers == ["I do."]

    @pytest.mark.parametrize("provider", OPENAI)
    def test_beside_images(self, provider, ask):
        """An image may end what is marked; order and number of parts stay."""
        image = ImageBlock(image=PIXEL)
        blocks = [TextBlock(text=LONG), image, point(), TextBlock(text="Who?")]
        body, _ = ask(provider, [ChatMessage(blocks=blocks)])

        texts, marks = zip(*parts_of(body), strict=True)
        assert texts[0] == LONG
        assert texts[2] == "Who?"
        assert marks == (None, {"mode": "explicit"}, None)

    @pytest.mark.parametrize("provider", OPENAI)
    def test_nothing_before(self, provider, ask):
        """A point with no text before it, or alone in a message, is left out."""
        messages = [
            ChatMessage(blocks=[point(), TextBlock(text="Who?")]),
            ChatMessage("He.", role="assistant"),
            ChatMessage(blocks=[point()]),
            ChatMessage("When?"),
        ]
        body, _ = ask(provider, messages)

        assert said(body) == [("user", "Who?"), ("assistant", "He."), ("user", "When?")]
        assert MARK not in str(body)

    @pytest.mark.parametrize(("ttl", "sent"), [("1h", None), ("12h", "12h")])
    def test_lifetime(self, ttl, sent, ask):
        """Of the lifetimes, those that OpenAI has are kept."""
        blocks = [TextBlock(text=LONG), point(ttl), TextBlock(text="Who?")]
        body, _ = ask("responses", [ChatMessage(blocks=blocks)])

        assert parts_of(body)[0][1].get("ttl") == sent

    @pytest.mark.parametrize("provider", [*OPENAI, *MATCHED])
    def test_switched_off(self, provider, ask):
        """Where nothing is planned, points are left out: some models refuse them."""
        messages = [ChatMessage(blocks=[TextBlock(text="A."), point()])]
        body, _ = ask(provider, messages, prompt_cache=False)
        with options(enabled=False):
            other, _ = ask(provider, messages)

        assert said(body) == said(other) == [("user", "A.")]
        assert MARK not in str((body, other))

    @pytest.mark.parametrize("provider", OPENAI)
    def test_extra_body(self, provider, make_llm, make_cache, emulator):
        """What the caller adds to the body is still added."""
        llm = make_llm(
            provider,
            prompt_cache=make_cache(),
            additional_kwargs={"extra_body": {"user": "me"}},
        )
        llm.chat([ChatMessage(blocks=[TextBlock(text=LONG), point()])])
        body = emulator.ledger[-1].body

        assert body["user"] == "me"
        assert parts_of(body) == [(LONG, {"mode": "explicit"})]

    @pytest.mark.parametrize("way", ["achat", "stream_chat", "astream_chat"])
    @pytest.mark.parametrize("provider", OPENAI)
    async def test_ways(self, provider, way, make_llm, make_cache, emulator):
        """Streams and asynchronous calls mark what `chat` does."""
        llm = make_llm(provider, prompt_cache=make_cache())
        blocks = [TextBlock(text=LONG), point(), TextBlock(text="Who?")]
        answer = getattr(llm, way)([ChatMessage(blocks=blocks)])
        if way == "stream_chat":
            list(answer)
        elif way == "achat":
            await answer
        else:
            async for _ in await answer:
                pass

        [long, _] = parts_of(emulator.ledger[-1].body)
        assert long == (LONG, {"mode": "explicit"})


def _parts(body, number):
    return [it for it in parts_of(body, number) if it[0]]


class TestStructured:
    """Structured output, whose messages some classes send past their `chat`."""

    @pytest.mark.parametrize("way", ["sync", "async", "stream"])
    @pytest.mark.parametrize("provider", [*OPENAI, *MATCHED])
    async def test_openai(self, provider, way, make_llm, make_cache, emulator):
        """The text before the point ends with a breakpoint, if the model takes it."""
        # A stream of the Responses API asks for the call of a function.
        is_call = way == "stream" and provider.startswith("responses")
        emulator.answers.push([ENGINE_CALL] if is_call else Json(ENGINE))
        llm = make_llm(provider, prompt_cache=make_cache())
        blocks = [TextBlock(text=LONG), point(), TextBlock(text="Describe {what}.")]
        template = ChatPromptTemplate([ChatMessage(blocks=blocks)])
        before = template.message_templates[0].model_dump_json()
        if way == "sync":
            found = llm.structured_predict(Engine, template, what="it")
        elif way == "async":
            found = await llm.astructured_predict(Engine, template, what="it")
        else:
            [*_, found] = [*llm.stream_structured_predict(Engine, template, what="it")]
        body = emulator.ledger[-1].body

        if not is_call:
            assert found == Engine(**ENGINE)
        assert said(body) == [("user", f"{LONG}Describe it.")]
        marked = [mark for _, mark in parts_of(body)]
        takes = provider in OPENAI
        assert marked == ([{"mode": "explicit"}, None] if takes else [None, None])
        assert template.message_templates[0].model_dump_json() == before

    @pytest.mark.parametrize("provider", OPENAI)
    def test_off(self, provider, make_llm, make_cache, emulator):
        """Without planning there is one plain text."""
        emulator.answers.push(Json(ENGINE))
        llm = make_llm(provider, prompt_cache=make_cache())
        blocks = [TextBlock(text=LONG), point(), TextBlock(text="Describe it.")]
        template = ChatPromptTemplate([ChatMessage(blocks=blocks)])
        said_off = {"prompt_cache": False}
        llm.structured_predict(Engine, template, llm_kwargs=said_off)

        [(text, mark)] = parts_of({"messages": _listed(emulator.ledger[-1].body)})
        assert (text, mark) == (f"{LONG}Describe it.", None)
        assert said_off == {"prompt_cache": False}


def _listed(body):
    given = body.get("messages") or body["input"]
    return [{"content": given}] if isinstance(given, str) else given


def test_chat_engine_stream(make_llm, make_cache, emulator):
    """A system prompt with a point, in a chat engine that streams from OpenAI."""
    engine = SimpleChatEngine.from_defaults(
        llm=make_llm("openai", prompt_cache=make_cache()),
        memory=ChatMemoryBuffer.from_defaults(token_limit=100_000),
        prefix_messages=[
            ChatMessage(role="system", blocks=[TextBlock(text=LONG), point()])
        ],
    )
    streamed(engine.stream_chat("Who?"))

    assert parts_of(emulator.ledger[-1].body, 0) == [(LONG, {"mode": "explicit"})]
