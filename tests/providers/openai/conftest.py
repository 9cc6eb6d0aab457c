"""Clients of the `openai` SDK, as they are and attached."""

import openai
import pytest


@pytest.fixture
def plain(emulator):
    with openai.OpenAI(base_url=f"{emulator.url}/v1", api_key="any") as client:
        yield client


@pytest.fixture
def client(plain, cache):
    return cache.attach(plain)


@pytest.fixture
async def plain_async(emulator):
    url = f"{emulator.url}/v1"
    async with openai.AsyncOpenAI(base_url=url, api_key="any") as client:
        yield client


@pytest.fixture
def async_client(plain_async, cache):
    return cache.attach(plain_async)


@pytest.fixture
def no_waiting(monkeypatch):
    """Let retries follow at once, where no answer says when."""
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.001)
    monkeypatch.setattr("openai._base_client.MAX_RETRY_DELAY", 0.001)
