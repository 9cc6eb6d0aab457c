"""What a caller may say, to an LLM and to a call, and what the wire has of it."""

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from google.genai import types
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import DocumentBlock
from llama_index.core.instrumentation.dispatcher import instrument_tags
from llama_index.core.llms import ChatMessage
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.prompts import ChatPromptTemplate
from llamaindex_google import CHATS, IGNORED_HERE, WAYS
from llamaindex_kit import ENGINE, TOOL, Engine, calling

from promptcache import OptionError, Policy, PromptCache, default_cache, options
from promptcache.emulator import Json

pytestmark = IGNORED_HERE

OPTION = "prompt_cache"


@pytest.mark.parametrize(
    ("choice", "policy"),
    [
        pytest.param(None, "auto", id="None"),
        pytest.param(True, "auto", id="True"),
        pytest.param(False, "off", id="False"),
        pytest.param("off", "off", id="off"),
        pytest.param({}, "auto", id="empty"),
        pytest.param({"enabled": False}, "off", id="enabled"),
        pytest.param({"policy": "off"}, "off", id="policy"),
        pytest.param({"ttl": "30m"}, "auto", id="ttl"),
    ],
)
def test_choice_of_an_llm(choice, policy, make_cached, plain, prompt, rows_of):
    """What an LLM is given as `prompt_cache` decides what its receipts tell of."""
    answer = make_cached(prompt_cache=choice).chat(prompt())
    plain.chat(prompt())

    assert answer.additional_kwargs[OPTION]["policies"] == [policy]
    assert rows_of("cached")[0].body == rows_of("plain")[0].body


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        pytest.param(7, "a PromptCache, a Policy or its name", id="number"),
        pytest.param("always", "'auto', 'fixed', 'off'", id="policy"),
        pytest.param({"ttl": "12h"}, "1h, 30m, 5m", id="ttl_of_others"),
        pytest.param({"tenat": "a"}, "tenant, conversation, ttl, enabled", id="name"),
        pytest.param({"gemini_caches": 1}, "True or False", id="gemini_caches"),
        pytest.param(PromptCache(Policy.fixed(tools="12h")), "1h, 30m", id="cache"),
    ],
)
def test_wrong_choice_of_an_llm(choice, words, make_cached, emulator):
    """A choice that is not allowed is refused at construction, before any request."""
    with pytest.raises(OptionError, match=re.escape(words)):
        make_cached(prompt_cache=choice, max_tokens=None)

    assert emulator.ledger == []


# Each line is what the two arguments say, and what goes with every call.
@pytest.mark.parametrize(
    ("choice", "argument", "expected"),
    [
        pytest.param(None, True, None, id="default"),
        pytest.param(None, False, False, id="argument"),
        pytest.param({"gemini_caches": False}, True, False, id="option"),
        pytest.param({"gemini_caches": True}, True, True, id="said_twice"),
        pytest.param({"gemini_caches": True}, False, False, id="argument_wins"),
        pytest.param({"tenant": "acme"}, False, False, id="beside_others"),
    ],
)
def test_gemini_caches(choice, argument, expected, make_cached):
    """Cached contents are used unless either says that they are not to be."""
    llm = make_cached(prompt_cache=choice, gemini_caches=argument)

    assert llm._choice.options.gemini_caches is expected
    assert llm._choice.options.tenant == (choice or {}).get("tenant")


def test_word_on_cached_contents():
    """The class says what it may spend to whoever reads of it first."""
    from llamaindex_promptcache import PromptCachedGoogleGenAI  # noqa: PLC0415

    for words in ("8 alive", "$0.10", "an hour ahead", "gemini_caches=False"):
        assert words in " ".join(PromptCachedGoogleGenAI.__doc__.split())


@pytest.mark.parametrize("way", WAYS)
async def test_options_of_a_call(way, cached, collecting, prompt, rows_of):
    """A call's options reach its request and its receipt, but not the wire."""
    said = {"tenant": "acme", "conversation": "42", "gemini_caches": False}
    with collecting() as receipts:
        await way(cached, prompt(), prompt_cache=said)
        await way(cached, prompt(), prompt_cache=False)
    with_options, without = receipts
    first, second = (row.body for row in rows_of("cached"))

    assert (with_options.tenant, with_options.conversation) == ("acme", "42")
    assert without.policy == "off"
    assert first == second
    assert OPTION not in str(first)


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(
            lambda llm, prompt, **said: llm.chat_with_tools(
                [TOOL], chat_history=prompt, **said
            ),
            id="chat_with_tools",
        ),
        pytest.param(
            lambda llm, prompt, **said: list(
                llm.stream_chat_with_tools([TOOL], chat_history=prompt, **said)
            ),
            id="stream_chat_with_tools",
        ),
        pytest.param(
            lambda llm, prompt, **said: llm.predict_and_call(
                [TOOL], chat_history=prompt, error_on_no_tool_call=False, **said
            ),
            id="predict_and_call",
        ),
    ],
)
def test_options_of_a_call_with_tools(call, cached, collecting, prompt, last_row):
    """Calls with tools take options, too."""
    with collecting() as receipts:
        call(cached, prompt(), prompt_cache={"tenant": "acme"})

    assert [receipt.tenant for receipt in receipts] == ["acme"]
    assert OPTION not in str(last_row().body)


@pytest.mark.parametrize("choice", ["none", "any", "look_up"])
@pytest.mark.parametrize("required", [False, True])
def test_choice_of_a_tool(choice, required, plain, cached, prompt, rows_of):
    """What a caller says of tools is sent as the stock class sends it."""
    for llm in (plain, cached):
        said = {"tool_choice": choice, "tool_required": required}
        llm.chat_with_tools([TOOL], chat_history=prompt(), **said)

    assert rows_of("cached")[0].body == rows_of("plain")[0].body


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streaming"])
def test_options_of_structured_output(
    streaming, cached, collecting, head, emulator, last_row
):
    """`llm_kwargs` may hold options, and stays as it was."""
    emulator.answers.push(Json(ENGINE))
    predict = (
        cached.stream_structured_predict if streaming else cached.structured_predict
    )
    template = ChatPromptTemplate([head, ChatMessage("Describe {what}.")])
    config = {"top_k": 7}
    given = {OPTION: {"tenant": "acme"}, "generation_config": config}
    with collecting() as receipts:
        found = predict(Engine, template, llm_kwargs=given, what="it")
        assert list(found if streaming else [found])

    assert [receipt.tenant for receipt in receipts] == ["acme"]
    assert last_row().body["generationConfig"]["topK"] == 7
    assert given == {OPTION: {"tenant": "acme"}, "generation_config": config}
    assert config == {"top_k": 7}


async def test_options_of_asynchronous_structured_output(
    cached, collecting, head, emulator
):
    """The same holds for asynchronous structured output."""
    template = ChatPromptTemplate([head, ChatMessage("Describe {what}.")])
    said = {OPTION: {"tenant": "acme"}}
    for _ in range(2):
        emulator.answers.push(Json(ENGINE))
    with collecting() as receipts:
        await cached.astructured_predict(Engine, template, said, what="it")
        stream = await cached.astream_structured_predict(
            Engine, template, said, what="it"
        )
        assert [part async for part in stream]

    assert [receipt.tenant for receipt in receipts] == ["acme", "acme"]


# Each line is (call, with, LLM, workflow) and who wins.
@pytest.mark.parametrize(
    ("call", "inside", "llm", "run", "expected"),
    [
        pytest.param("call", "with", "llm", "run", "call", id="call"),
        pytest.param(None, "with", "llm", "run", "with", id="with"),
        pytest.param(None, None, "llm", "run", "llm", id="llm"),
        pytest.param(None, None, None, "run", "run", id="run"),
        pytest.param(None, None, None, None, None, id="nobody"),
    ],
)
def test_precedence(call, inside, llm, run, expected, make_cached, prompt, collecting):
    """A call wins over a `with`, that over the LLM, and that over the workflow."""
    made = make_cached(prompt_cache={"conversation": llm} if llm else None)
    tags = {"llamaindex.run_id": run} if run else {}
    said = {OPTION: {"conversation": call}} if call else {}
    with (
        collecting(default_cache()) as receipts,
        options(conversation=inside),
        instrument_tags(tags),
    ):
        made.chat(prompt(), **said)
        made.complete("What is a tender?", **said)

    assert [receipt.conversation for receipt in receipts] == [expected] * 2


async def test_run_of_an_agent_is_a_conversation(cached, collecting, emulator):
    """All requests of one run have its id, those of another run another one."""
    agent = FunctionAgent(tools=[TOOL], llm=cached)
    with collecting() as receipts:
        for _ in range(2):
            emulator.answers.push(calling(1))
            await agent.run("Who built it?", memory=ChatMemoryBuffer.from_defaults())
    first, second, third, fourth = (receipt.conversation for receipt in receipts)

    assert first == second != third == fourth
    assert None not in {first, third}


@pytest.fixture
def mine(cached):
    """Return a cached content of the caller's own."""
    text = "The register of the museum. " * 800
    made = cached._client.caches.create(
        model=cached.model, config=types.CreateCachedContentConfig(contents=[text])
    )
    return made.name


@pytest.mark.parametrize("way", CHATS)
@pytest.mark.parametrize("gemini_caches", [False, True])
async def test_cached_content_of_the_caller(
    way, mine, make_cached, collecting, rows_of, assert_settled
):
    """A cached content of the caller's is named in every request, and read."""
    llm = make_cached(cached_content=mine)
    question = [ChatMessage("What is a tender?")]
    with collecting() as receipts:
        for _ in range(3):
            await way(llm, question)
    rows = rows_of("cached")

    assert [row.body["cachedContent"] for row in rows] == [mine] * 3
    assert [row.hit for row in rows] == [mine] * 3
    assert all(receipt.usage.read_tokens > 4096 for receipt in receipts)
    assert_settled(receipts, rows)


def test_cached_content_beside_a_system_prompt(
    mine, arguments, make_plain, make_cached, prompt, rows_of
):
    """What `GoogleGenAI` sends with it, and is refused for, is sent all the same."""
    refusals = []
    for make in (make_plain, make_cached):
        llm = make(cached_content=mine, api_key=arguments("cached")["api_key"])
        with pytest.raises(Exception, match="CachedContent can not be used") as info:
            llm.chat(prompt())
        refusals.append(str(info.value))
    first, second = rows_of("cached")

    assert refusals[0] == refusals[1]
    assert first.body == second.body
    assert first.body["cachedContent"] == mine


@pytest.mark.parametrize("way", CHATS)
async def test_uploaded_files(way, make_plain, make_cached, emulator, monkeypatch):
    """Files are uploaded and taken away again as often as the stock class does it."""
    done = []

    class Uploaded:
        state = type("State", (), {"name": "ACTIVE"})
        uri, name = "https://files.example/1", "files/1"

    async def upload(self, **said):
        done.append("upload")
        return Uploaded

    async def adelete(self, **said):
        done.append("delete")

    def delete(self, **said):
        done.append("delete")

    monkeypatch.setattr("google.genai.files.AsyncFiles.upload", upload)
    monkeypatch.setattr("google.genai.files.AsyncFiles.delete", adelete)
    monkeypatch.setattr("google.genai.files.Files.delete", delete)
    document = DocumentBlock(data=b"JVBERi0=", document_mimetype="application/pdf")
    question = [ChatMessage(role="user", blocks=[document])]
    for make in (make_plain, make_cached):
        await way(make(file_mode="fileapi"), question)
        done.append("end")
    first, second = (row.body for row in emulator.ledger)

    assert done == ["upload", "delete", "end"] * 2
    assert first == second
    assert "fileData" in first["contents"][0]["parts"][0]


def test_system_prompt_of_an_llm(make_cached, last_row, head):
    """What LlamaIndex puts before each prompt is the head that is read again."""
    llm = make_cached(system_prompt=head.content)
    template = ChatPromptTemplate([ChatMessage("Describe {what}.")])
    for what in ("it", "a tender"):
        llm.predict(template, what=what)

    assert last_row().cache_read_input_tokens > 0.9 * last_row().total_input_tokens


def test_stock_stays_stock(plain, cached, make_plain, rows_of, prompt):
    """A stock LLM beside ours sends what it always sent, before and after."""
    plain.chat(prompt())
    cached.chat(prompt())
    plain.chat(prompt())
    make_plain().chat(prompt())
    bodies = [row.body for row in rows_of("plain")]

    assert bodies[0] == bodies[1] == bodies[2] == rows_of("cached")[0].body


def test_threads(make_cached, emulator, prompt):
    """Threads share an LLM; each answer has the receipt of its own request."""
    heard = []
    cache = PromptCache(clock=emulator.clock, listeners=[heard.append])
    llm = make_cached(prompt_cache=cache)

    def ask(number):
        said = {"conversation": str(number)}
        if number % 2:
            *_, answer = llm.stream_chat(prompt(f"Number {number}?"), prompt_cache=said)
        else:
            answer = llm.chat(prompt(f"Number {number}?"), prompt_cache=said)
        return number, answer.additional_kwargs[OPTION]["ids"]

    with ThreadPoolExecutor(16) as pool:
        answers = dict(pool.map(ask, range(32)))
    receipts = {event.receipt.conversation: event.receipt for event in heard}

    assert len(receipts) == len(emulator.ledger) == 32
    assert all(answers[int(name)] == [it.id] for name, it in receipts.items())


async def test_tasks(cached, collecting, prompt):
    """Tasks that run at once keep their options and receipts apart."""

    async def ask(number):
        said = {"conversation": str(number)}
        with collecting() as receipts:
            stream = await cached.astream_chat(prompt(str(number)), prompt_cache=said)
            chunks = [chunk async for chunk in stream]
        ids = chunks[-1].additional_kwargs[OPTION]["ids"]
        return [(it.conversation, [it.id] == ids) for it in receipts]

    answers = await asyncio.gather(*map(ask, range(16)))

    assert answers == [[(str(number), True)] for number in range(16)]
