"""What reaches LangSmith of what was read and written, beside what was billed."""

import threading
import time
from contextlib import contextmanager

import pytest
from gemini_sdk import TRUST
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.runnables import RunnableLambda
from langchain_google import answered
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_openai import ChatOpenAI
from langsmith import Client, run_trees
from langsmith import utils as langsmith_utils
from langsmith_server import langsmith_server

from langchain_promptcache import (
    PromptCacheCallbackHandler,
    PromptCachedChatAnthropic,
    PromptCachedChatGoogleGenerativeAI,
    PromptCachedChatOpenAI,
)
from promptcache import Policy, PromptCache, Receipt, options
from promptcache.state.memory import MemoryStore

# What the SDK's own way of making a session is told of by aiohttp.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class Aiohttp")

OPTION = "prompt_cache"
SYSTEM = "You are a careful clerk of a railway museum. " * 560
PROMPT = [SystemMessage(SYSTEM), HumanMessage("What is a tender?")]

CLASSES = {
    "anthropic": (ChatAnthropic, PromptCachedChatAnthropic),
    "google": (ChatGoogleGenerativeAI, PromptCachedChatGoogleGenerativeAI),
    "openai": (ChatOpenAI, PromptCachedChatOpenAI),
    "responses": (ChatOpenAI, PromptCachedChatOpenAI),
}
MODELS = {
    "anthropic": "claude-sonnet-4-6",
    "google": "gemini-3.8-flash",
    "openai": "gpt-6.1-sol",
    "responses": "gpt-6.1-sol",
}


@pytest.fixture
def policy():
    """Return a policy under which both lifetimes of Anthropic's are written."""
    return Policy.fixed(tools="1h", system="1h", history="5m", tail="5m")


@pytest.fixture
def provider():
    return "anthropic"


@pytest.fixture
def make(provider, emulator, policy):
    """Return a function that makes a model that is planned, and its handlers."""
    base = f"{emulator.url}/v1" if CLASSES[provider][0] is ChatOpenAI else emulator.url
    given = {"model": MODELS[provider], "base_url": base, "api_key": "ws-it-key"}
    if provider == "google":
        given["client_args"] = TRUST
    if CLASSES[provider][0] is ChatOpenAI:
        given["use_responses_api"] = provider == "responses"
    cache = PromptCache(
        policy if provider == "anthropic" else "auto",
        strict=True,
        clock=emulator.clock,
        store=MemoryStore(),
    )

    def made(how):
        stock, ours = CLASSES[provider]
        if how == "class":
            return ours(**given, prompt_cache=cache), []
        return stock(**given), [PromptCacheCallbackHandler(cache, insert=True)]

    with options(gemini_caches=False):
        yield made
    cache.close()


@pytest.fixture
def traced(monkeypatch):
    """Return a context manager for a server that all runs inside are sent to."""

    @contextmanager
    def trace(way="compressed"):
        before = set(threading.enumerate())
        with langsmith_server(way) as server:
            monkeypatch.setenv("LANGSMITH_TRACING", "true")
            monkeypatch.setenv("LANGSMITH_ENDPOINT", server.url)
            monkeypatch.setenv("LANGSMITH_API_KEY", "lsv2_pt_none")
            langsmith_utils.get_env_var.cache_clear()
            client = Client()
            monkeypatch.setattr(run_trees, "_CLIENT", client)
            try:
                wait_for(lambda: client.compressed_traces or way != "compressed")
                yield server
            finally:
                client.close()
                monkeypatch.undo()
                langsmith_utils.get_env_var.cache_clear()
                for thread in set(threading.enumerate()) - before:
                    if "tracing_control" in thread.name:
                        thread.join()

    return trace


def wait_for(condition):
    """Let the client's own thread find out how runs are to be sent."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def invoked(model, config):
    return model.invoke(PROMPT, config)


async def ainvoked(model, config):
    return await model.ainvoke(PROMPT, config)


def streamed(model, config):
    first, *rest = model.stream(PROMPT, config)
    return sum(rest, first)


async def astreamed(model, config):
    first, *rest = [chunk async for chunk in model.astream(PROMPT, config)]
    return sum(rest, first)


async def awaited(result):
    return await result if hasattr(result, "__await__") else result


def details(row, provider):
    """Return what a run ought to say of a row of the ledger, as LangChain says it."""
    read, written = row.cache_read_input_tokens, row.cache_creation_input_tokens
    if provider == "anthropic":
        return {
            "cache_read": read,
            "cache_creation": 0,
            "ephemeral_5m_input_tokens": row.cache_creation_5m_input_tokens,
            "ephemeral_1h_input_tokens": row.cache_creation_1h_input_tokens,
        }
    if provider == "google":
        return {"cache_read": read}
    return {"cache_read": read, "cache_creation": written}


def output_of(run):
    return run["outputs"]["generations"][0][0]["message"]["kwargs"]


@pytest.mark.parametrize("how", ["class", "handler"])
@pytest.mark.parametrize("way", [invoked, ainvoked, streamed, astreamed])
@pytest.mark.parametrize("provider", CLASSES)
async def test_run_equals_the_ledger(provider, way, how, make, traced, emulator):
    """Tokens read, and written for either lifetime, are on the run as billed."""
    model, handlers = make(how)
    with traced() as server:
        answers = [await awaited(way(model, {"callbacks": handlers})) for _ in range(2)]
    rows, runs = answered(emulator.ledger) or emulator.ledger, server.of_type("llm")

    assert len(rows) == len(runs) == 2
    assert rows[1].cache_read_input_tokens > 0
    for row, run, answer in zip(rows, runs, answers, strict=True):
        said = run["extra"]["metadata"]["usage_metadata"]
        expected = details(row, provider)
        assert {k: said["input_token_details"][k] for k in expected} == expected
        assert set(said["input_token_details"]) <= {*expected, "audio"}
        assert said["input_tokens"] == row.total_input_tokens
        assert said["output_tokens"] == row.output_tokens
        assert said["total_tokens"] == row.total_input_tokens + row.output_tokens
        told = output_of(run)["response_metadata"][OPTION]
        receipt = Receipt.from_metadata(told)
        assert receipt.usage.input_tokens == row.total_input_tokens
        assert receipt.usage.read_tokens == row.cache_read_input_tokens
        assert (receipt.usage.written_tokens or 0) == row.cache_creation_input_tokens
        assert answer.response_metadata[OPTION] == told
        assert (
            answer.usage_metadata["input_token_details"]
            == (said["input_token_details"])
        )
    if provider == "anthropic":
        assert rows[0].cache_creation_1h_input_tokens > 0
        assert rows[0].cache_creation_5m_input_tokens > 0


@pytest.mark.parametrize("way", ["compressed", "multipart", "batch"])
def test_every_way_of_ingestion(way, make, traced, emulator):
    """However runs are sent, the receipt arrives, also among what is searched."""
    model, _ = make("class")
    with traced(way) as server:
        model.invoke(PROMPT)
    (run,) = server.of_type("llm")
    expected = {
        "compressed": {"/runs/multipart", "zstd"},
        "multipart": {"/runs/multipart"},
        "batch": {"/runs/batch"},
    }

    assert server.paths == expected[way]
    receipt = output_of(run)["response_metadata"][OPTION]
    assert run["extra"]["metadata"][OPTION] == receipt
    assert receipt["written_tokens"] == emulator.ledger[0].cache_creation_input_tokens


async def test_metadata_is_of_one_run(make, traced):
    """The runs around a model, and the next one in the chain, get no receipt of it."""
    model, _ = make("class")
    metadata = {"museum": "north"}
    chain = RunnableLambda(lambda _: PROMPT) | model | RunnableLambda(lambda it: it)
    with traced() as server:
        await chain.ainvoke("", {"metadata": metadata})
    (run,) = server.of_type("llm")

    assert metadata == {"museum": "north"}
    assert run["extra"]["metadata"]["museum"] == "north"
    assert OPTION in run["extra"]["metadata"]
    others = server.of_type("chain")
    assert len(others) == 3
    assert not any(OPTION in it["extra"]["metadata"] for it in others)


def test_no_server_is_asked_unless_tracing_is_on(make, emulator):
    """Without LangSmith's switch nothing is sent anywhere but to the provider."""
    model, handlers = make("handler")
    answer = model.invoke(PROMPT, {"callbacks": handlers})

    assert OPTION in answer.response_metadata
    assert len(emulator.ledger) == 1
