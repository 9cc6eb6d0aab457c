"""The Messages API, through the provider's own SDK."""

import anthropic
import httpx
import pytest

from promptcache.emulator import ToolCall

MARK = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}
TOOL = {"name": "f", "input_schema": {"type": "object"}}


@pytest.fixture
def aclient(emulator):
    return anthropic.AsyncAnthropic(base_url=emulator.url, api_key="any", max_retries=0)


def test_usage_is_on_the_answer(client, make):
    """A write shows its split by lifetime, then a read shows itself."""
    body = make(10, {6: HOUR, 10: MARK})

    first = client.messages.create(**body).usage
    second = client.messages.create(**body).usage

    assert first.cache_creation.ephemeral_1h_input_tokens == 607
    assert first.cache_creation.ephemeral_5m_input_tokens == 404
    assert first.cache_creation_input_tokens == 1011
    assert (second.cache_read_input_tokens, second.input_tokens) == (1011, 4)


async def test_the_async_client(aclient, make):
    """Async calls are answered like sync ones."""
    async with aclient as client:
        message = await client.messages.create(**make(10, [10]))
        async with client.messages.stream(**make(10, [10])) as stream:
            final = await stream.get_final_message()

    assert message.usage.cache_creation_input_tokens == 1011
    assert final.usage.cache_read_input_tokens == 1011


def test_count_tokens_equals_usage(client, make):
    """The count is the sum of what usage bills, whatever is cached."""
    body = make(10, [10], system="s" * 500, tools=[TOOL])

    usage = client.messages.create(**body).usage
    del body["max_tokens"]
    counted = client.messages.count_tokens(**body).input_tokens

    assert counted == usage.input_tokens + usage.cache_creation_input_tokens


def test_the_order_of_events(client, make, emulator):
    """A stream has the provider's events in the provider's order."""
    emulator.answers.push(["Hi.", ToolCall("f", {"a": 1})])

    with client.messages.create(**make(10, [10]), tools=[TOOL], stream=True) as stream:
        events = list(stream)

    assert [event.type for event in events] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    start, delta = events[0].message.usage, events[-2]
    assert start.output_tokens == 1
    assert start.cache_creation.ephemeral_5m_input_tokens > 0
    assert delta.usage.cache_creation_input_tokens == start.cache_creation_input_tokens
    assert "cache_creation" not in delta.usage.model_extra
    assert delta.delta.stop_reason == "tool_use"


def test_a_ping_follows_the_start(emulator, make):
    """The second event is a ping, which the SDK hides."""
    headers = {"x-api-key": "any", "anthropic-version": "2023-06-01"}

    answer = httpx.post(
        f"{emulator.url}/v1/messages", json=make(1, stream=True), headers=headers
    )
    names = [line for line in answer.text.splitlines() if line.startswith("event")]

    assert names[:2] == ["event: message_start", "event: ping"]
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"


def test_a_stream_adds_up_to_the_whole(client, make, emulator):
    """The stream helper rebuilds the answer that a plain call gives."""
    thinking = {"type": "thinking", "thinking": "Let me think.", "signature": "sig"}
    search = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    answer = [
        thinking,
        search,
        "A text in several deltas.",
        ToolCall("f", {"a": [1, "é"]}),
    ]
    emulator.answers.push(answer)
    emulator.answers.push(answer)
    body = make(1, tools=[TOOL], max_tokens=100)

    whole = client.messages.create(**body)
    with client.messages.stream(**body) as stream:
        final = stream.get_final_message()

    def shape(message):
        blocks = [block.model_dump(exclude={"id"}) for block in message.content]
        return [
            {key: value for key, value in block.items() if value is not None}
            for block in blocks
        ]

    assert shape(final) == shape(whole)
    assert final.usage.output_tokens == whole.usage.output_tokens
    assert final.stop_reason == whole.stop_reason == "tool_use"


def test_the_raw_response(client, make):
    """Headers carry the request id that an error body would name."""
    raw = client.messages.with_raw_response.create(**make(1))

    assert raw.headers["request-id"].startswith("req_")
    assert raw.headers["anthropic-organization-id"]
    assert raw.parse().content[0].type == "text"


def test_the_beta_endpoint(client, make):
    """`?beta=true` is answered alike."""
    message = client.beta.messages.create(**make(10, [10]), betas=["some-beta"])

    assert message.usage.cache_creation_input_tokens == 1011


def test_prewarming(client, make, emulator):
    """`max_tokens: 0` writes the prefix, says nothing and uses up no answer."""
    emulator.answers.push("later")
    message = client.messages.create(**make(10, [10], max_tokens=0))

    assert (message.content, message.stop_reason) == ([], "max_tokens")
    assert message.usage.output_tokens == 0
    assert emulator.ledger[0].cache_creation_5m_input_tokens == 1011
    assert client.messages.create(**make(1)).content[0].text == "later"


def test_a_failing_answer(client, make, emulator):
    """A function that fails is an error of the server, named in its body."""
    emulator.answers.push(lambda body: body["nothing"])

    with pytest.raises(anthropic.InternalServerError, match="KeyError"):
        client.messages.create(**make(1))


def test_an_error_body(emulator, make):
    """A refusal has type, message and the id of the request."""
    headers = {"x-api-key": "any", "anthropic-version": "2023-06-01"}

    answer = httpx.post(
        f"{emulator.url}/v1/messages", json=make(5, [1, 2, 3, 4, 5]), headers=headers
    )

    assert answer.status_code == 400
    assert answer.json() == {
        "type": "error",
        "error": {
            "type": "invalid_request_error",
            "message": "A maximum of 4 blocks with cache_control may be provided. "
            "Found 5.",
        },
        "request_id": answer.headers["request-id"],
    }


@pytest.mark.parametrize(
    ("headers", "content", "status", "message"),
    [
        pytest.param(
            {"x-api-key": ""}, b"{}", 401, "x-api-key header is required", id="no-key"
        ),
        pytest.param({}, b"{", 400, "not valid JSON", id="no-json"),
        pytest.param({}, b"[]", 400, "must be a JSON object", id="no-object"),
        pytest.param({}, b"{}", 400, "anthropic-version: header", id="no-version"),
    ],
)
def test_broken_requests(emulator, headers, content, status, message):
    """What is no proper request is refused before it is judged."""
    answer = httpx.post(
        f"{emulator.url}/v1/messages",
        content=content,
        headers={"x-api-key": "any", **headers},
    )

    assert answer.status_code == status
    assert message in answer.json()["error"]["message"]


def test_an_unknown_path(emulator):
    """Another path is not found, in the provider's form."""
    answer = httpx.get(f"{emulator.url}/v1/elsewhere")

    assert answer.status_code == 404
    assert answer.json()["error"]["type"] == "not_found_error"


def test_workspaces_are_apart(emulator, make):
    """Keys of two workspaces share nothing; two keys of one do, as do bearer tokens."""

    def read(**credentials):
        with anthropic.Anthropic(base_url=emulator.url, **credentials) as client:
            return client.messages.create(
                **make(10, [10])
            ).usage.cache_read_input_tokens

    found = [
        read(api_key="ws-red-1"),
        read(api_key="ws-blue-1"),
        read(api_key="ws-red-2"),
        read(api_key="any"),
        read(auth_token="ws-blue-9"),
    ]

    assert found == [0, 0, 1011, 0, 1011]
    assert [row.workspace for row in emulator.ledger][:4] == [
        "red",
        "blue",
        "red",
        "default",
    ]


def test_the_ledger(client, make, emulator):
    """A row has what was billed, where, and how long it took."""
    headers = {"anthropic-beta": "b"}
    client.messages.create(**make(10, [10]), extra_headers=headers)
    emulator.clock.advance(10)
    client.messages.create(**make(12, [12]), extra_headers=headers)

    first, second = emulator.ledger
    assert first.headers["anthropic-beta"] == "b"
    assert first.body["messages"][0]["role"] == "user"
    assert first.first_token_seconds == pytest.approx(0.4 + 1015 / 8000)
    assert second.at - first.at == 10
    assert second.total_input_tokens == 1 + 12 * 101 + 4
    assert second.first_token_seconds == pytest.approx(0.4 + 206 / 8000)
    assert second.total_seconds == pytest.approx(
        second.first_token_seconds + second.output_tokens / 80
    )
    assert second.hit == "messages.0.content.9"
    assert second.breakpoints == ("messages.0.content.11",)


def test_a_conversation_has_its_own_answers(client, make, emulator):
    """The header or `metadata.user_id` names the conversation."""
    emulator.answers.push("for a", conversation="a")
    emulator.answers.push("for b", conversation="b")

    by_header = client.messages.create(
        **make(1), extra_headers={"x-emulator-conversation": "b"}
    )
    by_field = client.messages.create(**make(1), metadata={"user_id": "a"})

    assert by_header.content[0].text == "for b"
    assert by_field.content[0].text == "for a"
