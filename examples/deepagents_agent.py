"""A deep agent: with the caching that deepagents brings, and with promptcache's.

    python examples/deepagents_agent.py

Without ANTHROPIC_API_KEY it asks a local emulator; with one, the provider.
"""

import os
import sys
import textwrap
from pathlib import Path
from typing import Any

from langchain_promptcache import PromptCacheCallbackHandler as Handler
from langchain_promptcache import PromptCacheMiddleware, volatile
from promptcache import PromptCache
from promptcache.emulator import Emulator, ToolCall

try:
    from deepagents import create_deep_agent
except ImportError:
    print("Nothing is read: pip install 'deepagents>=0.7', on Python 3.11 or later")
    sys.exit()

MODEL = "anthropic:claude-sonnet-5-5"
SOURCE = Path(textwrap.__file__).read_text(encoding="utf-8")


def find_lines(word: str) -> str:
    """Find lines of the module that contain a word."""
    return "\n".join(line for line in SOURCE.splitlines() if word in line)


def main(emulator: Emulator | None = None) -> None:
    """Have the agent asked by four people, at different times."""
    for label, place in (("before", "callbacks"), ("after", "middleware")):
        cache = PromptCache()
        used: Any = {place: [PromptCacheMiddleware(cache)]} if label == "after" else {}
        asking: Any = {place: [Handler(cache)]} if label == "before" else {}
        for hour, name in enumerate(("dedent", "indent", "shorten", "wrap"), 9):
            time = volatile(f"It is {hour} o'clock.")
            system = f"Answer {label} me, about this module:\n\n{SOURCE}\n{time}"
            agent = create_deep_agent(MODEL, [find_lines], system_prompt=system, **used)
            if emulator:
                emulator.answers.push(ToolCall("find_lines", {"word": name}))
            agent.invoke({"messages": [("user", f"What does {name} do?")]}, asking)
        it = cache.report().to_dict()["total"]
        read = f"{it['read_tokens']} of {it['input_tokens']} tokens read"
        print(f"{label:7} {read} in {it['requests']} requests, ${it['cost_usd']:.4f}")


if __name__ == "__main__":
    if os.environ.get("ANTHROPIC_API_KEY"):
        main()
    else:
        with Emulator() as served:
            key, url = "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"
            os.environ |= {key: "emulated", url: served.url}
            main(served)
