"""What a caller may say: to an LLM, to a call, in a `with`; and who is asking."""

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.instrumentation.dispatcher import instrument_tags
from llama_index.core.llms import ChatMessage
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.prompts import ChatPromptTemplate
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel

from promptcache import OptionError, Policy, PromptCache, default_cache, options
from promptcache.emulator import Json, ToolCall

OPTION = "prompt_cache"


class Engine(BaseModel):
    """An engine of the museum."""

    name: str


def look_up(name: str) -> str:
    """Look up an engine in the museum's register."""
    return f"{name} was built in 1911."


TOOL = FunctionTool.from_defaults(look_up)


@pytest.fixture
def sent(last_row, markers):
    """Return a function that gives the lifetime of the newest request's head."""
    return lambda: markers(last_row().body).get("system[0]")


@pytest.mark.parametrize(
    ("choice", "policy", "expected"),
    [
        pytest.param(None, "auto", "5m", id="None"),
        pytest.param(True, "auto", "5m", id="True"),
        pytest.param(False, "off", None, id="False"),
        pytest.param("off", "off", None, id="off"),
        pytest.param(Policy.fixed(tail=None), "fixed", "1h", id="Policy.fixed"),
        pytest.param({}, "auto", "5m", id="empty"),
        pytest.param({"ttl": "1h"}, "auto", "1h", id="ttl"),
        pytest.param({"ttl": timedelta(hours=1)}, "auto", "1h", id="timedelta"),
        pytest.param({"enabled": False}, "off", None, id="enabled"),
        pytest.param({"policy": "off"}, "off", None, id="policy"),
    ],
)
def test_choice_of_an_llm(choice, policy, expected, make_cached, prompt, sent):
    """What an LLM is given as `prompt_cache` decides what its requests carry."""
    answer = make_cached(prompt_cache=choice).chat(prompt())

    assert sent() == expected
    assert answer.additional_kwargs[OPTION]["policies"] == [policy]


def test_llms_without_a_choice_share_a_cache(make_cached):
    """LLMs that name no cache learn together."""
    one, two = make_cached(prompt_cache=None), make_cached(prompt_cache={"ttl": "1h"})

    assert one._choice.cache is two._choice.cache is default_cache()


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        pytest.param(7, "a PromptCache, a Policy or its name", id="number"),
        pytest.param("always", "'auto', 'fixed', 'off'", id="policy"),
        pytest.param({"ttl": "30m"}, "allowed: 5m, 1h", id="ttl_of_others"),
        pytest.param({"tenat": "a"}, "tenant, conversation, ttl, enabled", id="name"),
        pytest.param(PromptCache(Policy.fixed(tools="12h")), "5m, 1h", id="cache"),
    ],
)
def test_wrong_choice_of_an_llm(choice, words, make_cached):
    """A choice that is not allowed is refused at construction, naming what is."""
    with pytest.raises(OptionError, match=re.escape(words)):
        make_cached(prompt_cache=choice)


CALLS = [
    pytest.param(lambda llm, prompt, **said: llm.chat(prompt, **said), id="chat"),
    pytest.param(
        lambda llm, prompt, **said: list(llm.stream_chat(prompt, **said)),
        id="stream_chat",
    ),
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
]


@pytest.mark.parametrize("call", CALLS)
def test_options_of_a_call(call, cached, collecting, prompt, sent, last_row):
    """A call's options reach its request and its receipt, but not the wire."""
    said = {"ttl": "1h", "tenant": "acme", "conversation": "42"}
    with collecting() as receipts:
        call(cached, prompt(), prompt_cache=said)
        carried = sent()
        call(cached, prompt(), prompt_cache=False)
    with_options, without = receipts

    assert carried == "1h"
    assert (with_options.tenant, with_options.conversation) == ("acme", "42")
    assert sent() is None
    assert without.policy == "off"
    assert OPTION not in last_row().body


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(
            lambda llm, text, **said: llm.complete(text, **said), id="complete"
        ),
        pytest.param(
            lambda llm, text, **said: list(llm.stream_complete(text, **said)),
            id="stream_complete",
        ),
    ],
)
def test_options_of_a_completion(call, cached, collecting, last_row):
    """Completions take options, too."""
    with collecting() as receipts:
        call(cached, "What is a tender?", prompt_cache={"tenant": "acme"})

    assert [receipt.tenant for receipt in receipts] == ["acme"]
    assert OPTION not in last_row().body


async def test_options_of_an_asynchronous_call(cached, collecting, prompt, sent):
    """The same holds for asynchronous calls and streams."""
    with collecting() as receipts:
        await cached.achat(prompt(), prompt_cache={"tenant": "a", "ttl": "1h"})
        assert sent() == "1h"
        stream = await cached.astream_chat(prompt(), prompt_cache={"tenant": "b"})
        assert [chunk async for chunk in stream]
        await cached.acomplete("What is a tender?", prompt_cache={"tenant": "c"})
        await cached.achat(prompt(), prompt_cache=False)

    assert [receipt.tenant for receipt in receipts] == ["a", "b", "c", None]
    assert sent() is None


@pytest.mark.filterwarnings("ignore:The 'output_format' parameter is deprecated")
@pytest.mark.parametrize("model", ["claude-sonnet-4-6", "claude-opus-4-8"])
@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streaming"])
def test_options_of_structured_output(
    model, streaming, make_cached, collecting, head, emulator, last_row
):
    """`llm_kwargs` may hold options, whichever way the output gets its structure."""
    answer = Json({"name": "T 9"}) if "sonnet" in model else ToolCall("Engine", T9)
    emulator.answers.push(answer)
    llm = make_cached(model=model)
    predict = llm.stream_structured_predict if streaming else llm.structured_predict
    template = ChatPromptTemplate([head, ChatMessage("Describe {what}.")])
    said = {"tenant": "acme", "ttl": "1h"}
    given = {OPTION: said, "stop_sequences": ["END"]}
    with collecting() as receipts:
        found = predict(Engine, template, llm_kwargs=given, what="it")
        parts = [dict(part) for part in (found if streaming else [found])]

    # LlamaIndex's own partial output is not what is tested here.
    assert parts == [T9] or streaming
    assert [receipt.tenant for receipt in receipts] == ["acme"]
    assert any(" 1h " in point for point in receipts[0].breakpoints)
    assert last_row().body["stop_sequences"] == ["END"]
    assert OPTION not in last_row().body
    assert given == {OPTION: said, "stop_sequences": ["END"]}


T9 = {"name": "T 9"}


@pytest.mark.filterwarnings("ignore:The 'output_format' parameter is deprecated")
def test_options_of_a_structured_llm(cached, collecting, prompt, emulator):
    """What a `StructuredLLM` is told reaches the LLM in it."""
    emulator.answers.push(Json(T9))
    with collecting() as receipts:
        cached.as_structured_llm(Engine).chat(prompt(), prompt_cache={"tenant": "a"})

    assert [receipt.tenant for receipt in receipts] == ["a"]


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

    assert [receipt.conversation for receipt in receipts] == [expected]


@pytest.mark.filterwarnings("ignore:The `__fields.*` attribute is deprecated")
@pytest.mark.filterwarnings("ignore:Accessing the 'model_.*' attribute")
async def test_run_of_an_agent_is_a_conversation(cached, collecting, emulator):
    """All requests of one run have its id, those of another run another one."""
    agent = FunctionAgent(tools=[TOOL], llm=cached)
    with collecting() as receipts:
        for _ in range(2):
            emulator.answers.push(ToolCall("look_up", T9))
            await agent.run("Who built it?", memory=ChatMemoryBuffer.from_defaults())
    first, second, third, fourth = (receipt.conversation for receipt in receipts)

    assert first == second != third == fourth
    assert None not in {first, third}


def test_tenants_share_nothing(cached, prompt, collecting):
    """What one tenant has sent is no reason to expect it of another."""
    with collecting() as receipts:
        for tenant in ("a", "a", "b"):
            cached.chat(prompt(), prompt_cache={"tenant": tenant})

    assert [receipt.tenant for receipt in receipts] == ["a", "a", "b"]


def test_stock_stays_stock(plain, cached, make_plain, rows_of, markers, prompt):
    """A stock LLM beside ours sends what it always sent, before and after."""
    plain.chat(prompt())
    cached.chat(prompt())
    list(make_plain().stream_chat(prompt()))
    plain.chat(prompt())

    assert [markers(row.body) for row in rows_of("plain")] == [{}, {}, {}]
    assert all(isinstance(row.body["system"], str) for row in rows_of("plain"))
    assert [bool(markers(row.body)) for row in rows_of("cached")] == [True]


def test_messages_are_not_written_to(cached, prompt):
    """The caller's messages stay as they are."""
    messages = prompt()
    before = [message.model_dump_json() for message in messages]
    cached.chat(messages)
    list(cached.stream_chat(messages))

    assert [message.model_dump_json() for message in messages] == before


def test_markers_of_llamaindex_are_mended(make_cached, head, last_row, markers):
    """`cache_idx` marks every message, which the provider would refuse."""
    talk = [ChatMessage(role="user", content=f"Part {number}.") for number in range(3)]
    turns = [
        it for one in talk for it in (one, ChatMessage("I see.", role="assistant"))
    ]
    make_cached(model="claude-sonnet-4-5", cache_idx=-1).chat([head, *turns[:-1]])

    assert last_row().status == 200
    assert 1 <= len(markers(last_row().body)) <= 4


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

    with ThreadPoolExecutor(32) as pool:
        answers = dict(pool.map(ask, range(96)))
    receipts = {event.receipt.conversation: event.receipt for event in heard}

    assert len(receipts) == len(emulator.ledger) == 96
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

    answers = await asyncio.gather(*map(ask, range(32)))

    assert answers == [[(str(number), True)] for number in range(32)]
