"""What users write, for type checkers; nothing here is run."""

from datetime import timedelta

from anthropic import Anthropic, AsyncAnthropic
from google import genai
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import AIMessage
from langchain_openai import AzureChatOpenAI, ChatOpenAI
from openai import AsyncAzureOpenAI, AsyncOpenAI, OpenAI
from typing_extensions import assert_type

from langchain_promptcache import (
    PromptCachedAzureChatOpenAI,
    PromptCachedChatAnthropic,
    PromptCachedChatGoogleGenerativeAI,
    PromptCachedChatOpenAI,
    prompt_cached,
)
from promptcache import (
    Cost,
    Estimate,
    FixedPrices,
    GeminiCacheKeeper,
    JsonlReceipts,
    Limits,
    MemoryStore,
    Policy,
    PromptCache,
    Receipt,
    Usage,
    attach,
    default_cache,
    estimate,
    options,
)
from promptcache.emulator import Emulator

MODEL = "claude-sonnet-5-5"
GPT = "gpt-6.1-sol"
GEMINI = "gemini-3.8-flash"


def models() -> None:
    """Name the class, or cache a model that is there."""
    model = PromptCachedChatAnthropic(
        model_name=MODEL, timeout=None, stop=None, prompt_cache=PromptCache()
    )
    model.invoke("Hello", prompt_cache={"ttl": "1h", "conversation": "42"})
    model.invoke("Hello", prompt_cache=False)

    stock = ChatAnthropic(model_name=MODEL, timeout=None, stop=None)
    assert_type(prompt_cached(stock), ChatAnthropic)
    assert_type(prompt_cached(stock, PromptCache("auto")), ChatAnthropic)


def gpts() -> None:
    """Do the same with OpenAI's models, wherever they are served."""
    model = PromptCachedChatOpenAI(model=GPT, prompt_cache={"ttl": "12h"})
    message = model.invoke("Hello", prompt_cache={"stream_usage": False})
    Receipt.from_metadata(message.response_metadata["prompt_cache"])
    for chunk in model.bind_tools([], prompt_cache=False).stream("Hello"):
        assert_type(chunk, AIMessage)
    model.with_structured_output({"title": "Engine"}, method="json_schema")

    azure = PromptCachedAzureChatOpenAI(
        model=GPT, api_version="2026-10-01", prompt_cache=PromptCache()
    )
    stock: ChatOpenAI = model
    stock_azure: AzureChatOpenAI = azure
    assert_type(prompt_cached(model), PromptCachedChatOpenAI)
    prompt_cached(stock, "auto", strict=True)
    prompt_cached(stock_azure | str)


def geminis() -> None:
    """Choose cached contents, within limits, or hold one yourself."""
    cache = PromptCache(
        store="redis://localhost/0", limits=Limits(usd_per_hour=0.5), secret=b"s"
    )
    model = PromptCachedChatGoogleGenerativeAI(
        model=GEMINI, prompt_cache=cache, gemini_caches=True
    )
    model.invoke("Hello", prompt_cache={"gemini_caches": False})
    keeper = GeminiCacheKeeper(attach(genai.Client()), cache=cache)
    with keeper.hold(GEMINI, system="Be brief.", ttl=timedelta(minutes=10)) as handle:
        assert_type(handle.name, str)
        assert_type(handle.tokens, int | None)
    PromptCache(store=MemoryStore()).close()


def choices() -> None:
    """Say in any of the allowed forms what `prompt_cache` is."""
    for choice in (
        Policy.fixed(history=None),
        "off",
        {"tenant": "acme", "ttl": "1h"},
        False,
        None,
    ):
        PromptCachedChatAnthropic(
            model_name=MODEL, timeout=None, stop=None, prompt_cache=choice
        )


def receipts() -> None:
    """Read what requests cost."""
    cache = PromptCache(Policy.auto(), listeners=[JsonlReceipts("receipts.jsonl")])
    with cache.collect() as collected:
        pass
    for receipt in collected:
        assert_type(receipt, Receipt)
        assert_type(receipt.usage, Usage)
        assert_type(receipt.usage.read_tokens, int | None)
        assert_type(receipt.saved_usd, float | None)
    assert_type(str(default_cache().report()), str)


def prices() -> None:
    """Reckon, and say what tokens cost."""
    rates = {"input": 2, "read": 0.1, "written": 2.5, "output": 10}
    found = estimate(MODEL, 20_000, 500, 300, requests=40, ttl="5m", prices=rates)
    assert_type(found, Estimate)
    assert_type(found.saved_usd, float | None)
    assert_type(found.break_even, int | None)
    estimate(MODEL, 20_000, every=timedelta(minutes=2), provider="anthropic")
    fixed = FixedPrices({MODEL: rates})
    assert_type(fixed.cost("anthropic", MODEL, Usage()), Cost | None)
    PromptCache(prices=fixed)
    PromptCache(prices={MODEL: rates})
    with options(prices=rates), options(prices=fixed):
        pass


def clients() -> None:
    """Use the kit without a framework; its type is kept."""
    assert_type(attach(Anthropic()), Anthropic)
    assert_type(attach(AsyncAnthropic(), PromptCache()), AsyncAnthropic)
    assert_type(attach(OpenAI()), OpenAI)
    assert_type(attach(AsyncOpenAI(), PromptCache()), AsyncOpenAI)
    assert_type(attach(AsyncAzureOpenAI()), AsyncAzureOpenAI)
    assert_type(attach(genai.Client()), genai.Client)


def call_options() -> None:
    """Say who asks where a call cannot carry it."""
    with options(tenant="acme", conversation="42", enabled=True):
        pass
    with options(ttl=timedelta(hours=1)):
        pass


def emulated() -> None:
    """Rehearse against a provider that is on this machine."""
    with Emulator() as emulator:
        PromptCache(clock=emulator.clock)
