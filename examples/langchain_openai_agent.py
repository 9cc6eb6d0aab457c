"""A LangChain agent with tools on OpenAI: its bill without promptcache, and with it.

    python examples/langchain_openai_agent.py

Without OPENAI_API_KEY it asks a local emulator; with one, the provider.
"""

import os
from pathlib import Path

from langchain.agents import create_agent

from langchain_promptcache import PromptCacheMiddleware
from promptcache import PromptCache
from promptcache.emulator import Emulator, ToolCall

PAGES = sorted((Path(__file__).parent / "handbook").glob("*.md"))
HANDBOOK = "\n\n".join(page.read_text(encoding="utf-8") for page in PAGES)
ORDERS = {"F-1041": "sent on Monday, Royal Mail, scanned in Leeds", "F-1044": "packed"}
QUESTIONS = (
    "Where is my order F-1041?",
    "Can my order F-1044 still go to my office?",
    "My display says E21, what now?",
    "Is a chain that I cut to length returnable?",
    "I ordered as a guest: where is F-1044, and can I see it in an account?",
)


def order_status(number: str) -> str:
    """Tell how far an order is, by its number."""
    return ORDERS.get(number, "no such order")


def main(emulator: Emulator | None = None) -> None:
    """Ask the same questions twice, each in a conversation of its own."""
    for label, policy in (("before", "off"), ("after", "auto")):
        cache = PromptCacheMiddleware(PromptCache(policy))
        # The label keeps one run from reading what the other has written.
        text = f"You are asked {label} noon, and know this:\n\n{HANDBOOK}"
        agent = create_agent(
            "openai:gpt-6.1-sol", [order_status], system_prompt=text, middleware=[cache]
        )
        for question in QUESTIONS:
            for number in ORDERS:
                if emulator and number in question:
                    emulator.answers.push(ToolCall("order_status", {"number": number}))
            agent.invoke({"messages": [("user", question)]})
        it = cache.report().to_dict()["total"]
        read = f"{it['read_tokens']} of {it['input_tokens']} tokens read"
        print(f"{label:7} {read} in {it['requests']} requests, ${it['cost_usd']:.4f}")


if __name__ == "__main__":
    if os.environ.get("OPENAI_API_KEY"):
        main()
    else:
        os.environ["OPENAI_API_KEY"] = "emulated"
        with Emulator() as served:
            os.environ["OPENAI_BASE_URL"] = f"{served.url}/v1"
            main(served)
