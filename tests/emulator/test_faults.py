"""Failures to order."""

import time

import anthropic
import httpx
import pytest

from promptcache.emulator import Emulator, Fault

MARK = {"type": "ephemeral"}


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        pytest.param(Fault(status=529), anthropic.APIStatusError, id="overloaded"),
        pytest.param(Fault(status=429), anthropic.RateLimitError, id="rate-limit"),
        pytest.param(Fault(status=400), anthropic.BadRequestError, id="bad-request"),
        pytest.param(Fault(close=True), anthropic.APIConnectionError, id="dropped"),
    ],
)
def test_a_request_fails(client, make, emulator, fault, error):
    """The SDK raises what it raises for the real failure, once."""
    emulator.faults.push(fault)

    with pytest.raises(error):
        client.messages.create(**make(1))

    assert client.messages.create(**make(1)).stop_reason == "end_turn"


def test_the_words_of_an_error(client, make, emulator):
    """Type, message and the seconds to wait can be chosen."""
    emulator.faults.push(Fault(status=400, type="t", message="m", retry_after=7))

    with pytest.raises(anthropic.BadRequestError) as raised:
        client.messages.create(**make(1))

    assert raised.value.body["error"] == {"type": "t", "message": "m"}
    assert raised.value.response.headers["retry-after"] == "7"
    assert emulator.ledger[0].error == "m"


def test_a_body_of_its_own(client, make, emulator):
    """A fault may answer with any body."""
    emulator.faults.push(Fault(status=500, body={"odd": True}))

    with pytest.raises(anthropic.InternalServerError) as raised:
        client.messages.create(**make(1))

    assert raised.value.body == {"odd": True}


def test_the_sdk_retries(emulator, make):
    """A fault that comes twice is over at the third attempt, all in the ledger."""
    emulator.faults.push(Fault(status=529, times=2, retry_after=0))

    with anthropic.Anthropic(base_url=emulator.url, api_key="any") as client:
        client.messages.create(**make(10, [10]))

    assert [row.status for row in emulator.ledger] == [529, 529, 200]
    assert emulator.ledger[2].cache_creation_input_tokens == 1011


@pytest.mark.parametrize(
    ("match", "fields", "fails"),
    [
        pytest.param("", {}, True, id="any"),
        pytest.param("opus", {}, True, id="model"),
        pytest.param("haiku", {}, False, id="other-model"),
        pytest.param("count_tokens", {}, False, id="other-path"),
        pytest.param("cache_control", {}, False, id="no-marker"),
        pytest.param("cache_control", {"cache_control": MARK}, True, id="marker"),
    ],
)
def test_a_fault_is_for_what_it_matches(client, make, match, fields, fails):
    """A fault may wait for a path, a model or a request with markers."""
    fault = {"status": 400, "match": match}
    client.post("/_emulator/faults", body=fault, cast_to=object)

    if fails:
        with pytest.raises(anthropic.BadRequestError):
            client.messages.create(**make(1, **fields))
    else:
        client.messages.create(**make(1, **fields))


def test_a_stream_is_cut(client, make, emulator):
    """The connection is dropped after so many events; the write has happened."""
    emulator.faults.push(Fault(after_events=3))
    seen = []

    # The SDK lets this error of its HTTP library through; its name depends on that.
    with (
        pytest.raises(Exception, match="peer closed connection"),
        client.messages.create(**make(10, [10]), stream=True) as stream,
    ):
        seen.extend(event.type for event in stream)

    # The SDK hides the ping between them.
    assert seen == ["message_start", "content_block_start"]
    assert client.messages.create(**make(10, [10])).usage.cache_read_input_tokens > 0


def test_a_stream_ends_in_an_error(client, make, emulator):
    """With a status, an error event comes instead of the next one."""
    emulator.faults.push(Fault(after_events=3, status=529))

    with (
        pytest.raises(anthropic.APIStatusError, match="overloaded_error"),
        client.messages.create(**make(1), stream=True) as stream,
    ):
        list(stream)


@pytest.mark.parametrize("stream", [False, True])
def test_usage_without_cache_fields(client, make, emulator, stream):
    """The cache fields can be missing, as behind some gateways."""
    emulator.faults.push(Fault(drop_usage=True))

    if stream:
        with client.messages.stream(**make(10, [10])) as events:
            usage = events.get_final_message().usage
    else:
        usage = client.messages.create(**make(10, [10])).usage

    assert usage.cache_read_input_tokens is None
    assert usage.cache_creation_input_tokens is None
    assert usage.cache_creation is None


def test_a_delay(make):
    """A delay is real time when the clock runs, and in the ledger."""
    pace = {"first_byte_seconds": 0, "tokens_per_second": 1e9}
    with (
        Emulator(speed=10, **pace) as emulator,
        anthropic.Anthropic(base_url=emulator.url, api_key="any") as client,
    ):
        emulator.faults.push(Fault(delay_seconds=3))
        started = time.perf_counter()
        client.messages.create(**make(1))
        took = time.perf_counter() - started

        assert took >= 0.3
        assert emulator.ledger[0].first_token_seconds >= 3


def test_dropping_leaves_the_server_well(emulator, make):
    """Many dropped connections do not disturb the next request."""
    emulator.faults.push(Fault(close=True, times=20))
    headers = {"x-api-key": "any", "anthropic-version": "2023-06-01"}
    url = f"{emulator.url}/v1/messages"

    for _ in range(20):
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.post(url, json=make(1), headers=headers)

    assert httpx.post(url, json=make(1), headers=headers).status_code == 200
