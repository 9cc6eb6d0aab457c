"""What a caller may say, to an LLM and to a call, and what the wire has of it."""

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import TextBlock
from llama_index.core.instrumentation.dispatcher import instrument_tags
from llama_index.core.llms import ChatMessage
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.prompts import ChatPromptTemplate
from llamaindex_kit import ENGINE_CALL, IGNORED, TOOL, Engine, calling
from llamaindex_ways import WAYS

from promptcache import OptionError, Policy, PromptCache, default_cache, options
from promptcache.emulator import Json

pytestmark = IGNORED

OPTION = "prompt_cache"
OURS = {"prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"}
T9 = {"name": "T 9", "year": 1911}
USER_MARK = {"mode": "explicit", "ttl": "30m"}


HALF_AN_HOUR = Policy.fixed(tools="30m", system="30m", history="30m", tail="30m")


@pytest.mark.parametrize(
    ("choice", "policy"),
    [
        pytest.param(None, "auto", id="None"),
        pytest.param(True, "auto", id="True"),
        pytest.param(False, "off", id="False"),
        pytest.param("off", "off", id="off"),
        pytest.param(HALF_AN_HOUR, "fixed", id="Policy.fixed"),
        pytest.param({}, "auto", id="empty"),
        pytest.param({"enabled": False}, "off", id="enabled"),
        pytest.param({"policy": "off"}, "off", id="policy"),
    ],
)
def test_choice_of_an_llm(choice, policy, make_cached, prompt, last_row, markers):
    """What an LLM is given as `prompt_cache` decides what its requests carry."""
    answer = make_cached(prompt_cache=choice).chat(prompt())
    body = last_row().body

    assert answer.additional_kwargs[OPTION]["policies"] == [policy]
    assert bool(markers(body)) is (policy != "off")
    assert bool(OURS & body.keys()) is (policy != "off")


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        pytest.param(7, "a PromptCache, a Policy or its name", id="number"),
        pytest.param("always", "'auto', 'fixed', 'off'", id="policy"),
        pytest.param({"ttl": "5m"}, "allowed: 30m, 12h, 24h", id="ttl_of_others"),
        pytest.param({"tenat": "a"}, "tenant, conversation, ttl, enabled", id="name"),
        pytest.param({"stream_usage": 1}, "True or False", id="stream_usage"),
        pytest.param(PromptCache(Policy.fixed(tools="1h")), "30m, 12h", id="cache"),
    ],
)
def test_wrong_choice_of_an_llm(choice, words, make_cached):
    """A choice that is not allowed is refused at construction, naming what is."""
    with pytest.raises(OptionError, match=re.escape(words)):
        make_cached(prompt_cache=choice)


@pytest.mark.parametrize("way", WAYS)
async def test_options_of_a_call(way, cached, collecting, prompt, last_row, markers):
    """A call's options reach its request and its receipt, but not the wire."""
    said = {"tenant": "acme", "conversation": "42"}
    with collecting() as receipts:
        await way(cached, prompt(), prompt_cache=said)
        key = last_row().body["prompt_cache_key"]
        await way(cached, prompt(), prompt_cache=False)
    with_options, without = receipts
    body = last_row().body

    assert (with_options.tenant, with_options.conversation) == ("acme", "42")
    assert "acme" not in key
    assert without.policy == "off"
    assert not OURS & body.keys()
    assert markers(body) == {}
    assert OPTION not in body


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
    assert OPTION not in last_row().body


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streaming"])
def test_options_of_structured_output(
    api, streaming, cached, collecting, head, emulator, last_row
):
    """`llm_kwargs` may hold options, and stays as it was."""
    is_called = streaming and api == "responses"
    emulator.answers.push(ENGINE_CALL if is_called else Json(T9))
    predict = (
        cached.stream_structured_predict if streaming else cached.structured_predict
    )
    template = ChatPromptTemplate([head, ChatMessage("Describe {what}.")])
    said = {"tenant": "acme"}
    given = {OPTION: said, "user": "42"}
    with collecting() as receipts:
        found = predict(Engine, template, llm_kwargs=given, what="it")
        assert list(found if streaming else [found])

    assert [receipt.tenant for receipt in receipts] == ["acme"]
    assert last_row().body["user"] == "42"
    assert OPTION not in last_row().body
    assert given == {OPTION: said, "user": "42"}


async def test_options_of_asynchronous_structured_output(
    api, cached, collecting, head, emulator
):
    """The same holds for asynchronous structured output."""
    template = ChatPromptTemplate([head, ChatMessage("Describe {what}.")])
    said = {OPTION: {"tenant": "acme"}}
    with collecting() as receipts:
        emulator.answers.push(Json(T9))
        await cached.astructured_predict(Engine, template, said, what="it")
        emulator.answers.push(ENGINE_CALL if api == "responses" else Json(T9))
        stream = await cached.astream_structured_predict(
            Engine, template, said, what="it"
        )
        assert [part async for part in stream]

    assert [receipt.tenant for receipt in receipts] == ["acme", "acme"]


@pytest.mark.parametrize(
    ("said", "carried"),
    [
        pytest.param("30m", "30m", id="30m"),
        pytest.param(timedelta(minutes=30), "30m", id="timedelta"),
        pytest.param("12h", "12h", id="12h"),
    ],
)
def test_lifetime(said, carried, api, cached, prompt, last_row, markers):
    """A lifetime is asked for as a whole or at the breakpoints, as the API has it."""
    cached.chat(prompt(), prompt_cache={"ttl": said})
    body = last_row().body
    whole = body["prompt_cache_options"]["ttl"]
    asked = {ttl or whole for ttl in markers(body).values()}

    # Chat Completions has one lifetime only, whatever is asked for.
    assert asked == {whole} == ({"30m"} if api == "chat" else {carried})
    assert last_row().status == 200


@pytest.mark.parametrize("model", ["gpt-5.2"])
def test_retention(cached, prompt, last_row):
    """A model without breakpoints keeps a prefix for a day, if it is asked to."""
    cached.chat(prompt(), prompt_cache={"ttl": "24h"})
    asked = last_row().body["prompt_cache_retention"]
    cached.chat(prompt())

    assert asked == "24h"
    assert "prompt_cache_retention" not in last_row().body


@pytest.mark.parametrize("model", ["gpt-5.2"])
def test_model_without_breakpoints(cached, prompt, rows_of, strip, plain):
    """Such a request has a key more than the stock one, and nothing else."""
    cached.chat(prompt())
    plain.chat(prompt())
    (ours,), (stock,) = rows_of("cached"), rows_of("plain")

    assert ours.body.keys() - stock.body.keys() == {"prompt_cache_key"}
    assert {**ours.body, "prompt_cache_key": None} == {
        **stock.body,
        "prompt_cache_key": None,
    }


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


def test_tenants_have_keys_of_their_own(cached, prompt, rows_of):
    """What parts the caches of tenants is a key, in which no name can be read."""
    for tenant in ("acme", "acme", "other"):
        cached.chat(prompt(), prompt_cache={"tenant": tenant})
    rows = rows_of("cached")
    first, again, other = (row.body["prompt_cache_key"] for row in rows)

    assert first == again != other
    assert [bool(row.cache_read_input_tokens) for row in rows] == [False, True, False]
    assert all(len(key) <= 64 for key in (first, other))


@pytest.mark.parametrize("model", ["gpt-6.1-sol", "gpt-5.2"])
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param(
            {"additional_kwargs": {"prompt_cache_key": "mine"}}, {}, id="of_the_llm"
        ),
        pytest.param({}, {"prompt_cache_key": "mine"}, id="of_the_call"),
    ],
)
def test_key_of_the_caller(changes, said, make_cached, prompt, last_row):
    """A key of the caller's is the one that is sent."""
    make_cached(**changes).chat(prompt(), **said)

    assert last_row().body["prompt_cache_key"] == "mine"
    assert last_row().status == 200


@pytest.mark.parametrize("length", [64, 65])
def test_length_of_a_key(length, make_cached):
    """A key that the provider would refuse is refused when it is first seen."""
    given = {"prompt_cache_key": "k" * length}
    if length == 64:
        assert make_cached(additional_kwargs=given).additional_kwargs == given
        return
    with pytest.raises(OptionError, match="at most 64 characters") as info:
        make_cached(additional_kwargs=given)

    assert info.value.option == "prompt_cache_key"


def test_options_of_the_caller(make_cached, prompt, last_row, markers):
    """The mode and lifetime that the caller asks for himself are what is sent."""
    given = {"prompt_cache_options": {"mode": "explicit", "ttl": "30m"}}
    make_cached(additional_kwargs=given).chat(prompt())

    assert last_row().body["prompt_cache_options"] == given["prompt_cache_options"]
    assert markers(last_row().body)


@pytest.mark.parametrize("api", ["responses"])
def test_instructions_stay_a_string(make_cached, last_row, head):
    """The instructions of Responses are planned around, and not written to."""
    llm = make_cached(instructions=head.content)
    for _ in range(3):
        llm.chat([ChatMessage("What is a tender?")])

    assert last_row().body["instructions"] == head.content
    assert last_row().cache_read_input_tokens > 0


def test_system_prompt_of_an_llm(make_cached, last_row, head):
    """What LlamaIndex puts before each prompt is the head that is read again."""
    llm = make_cached(system_prompt=head.content)
    template = ChatPromptTemplate([ChatMessage("Describe {what}.")])
    for what in ("it", "a tender"):
        llm.predict(template, what=what)

    assert last_row().cache_read_input_tokens > 0.9 * last_row().total_input_tokens


def test_blocks_of_a_message(cached, plain, head, rows_of, strip, markers):
    """LlamaIndex makes one string of a message's blocks, so marks fall on its end."""
    halves = [TextBlock(text=head.content), TextBlock(text="And now: what is it?")]
    messages = [
        ChatMessage(role="system", blocks=halves),
        ChatMessage(role="user", blocks=halves),
    ]
    plain.chat(messages)
    cached.chat(messages)
    (stock,), (ours,) = rows_of("plain"), rows_of("cached")
    asked = "messages" if "messages" in ours.body else "input"

    assert strip(ours.body) == strip(stock.body)
    assert f"{asked}[0].content[0]" in markers(ours.body)
    assert [len(message["content"]) for message in ours.body[asked]] == [1, 1]


def test_messages_are_not_written_to(cached, prompt):
    """The caller's messages stay as they are."""
    messages = prompt()
    before = [message.model_dump_json() for message in messages]
    cached.chat(messages)
    list(cached.stream_chat(messages))

    assert [message.model_dump_json() for message in messages] == before


def test_stock_stays_stock(plain, cached, make_plain, rows_of, strip, prompt):
    """A stock LLM beside ours sends what it always sent, before and after."""
    plain.chat(prompt())
    cached.chat(prompt())
    plain.chat(prompt())
    make_plain().chat(prompt())
    bodies = [row.body for row in rows_of("plain")]
    (ours,) = rows_of("cached")

    assert bodies[0] == bodies[1] == bodies[2] != ours.body
    assert not OURS & bodies[0].keys()
    assert strip(ours.body) == strip(bodies[0])


@pytest.mark.parametrize("api", ["responses"])
@pytest.mark.parametrize("model", ["gpt-6.1-sol", "gpt-5.2"])
def test_conversation_goes_on_at_the_provider(
    make_cached, prompt, rows_of, collecting, assert_settled
):
    """What the provider puts before a request by itself is read as well."""
    llm = make_cached(track_previous_responses=True)
    with collecting() as receipts:
        llm.chat(prompt())
        llm.chat([ChatMessage("And a boiler?")])
        list(llm.stream_chat([ChatMessage("And a wheel?")]))
    rows = rows_of("cached")
    keys = {row.body["prompt_cache_key"] for row in rows}

    assert [row.body.get("previous_response_id") is None for row in rows] == [
        True,
        False,
        False,
    ]
    assert len(keys) == 1
    assert rows[-1].cache_read_input_tokens > 0
    assert_settled(receipts, rows)


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
        answers = dict(pool.map(ask, range(64)))
    receipts = {event.receipt.conversation: event.receipt for event in heard}

    assert len(receipts) == len(emulator.ledger) == 64
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
