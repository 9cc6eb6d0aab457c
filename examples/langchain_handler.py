"""Plain LangChain models and agents, planned and reported by one callback handler.

    python examples/langchain_handler.py

Without ANTHROPIC_API_KEY it asks a local emulator; with one, the provider.
"""

import os
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic

from langchain_promptcache import PromptCacheCallbackHandler
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
    """Ask two agents the same, and report by agent."""
    handler = PromptCacheCallbackHandler(insert=True)
    model = ChatAnthropic(model="claude-sonnet-5-5")
    system = f"Answer briefly, about this module:\n\n{SOURCE}"
    for name in ("reader", "critic"):
        agent = create_agent(model, [find_lines], system_prompt=system, name=name)
        for question in ("Find lines with dedent.", "And what does shorten do?"):
            asked = {"messages": [("user", question)]}
            agent.invoke(asked, {"callbacks": [handler]})
    for call in handler.calls:
        print(call.agent, call.receipt, sep=": ")
    print(handler.report(by="agent"))


if __name__ == "__main__":
    with provider():
        main()
