"""A world to judge requests in, and clients of a running emulator."""

import pytest

from promptcache.emulator import Emulator
from promptcache.emulator.rules.openai import (
    accepted,
    machine_for,
    route,
    verdict_on,
)
from promptcache.emulator.rules.openai_rejection import OpenAIRejectedError
from promptcache.emulator.rules.openai_settings import OpenAISettings


class OpenAIWorld:
    """The machines of one workspace, at a time that the test sets."""

    def __init__(self, **settings):
        self.settings = OpenAISettings(**settings)
        self.machines = {}
        self.starts = {}
        self.now = 0.0

    def judge(self, body, api="chat"):
        """Return the verdict on a request, its writes findable at once."""
        request = accepted(api, body, self.settings)
        taken = route(request, self.settings)
        starts = self.starts.setdefault(taken, [])
        number = machine_for(starts, request, now=self.now, settings=self.settings)
        starts.extend([] for _ in range(number + 1 - len(starts)))
        starts[number].append(self.now)
        entries = self.machines.setdefault((taken, number), {})
        found = verdict_on(request, entries, now=self.now, settings=self.settings)
        for entry in (*found.refreshed, *found.written):
            entries[entry.key] = entry
        return found

    def figures(self, body, api="chat"):
        """Return tokens read, written for 30m and for 12h, and neither."""
        used = self.judge(body, api).usage
        return used.read, used.written_30m, used.written_12h, used.uncached

    def read(self, body, api="chat"):
        return self.judge(body, api).usage.read

    def hit(self, body, api="chat"):
        return self.judge(body, api).hit


@pytest.fixture
def said():
    """Return a function that builds a message of so many tokens, all of them counted.

    A message costs one token, its text one more and one for each four bytes.
    """

    def message(role, tokens, letter="x", mark=None):
        text = letter * 4 * (tokens - 2)
        if mark is None:
            return {"role": role, "content": text}
        part = {"type": "text", "text": text, "prompt_cache_breakpoint": mark}
        return {"role": role, "content": [part]}

    return message


@pytest.fixture
def world():
    return OpenAIWorld


@pytest.fixture
def refusal():
    """Return a function from a body to the error it is refused with."""

    def refused(body, api="chat", **settings):
        with pytest.raises(OpenAIRejectedError) as raised:
            accepted(api, body, OpenAISettings(**settings))
        error = raised.value
        return error.status, error.kind, error.param, error.code, error.message

    return refused


@pytest.fixture
def emulator():
    with Emulator() as running:
        yield running


@pytest.fixture
def client(emulator):
    openai = pytest.importorskip("openai")
    with openai.OpenAI(
        base_url=f"{emulator.url}/v1", api_key="any", max_retries=0
    ) as made:
        yield made


@pytest.fixture
async def async_client(emulator):
    openai = pytest.importorskip("openai")
    async with openai.AsyncOpenAI(
        base_url=f"{emulator.url}/v1", api_key="any", max_retries=0
    ) as made:
        yield made
