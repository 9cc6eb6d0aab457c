"""A LlamaIndex agent with tools on OpenAI: its bill without promptcache, and with it.

    python examples/llamaindex_openai_agent.py

Without OPENAI_API_KEY it asks a local emulator; with one, the provider.
"""

import asyncio
import os
from pathlib import Path

from llama_index.core.agent.workflow import FunctionAgent

from llamaindex_promptcache import PromptCachedOpenAIResponses
from promptcache import PromptCache
from promptcache.emulator import Emulator, ToolCall

PAGES = sorted((Path(__file__).parent / "handbook").glob("*.md"))
HANDBOOK = "\n\n".join(page.read_text(encoding="utf-8") for page in PAGES)
QUESTIONS = (
    "May I charge the battery of my Stoodley E in the hallway?",
    "What do a safety check and a trued wheel cost together?",
    "What do two bled brakes and a diagnosis cost together?",
    "Is my Fernhill frame of 2019 still under warranty?",
)
CALL = ToolCall("add", {"prices": [29, 18]})  # The emulator's idea; models have others.


def add(prices: list[float]) -> float:
    """Add prices."""
    return sum(prices)


async def main(emulator: Emulator | None = None) -> None:
    """Ask the same questions twice, each in a conversation of its own."""
    url = f"{emulator.url}/v1" if emulator else None
    for label, policy in (("before", "off"), ("after", "auto")):
        cache = PromptCache(policy)
        llm = PromptCachedOpenAIResponses(
            "gpt-6.1-sol", api_base=url, prompt_cache=cache
        )
        # The label keeps one run from reading what the other has written.
        rules = f"You are asked {label} noon, and know this:\n\n{HANDBOOK}"
        agent = FunctionAgent(tools=[add], llm=llm, system_prompt=rules)
        for question in QUESTIONS:
            if emulator and "together" in question:
                emulator.answers.push(CALL)
            await agent.run(question)
        it = cache.report().to_dict()["total"]
        read = f"{it['read_tokens']} of {it['input_tokens']} tokens read"
        print(f"{label:7} {read} in {it['requests']} requests, ${it['cost_usd']:.4f}")


if __name__ == "__main__":
    if os.environ.get("OPENAI_API_KEY"):
        asyncio.run(main())
    else:
        os.environ["OPENAI_API_KEY"] = "emulated"
        with Emulator() as served:
            asyncio.run(main(served))
