"""When a receipt notes that the tools of a conversation are not what they were."""

import pytest

from promptcache import PromptCache
from promptcache.providers import Request, provider_named

OTHER = "tools changed within the conversation: 1 new, 1 gone"
TURNED = "tools in another order than before; stable_tools=True keeps one"


class Clock:
    def __init__(self):
        self.time = 1_000.0

    def now(self):
        return self.time

    def wait(self, seconds):
        self.time += seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def cache(clock):
    return PromptCache(clock=clock, strict=True)


def body(tools, *turns, model="claude-sonnet-5-5"):
    named = [{"name": it, "input_schema": {"type": "object"}} for it in tools]
    roles = ("user", "assistant")
    messages = [
        {"role": roles[number % 2], "content": text}
        for number, text in enumerate(turns)
    ]
    return {"model": model, "max_tokens": 1, "tools": named, "messages": messages}


@pytest.fixture
def send(cache, clock):
    """Return a function that sends a body, and one that gives the receipt's notes."""

    def send(sent):
        request = Request(provider_named("anthropic"), sent, host="anthropic")
        prepared = cache.prepare(request)

        def settle():
            clock.wait(1)
            cache.settle(prepared, {"input_tokens": 9, "output_tokens": 1})
            return [it for it in prepared.receipt.notes if it.startswith("tools ")]

        return settle

    return send


CASES = {
    "same": (body("ab", "Hi?"), body("ab", "Hi?", "Yes.", "So?"), []),
    "other": (body("ab", "Hi?"), body("ac", "Hi?", "Yes.", "So?"), [OTHER]),
    "asked again": (body("ab", "Hi?"), body("ac", "Hi?"), [OTHER]),
    "another order": (body("ab", "Hi?"), body("ba", "Hi?", "Yes.", "So?"), [TURNED]),
    "another model": (body("ab", "Hi?"), body("ac", "Hi?", model="claude-opus-5"), []),
    "another talk": (body("ab", "Hi?"), body("ac", "Hello?"), []),
    "went another way": (
        body("ab", "Hi?", "Yes.", "So?"),
        body("ac", "Hi?", "No.", "So?"),
        [],
    ),
    "nothing said": (body("ab"), body("ac"), []),
}


@pytest.mark.parametrize(("first", "second", "noted"), CASES.values(), ids=CASES.keys())
def test_notes(send, first, second, noted):
    """Only what goes on from an earlier request can have its tools changed."""
    assert send(first)() == []
    assert send(second)() == noted


def test_latest(send):
    """What comes right before counts: a change is noted once."""
    send(body("ab", "Hi?"))()
    noted = [
        send(body("cd", "Hi?", "Yes.", "So?"))(),
        send(body("cd", "Hi?", "Yes.", "So?", "So.", "Oh?"))(),
    ]

    assert noted == [["tools changed within the conversation: 2 new, 2 gone"], []]


def test_at_the_same_time(send):
    """Requests that are sent at the same time do not go on from each other."""
    first, second = send(body("ab", "Hi?")), send(body("ac", "Hi?"))

    assert (first(), second()) == ([], [])
