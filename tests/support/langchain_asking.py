"""Calls of a model that give one whole answer, in every way there is."""

import pytest

__all__ = ["STREAMS", "WAYS"]


async def invoked(model, prompt):
    return model.invoke(prompt)


async def ainvoked(model, prompt):
    return await model.ainvoke(prompt)


async def streamed(model, prompt):
    first, *rest = model.stream(prompt)
    return sum(rest, first)


async def astreamed(model, prompt):
    first, *rest = [chunk async for chunk in model.astream(prompt)]
    return sum(rest, first)


WAYS = [
    pytest.param(invoked, id="invoke"),
    pytest.param(ainvoked, id="ainvoke"),
    pytest.param(streamed, id="stream"),
    pytest.param(astreamed, id="astream"),
]
STREAMS = WAYS[2:]
