"""The Message Batches API."""

import anthropic
import httpx
import pytest

from promptcache.providers.anthropic import ANTHROPIC
from promptcache.receipts.prices import GenaiPrices

MARK = {"type": "ephemeral"}
HEADERS = {"x-api-key": "any", "anthropic-version": "2023-06-01"}


def requests(*bodies):
    return [
        {"custom_id": f"r{number}", "params": body}
        for number, body in enumerate(bodies)
    ]


def run(client, *bodies):
    """Return the result of each request of a batch."""
    batch = client.messages.batches.create(requests=requests(*bodies))
    return {
        each.custom_id: each.result
        for each in client.messages.batches.results(batch.id)
    }


def test_a_batch(client, make):
    """It has ended at once, with one result for each request, in order."""
    batch = client.messages.batches.create(
        requests=requests(make(1), make(2), make(5, [1, 2, 3, 4, 5]))
    )
    again = client.messages.batches.retrieve(batch.id)
    results = list(client.messages.batches.results(batch.id))

    assert again == batch
    assert batch.processing_status == "ended"
    assert batch.request_counts.to_dict() == {
        "processing": 0,
        "succeeded": 2,
        "errored": 1,
        "canceled": 0,
        "expired": 0,
    }
    assert (batch.expires_at - batch.created_at).total_seconds() == 24 * 3600
    assert [each.custom_id for each in results] == ["r0", "r1", "r2"]
    assert results[0].result.message.content[0].type == "text"
    assert results[2].result.error.error.type == "invalid_request_error"
    assert "Found 5." in results[2].result.error.error.message


def test_the_same_rules_hold(client, make, emulator):
    """In order given, a request reads what one before it wrote."""
    results = run(client, make(10, [10]), make(12, [12]), make(10, [10]))
    usages = [each.message.usage for each in results.values()]

    assert [usage.cache_read_input_tokens for usage in usages] == [0, 1011, 1011]
    assert [usage.cache_creation_input_tokens for usage in usages] == [1011, 202, 0]
    assert {usage.service_tier for usage in usages} == {"batch"}
    assert client.messages.create(**make(10, [10])).usage.cache_read_input_tokens
    assert [row.path for row in emulator.ledger][:3] == ["/v1/messages/batches"] * 3
    assert [row.cache_read_input_tokens for row in emulator.ledger][:3] == [
        0,
        1011,
        1011,
    ]


def test_a_batch_costs_half(client, make):
    """Every kind of token is priced at half by its service tier."""
    prices, body = GenaiPrices(), make(10, [10])
    single = client.messages.create(**body).usage
    batched = run(client, body)["r0"].message.usage

    def cost(usage, tier):
        found = ANTHROPIC.usage(usage.model_dump())
        return prices.cost("anthropic", body["model"], found, tier=tier).usd

    assert cost(single, "batch") == pytest.approx(cost(single, "standard") / 2)
    assert cost(batched, batched.service_tier) == pytest.approx(
        cost(batched, "standard") / 2
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        pytest.param(
            {"max_tokens": 0}, "max_tokens: cannot be 0 inside a batch", id="prewarming"
        ),
        pytest.param(
            {"stream": True}, "stream: cannot be true inside a batch", id="stream"
        ),
        pytest.param(
            {"max_tokens": -1},
            "max_tokens: Input should be greater than or equal to 0",
            id="invalid",
        ),
    ],
)
def test_a_request_that_fails_alone(client, make, emulator, fields, message):
    """What is refused is the result of that request only, and writes nothing."""
    results = run(client, make(10, [10], **fields), make(10, [10]))

    assert results["r0"].error.error.message == message
    assert results["r1"].message.usage.cache_creation_input_tokens == 1011
    assert emulator.ledger[0].status == 400
    assert emulator.ledger[0].error == message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param({}, "requests: at least one request is required", id="none"),
        pytest.param(
            {"requests": ["x"]}, "requests.0: Input should be an object", id="no-object"
        ),
        pytest.param(
            {"requests": [{"params": {}}]},
            "requests.0.custom_id: Field required",
            id="no-name",
        ),
        pytest.param(
            {"requests": [{"custom_id": "a"}]},
            "requests.0.params: Field required",
            id="no-params",
        ),
        pytest.param(
            {"requests": [{"custom_id": "a", "params": {}}] * 2},
            "requests: custom_id must be unique",
            id="same-name",
        ),
    ],
)
def test_a_batch_that_is_refused(emulator, body, message):
    """A batch of another form is refused as a whole."""
    answer = httpx.post(
        f"{emulator.url}/v1/messages/batches", json=body, headers=HEADERS
    )

    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == message


def test_an_unknown_batch(client, emulator):
    """A batch that is not there is not found, nor are its results."""
    with pytest.raises(anthropic.NotFoundError):
        client.messages.batches.retrieve("msgbatch_0")

    answer = httpx.get(
        f"{emulator.url}/v1/messages/batches/msgbatch_0/results", headers=HEADERS
    )
    assert answer.status_code == 404
