"""The callback handler: what it counts, what it plans, and what it leaves alone."""

import asyncio
import copy
from concurrent.futures import ThreadPoolExecutor

import anthropic
import pytest
from langchain.agents import create_agent
from langchain_asking import WAYS
from langchain_core.caches import InMemoryCache
from langchain_core.messages import HumanMessage
from langchain_core.outputs import LLMResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langchain_fakes import BEDROCK_USAGE, TEXT_USAGE, FakeBedrock, FakeText, Router
from langchain_leaving import LEAVING, collected_by_python

from langchain_promptcache import PromptCacheCallbackHandler
from promptcache import OptionError, Receipt, options
from promptcache.emulator import Fault

OPTION = "prompt_cache"


@pytest.fixture
def watching(cache):
    return PromptCacheCallbackHandler(cache)


@pytest.fixture
def planning(cache):
    return PromptCacheCallbackHandler(cache, insert=True)


@pytest.fixture
def model(make_theirs):
    return make_theirs("plain")


@pytest.fixture
def patient(make_theirs, monkeypatch):
    """Return a model whose SDK tries again, without any pause."""
    monkeypatch.setattr(
        anthropic._base_client.BaseClient,
        "_calculate_retry_timeout",
        lambda *args, **kwargs: 0.0,
    )
    return make_theirs("plain", max_retries=2)


@pytest.fixture
def planned(emulator, markers):
    """Return a function that tells which requests were planned, oldest first."""
    return lambda: [bool(markers(row.body)) for row in emulator.ledger]


@pytest.fixture
def told():
    """Return a function that gives the receipts of a handler."""
    return lambda handler: [it.receipt for it in handler.calls if it.receipt]


def total(handler, by="model"):
    return handler.report(by).to_dict()["total"]


def rows(handler, by):
    """Return the requests of each row of a report."""
    return {row[by]: row["requests"] for row in handler.report(by).to_dict()["rows"]}


def fields_of(model):
    return {name: getattr(model, name) for name in type(model).model_fields}


@pytest.mark.parametrize("way", WAYS)
async def test_others_are_left_alone(way, model, prompt, planning, planned):
    """What the same context sends before and after a call is not the handler's."""
    await way(model, prompt())
    await way(model.with_config(callbacks=[planning]), prompt())
    await way(model, prompt())

    assert planned() == [False, True, False]
    assert total(planning)["requests"] == 1


def test_between_the_steps_of_a_stream(model, prompt, planning, planned):
    """What is asked while a stream is read is not the handler's."""
    for chunk in model.stream(prompt(), {"callbacks": [planning]}):
        if chunk.content:
            model.invoke(prompt("And a boiler?"))
            break
    else:
        pytest.fail("nothing was streamed")

    assert planned() == [True, False]
    assert len(planning.calls) == 1


async def test_tasks_of_a_stream(model, prompt, planning, planned):
    """Tasks that are started while a stream is open are not the handler's."""
    tasks = [
        asyncio.create_task(model.ainvoke(prompt("And a boiler?")))
        async for _ in model.astream(prompt(), {"callbacks": [planning]})
    ]
    await asyncio.gather(*tasks)

    assert len(tasks) > 2
    assert planned() == [True, *[False] * len(tasks)]
    assert total(planning)["requests"] == 1


def test_threads_share_everything(model, head, planning, emulator, markers):
    """Of many threads with one template and one model, the right half is planned."""
    template = ChatPromptTemplate.from_messages([head, ("user", "{question}")])
    chain = template | model

    def ask(number):
        callbacks = [planning] if number % 2 else []
        chain.invoke({"question": f"Number {number}?"}, {"callbacks": callbacks})

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(ask, range(64)))
    found = {}
    for row in emulator.ledger:
        content = row.body["messages"][0]["content"]
        text = content if isinstance(content, str) else content[0]["text"]
        found[text] = bool(markers(row.body))

    assert found == {f"Number {number}?": bool(number % 2) for number in range(64)}
    assert total(planning)["requests"] == 32
    assert rows(planning, "chain") == {"RunnableSequence": 32}


@pytest.mark.parametrize("way", WAYS)
async def test_nothing_of_the_callers_is_changed(way, model, head, planning):
    """Messages, a template and the model are what they were, and whose they were."""
    template = ChatPromptTemplate.from_messages([head, ("user", "{question}")])
    messages = [head, HumanMessage([{"type": "text", "text": "Who?"}])]
    client = model._client
    before = copy.deepcopy((messages, template.messages, fields_of(model)))
    await way(model.with_config(callbacks=[planning]), messages)
    await way((template | model).with_config(callbacks=[planning]), {"question": "?"})

    assert (messages, template.messages, fields_of(model)) == before
    assert template.messages[0] is messages[0] is head
    assert model._client is client
    assert total(planning)["requests"] == 2


@pytest.mark.parametrize("way", WAYS)
async def test_retries_of_the_sdk(way, patient, prompt, planning, told, emulator):
    """Attempts of one request are one receipt."""
    emulator.faults.push(Fault(status=529, times=2))
    answer = await way(patient.with_config(callbacks=[planning]), prompt())
    (receipt,) = told(planning)

    assert len(emulator.ledger) == receipt.attempts == 3
    assert Receipt.from_metadata(answer.response_metadata[OPTION]).attempts == 3
    assert total(planning)["requests"] == 1


def test_retries_of_langchain(model, prompt, watching, emulator, told, assert_settled):
    """A call that failed has no receipt, and the one that was answered has one."""
    emulator.faults.push(Fault(status=529))
    retrying = model.with_retry(stop_after_attempt=2, wait_exponential_jitter=False)
    retrying.invoke(prompt(), {"callbacks": [watching]})

    assert [it.receipt is None for it in watching.calls] == [True, False]
    assert_settled(told(watching), emulator.ledger[1:])


def test_fallbacks(model, make_theirs, prompt, planning, emulator, told):
    """A fallback is counted as the model that answered."""
    emulator.faults.push(Fault(status=500))
    other = make_theirs("plain", model="claude-opus-5-5")
    falling = model.with_fallbacks([other])
    falling.invoke(prompt(), {"callbacks": [planning]})

    assert [it.model for it in told(planning)] == ["claude-opus-5-5"]
    assert len(planning.calls) == 2


@pytest.mark.parametrize("way", WAYS)
async def test_errors(way, model, prompt, planning, planned, emulator):
    """A failure is what it was, and leaves nothing open."""
    emulator.faults.push(Fault(status=400, message="prompt is too long"))
    with pytest.raises(anthropic.BadRequestError, match="too long"):
        await way(model.with_config(callbacks=[planning]), prompt())
    await way(model, prompt())

    assert planned() == [True, False]
    assert [it.receipt for it in planning.calls] == [None]
    assert total(planning)["requests"] == 0


@pytest.mark.parametrize("leave", LEAVING)
async def test_streams_that_are_left(leave, model, prompt, planning, told, emulator):
    """A stream that is left is counted once, with what was known by then."""
    await leave(model.with_config(callbacks=[planning]), prompt())
    await collected_by_python(told(planning))
    model.invoke(prompt())
    (receipt,) = told(planning)

    assert receipt.usage.input_tokens == emulator.ledger[0].total_input_tokens
    assert total(planning)["requests"] == 1


@pytest.mark.parametrize("way", WAYS[:2])
async def test_answers_in_store(way, make_theirs, prompt, watching, emulator):
    """An answer that LangChain had in store cost nothing, and has no receipt."""
    model = make_theirs("plain", cache=InMemoryCache(), callbacks=[watching])
    first = await way(model, prompt())
    again = await way(model, prompt())

    assert len(emulator.ledger) == total(watching)["requests"] == 1
    assert OPTION in first.response_metadata
    assert OPTION not in again.response_metadata
    assert [it.receipt is None for it in watching.calls] == [False, True]


def test_twice_and_with_another(make_theirs, prompt, watching, planning, cache):
    """A handler that is given twice counts once, and two handlers count alike."""
    model = make_theirs("plain", callbacks=[watching, planning])
    model.invoke(prompt(), {"callbacks": [watching]})
    list(model.stream(prompt(), {"callbacks": [planning]}))

    assert total(watching) == total(planning) == total_of(cache)
    assert total(watching)["requests"] == len(watching.calls) == 2
    assert watching.calls[0].receipt.policy == "auto"


def total_of(cache):
    return cache.report().to_dict()["total"]


@pytest.mark.parametrize("insert", [False, True])
@pytest.mark.parametrize("way", WAYS)
async def test_models_of_ours(way, insert, cached, cache, prompt, planned, emulator):
    """A cached model plans for itself, whatever the handler does, and is seen once."""
    handler = PromptCacheCallbackHandler(cache, insert=insert)
    answer = await way(cached.with_config(callbacks=[handler]), prompt())
    (call,) = handler.calls

    assert planned() == [True]
    assert call.receipt.policy == "auto"
    assert total(handler)["requests"] == total_of(cache)["requests"] == 1
    said = Receipt.from_metadata(answer.response_metadata[OPTION])
    assert said.usage == call.receipt.usage


def test_prompts_that_are_sent_together(model, prompt, watching, emulator):
    """Each of several prompts of one call has the receipt of its own answer."""
    questions = ("Who?", "When in the year of its building was it?", "Where to?")
    emulator.answers.push("One.")
    emulator.answers.push("Two and a half.")
    emulator.answers.push("Three quarters of an hour after that.")
    result = model.generate([prompt(it) for it in questions], callbacks=[watching])
    ids = [it[0].message.response_metadata["id"] for it in result.generations]

    assert [call.receipt.id for call in watching.calls] == ids
    assert [
        Receipt.from_metadata(it[0].message.response_metadata[OPTION]).id
        for it in result.generations
    ] == ids


def test_prompts_without_ids(model, prompt, watching, emulator, monkeypatch):
    """Where answers have no ids, the first call has the first request."""
    monkeypatch.setattr("langchain_promptcache.callbacks.id_of", lambda _: None)
    said = ("One.", "Two and a half.", "Three quarters of an hour after that.")
    for text in said:
        emulator.answers.push(text)
    model.generate([prompt(it) for it in said], callbacks=[watching])
    found = [call.receipt.usage.output_tokens for call in watching.calls]

    assert found == [row.output_tokens for row in emulator.ledger]
    assert len(set(found)) == 3


def test_prompts_in_another_order(model, prompt, watching, monkeypatch):
    """Where another call has had a request first, the receipts are exchanged."""

    def open_in_order(batch):
        for call in batch.calls:
            call.run.open()

    monkeypatch.setattr("langchain_promptcache.calls.Batch.open", open_in_order)
    prompts = [prompt(f"Number {number}?") for number in range(3)]
    result = model.generate(prompts, callbacks=[watching])
    ids = [it[0].message.response_metadata["id"] for it in result.generations]

    assert [call.receipt.id for call in watching.calls] == ids


async def test_prompts_that_are_sent_at_once(model, prompt, watching):
    """Whichever of several prompts is sent first, each has its own answer's receipt."""
    prompts = [prompt(f"Number {number}?") for number in range(8)]
    result = await model.agenerate(prompts, callbacks=[watching])
    ids = [it[0].message.response_metadata["id"] for it in result.generations]

    assert [call.receipt.id for call in watching.calls] == ids


def test_a_batch_that_fails(model, prompt, planning, planned, emulator):
    """Where one of several prompts fails, the others wait for nothing any more."""

    def answer(_):
        emulator.faults.push(Fault(status=400))
        return "One."

    emulator.answers.push(answer)
    questions = ("First?", "Second?", "Third?")
    with pytest.raises(anthropic.BadRequestError):
        model.generate([prompt(it) for it in questions], callbacks=[planning])
    model.invoke(prompt())

    assert planned() == [True, True, False]
    assert total(planning)["requests"] == 1
    assert sum(it.receipt is not None for it in planning.calls) == 1


def test_names_of_agents_and_chains(model, watching, emulator):
    """A call has the agent that made it, also one that is another's tool."""
    clerk = create_agent(model, [], name="clerk")

    @tool
    def ask(question: str) -> str:
        """Ask the clerk."""
        return clerk.invoke({"messages": [("user", question)]})["messages"][-1].text

    guide = create_agent(model, [ask], name="guide")
    nameless = create_agent(model, [])
    chain = RunnableLambda(lambda it: it) | guide
    wanted = {"type": "tool_use", "id": "toolu_1", "name": "ask"}
    emulator.answers.push([{**wanted, "input": {"question": "Who?"}}])
    thread = {"configurable": {"thread_id": "visit"}, "callbacks": [watching]}
    chain.with_config(run_name="tour", tags=["north"]).invoke(
        {"messages": [("user", "Who built it?")]}, thread
    )
    nameless.invoke({"messages": [("user", "Hi.")]}, {"callbacks": [watching]})
    model.invoke("Hi.", {"callbacks": [watching], "tags": ["south", "east"]})
    calls = watching.calls

    assert [it.agent for it in calls] == ["guide", "clerk", "guide", "LangGraph", None]
    assert [it.chain for it in calls] == [*["tour"] * 3, "LangGraph", None]
    assert [it.conversation for it in calls] == [*["visit"] * 3, None, None]
    assert {it.name for it in calls} == {"ChatAnthropic"}
    assert [it.parent_run_id is None for it in calls] == [*[False] * 4, True]
    assert rows(watching, "agent") == {"guide": 2, "clerk": 1, "LangGraph": 1, None: 1}
    assert rows(watching, "chain") == {"tour": 3, "LangGraph": 1, None: 1}
    assert rows(watching, "conversation") == {"visit": 3, None: 2}
    assert rows(watching, "tag") == {"north": 3, None: 1, "south": 1, "east": 1}
    assert rows(watching, "model") == {"claude-sonnet-4-6": 5}
    assert total(watching, "tag")["requests"] == 5


@pytest.mark.parametrize("way", WAYS)
async def test_identity(way, model, prompt, planning, told):
    """Tenant and conversation are what the metadata says; a `with` wins over it."""
    metadata = {"thread_id": "visit", "prompt_cache_tenant": "museum"}
    asked = model.with_config(callbacks=[planning], metadata=metadata)
    await way(asked, prompt())
    with options(tenant="other"):
        await way(asked, prompt())
    found = [(it.tenant, it.conversation) for it in told(planning)]

    assert found == [("museum", "visit"), ("other", "visit")]


@pytest.mark.parametrize("way", WAYS)
async def test_models_of_other_sdks(way, watching, told, emulator, cache):
    """A model that sends nothing through an SDK that we know tells its own usage."""
    answer = await way(FakeBedrock(callbacks=[watching]), "Hi.")
    (receipt,) = told(watching)
    usage = receipt.usage

    assert (usage.input_tokens, usage.output_tokens) == (160, 5)
    assert (usage.read_tokens, usage.written_tokens) == (100, 50)
    assert (usage.written_5m_tokens, usage.written_1h_tokens) == (30, 20)
    assert (receipt.provider, receipt.policy) == ("aws", "off")
    # $3 a million, read at a tenth, written at 1.25 and 2 times, output $15.
    expected = (10 * 3 + 100 * 0.3 + 30 * 3.75 + 20 * 6 + 5 * 15) * 1.1 / 1e6
    assert receipt.cost_usd == pytest.approx(expected)
    assert total(watching)["requests"] == total_of(cache)["requests"] == 1
    assert answer.usage_metadata == BEDROCK_USAGE
    assert emulator.ledger == []
    if "stream" not in way.__name__:
        said = Receipt.from_metadata(answer.response_metadata[OPTION])
        assert said.usage.written_1h_tokens == 20


def test_first_token_of_another_sdk(watching, cache, emulator, told):
    """Where chunks come, the time to the first of them is known."""
    model = FakeBedrock(callbacks=[watching])
    stream = model.stream("Hi.")
    next(stream)
    emulator.clock.advance(7)
    list(stream)
    (receipt,) = told(watching)

    assert (receipt.first_token_s, receipt.total_s) == (0.0, 7.0)


def test_several_answers_to_one_prompt(watching):
    """Several answers repeat one usage; it is counted once, and by another handler."""
    other = PromptCacheCallbackHandler(watching._cache)
    model = FakeBedrock(answers=3, callbacks=[watching, other])
    result = model.generate([[HumanMessage("Hi.")], [HumanMessage("Ho.")]])

    assert [len(it) for it in result.generations] == [3, 3]
    assert total(watching) == total(other)
    assert total(watching)["requests"] == 2
    assert total(watching)["read_tokens"] == 200


@pytest.mark.parametrize("tells_parent", [True, False])
@pytest.mark.parametrize("inner", ["fake", "claude"])
def test_models_within_models(inner, tells_parent, model, watching, emulator):
    """A model that has another one answer uses nothing itself."""
    inside = FakeBedrock() if inner == "fake" else model
    router = Router(inner=inside, tells_parent=tells_parent)
    answer = router.invoke("Hi.", {"callbacks": [watching]})

    assert total(watching)["requests"] == 1
    assert [it.name for it in watching.calls if it.receipt] != ["Router"]
    assert OPTION in answer.response_metadata


def test_models_within_models_that_rewrite(model, watching):
    """Usage that a model has from the one it asked is that one's."""
    router = Router(inner=model, rewrites=True)
    answer = router.invoke("Hi.", {"callbacks": [watching]})

    assert answer.usage_metadata["input_tokens"] > 0
    assert total(watching)["requests"] == 1


BAD = [
    pytest.param({"input_tokens": "12", "output_tokens": 5}, (None, None, 5), id="str"),
    pytest.param({"input_tokens": 12.0, "output_tokens": 5}, (None, None, 5), id="flt"),
    pytest.param({"input_tokens": -1, "output_tokens": 5}, (None, None, 5), id="neg"),
    pytest.param(
        {"input_tokens": True, "output_tokens": 5}, (None, None, 5), id="bool"
    ),
    pytest.param(
        {"input_tokens": 9, "input_token_details": {"cache_read": "many"}},
        (9, None, None),
        id="details_str",
    ),
    pytest.param(
        {"input_tokens": 9, "input_token_details": [1]}, (9, None, None), id="list"
    ),
]


@pytest.mark.parametrize(("usage", "expected"), BAD)
def test_usage_that_is_none(usage, expected, watching, told, caplog):
    """What is no count is unknown, which is said once, for those who debug."""
    caplog.set_level("DEBUG")
    FakeBedrock(usage=usage, callbacks=[watching]).invoke("Hi.")
    (receipt,) = told(watching)
    found = receipt.usage

    assert (found.input_tokens, found.read_tokens, found.output_tokens) == expected
    assert [it.levelname for it in caplog.records if "no count" in it.message] == [
        "DEBUG"
    ]
    assert not [it for it in caplog.records if it.levelname == "WARNING"]


def test_usage_of_none_at_all(watching, told):
    """A model that tells nothing has no receipt, and is not counted."""
    FakeBedrock(usage={}, callbacks=[watching]).invoke("Hi.")

    assert told(watching) == []
    assert len(watching.calls) == 1
    assert total(watching)["requests"] == 0


def test_memory_is_bounded(watching, monkeypatch):
    """Calls whose end never comes, and those of long ago, are forgotten."""
    monkeypatch.setattr("langchain_promptcache.calls._MAX_OPEN", 10)
    monkeypatch.setattr("langchain_promptcache.places._MAX_PLACES", 10)
    for number in range(1_200):
        watching.on_chain_start({}, {}, run_id=f"chain {number}", name="chain")
        watching.on_chat_model_start({}, [], run_id=number, parent_run_id=None)

    assert len(watching._calls._open) == len(watching._places._places) == 10
    assert len(watching.calls) == 1_000
    assert not any(it.run.is_open for it in watching._calls._ended)


def test_orphans_do_not_pile_up(watching, model, prompt):
    """Runs that are over are not kept by the context they were opened in."""
    for _ in range(20):
        model.invoke(prompt(), {"callbacks": [watching]})

    assert not watching._calls._open
    assert not watching._places._places


def test_told_twice(planning, model, prompt, planned):
    """A start that is told twice is that of one call, and leaves nothing open."""
    for _ in range(2):
        planning.on_chat_model_start({}, [], run_id=1)
    result = LLMResult(generations=[], llm_output={"token_usage": TEXT_USAGE})
    for _ in range(2):
        planning.on_llm_end(result, run_id=1)
    model.invoke(prompt())

    assert len(planning.calls) == total(planning)["requests"] == 1
    assert planned() == [False]


def test_models_of_text(watching, told):
    """A model of plain text tells its usage beside its answers."""
    FakeText(callbacks=[watching]).invoke("Hi.")
    (receipt,) = told(watching)
    usage = receipt.usage

    assert (usage.input_tokens, usage.read_tokens, usage.output_tokens) == (9, 4, 2)
    assert watching.calls[0].name == "FakeText"


def test_copies_and_forms(watching, model, prompt):
    """A copied model tells the same handler; a report can be read."""
    given = model.model_copy(update={"callbacks": [watching]})
    copied = copy.deepcopy(watching)
    given.invoke(prompt())

    assert copied is copy.copy(watching) is watching
    assert str(watching) == str(watching.report())
    assert "claude-sonnet-4-6" in str(watching)
    with pytest.raises(ValueError, match="by='day' is none of model, agent"):
        watching.report(by="day")


def test_choices(prompt, model, planned):
    """What is no choice is refused; off and False are watched."""
    with pytest.raises(OptionError):
        PromptCacheCallbackHandler(3)
    for choice in ("off", False, {"enabled": False}):
        handler = PromptCacheCallbackHandler(choice, insert=True)
        model.invoke(prompt(), {"callbacks": [handler]})
        assert [it.receipt.policy for it in handler.calls] == ["off"]

    assert planned() == [False, False, False]
