"""Claude on Google Cloud and on legacy Bedrock, through the SDK's own clients."""

import anthropic
import httpx
import pytest

from promptcache.emulator import Emulator, Fault, Settings, ToolCall
from promptcache.emulator.http.event_stream import framed

MARK = {"type": "ephemeral"}
TOOL = {"name": "f", "input_schema": {"type": "object"}}
BEDROCK_MODEL = "us.anthropic.claude-opus-5-5-v1:0"
VERTEX_PATH = "/v1/projects/p/locations/l/publishers/anthropic/models"


@pytest.fixture
def vertex(emulator):
    def build(project="p", kind=anthropic.AnthropicVertex):
        return kind(
            base_url=f"{emulator.url}/v1",
            project_id=project,
            region="l",
            access_token="any",
            max_retries=0,
        )

    return build


@pytest.fixture
def bedrock(emulator):
    pytest.importorskip("botocore", reason="the SDK reads Bedrock's streams by it")
    with anthropic.AnthropicBedrock(
        base_url=emulator.url,
        aws_access_key="any",
        aws_secret_key="any",
        aws_region="us-east-1",
        max_retries=0,
    ) as client:
        yield client


def test_vertex(vertex, make, emulator):
    """The model stands in the path; caching, streams and counting are the same."""
    body = make(10, [10])
    with vertex() as client:
        first = client.messages.create(**body)
        with client.messages.stream(**body) as stream:
            second = stream.get_final_message()
        del body["max_tokens"]
        counted = client.messages.count_tokens(**body).input_tokens

    assert first.usage.cache_creation_input_tokens == 1011
    assert second.usage.cache_read_input_tokens == 1011
    assert second.content[0].text == first.content[0].text
    assert first.model == "claude-opus-5-5"
    assert counted == 1015
    assert [row.path for row in emulator.ledger] == [
        f"{VERTEX_PATH}/claude-opus-5-5:rawPredict",
        f"{VERTEX_PATH}/claude-opus-5-5:streamRawPredict",
        f"{VERTEX_PATH}/count-tokens:rawPredict",
    ]


async def test_async_vertex(vertex, make):
    """The async client is answered alike."""
    async with vertex(kind=anthropic.AsyncAnthropicVertex) as client:
        message = await client.messages.create(**make(10, [10]))

    assert message.usage.cache_creation_input_tokens == 1011


def test_vertex_takes_automatic_caching(vertex, make):
    """Automatic caching is available there."""
    with vertex() as client:
        usage = client.messages.create(**make(10, cache_control=MARK)).usage

    assert usage.cache_creation_input_tokens == 1011


@pytest.mark.parametrize(
    ("isolation", "read"),
    [
        pytest.param("host", 1011, id="organization"),
        pytest.param("project", 0, id="project"),
    ],
)
def test_who_shares_a_cache_on_vertex(make, isolation, read):
    """The organization does by the documentation, the project by Google's own."""
    usages = []
    with Emulator(settings=Settings(isolation=isolation)) as running:
        for project in ("red", "blue"):
            with anthropic.AnthropicVertex(
                base_url=f"{running.url}/v1",
                project_id=project,
                region="l",
                access_token=f"ws-{project}-1",
            ) as client:
                usages.append(client.messages.create(**make(10, [10])).usage)

    assert usages[1].cache_read_input_tokens == read


def test_platforms_share_no_cache(vertex, client, make):
    """What is written on one platform is not read on another."""
    with vertex() as other:
        other.messages.create(**make(10, [10]))

    assert client.messages.create(**make(10, [10])).usage.cache_read_input_tokens == 0


def runs(calls):
    """Return a turn of so many parallel calls, and their results."""
    names = [f"t{number}" for number in range(calls)]
    return [
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": name, "name": "f", "input": {}}
                for name in names
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": name, "content": "ok"}
                for name in names
            ],
        },
    ]


def test_runs_are_not_collapsed_there(vertex, client, make):
    """A run of tool calls is one position on the Claude API only."""
    first, later = make(10, [10], tools=[TOOL]), make(10, tools=[TOOL])
    later["messages"] += runs(15)
    later["messages"][-1]["content"][-1]["cache_control"] = MARK
    read = []
    for each in (client, vertex()):
        each.messages.create(**first)
        read.append(each.messages.create(**later).usage.cache_read_input_tokens)

    assert read[0] > 1000
    assert read[1] == 0


def test_bedrock(bedrock, make, emulator):
    """The model stands in the path, and isolation is the organization's."""
    body = make(10, [10], model=BEDROCK_MODEL)

    first = bedrock.messages.create(**body).usage
    second = bedrock.messages.create(**body).usage

    assert first.cache_creation_input_tokens == 1011
    assert second.cache_read_input_tokens == 1011
    assert emulator.ledger[0].path == f"/model/{BEDROCK_MODEL}/invoke"
    assert emulator.ledger[0].model == BEDROCK_MODEL
    assert emulator.ledger[0].workspace == "organization"


def test_a_bedrock_stream(bedrock, make, emulator):
    """Streams come in the binary framing of the platform."""
    emulator.answers.push(["A text in several deltas.", ToolCall("f", {"a": "é"})])

    with bedrock.messages.create(
        **make(10, [10], model=BEDROCK_MODEL), tools=[TOOL], stream=True
    ) as stream:
        events = list(stream)

    assert events[0].message.usage.cache_creation.ephemeral_5m_input_tokens > 1000
    assert events[-2].delta.stop_reason == "tool_use"
    kinds = {event.type for event in events}
    assert {"content_block_start", "content_block_delta", "message_stop"} <= kinds
    json = "".join(
        event.delta.partial_json
        for event in events
        if event.type == "content_block_delta"
        and event.delta.type == "input_json_delta"
    )
    assert json == '{"a":"é"}'


def test_a_broken_bedrock_stream(bedrock, make, emulator):
    """An error inside of a stream is an exception frame; older SDKs only quote it."""
    emulator.faults.push(Fault(status=529, after_events=2, message="busy"))

    with (
        pytest.raises((anthropic.APIStatusError, ValueError), match="busy"),
        bedrock.messages.create(**make(1, model=BEDROCK_MODEL), stream=True) as stream,
    ):
        list(stream)


def test_bedrock_has_no_automatic_caching(bedrock, make):
    """The legacy integration refuses the top-level field."""
    with pytest.raises(anthropic.BadRequestError, match="cache_control: Extra inputs"):
        bedrock.messages.create(
            **make(10, model=BEDROCK_MODEL), extra_body={"cache_control": MARK}
        )


def test_betas_in_the_body(emulator, make):
    """Betas stand in Bedrock's body, and count as those of the header do."""
    body = make(10, [10], anthropic_version="bedrock-2023-05-31")
    del body["model"]
    read = []
    for betas in (["a"], ["a"], ["b"]):
        answer = httpx.post(
            f"{emulator.url}/model/{BEDROCK_MODEL}/invoke",
            json={**body, "anthropic_beta": betas},
            headers={"authorization": "Bearer any"},
        )
        read.append(answer.json()["usage"]["cache_read_input_tokens"])

    assert read == [0, 1011, 0]


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(f"{VERTEX_PATH}/claude-opus-5-5:rawPredict", id="vertex"),
        pytest.param(f"/model/{BEDROCK_MODEL}/invoke", id="bedrock"),
    ],
)
def test_the_version_is_required_in_the_body(emulator, make, path):
    """The header of the Claude API does not do there."""
    body = {name: value for name, value in make(1).items() if name != "model"}
    headers = {"authorization": "Bearer x", "anthropic-version": "2023-06-01"}

    answer = httpx.post(f"{emulator.url}{path}", json=body, headers=headers)

    assert answer.status_code == 400
    assert "anthropic_version" in answer.json()["error"]["message"]


def test_another_verb(emulator):
    """A verb that Google Cloud does not have is not found."""
    answer = httpx.post(f"{emulator.url}{VERTEX_PATH}/claude-opus-5-5:predict", json={})

    assert answer.status_code == 404


def test_a_frame():
    """A frame says its own length, twice guarded by a checksum."""
    frame = framed({"type": "ping"})

    assert int.from_bytes(frame[:4], "big") == len(frame)
    assert b":event-type" in frame
    assert b"eyJ0eXBlIjoicGluZyJ9" in frame
