"""Many threads and tasks on one client, and tasks that are cancelled."""

import asyncio
import threading

import pytest
from anthropic_sdk import (
    START,
    acreate,
    agent,
    astream,
    create,
    http,
    kept,
    lines,
    standing_in_async,
    stream,
)

from promptcache import options


class Endless(http.AsyncByteStream):
    """A stream that begins and never goes on."""

    def __init__(self):
        self.begun = asyncio.Event()
        self.is_closed = False

    async def __aiter__(self):
        yield lines(START).content
        self.begun.set()
        await asyncio.Event().wait()

    async def aclose(self):
        self.is_closed = True


async def test_a_task_that_is_cancelled_in_a_stream(cache):
    """A cancelled reader gets its cancellation; the stream is settled and closed."""
    endless = Endless()

    async def handler(_):
        return http.Response(
            200, stream=endless, headers={"content-type": "text/event-stream"}
        )

    client = standing_in_async(cache, handler)

    async def work():
        async for _ in await client.messages.create(**agent(), stream=True):
            pass

    with cache.collect() as collected:
        task = asyncio.create_task(work())
    await endless.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert [receipt.usage.input_tokens for receipt in collected] == [23]
    assert endless.is_closed


async def test_a_task_that_is_cancelled_before_its_answer(cache):
    """A cancelled request is kept nowhere and has no receipt."""
    asked = asyncio.Event()

    async def handler(_):
        asked.set()
        await asyncio.Event().wait()

    client = standing_in_async(cache, handler)
    with cache.collect() as collected:
        task = asyncio.create_task(client.messages.create(**agent()))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert collected == []
    assert kept(client) == 0


async def test_many_tasks(async_client, cache, emulator):
    """Tasks that interleave get their own receipts, under their own options."""

    async def ask(name):
        with cache.collect() as collected, options(conversation=name, tenant="acme"):
            await (astream if int(name) % 2 else acreate)(
                async_client, agent({"role": "user", "content": name})
            )
        return [receipt.conversation for receipt in collected]

    seen = await asyncio.gather(*[ask(str(number)) for number in range(32)])

    assert seen == [[str(number)] for number in range(32)]
    assert len(emulator.ledger) == 32


def test_64_threads(client, cache, emulator):
    """64 threads on one client get their own receipts."""
    seen, gate = [], threading.Barrier(64)

    def ask(name):
        gate.wait()
        with cache.collect() as collected, options(conversation=name):
            create(client, agent({"role": "user", "content": name}))
            stream(client, agent({"role": "user", "content": name}))
        seen.append([receipt.conversation for receipt in collected] == [name] * 2)

    threads = [threading.Thread(target=ask, args=(str(n),)) for n in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert seen == [True] * 64
    assert len(emulator.ledger) == 128
    assert all(row.error is None for row in emulator.ledger)
