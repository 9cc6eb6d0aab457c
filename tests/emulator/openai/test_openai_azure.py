"""Azure's paths, as the SDK's `AzureOpenAI` builds them."""

import httpx
import pytest

openai = pytest.importorskip("openai")

VERSION = "2026-08-01-preview"
ASKED = {"messages": [{"role": "user", "content": "Hi."}]}


@pytest.fixture
def azure(emulator):
    def connect(**fields):
        return openai.AzureOpenAI(
            azure_endpoint=emulator.url,
            api_key="any",
            api_version=VERSION,
            max_retries=0,
            **fields,
        )

    return connect


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="deployment named by the request"),
        pytest.param({"azure_deployment": "gpt-6.1-sol"}, id="by the client"),
    ],
)
def test_a_chat_goes_to_a_deployment(azure, emulator, fields):
    """The path names the deployment, and the row shows it."""
    with azure(**fields) as client:
        answer = client.chat.completions.create(model="gpt-6.1-sol", **ASKED)

    (row,) = emulator.ledger
    assert answer.model == "gpt-6.1-sol"
    assert row.path == "/openai/deployments/gpt-6.1-sol/chat/completions"
    assert (row.status, row.model) == (200, "gpt-6.1-sol")


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="no deployment"),
        pytest.param({"azure_deployment": "gpt-6.1-sol"}, id="deployment"),
    ],
)
def test_a_response_goes_to_none(azure, emulator, fields):
    """The client leaves its deployment out of the path of a response."""
    with azure(**fields) as client:
        answer = client.responses.create(model="gpt-6.1-sol", input="Hi.")

    (row,) = emulator.ledger
    assert answer.status == "completed"
    assert (row.status, row.path) == (200, "/openai/responses")


def test_the_newer_paths_need_no_version(emulator):
    """A plain client reaches both APIs under `/openai/v1`."""
    with openai.OpenAI(base_url=f"{emulator.url}/openai/v1", api_key="any") as client:
        client.chat.completions.create(model="gpt-6.1-sol", **ASKED)
        client.responses.create(model="gpt-6.1-sol", input="Hi.")

    assert [(row.status, row.path) for row in emulator.ledger] == [
        (200, "/openai/v1/chat/completions"),
        (200, "/openai/v1/responses"),
    ]


def post(emulator, path, body, **params):
    with httpx.Client(base_url=emulator.url, headers={"api-key": "any"}) as client:
        return client.post(path, json=body, params=params)


def test_a_deployment_stands_for_the_model(emulator):
    """A body that names no model is one for the deployment's, and stays as it is."""
    path = "/openai/deployments/gpt-5.2/chat/completions"
    answer = post(emulator, path, ASKED, **{"api-version": VERSION})

    (row,) = emulator.ledger
    assert answer.json()["model"] == row.model == "gpt-5.2"
    assert row.body == ASKED


@pytest.mark.parametrize(
    "path",
    ["/openai/deployments/gpt-5.2/chat/completions", "/openai/responses"],
)
def test_the_version_must_be_named(emulator, path):
    """Older paths need `api-version`, which a plain client does not send."""
    answer = post(emulator, path, {"model": "gpt-5.2", **ASKED})

    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "api-version"


def test_a_deployment_has_no_responses(emulator):
    """A client that puts its deployment before `/responses` has lost its way."""
    path = "/openai/deployments/gpt-6.1-sol/responses"
    body = {"model": "gpt-6.1-sol", "input": "Hi."}

    assert post(emulator, path, body, **{"api-version": VERSION}).status_code == 404
