"""Which answer came before a request."""

from promptcache.providers.anthropic import ANTHROPIC
from promptcache.state import answers
from promptcache.state.answers import Answers


def outline(*texts, system="s"):
    turns = [
        {"role": ("user", "assistant")[number % 2], "content": text}
        for number, text in enumerate(texts)
    ]
    body = {"model": "claude-sonnet-5-5", "system": system, "messages": turns}
    return ANTHROPIC.outline(body, host="anthropic", tenant=None)


def test_the_first_request_has_none():
    """Nothing came before the first request."""
    assert Answers().before(outline("a"), None) is None


def test_a_conversation_is_told_from_its_prefix():
    """The answer to the longest prefix is the one before."""
    known = Answers()
    known.note(outline("a"), None, "msg_1")
    known.note(outline("a", "b", "c"), None, "msg_2")

    assert known.before(outline("a", "b", "c", "d", "e"), None) == "msg_2"
    assert known.before(outline("a", "x", "y"), None) == "msg_1"
    assert known.before(outline("z"), None) is None


def test_a_head_alone_is_no_conversation():
    """Requests that share only their system prompt have no answer in common."""
    known = Answers()
    known.note(outline("a"), None, "msg_1")

    assert known.before(outline("b"), None) is None


def test_a_named_conversation_survives_a_changed_prompt():
    """By its name, a conversation is known though its system prompt is another one."""
    known = Answers()
    known.note(outline("a"), ("acme", "42"), "msg_1")

    assert known.before(outline("a", "b", "c", system="t"), ("acme", "42")) == "msg_1"
    assert known.before(outline("z"), ("other", "42")) is None


def test_a_new_name_falls_back_on_the_prefix():
    """A conversation that gets its name late goes on."""
    known = Answers()
    known.note(outline("a"), None, "msg_1")

    assert known.before(outline("a", "b", "c"), (None, "42")) == "msg_1"


def test_it_is_bounded(monkeypatch):
    """The answer noted least recently is forgotten first."""
    monkeypatch.setattr(answers, "_MAX_ANSWERS", 2)
    known = Answers()
    for name in ("a", "b", "c"):
        known.note(outline(name), None, name)

    assert known.before(outline("a"), None) is None
    assert known.before(outline("c"), None) == "c"
