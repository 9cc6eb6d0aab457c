"""Conversations through an installed promptcache, against the emulator."""

from importlib.resources import files

from langchain_core.messages import HumanMessage, SystemMessage

from langchain_promptcache import (
    PromptCachedChatAnthropic,
    PromptCachedChatGoogleGenerativeAI,
    PromptCachedChatOpenAI,
)
from promptcache import MemoryStore, PromptCache
from promptcache.emulator import Emulator

for package in ("promptcache", "langchain_promptcache", "llamaindex_promptcache"):
    assert (files(package) / "py.typed").is_file(), f"{package} ships no types"

with Emulator() as emulator:
    cache = PromptCache(store=MemoryStore(), clock=emulator.clock)
    how = {"api_key": "none", "prompt_cache": cache}
    for model in (
        PromptCachedChatAnthropic(
            model_name="claude-sonnet-5-5", base_url=emulator.url, **how
        ),
        PromptCachedChatOpenAI(
            model="gpt-6.1-sol", base_url=f"{emulator.url}/v1", **how
        ),
        PromptCachedChatGoogleGenerativeAI(
            model="gemini-3.8-flash", base_url=emulator.url, **how
        ),
    ):
        messages = [
            SystemMessage("You answer in one sentence. " * 800),
            HumanMessage("What is a prefix?"),
        ]
        for _ in range(2):
            answer = model.invoke(messages)
            messages += [answer, HumanMessage("And then?")]
        receipt = answer.response_metadata["prompt_cache"]
        row = emulator.ledger[-1]
        assert receipt["read_tokens"] == row.cache_read_input_tokens > 0, receipt
        assert receipt["input_tokens"] == row.total_input_tokens, receipt
        print(f"read {receipt['read_tokens']} of {receipt['input_tokens']} tokens")
print(cache.report())
cache.close()
