"""Batches of one head: the first goes ahead, unless somebody says otherwise."""

import pytest
from fanned_out import answer_late, billed, waits
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import RunnableLambda, RunnableParallel

from langchain_promptcache import chunk_context
from langchain_promptcache.batches import batch_options
from promptcache import options
from promptcache.emulator import Fault

ALL = 6


@pytest.fixture
def emulator(slow_emulator):
    return slow_emulator


@pytest.fixture
def cache(patient_cache):
    return patient_cache


@pytest.fixture
def prompts(prompt):
    return [prompt(f"Question {number}") for number in range(ALL)]


def as_completed(model, prompts):
    return [answer for _, answer in sorted(model.batch_as_completed(prompts))]


WAYS = [
    pytest.param(lambda model, prompts: model.batch(prompts), id="batch"),
    pytest.param(as_completed, id="batch-as-completed"),
    pytest.param(
        lambda model, prompts: (model | StrOutputParser()).batch(prompts), id="sequence"
    ),
    pytest.param(
        lambda model, prompts: model.bind(stop=["!"]).batch(prompts), id="bound"
    ),
    pytest.param(lambda model, prompts: model.map().invoke(prompts), id="map"),
]
ASYNC_WAYS = [
    pytest.param(lambda model, prompts: model.abatch(prompts), id="abatch"),
    pytest.param(
        lambda model, prompts: _collected(model.abatch_as_completed(prompts)),
        id="abatch-as-completed",
    ),
]


async def _collected(pairs):
    return [answer for _, answer in sorted([pair async for pair in pairs])]


@pytest.mark.parametrize("way", WAYS)
def test_the_first_of_a_batch_goes_ahead(emulator, cache, cached, prompts, way):
    """One head, one write, whatever the batch is made through."""
    answer_late(emulator, 1, seconds=8.0)

    with cache.collect() as receipts:
        answers = way(cached, prompts)

    assert len(answers) == ALL
    assert billed(emulator) == (1, ALL - 1)
    assert len(waits(receipts)) == ALL - 1


@pytest.mark.parametrize("way", ASYNC_WAYS)
async def test_the_first_of_an_asynchronous_batch(
    emulator, cache, cached, prompts, way
):
    """As in threads."""
    answer_late(emulator, 1, seconds=8.0)

    with cache.collect() as receipts:
        answers = await way(cached, prompts)

    assert len(answers) == ALL
    assert billed(emulator) == (1, ALL - 1)
    assert len(waits(receipts)) == ALL - 1


async def test_answers_carry_what_waiting_cost(emulator, cached, prompts):
    """The receipt on the answer itself says so."""
    answer_late(emulator, 1, seconds=8.0)

    answers = await cached.abatch(prompts)

    receipts = [answer.response_metadata["prompt_cache"] for answer in answers]
    assert len([it for it in receipts if "waited" in str(it["notes"])]) == ALL - 1


@pytest.mark.parametrize(
    "say",
    [
        pytest.param(
            lambda make, prompts: make().batch(
                prompts, prompt_cache={"fan_out": False}
            ),
            id="call",
        ),
        pytest.param(
            lambda make, prompts: (
                make().bind(prompt_cache={"fan_out": False}).batch(prompts)
            ),
            id="bound",
        ),
    ],
)
def test_a_batch_that_is_told_not_to_wait(emulator, make_cached, prompts, say):
    """The word of a call or a binding is more than that of a batch."""
    answer_late(emulator, ALL)

    say(make_cached, prompts)

    assert billed(emulator) == (ALL, 0)


def test_a_batch_inside_options_that_say_no(emulator, cached, prompts):
    """So is that of a `with`."""
    answer_late(emulator, ALL)

    with options(fan_out=False):
        cached.batch(prompts)

    assert billed(emulator) == (ALL, 0)


def test_single_calls_do_not_wait(emulator, cached, prompts):
    """Parallel branches are single calls, until the switch says more."""
    branches = RunnableParallel(
        {
            f"branch{number}": RunnableLambda(lambda _, it=it: it) | cached
            for number, it in enumerate(prompts)
        }
    )

    answer_late(emulator, ALL)
    branches.invoke({})
    assert billed(emulator) == (ALL, 0)

    emulator.reset()
    emulator.clock.advance(301)
    with options(fan_out=True):
        branches.invoke({})
    assert billed(emulator) == (1, ALL - 1)


def test_after_a_batch_single_calls_do_not_wait(emulator, cached, prompts, head):
    """The switch is on inside of the batch only, also between its answers."""
    answers = cached.batch_as_completed(prompts)
    next(answers)

    assert batch_options().fan_out is None
    answers.close()
    assert batch_options().fan_out is None


def test_one_at_a_time(emulator, cache, cached, prompts):
    """With one thread there is nobody to wait for, and nobody waits."""
    with cache.collect() as receipts:
        cached.batch(prompts, {"max_concurrency": 1})

    assert billed(emulator) == (1, ALL - 1)
    assert waits(receipts) == []


def test_fewer_threads_than_requests(emulator, cached, prompts):
    """Who waits holds a thread, and the one that is waited for has its own."""
    cached.batch(prompts, {"max_concurrency": 2})

    assert billed(emulator) == (1, ALL - 1)


async def test_fewer_tasks_than_requests(emulator, cached, prompts):
    """The same for tasks."""
    await cached.abatch(prompts, {"max_concurrency": 2})

    assert billed(emulator) == (1, ALL - 1)


def test_a_failure_in_a_batch(emulator, cached, prompts):
    """Its error is the batch's; one of the others writes."""
    emulator.faults.push(Fault(status=500, delay_seconds=1.0))

    answers = cached.batch(prompts, return_exceptions=True)

    assert [isinstance(it, Exception) for it in answers].count(True) == 1
    assert billed(emulator) == (1, ALL - 2)


def test_chunks_of_documents(emulator, cached):
    """Each document is written once, and read for its other chunks."""
    inputs = [
        {"document": f"Report {number}. " + "The T 9 runs. " * 900, "chunk": f"{chunk}"}
        for number in range(2)
        for chunk in range(5)
    ]

    contexts = chunk_context(cached).batch(inputs, {"max_concurrency": 5})

    assert len(contexts) == 10
    assert all(isinstance(context, str) for context in contexts)
    assert billed(emulator) == (2, 8)


def test_the_chunk_comes_after_its_document(emulator, cached, last_row):
    """What changes stands last, and braces in either are taken as they are."""
    given = {"document": "A {brace}.", "chunk": "A {chunk}."}

    chunk_context(cached, instructions="Be {brief}.").invoke(given)

    body = last_row().body
    assert "A {brace}." in str(body["system"])
    said = str(body["messages"])
    assert said.index("A {chunk}.") < said.index("Be {brief}.")
