"""The emulator's own endpoints."""

import httpx
import pytest

HEADERS = {"x-api-key": "any", "anthropic-version": "2023-06-01"}


@pytest.fixture
def control(emulator):
    with httpx.Client(base_url=f"{emulator.url}/_emulator") as client:
        yield client


def test_the_clock_is_advanced(control, emulator):
    """The time stands still but for what it is advanced by."""
    before = control.get("clock").json()
    after = control.post("advance", json={"seconds": 301}).json()

    assert before["speed"] == 0
    assert after["now"] == before["now"] + 301 == emulator.clock.now()


def test_the_ledger_is_served(control, emulator, client, make):
    """Rows come without bodies unless these are asked for."""
    client.messages.create(**make(10, [10]))

    (row,) = control.get("ledger").json()
    (full,) = control.get("ledger", params={"bodies": 1}).json()

    assert "body" not in row
    assert row["total_input_tokens"] == emulator.ledger[0].total_input_tokens
    assert row["breakpoints"] == ["messages.0.content.9"]
    assert full["body"]["model"] == "claude-opus-5-5"


def test_reset(control, emulator, client, make):
    """Cache, ledger, answers and faults are forgotten; the time is not."""
    client.messages.create(**make(10, [10]))
    emulator.clock.advance(10)
    now = emulator.clock.now()
    emulator.answers.push("late")
    control.post("faults", json={"status": 500})

    control.post("reset")

    assert emulator.ledger == []
    answer = client.messages.create(**make(10, [10]))
    assert answer.usage.cache_read_input_tokens == 0
    assert answer.content[0].text != "late"
    assert emulator.clock.now() == now


def test_answers_and_faults_are_queued(control, client, make):
    """Both queues can be filled over HTTP."""
    control.post("answers", json={"answer": "for a", "conversation": "a"})
    control.post("answers", json={"answer": [{"json": {"a": 1}}]})
    control.post("faults", json={"status": 429, "match": "count_tokens"})

    assert client.messages.create(**make(1)).content[0].text == '{"a":1}'
    body = make(1)
    del body["max_tokens"]
    with pytest.raises(Exception, match="429"):
        client.messages.count_tokens(**body)


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        pytest.param("advance", {"seconds": -1}, id="backward"),
        pytest.param("advance", {}, id="no-seconds"),
        pytest.param("answers", {"answer": 5}, id="no-answer"),
        pytest.param("faults", {"nonsense": 1}, id="no-fault"),
    ],
)
def test_nonsense_is_refused(control, path, sent):
    """A control request that means nothing says so."""
    answer = control.post(path, json=sent)

    assert answer.status_code == 400
    assert answer.json()["error"]
