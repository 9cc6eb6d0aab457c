"""Receipts as lines of JSON in a file, and a listener of your own.

    python examples/receipts_to_file.py [receipts.jsonl]

Without ANTHROPIC_API_KEY it asks a local emulator; with one, the provider.
"""

import os
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from langchain_promptcache import PromptCachedChatAnthropic
from promptcache import Event, JsonlReceipts, PromptCache, Settled
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


def alert(event: Event) -> None:
    """Say when a request wrote more than it read."""
    if isinstance(event, Settled):
        usage = event.receipt.usage
        if (usage.written_tokens or 0) > (usage.read_tokens or 0):
            print(f"{usage.written_tokens} written, {usage.read_tokens} read")


def main(path: Path) -> None:
    """Ask three questions about the same text."""
    with JsonlReceipts(path) as receipts:
        model = PromptCachedChatAnthropic(
            model="claude-sonnet-5-5",
            prompt_cache=PromptCache(listeners=[receipts, alert]),
        )
        system = ("system", f"Answer briefly, about this module:\n\n{SOURCE}")
        for question in ("What does dedent do?", "And shorten?", "And wrap?"):
            model.invoke([system, ("human", question)])
    print(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    with provider():
        main(Path(sys.argv[1] if len(sys.argv) > 1 else "receipts.jsonl"))
