"""Contextual retrieval: chunks sent at once, and then with one sent ahead.

    python examples/contextual_retrieval.py

Without ANTHROPIC_API_KEY it asks a local emulator; with one, the provider.
"""

import os
import shlex
import string
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from langchain_promptcache import PromptCachedChatAnthropic, chunk_context
from promptcache import PromptCache, options
from promptcache.emulator import Emulator

MODULES = (shlex, string, textwrap)
SOURCES = [Path(it.__file__).read_text(encoding="utf-8") for it in MODULES]
CHUNK = 1_500


@contextmanager
def provider() -> Iterator[None]:
    """Let the emulator stand in for the provider where there is no key."""
    if os.environ.get("ANTHROPIC_API_KEY"):
        yield
        return
    with Emulator(speed=8) as emulator:
        os.environ["ANTHROPIC_BASE_URL"] = emulator.url
        os.environ["ANTHROPIC_API_KEY"] = "emulated"
        yield


def ingest(cache: PromptCache, label: str) -> None:
    """Have each chunk's place in its document told, by five threads."""
    model = PromptCachedChatAnthropic(model="claude-haiku-5-5", prompt_cache=cache)
    # The label keeps one run from reading what the other has written.
    chunks = [
        {"document": f"{label}\n{text}", "chunk": text[at : at + CHUNK]}
        for text in SOURCES
        for at in range(0, len(text), CHUNK)
    ]
    chunk_context(model).batch(chunks, {"max_concurrency": 5})


if __name__ == "__main__":
    with provider():
        for label, fan_out in (("before", False), ("after", None)):
            cache = PromptCache()
            with options(fan_out=fan_out):
                ingest(cache, label)
            it = cache.report().to_dict()["total"]
            read = f"{it['read_tokens']} of {it['input_tokens']} tokens read"
            print(
                f"{label:7} {read} in {it['requests']} requests, ${it['cost_usd']:.4f}"
            )
