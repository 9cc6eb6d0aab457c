"""A coding assistant that has read a source tree: its bill before and after.

    python examples/coding_assistant.py

Without ANTHROPIC_API_KEY it asks a local emulator; with one, the provider.
"""

import json
import os
from pathlib import Path
from typing import Any

from langchain.agents import create_agent

from langchain_promptcache import PromptCachedChatAnthropic as Chat
from promptcache import PromptCache
from promptcache.emulator import Emulator, ToolCall

TREE = Path(json.__file__).parent
FILES = {it.name: it.read_text(encoding="utf-8") for it in sorted(TREE.glob("*.py"))}
TEXTS = "\n".join(f"<file: {name}>\n{text}" for name, text in FILES.items())
SYSTEM = f"You help to maintain a package. Quote lines where you can.\n\n{TEXTS}"
TASKS = (
    "Where is `NaN` read, and where is it written?",
    "Could I have it written as null, whatever `allow_nan` is?",
    "Who calls `_make_iterencode`, and would notice?",
    "I am back. Draft the change to the encoder, please.",
    "Now its tests, and a line for the changelog.",
)


def search(word: str) -> str:
    """Find the lines that have a word, each with its file."""
    lines = [(name, it) for name in FILES for it in FILES[name].splitlines()]
    return "\n".join(f"{name}: {line}" for name, line in lines if word in line)


def main(emulator: Emulator | None = None) -> None:
    """Have the same session twice, with seven minutes of lunch in it."""
    url, clock = (emulator.url, emulator.clock) if emulator else (None, None)
    for label, policy in (("before", "off"), ("after", "auto")):
        cache = PromptCache(policy, clock=clock)
        model = Chat(model="claude-sonnet-5-5", base_url=url, prompt_cache=cache)
        agent = create_agent(model, [search], system_prompt=SYSTEM)
        said: list[Any] = []
        for task in TASKS:
            if emulator:
                emulator.clock.advance(420 if "I am back" in task else 40)
                for word in task.split("`")[1:2]:
                    emulator.answers.push(ToolCall("search", {"word": word}))
            said = agent.invoke({"messages": [*said, ("user", task)]})["messages"]
        it = cache.report().to_dict()["total"]
        read = f"{it['read_tokens']} of {it['input_tokens']} tokens read"
        print(f"{label:7} {read}, ${it['cost_usd']:.4f}")


if __name__ == "__main__":
    key = os.environ.setdefault("ANTHROPIC_API_KEY", "emulated")
    with Emulator() as served:
        main(served if key == "emulated" else None)
