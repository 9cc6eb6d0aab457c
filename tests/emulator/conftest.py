"""A world to judge requests in, and a running emulator."""

import copy

import anthropic
import pytest

from promptcache.emulator import Emulator, Settings
from promptcache.emulator.rules.anthropic import judge
from promptcache.emulator.rules.rejection import RejectedError

MARK = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}


class World:
    """The entries of one workspace, at a time that the test sets."""

    def __init__(self, **settings):
        self.settings = Settings(**settings)
        self.entries = {}
        self.now = 0.0

    def judge(self, body, betas=()):
        """Return the verdict on a request without letting its response begin."""
        return judge(
            body, self.entries, now=self.now, settings=self.settings, betas=betas
        )

    def call(self, body, betas=()):
        """Return the usage of a request whose response begins at once."""
        verdict = self.judge(body, betas)
        self.keep(verdict)
        return verdict.usage

    def keep(self, verdict):
        for entry in (*verdict.refreshed, *verdict.written):
            self.entries[entry.key] = entry

    def hit(self, body, betas=()):
        """Return where the prefix ends that a request reads."""
        verdict = self.judge(body, betas)
        self.keep(verdict)
        return verdict.hit


@pytest.fixture
def world():
    return World


@pytest.fixture
def make():
    """Return a function that builds a body of one user turn of text blocks.

    Blocks are 400 bytes long, so each costs 101 tokens; breakpoints are block numbers
    from 1, as in the documentation.
    """

    def body(blocks, marks=(), **fields):
        content = [
            {"type": "text", "text": f"{number:<400}"[:399] + "."}
            for number in range(1, blocks + 1)
        ]
        marked = marks if isinstance(marks, dict) else dict.fromkeys(marks, MARK)
        for number, marker in marked.items():
            content[number - 1]["cache_control"] = marker
        return {
            "model": "claude-opus-5-5",
            "max_tokens": 16,
            "messages": [{"role": "user", "content": content}],
            **fields,
        }

    return body


@pytest.fixture
def refusal(make):
    """Return a function from changed fields of a good body to how it is refused.

    A field that is None is left out.
    """

    def refused(fields):
        body = {**make(1), **fields}
        body = {name: value for name, value in body.items() if value is not None}
        before = copy.deepcopy(body)
        with pytest.raises(RejectedError) as raised:
            World().judge(body)
        assert body == before
        return raised.value.status, raised.value.kind, raised.value.message

    return refused


@pytest.fixture
def emulator():
    with Emulator() as running:
        yield running


@pytest.fixture
def client(emulator):
    with anthropic.Anthropic(
        base_url=emulator.url, api_key="any", max_retries=0
    ) as made:
        yield made
