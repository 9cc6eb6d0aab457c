"""Clients of the `anthropic` SDK, as they are and attached."""

import anthropic
import pytest


@pytest.fixture
def plain(emulator):
    with anthropic.Anthropic(base_url=emulator.url, api_key="any") as client:
        yield client


@pytest.fixture
def client(plain, cache):
    return cache.attach(plain)


@pytest.fixture
async def plain_async(emulator):
    async with anthropic.AsyncAnthropic(base_url=emulator.url, api_key="any") as client:
        yield client


@pytest.fixture
def async_client(plain_async, cache):
    return cache.attach(plain_async)
