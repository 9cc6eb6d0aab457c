"""The ways to ask an LLM one question, each awaited for its last response."""

import asyncio
import gc

import pytest


async def chatted(llm, prompt, **said):
    return llm.chat(prompt, **said)


async def achatted(llm, prompt, **said):
    return await llm.achat(prompt, **said)


async def streamed(llm, prompt, **said):
    *_, last = llm.stream_chat(prompt, **said)
    return last


async def astreamed(llm, prompt, **said):
    *_, last = [chunk async for chunk in await llm.astream_chat(prompt, **said)]
    return last


async def completed(llm, prompt, **said):
    return llm.complete(prompt[0].content, **said)


async def acompleted(llm, prompt, **said):
    return await llm.acomplete(prompt[0].content, **said)


async def stream_completed(llm, prompt, **said):
    *_, last = llm.stream_complete(prompt[0].content, **said)
    return last


async def astream_completed(llm, prompt, **said):
    stream = await llm.astream_complete(prompt[0].content, **said)
    *_, last = [chunk async for chunk in stream]
    return last


CHATS = [
    pytest.param(chatted, id="chat"),
    pytest.param(achatted, id="achat"),
    pytest.param(streamed, id="stream_chat"),
    pytest.param(astreamed, id="astream_chat"),
]
COMPLETIONS = [
    pytest.param(completed, id="complete"),
    pytest.param(acompleted, id="acomplete"),
    pytest.param(stream_completed, id="stream_complete"),
    pytest.param(astream_completed, id="astream_complete"),
]
STREAMS = [*CHATS[2:], *COMPLETIONS[2:]]
WAYS = [*CHATS, *COMPLETIONS]
METHODS = {way.values[0]: way.id for way in WAYS}


def is_stream(way):
    return "stream" in way.__name__


async def stream_closed(llm, prompt):
    stream = llm.stream_chat(prompt)
    next(stream)
    stream.close()


async def stream_left(llm, prompt):
    for _ in llm.stream_chat(prompt):
        break


async def astream_closed(llm, prompt):
    stream = await llm.astream_chat(prompt)
    await anext(stream)
    await stream.aclose()


async def astream_left(llm, prompt):
    async for _ in await llm.astream_chat(prompt):
        break


async def astream_cancelled(llm, prompt):
    async def read():
        async for _ in await llm.astream_chat(prompt):
            begun.set()
            await asyncio.Event().wait()

    begun = asyncio.Event()
    task = asyncio.create_task(read())
    await begun.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


LEAVING = [
    pytest.param(stream_closed, id="stream_chat.close"),
    pytest.param(stream_left, id="stream_chat.break"),
    pytest.param(astream_closed, id="astream_chat.aclose"),
    pytest.param(astream_left, id="astream_chat.break"),
    pytest.param(astream_cancelled, id="astream_chat.cancel"),
]


async def collected_by_python(receipts):
    """Let Python collect what was dropped, and the event loop close what was open."""
    for turn in range(100):
        if receipts:
            return
        if turn % 20 == 0:
            gc.collect()
        await asyncio.sleep(0)
