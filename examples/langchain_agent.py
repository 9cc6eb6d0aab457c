"""A LangChain agent whose loop pays for its growing prompt once.

    python examples/langchain_agent.py

Without ANTHROPIC_API_KEY it asks a local emulator; with one, the provider.
"""

import os
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from langchain.agents import create_agent
from langchain.chat_models import init_chat_model

from langchain_promptcache import prompt_cached
from promptcache import PromptCache
from promptcache.emulator import Emulator

SOURCE = Path(textwrap.__file__).read_text(encoding="utf-8")


@contextmanager
def provider() -> Iterator[None]:
    """Let the emulator stand in for the provider where there is no key."""
    if os.environ.get("ANTHROPIC_API_KEY"):
        yield
        return
    with Emulator() as emulator:
        os.environ["ANTHROPIC_BASE_URL"] = emulator.url
        os.environ["ANTHROPIC_API_KEY"] = "emulated"
        yield


def find_lines(word: str) -> str:
    """Find lines of the module that contain a word."""
    return "\n".join(line for line in SOURCE.splitlines() if word in line)


def main() -> None:
    """Ask two questions in one conversation."""
    cache = PromptCache()
    model = prompt_cached(init_chat_model("anthropic:claude-sonnet-5-5"), cache)
    system = f"Answer briefly, about this module:\n\n{SOURCE}"
    agent = create_agent(model, [find_lines], system_prompt=system)
    messages: list[Any] = []
    with cache.collect() as collected:
        for question in ("Find lines with dedent.", "And what does shorten do?"):
            messages.append({"role": "user", "content": question})
            messages = agent.invoke({"messages": messages})["messages"]
    for receipt in collected:
        print(receipt.usage, *receipt.breakpoints, sep="\n  ")
    print(cache.report())


if __name__ == "__main__":
    with provider():
        main()
