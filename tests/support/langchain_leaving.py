"""Streams of a model that are not read to their end, in every way of leaving one."""

import asyncio
import gc

import pytest

__all__ = ["LEAVING", "collected_by_python"]


async def collected_by_python(receipts):
    """Let Python collect what was dropped, and the event loop close what was open."""
    for turn in range(100):
        if receipts:
            return
        if turn % 20 == 0:
            gc.collect()
        await asyncio.sleep(0)


async def stream_closed(model, prompt):
    stream = model.stream(prompt)
    next(stream)
    next(stream)
    stream.close()


async def stream_left(model, prompt):
    for number, _ in enumerate(model.stream(prompt)):
        if number:
            break


async def astream_closed(model, prompt):
    stream = model.astream(prompt)
    await anext(stream)
    await anext(stream)
    await stream.aclose()


async def astream_left(model, prompt):
    async for chunk in model.astream(prompt):
        if chunk.text:
            break


async def astream_cancelled(model, prompt):
    async def read():
        async for chunk in model.astream(prompt):
            if chunk.text:
                begun.set()
                await asyncio.Event().wait()

    begun = asyncio.Event()
    task = asyncio.create_task(read())
    await begun.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


LEAVING = [
    pytest.param(stream_closed, id="stream.close"),
    pytest.param(stream_left, id="stream.break"),
    pytest.param(astream_closed, id="astream.aclose"),
    pytest.param(astream_left, id="astream.break"),
    pytest.param(astream_cancelled, id="astream.cancel"),
]
