"""Asking the provider why a prefix was missed."""

import anthropic
import pytest

from promptcache import PromptCache, options
from promptcache.emulator import Emulator, Fault
from promptcache.providers.anthropic.diagnostics import asked, told
from promptcache.providers.anthropic.facts import HOSTS

REQUEST = {
    "model": "claude-sonnet-5-5",
    "max_tokens": 50,
    "system": "You know all about look-back. " * 300,
    "tools": [{"name": "look", "input_schema": {"type": "object"}}],
    "messages": [{"role": "user", "content": "What is it?"}],
}


@pytest.mark.parametrize(
    ("diagnostics", "expected"),
    [
        pytest.param(None, None, id="nothing to tell"),
        pytest.param({"cache_miss_reason": None}, None, id="still pending"),
        pytest.param(
            {
                "cache_miss_reason": {
                    "type": "system_changed",
                    "cache_missed_input_tokens": 1200,
                }
            },
            "system_changed, about 1200 tokens",
            id="with an estimate",
        ),
        pytest.param(
            {"cache_miss_reason": {"type": "previous_message_not_found"}},
            "previous_message_not_found",
            id="without an estimate",
        ),
        pytest.param({"cache_miss_reason": {"type": 7}}, None, id="odd type"),
        pytest.param("odd", None, id="odd shape"),
    ],
)
def test_what_is_told(diagnostics, expected):
    """A reason is a word, and a number if the provider estimates one."""
    assert told(diagnostics) == expected


@pytest.mark.parametrize("host", sorted(HOSTS))
def test_who_is_asked(host):
    """Only the Claude API knows the field."""
    body = asked(REQUEST, "msg_1", HOSTS[host])

    if host == "anthropic":
        assert body["diagnostics"] == {"previous_message_id": "msg_1"}
    else:
        assert body is REQUEST


def test_the_callers_own_question_stays():
    """A question that the caller asks is not replaced."""
    body = {**REQUEST, "diagnostics": {"previous_message_id": "mine"}}

    assert asked(body, "msg_1", HOSTS["anthropic"]) is body


@pytest.fixture
def emulator():
    with Emulator() as running:
        yield running


@pytest.fixture
def cache(emulator):
    return PromptCache(diagnose=True, strict=True, clock=emulator.clock)


@pytest.fixture
def client(emulator, cache):
    with anthropic.Anthropic(base_url=emulator.url, api_key="k") as plain:
        yield cache.attach(plain)


CHANGES = [
    pytest.param({"model": "claude-opus-5-5"}, "model_changed", id="model"),
    pytest.param({"tools": []}, "tools_changed", id="tools"),
    pytest.param({"system": "Else. " * 900}, "system_changed", id="system"),
    pytest.param(
        {"messages": [{"role": "user", "content": "Something else."}]},
        "messages_changed",
        id="messages",
    ),
    pytest.param({"tool_choice": {"type": "any"}}, "unavailable", id="tool choice"),
]


@pytest.mark.parametrize("how", ["answer", "stream"])
@pytest.mark.parametrize(("change", "reason"), CHANGES)
def test_the_reason_is_in_the_receipt(client, cache, how, change, reason):
    """What the provider names as changed stands in the notes of the receipt."""
    with options(conversation="42"), cache.collect() as receipts:
        client.messages.create(**REQUEST)
        if how == "answer":
            client.messages.create(**{**REQUEST, **change})
        else:
            list(client.messages.create(**{**REQUEST, **change}, stream=True))

    first, second = receipts
    assert not any(note.startswith("missed") for note in first.notes)
    assert [note for note in second.notes if note.startswith(f"missed: {reason}")]


def test_a_growing_conversation_misses_nothing(client, cache, emulator):
    """Each request names the answer before, and none has a reason to give."""
    turns = list(REQUEST["messages"])
    with cache.collect() as receipts:
        for _ in range(3):
            answer = client.messages.create(**{**REQUEST, "messages": turns})
            turns += [
                {"role": "assistant", "content": answer.content},
                {"role": "user", "content": "Go on."},
            ]

    previous = [
        row.body["diagnostics"]["previous_message_id"] for row in emulator.ledger
    ]
    assert previous == [None, *(receipt.id for receipt in receipts[:-1])]
    assert not [note for one in receipts for note in one.notes if "missed" in note]


def test_a_found_reason_after_another_workspace(emulator, cache):
    """An answer that the provider does not know is named as such."""
    with options(conversation="42"), cache.collect() as receipts:
        for key in ("ws-a-1", "ws-b-1"):
            with anthropic.Anthropic(base_url=emulator.url, api_key=key) as plain:
                cache.attach(plain).messages.create(**REQUEST)

    assert "missed: previous_message_not_found" in receipts[1].notes


def test_nothing_is_asked_by_default(emulator):
    """Without `diagnose`, requests carry no question."""
    with anthropic.Anthropic(base_url=emulator.url, api_key="k") as plain:
        PromptCache().attach(plain).messages.create(**REQUEST)

    assert "diagnostics" not in emulator.ledger[0].body


def test_a_gateway_that_refuses_the_field(client, cache, emulator):
    """A refusal that names the field is answered by one request without ours."""
    emulator.faults.push(
        Fault(status=400, message="diagnostics: Extra inputs are not permitted")
    )
    with cache.collect() as receipts:
        client.messages.create(**REQUEST)

    assert "diagnostics" not in emulator.ledger[-1].body
    assert [receipt.attempts for receipt in receipts] == [2]
