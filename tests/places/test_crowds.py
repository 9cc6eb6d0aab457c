"""Many threads and tasks at once, on one model and on many, and what is counted.

`CROWD` multiplies how many calls there are; without it, 1,000 tasks share one client,
and 250 have many.
"""

import asyncio
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import anthropic
import openai
import pytest
from faulty_asked import CLAUDE, GPT, SYSTEM
from faulty_subjects import NAMED

from promptcache import PromptCache
from promptcache.receipts.events import Settled

CROWD = int(os.environ.get("CROWD", "1"))
THREADS, TASKS = 64, 1_000
NODES = 600

pytestmark = pytest.mark.timeout(300 * CROWD)


@pytest.fixture
def crowded(emulator, events):
    """Return a cache whose history is much smaller than what is asked."""
    cache = PromptCache(
        store="memory:", strict=True, clock=emulator.clock, listeners=[events.append]
    )
    cache._planner.history._prefixes._max_nodes = NODES
    yield cache
    cache.close()


def counts(emulator, events):
    """Return what the ledger and the receipts have, by id and by sort of token."""
    rows = [row for row in emulator.ledger if row.output_tokens]
    receipts = [it.receipt for it in events if isinstance(it, Settled)]
    return (
        Counter(
            (it.total_input_tokens, it.cache_read_input_tokens, it.output_tokens)
            for it in rows
        ),
        Counter(
            (it.usage.input_tokens, it.usage.read_tokens, it.usage.output_tokens)
            for it in receipts
        ),
        len({it.id for it in receipts}),
    )


def check(cache, emulator, events, number):
    in_ledger, in_receipts, ids = counts(emulator, events)
    assert sum(in_ledger.values()) == number
    assert in_receipts == in_ledger
    assert ids == number
    total = cache.report().to_dict()["total"]
    assert total["requests"] == number
    assert total["input_tokens"] == sum(n * it[0] for it, n in in_ledger.items())
    assert len(cache._planner.history) <= NODES
    assert not len(cache.turns.gates)


@pytest.mark.parametrize("many", [False, True], ids=["one model", "many models"])
def test_threads(crowded, emulator, events, many):
    """Receipts are those of the ledger, each counted once, in as many threads."""
    subject = NAMED["langchain.anthropic"]
    calls = THREADS * 3 * CROWD
    # LangChain makes its client at the first call, one for all threads.
    models = [subject.make(emulator.url, "t", crowded, 60.0, 0)]
    models[0].invoke("hello")
    client, asynchronous = models[0]._client, models[0]._async_client
    for _ in range(7 if many else 0):
        made = subject.make(emulator.url, "t", crowded, 60.0, 0)
        # One pool for all: what is tried here are not as many TLS contexts.
        made.__dict__ |= {"_client": client, "_async_client": asynchronous}
        models.append(made)

    def call(number):
        model = models[number % len(models)]
        conversation = f"talk {number % 50}"
        said = [("system", SYSTEM), ("user", f"Question {number}")]
        return model.invoke(said, prompt_cache={"conversation": conversation}).text

    with ThreadPoolExecutor(THREADS) as pool:
        texts = list(pool.map(call, range(calls)))

    assert all(texts)
    check(crowded, emulator, events, calls + 1)
    asyncio.run(subject.close(models[0]))


@pytest.mark.parametrize("many", [False, True], ids=["one client", "many clients"])
def test_tasks(crowded, emulator, events, many):
    """Receipts are those of the ledger, each counted once, in as many tasks."""
    number_of_tasks = TASKS * CROWD if CROWD > 1 or not many else TASKS // 4

    async def main():
        pools = [
            anthropic.AsyncAnthropic(api_key="ws-a-key", base_url=emulator.url),
            openai.AsyncOpenAI(api_key="ws-o-key", base_url=f"{emulator.url}/v1"),
        ]
        each = 20 if many else 1
        # Twins of a client share its connections.
        claudes = [crowded.attach(pools[0]) for _ in range(each)]
        gpts = [crowded.attach(pools[1]) for _ in range(each)]

        async def call(number):
            asked = [{"role": "user", "content": f"Question {number}"}]
            if number % 2:
                return await claudes[number % each].messages.create(
                    model=CLAUDE, max_tokens=9, system=SYSTEM, messages=asked
                )
            head = {"role": "system", "content": SYSTEM}
            return await gpts[number % each].chat.completions.create(
                model=GPT, messages=[head, *asked]
            )

        done = await asyncio.gather(*(call(it) for it in range(number_of_tasks)))
        for client in pools:
            await client.close()
        return len(done), len(asyncio.all_tasks())

    assert asyncio.run(main()) == (number_of_tasks, 1)
    check(crowded, emulator, events, number_of_tasks)
