"""Answers, streams and counts, through the SDK, on both hosts."""

import json
import urllib.error
import urllib.request

import pytest

genai = pytest.importorskip("google.genai", reason="google-genai is not installed")

from google.genai import errors, types
from pydantic import BaseModel

from promptcache.emulator import Emulator, Fault, GeminiSettings, Json, ToolCall

MODEL = "gemini-3.8-flash"
WEATHER = types.FunctionDeclaration(
    name="get_weather",
    parameters_json_schema={
        "type": "object",
        "properties": {"days": {"type": "integer"}},
        "required": ["days"],
    },
)
OPEN_SCHEMA = types.FunctionDeclaration(
    name="get_weather",
    parameters={
        "type": "OBJECT",
        "properties": {"days": {"type": "INTEGER", "minimum": 2}},
        "required": ["days"],
    },
)


class Joke(BaseModel):
    setup: str
    rating: int


def config(*functions, mode=None, allowed=None, **fields):
    fields["tools"] = [types.Tool(function_declarations=list(functions))]
    if mode is not None:
        calling = types.FunctionCallingConfig(mode=mode, allowed_function_names=allowed)
        fields["tool_config"] = types.ToolConfig(function_calling_config=calling)
    off = types.AutomaticFunctionCallingConfig(disable=True)
    return types.GenerateContentConfig(automatic_function_calling=off, **fields)


def calls(response):
    return [(it.name, it.args) for it in response.function_calls or ()]


def test_usage_is_the_ledger(connect, emulator, turn, host):
    """What is read stands in usage and in the ledger; a miss says nothing of it."""
    client = connect(emulator, host)
    first = client.models.generate_content(model=MODEL, contents=[turn(5000)])
    second = client.models.generate_content(model=MODEL, contents=[turn(5000)])
    used, rows = second.usage_metadata, emulator.ledger

    assert first.text == second.text == "Understood. This is the emulator's answer."
    assert first.usage_metadata.cached_content_token_count is None
    assert first.usage_metadata.cache_tokens_details is None
    assert (used.prompt_token_count, used.cached_content_token_count) == (5000, 4992)
    assert used.total_token_count == 5000 + used.candidates_token_count
    assert used.cache_tokens_details[0].token_count == 4992
    assert [row.cache_read_input_tokens for row in rows] == [0, 4992]
    assert [row.input_tokens for row in rows] == [5000, 8]
    assert rows[1].output_tokens == used.candidates_token_count
    assert rows[0].first_token_seconds - rows[1].first_token_seconds == pytest.approx(
        4992 / 8000
    )
    assert rows[1].model == second.model_version == MODEL


# Where aiohttp is there the SDK builds on it in a way that it advises against.
@pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession")
async def test_async(connect, emulator, turn, host):
    """The asynchronous client gets the same."""
    client = connect(emulator, host)
    emulator.answers.push("one", model=MODEL)
    ask = client.aio.models.generate_content
    found = await ask(model=MODEL, contents=[turn(5000)])
    again = await ask(model=MODEL, contents=[turn(5000)])
    stream = await client.aio.models.generate_content_stream(
        model=MODEL, contents=[turn(9)]
    )
    said = "".join([chunk.text async for chunk in stream])
    await client.aio.aclose()

    assert found.text == "one"
    assert again.usage_metadata.cached_content_token_count == 4992
    assert said == again.text


@pytest.mark.parametrize(
    ("early", "counts"),
    [
        pytest.param("cumulative", [5, 9, 13], id="so-far"),
        pytest.param("cached", [None, None, 13], id="cached-alone"),
        pytest.param("host", None, id="by-host"),
    ],
)
def test_streams(connect, turn, host, early, counts):
    """Usage is cumulative; early chunks may tell the cached tokens alone."""
    with Emulator(gemini=GeminiSettings(early_usage=early)) as emulator:
        client = connect(emulator, host)
        client.models.generate_content(model=MODEL, contents=[turn(5000)])
        emulator.answers.push("An answer of 45 letters that comes in pieces.")
        chunks = list(
            client.models.generate_content_stream(model=MODEL, contents=[turn(5000)])
        )
    used = [chunk.usage_metadata for chunk in chunks]
    reasons = [chunk.candidates[0].finish_reason for chunk in chunks]
    if counts is None:
        vertex = host == "vertex"
        counts = [None, None, 13] if vertex else [5, 9, 13]

    assert "".join(chunk.text for chunk in chunks) == (
        "An answer of 45 letters that comes in pieces."
    )
    assert [it.candidates_token_count for it in used] == counts
    assert [it.cached_content_token_count for it in used] == [4992] * 3
    assert used[-1].total_token_count == 5013
    assert reasons == [None, None, types.FinishReason.STOP]


@pytest.mark.parametrize("function", [WEATHER, OPEN_SCHEMA], ids=["json", "open"])
@pytest.mark.parametrize(
    ("text", "choice", "called"),
    [
        pytest.param("the weather of 3 days", {}, {"days": 3}, id="by-name"),
        pytest.param("of 3 days", {"mode": "ANY"}, {"days": 3}, id="forced"),
        pytest.param(
            "of 3 days",
            {"mode": "ANY", "allowed": ["get_weather"]},
            {"days": 3},
            id="named",
        ),
        pytest.param("the weather of 3 days", {"mode": "NONE"}, None, id="forbidden"),
        pytest.param("hello", {}, None, id="not-needed"),
        pytest.param(
            "of 3 days", {"mode": "ANY", "allowed": ["other"]}, None, id="not-allowed"
        ),
    ],
)
def test_tools(connect, emulator, host, function, text, choice, called):
    """A function is called if it is asked for or forced."""
    found = connect(emulator, host).models.generate_content(
        model=MODEL, contents=text, config=config(function, **choice)
    )

    assert calls(found) == ([] if called is None else [("get_weather", called)])
    assert bool(found.text) is (called is None)


def test_a_tool_loop_ends(client):
    """After a result the model speaks."""
    asked = types.Content(role="user", parts=[types.Part(text="the weather of 3 days")])
    first = client.models.generate_content(
        model=MODEL, contents=[asked], config=config(WEATHER)
    )
    result = types.Part.from_function_response(
        name="get_weather", response={"sky": "blue"}
    )
    said = client.models.generate_content(
        model=MODEL,
        contents=[
            asked,
            first.candidates[0].content,
            types.Content(role="user", parts=[result]),
        ],
        config=config(WEATHER),
    )

    assert calls(said) == []
    assert said.text


def test_the_tools_of_a_cached_content(connect, emulator, host, turn):
    """What is cached can be called, though the request does not name it."""
    client = connect(emulator, host)
    cached = client.caches.create(
        model=MODEL,
        config=types.CreateCachedContentConfig(
            contents=[turn(5000)],
            tools=[types.Tool(function_declarations=[WEATHER])],
        ),
    )
    found = client.models.generate_content(
        model=MODEL,
        contents="the weather of 3 days",
        config={"cached_content": cached.name},
    )

    assert calls(found) == [("get_weather", {"days": 3})]


@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param({"response_schema": Joke}, id="class"),
        pytest.param({"response_json_schema": Joke.model_json_schema()}, id="json"),
    ],
)
def test_structured_output(client, emulator, wanted):
    """The answer satisfies the schema, or is what was ordered."""
    wanted = {**wanted, "response_mime_type": "application/json"}
    ask = client.models.generate_content
    spontaneous = ask(model=MODEL, contents="A joke rated 7", config=wanted)
    emulator.answers.push(Json({"setup": "s", "rating": 1}))
    ordered = ask(model=MODEL, contents="A joke", config=wanted)

    assert Joke.model_validate_json(spontaneous.text).rating == 7
    assert Joke.model_validate_json(ordered.text) == Joke(setup="s", rating=1)


def test_json_without_a_schema(client):
    """Any object will do."""
    wanted = {"response_mime_type": "application/json"}

    assert client.models.generate_content(
        model=MODEL, contents="x", config=wanted
    ).text == ("{}")


@pytest.mark.parametrize("streamed", [False, True])
def test_ordered_answers(client, emulator, streamed):
    """Texts, calls and parts in the form of the API come as they were ordered."""
    code = {"executableCode": {"language": "PYTHON", "code": "1"}}
    emulator.answers.push(["See.", ToolCall("f", {"modality": "TEXT"}), code])
    if streamed:
        found = client.models.generate_content_stream(model=MODEL, contents="x")
        parts = [it.candidates[0].content.parts[0] for it in found]
    else:
        found = client.models.generate_content(model=MODEL, contents="x")
        parts = found.candidates[0].content.parts

    assert parts[0].text == "See."
    assert parts[1].function_call.args == {"modality": "TEXT"}
    assert parts[2].executable_code.code == "1"


def test_what_ends_an_answer(client):
    """The token limit and stop sequences cut it."""
    ask = client.models.generate_content
    cut = ask(model=MODEL, contents="x", config={"max_output_tokens": 2})
    stopped = ask(model=MODEL, contents="x", config={"stop_sequences": ["."]})

    assert cut.candidates[0].finish_reason is types.FinishReason.MAX_TOKENS
    assert (cut.text, stopped.text) == ("Understo", "Understood")
    assert stopped.candidates[0].finish_reason is types.FinishReason.STOP


def test_conversations(connect, emulator):
    """An answer can be for one conversation, which a header names."""
    emulator.answers.push("mine", conversation="c")
    client = connect(emulator)

    def said(headers):
        options = types.HttpOptions(headers=headers)
        return client.models.generate_content(
            model=MODEL, contents="x", config={"http_options": options}
        ).text

    assert said({}) != "mine"
    assert said({"x-emulator-conversation": "c"}) == "mine"


def test_counting(connect, emulator, turn, host):
    """A count is that of the bill, and sends no prefix."""
    client = connect(emulator, host)
    counted = client.models.count_tokens(model=MODEL, contents=[turn(5000)])
    used = client.models.generate_content(model=MODEL, contents=[turn(5000)])

    assert counted.total_tokens == used.usage_metadata.prompt_token_count == 5000
    assert used.usage_metadata.cached_content_token_count is None
    assert emulator.ledger[0].total_input_tokens == 0


@pytest.mark.parametrize(
    ("model", "explicit"), [(MODEL, True), ("gemini-4-argon", False)]
)
def test_what_a_model_can_do(client, model, explicit):
    """Only one that has cached contents says so."""
    told = client.models.get(model=model)

    assert told.name == f"models/{model}"
    assert ("createCachedContent" in told.supported_actions) is explicit
    assert told.input_token_limit > 1_000_000


def test_a_model_of_vertex(connect, emulator):
    """It is named by who published it."""
    told = connect(emulator, "vertex").models.get(model=MODEL)

    assert told.name == f"publishers/google/models/{MODEL}"


def test_no_such_model(connect, emulator, host):
    """The status is that of the host, and the ledger has a row of it."""
    with pytest.raises(errors.ClientError) as raised:
        connect(emulator, host).models.get(model="gpt-5")

    assert (raised.value.code, raised.value.status) == (404, "NOT_FOUND")
    assert (emulator.ledger[0].status, emulator.ledger[0].method) == (404, "GET")


def test_workspaces_share_nothing(connect, emulator, turn):
    """A key `ws-NAME-...` has caches of its own."""
    for key in ("any", "ws-other-1", "ws-other-2"):
        connect(emulator, key=key).models.generate_content(
            model=MODEL, contents=[turn(5000)]
        )
    rows = emulator.ledger

    assert [row.cache_read_input_tokens for row in rows] == [0, 0, 4992]
    assert [row.workspace for row in rows] == ["default", "other", "other"]


def test_projects_share_nothing(connect, emulator, turn):
    """On Vertex AI the project is the workspace of any other key."""
    for project, key in (("p", "any"), ("q", "any"), ("q", "else"), ("q", "ws-w-1")):
        connect(emulator, "vertex", key, project).models.generate_content(
            model=MODEL, contents=[turn(5000)]
        )
    rows = emulator.ledger

    assert [row.cache_read_input_tokens for row in rows] == [0, 0, 4992, 0]
    assert [row.workspace for row in rows] == ["p", "q", "q", "w"]


@pytest.mark.parametrize(
    ("fault", "code", "status"),
    [
        (Fault(status=403), 403, "PERMISSION_DENIED"),
        (Fault(status=404), 404, "NOT_FOUND"),
        (Fault(status=429), 429, "RESOURCE_EXHAUSTED"),
        (Fault(status=500), 500, "INTERNAL"),
        (Fault(status=503, type="UNKNOWN"), 503, "UNKNOWN"),
        (
            Fault(
                status=400,
                message="API key not valid. Please pass a valid API key.",
            ),
            400,
            "INVALID_ARGUMENT",
        ),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_faults(client, emulator, fault, code, status, streamed):
    """What is ordered to fail does, once."""
    emulator.faults.push(fault)
    ask = client.models.generate_content
    if streamed:

        def ask(**fields):
            return list(client.models.generate_content_stream(**fields))

    with pytest.raises(errors.APIError) as raised:
        ask(model=MODEL, contents="x")

    assert (raised.value.code, raised.value.status) == (code, status)
    assert raised.value.message == fault.message
    assert ask(model=MODEL, contents="x")


def test_a_body_of_choice(client, emulator):
    """An error can have any body."""
    body = {"error": {"code": 429, "message": "m", "status": "S", "details": [1]}}
    emulator.faults.push(Fault(status=429, body=body, match=":generateContent"))
    with pytest.raises(errors.ClientError) as raised:
        client.models.generate_content(model=MODEL, contents="x")

    assert raised.value.details == body


def test_a_closed_connection(client, emulator):
    """There may be no answer at all."""
    emulator.faults.push(Fault(close=True, delay_seconds=1, match=MODEL))
    with pytest.raises(Exception, match=r"(?i)disconnect|protocol|without"):
        client.models.generate_content(model=MODEL, contents="x")

    assert emulator.ledger[0].error == "connection dropped"
    assert client.models.generate_content(model=MODEL, contents="x").text


@pytest.mark.parametrize("status", [503, None], ids=["error", "dropped"])
def test_a_broken_stream(client, emulator, status):
    """A stream breaks after so many chunks."""
    emulator.faults.push(Fault(status=status, after_events=2))
    seen = []
    with pytest.raises(Exception) as raised:  # noqa: PT011, PT012
        for chunk in client.models.generate_content_stream(model=MODEL, contents="x"):
            seen.append(chunk)  # noqa: PERF402  # what came before it broke

    assert len(seen) == 2
    assert isinstance(raised.value, errors.ServerError) is (status is not None)


def test_usage_without_cached_tokens(client, emulator, turn):
    """Cache fields can be left out, and an answer delayed."""
    ask = client.models.generate_content
    ask(model=MODEL, contents=[turn(5000)])
    emulator.faults.push(Fault(drop_usage=True, delay_seconds=5))
    used = ask(model=MODEL, contents=[turn(5000)]).usage_metadata

    assert used.cached_content_token_count is None
    assert used.prompt_token_count == 5000
    assert emulator.ledger[1].cache_read_input_tokens == 4992
    assert emulator.ledger[1].first_token_seconds > 5


def test_a_failing_answer(client, emulator):
    """An answer's function that fails is an error of the server."""
    emulator.answers.push(lambda body: body["nothing"])
    with pytest.raises(errors.ServerError, match="KeyError"):
        client.models.generate_content(model=MODEL, contents="x")


PATH = f"/v1beta/models/{MODEL}:generateContent"
GOOD = b'{"contents":[{"parts":[{"text":"x"}]}]}'


@pytest.mark.parametrize(
    ("path", "content", "headers", "status"),
    [
        pytest.param(PATH, b"{", {"x-goog-api-key": "k"}, 400, id="no-json"),
        pytest.param(PATH, b"[]", {"x-goog-api-key": "k"}, 400, id="no-object"),
        pytest.param(PATH, GOOD, {}, 403, id="no-key"),
        pytest.param(
            f"/v1/projects/p/locations/l/publishers/google/models/{MODEL}:countTokens",
            GOOD,
            {},
            401,
            id="no-token",
        ),
        pytest.param(f"{PATH}?key=k", GOOD, {}, 200, id="key-in-query"),
        pytest.param(PATH, GOOD, {"authorization": "Bearer t"}, 200, id="bearer"),
        pytest.param(PATH.replace("v1beta", "v1"), GOOD, {"x-goog-api-key": "k"}, 200),
    ],
)
def test_what_is_no_request(emulator, path, content, headers, status):
    """A body that cannot be read, or no key."""
    asked = urllib.request.Request(emulator.url + path, content, headers)
    try:
        with urllib.request.urlopen(asked) as answer:
            found, body = answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            found, body = error.status, json.load(error)

    assert found == status
    assert body.get("error", {}).get("code", 200) == status
    if status == 403:
        assert body["error"]["message"].startswith("Method doesn't allow unregistered")
