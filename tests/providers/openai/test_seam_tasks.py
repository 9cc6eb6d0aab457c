"""Many threads and tasks on one client, and tasks that are cancelled."""

import asyncio
import threading

import openai
import pytest
from openai_sdk import (
    WITH_USAGE,
    Endless,
    chat,
    http,
    response,
    standing_in,
)

from promptcache import options


async def ask(client, name):
    turn = {"role": "user", "content": name}
    if int(name) % 2:
        return await client.responses.create(**response(turn))
    chunks = await client.chat.completions.create(**chat(turn, **WITH_USAGE))
    return [chunk async for chunk in chunks]


async def test_a_task_that_is_cancelled_in_a_stream(cache):
    """A cancelled reader gets its cancellation; the stream is settled and closed."""
    begun = {"type": "response.created", "response": {"id": "r1", "usage": None}}
    endless = Endless(begun)

    async def handler(_):
        return http.Response(
            200, stream=endless, headers={"content-type": "text/event-stream"}
        )

    client = standing_in(cache, handler, openai.AsyncOpenAI)

    async def work():
        async for _ in await client.responses.create(**response(), stream=True):
            pass

    with cache.collect() as collected:
        task = asyncio.create_task(work())
    await endless.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert [receipt.id for receipt in collected] == ["r1"]
    assert endless.is_closed


async def test_a_task_that_is_cancelled_before_its_answer(cache):
    """A cancelled request has no receipt."""
    asked = asyncio.Event()

    async def handler(_):
        asked.set()
        await asyncio.Event().wait()

    client = standing_in(cache, handler, openai.AsyncOpenAI)
    with cache.collect() as collected:
        task = asyncio.create_task(client.responses.create(**response()))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert collected == []


async def test_many_tasks(async_client, cache, emulator):
    """Tasks that interleave get their own receipts, under their own options."""

    async def work(name):
        with cache.collect() as collected, options(conversation=name, tenant="acme"):
            await ask(async_client, name)
        return [(receipt.conversation, receipt.attempts) for receipt in collected]

    seen = await asyncio.gather(*[work(str(number)) for number in range(32)])

    assert seen == [[(str(number), 1)] for number in range(32)]
    assert len(emulator.ledger) == 32


def test_64_threads(client, cache, emulator):
    """64 threads on one client get their own receipts."""
    seen, gate = [], threading.Barrier(64)

    def work(name):
        gate.wait()
        turn = {"role": "user", "content": name}
        with cache.collect() as collected, options(conversation=name):
            client.responses.create(**response(turn))
            list(client.chat.completions.create(**chat(turn, **WITH_USAGE)))
        told = [(receipt.conversation, receipt.attempts) for receipt in collected]
        seen.append(told == [(name, 1)] * 2)

    threads = [threading.Thread(target=work, args=(str(n),)) for n in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert seen == [True] * 64
    assert len(emulator.ledger) == 128
    assert all(row.error is None for row in emulator.ledger)
