"""Whose server is called: Azure's, Bedrock's, OpenAI's, or one that facts name."""

import openai
import pytest
from openai_sdk import (
    COMPLETION,
    MODEL,
    USAGE,
    answer,
    chat,
    create,
    is_like,
    is_planned,
    response,
    responses,
    standing_in,
)

from promptcache import PromptCache
from promptcache.errors import OptionError

AZURE = {
    "azure_endpoint": "https://mine.openai.azure.com",
    "api_version": "2026-08-01-preview",
}


@pytest.fixture
def azure(emulator):
    def connect(**fields):
        return openai.AzureOpenAI(
            **{**AZURE, "azure_endpoint": emulator.url, "api_key": "any", **fields}
        )

    return connect


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="deployment-of-the-request"),
        pytest.param({"azure_deployment": MODEL}, id="deployment-of-the-client"),
    ],
)
@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(create, id="chat"),
        pytest.param(responses, id="responses"),
        # A copy of a client does not find the responses again in every version.
        pytest.param(lambda client: create(client.copy()), id="copied"),
    ],
)
def test_azure(azure, cache, emulator, fields, ask):
    """Azure's client goes where it goes without us, planned and with a receipt."""
    with azure(**fields) as plain:
        attached = cache.attach(plain)
        ask(plain)
        with cache.collect() as collected:
            ask(attached)
    without_us, with_us = emulator.ledger

    assert with_us.path == without_us.path
    assert not is_planned(without_us.body)
    assert is_planned(with_us.body)
    assert is_like(collected[0], with_us)


async def test_azure_asynchronously(cache, emulator):
    """The same holds for the asynchronous client."""
    fields = {**AZURE, "azure_endpoint": emulator.url, "azure_deployment": MODEL}
    async with openai.AsyncAzureOpenAI(api_key="any", **fields) as plain:
        with cache.collect() as collected:
            await cache.attach(plain).responses.create(**response())
    (row,) = emulator.ledger

    assert row.path == "/openai/responses"
    assert is_like(collected[0], row)


def test_azure_makes_its_url_of_the_callers_model(azure, cache, emulator):
    """A model that `extra_body` replaces is still the deployment of the URL."""
    with azure() as plain:
        create_with = cache.attach(plain).chat.completions.create
        create_with(**chat(), extra_body={"model": "gpt-6-sol"})
    (row,) = emulator.ledger

    assert row.path == f"/openai/deployments/{MODEL}/chat/completions"
    assert row.body["model"] == "gpt-6-sol"
    assert is_planned(row.body)


BREAKPOINTS = ["prompt_cache_breakpoint", "prompt_cache_key", "prompt_cache_options"]


def fields_for(cache, kind, **fields):
    """Return the fields of ours in a request of a client."""
    sent = []

    def note(request):
        sent.append(request.content.decode())
        return answer({**COMPLETION, "usage": USAGE})

    create(standing_in(cache, note, kind, **fields))
    return [name for name in BREAKPOINTS if name in sent[0]]


@pytest.mark.parametrize(
    ("url", "ours"),
    [
        pytest.param("https://api.openai.com/v1", BREAKPOINTS, id="openai"),
        pytest.param("https://eu.api.openai.com/v1", BREAKPOINTS, id="region"),
        pytest.param("https://a.openai.azure.com/openai/v1", BREAKPOINTS, id="azure"),
        pytest.param("http://127.0.0.1:1234/v1", BREAKPOINTS, id="local"),
        pytest.param("http://[::1]:1234/v1", BREAKPOINTS, id="local-6"),
        pytest.param(
            "https://bedrock-mantle.us-east-1.api.aws/v1", BREAKPOINTS, id="bedrock"
        ),
        pytest.param("https://chatgpt.com/api", ["prompt_cache_key"], id="chatgpt"),
        pytest.param("https://gateway.example/v1", ["prompt_cache_key"], id="other"),
    ],
)
def test_servers(cache, url, ours):
    """What a server takes is told from its name."""
    assert fields_for(cache, openai.OpenAI, base_url=url) == ours


def test_the_server_is_the_one_of_the_request(cache):
    """A client that is pointed elsewhere plans for where its requests go now."""
    sent = []
    client = standing_in(
        cache, lambda request: sent.append(request.content) or answer(COMPLETION)
    )
    create(client)
    create(client.with_options(base_url="https://gateway.example/v1"))
    client.base_url = "https://gateway.example/v1"
    create(client)

    assert [b"prompt_cache_options" in body for body in sent] == [True, False, False]


@pytest.mark.parametrize(
    ("facts", "kind", "fields", "ours"),
    [
        pytest.param(
            {"gateway.example": {"host": "openai"}},
            openai.OpenAI,
            {"base_url": "https://gateway.example/v1"},
            BREAKPOINTS,
            id="gateway",
        ),
        pytest.param(
            {"gateway.example:8443": {"host": "openai"}},
            openai.OpenAI,
            {"base_url": "https://gateway.example:8443/v1"},
            BREAKPOINTS,
            id="port",
        ),
        pytest.param(
            {"localhost": {"host": "compatible"}},
            openai.OpenAI,
            {"base_url": "http://localhost/v1"},
            ["prompt_cache_key"],
            id="local",
        ),
        pytest.param(
            {"mine.openai.azure.com": {"host": "azure-ptu"}},
            openai.AzureOpenAI,
            {**AZURE, "base_url": None},
            ["prompt_cache_key"],
            id="provisioned",
        ),
        pytest.param(
            {"another.openai.azure.com": {"host": "azure-ptu"}},
            openai.AzureOpenAI,
            {**AZURE, "base_url": None},
            BREAKPOINTS,
            id="provisioned-elsewhere",
        ),
    ],
)
def test_servers_that_facts_name(facts, kind, fields, ours):
    """What the caller's facts say of a server comes before its name and its class."""
    assert fields_for(PromptCache(facts=facts), kind, **fields) == ours


def test_facts_are_to_be_read_alone():
    """The facts that a cache was made with can be read, and nothing else."""
    cache = PromptCache(facts={"gateway.example": {"host": "openai"}})

    assert cache.facts["gateway.example"] == {"host": "openai"}
    with pytest.raises(TypeError):
        cache.facts["gateway.example"] = {"host": "azure"}
    with pytest.raises(OptionError):
        PromptCache(facts={"gateway.example": {"host": "nowhere"}})


@pytest.mark.parametrize("name", ["BedrockOpenAI", "AsyncBedrockOpenAI"])
def test_bedrock(cache, name):
    """Bedrock's clients are told by their class, and by that of their base."""
    kind = type("Mine", (getattr(openai, name),), {})
    plain = kind(api_key="any", base_url="https://proxy.example/v1")

    assert cache.attach(plain).request.__self__._host() == "bedrock"


def test_a_deployment_of_another_name(cache):
    """A model that no row names gets nothing but a key, which none refuses."""
    fields = {**AZURE, "base_url": None}
    client = standing_in(
        cache, lambda _: answer(COMPLETION), openai.AzureOpenAI, **fields
    )
    with cache.collect() as collected:
        client.chat.completions.create(**{**chat(), "model": "mine"})

    assert [receipt.facts for receipt in collected] == ["assumed"]


def test_a_request_that_names_no_model(azure, cache, emulator):
    """The deployment is all there is then, and often the model's name."""
    with azure(azure_deployment=MODEL) as plain, cache.collect() as collected:
        client = cache.attach(plain)
        client.chat.completions.create(**{**chat(), "model": None})

    assert is_planned(emulator.ledger[0].body)
    assert collected[0].facts == "known"
    assert is_like(collected[0], emulator.ledger[0])
