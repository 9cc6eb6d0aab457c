"""Events: short, and without a word of the prompt."""

import pytest

from promptcache.errors import UnreadableBodyError
from promptcache.receipts.events import (
    CreateRefused,
    PlanningFailed,
    RetriedUnplanned,
    StoreFailed,
)

SECRET = "the patient's name"


def test_foreign_error_is_told_by_its_place():
    """The text of an error that is not ours may quote the prompt and is left out."""
    with pytest.raises(KeyError) as caught:
        {}[SECRET]
    event = PlanningFailed.of("anthropic", "claude-a", caught.value)

    assert event.error == "KeyError"
    assert event.message.startswith("at receipts/test_events.py:")
    assert SECRET not in repr(event)


def test_place_is_the_innermost_one():
    """The place is where the error was raised, not where it was caught."""

    def inner():
        raise ValueError(SECRET)

    with pytest.raises(ValueError, match=SECRET) as caught:
        inner()
    line = inner.__code__.co_firstlineno + 1

    assert PlanningFailed.of("p", None, caught.value).message.endswith(f":{line}")


def test_error_that_was_never_raised_has_no_place():
    """Without a traceback the place is unknown."""
    event = PlanningFailed.of("anthropic", None, ValueError(SECRET))

    assert event.message == "at an unknown place"


def test_own_error_tells_its_message():
    """What our errors say is written without prompt text."""
    event = PlanningFailed.of("anthropic", None, UnreadableBodyError("no messages"))

    assert event.error == "UnreadableBodyError"
    assert "no messages" in event.message


def test_provider_message_is_shortened():
    """A provider's message is one line of at most 200 characters."""
    event = RetriedUnplanned("openai", "gpt-b", 400, "un\nknown " * 100)

    assert len(event.message) == 200
    assert event.message.startswith("un known un known")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            lambda said: CreateRefused("google", "gemini-a", "busy", said).message,
            id="refused",
        ),
        pytest.param(lambda said: StoreFailed(said).what, id="store"),
    ],
)
def test_text_of_others_is_shortened(text):
    """What a provider or a store says is one line of at most 200 characters."""
    short = text("at the\nend " * 100)

    assert len(short) == 200
    assert short.startswith("at the end at the end")
