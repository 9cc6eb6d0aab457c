"""A LlamaIndex chat engine, its receipts told by LlamaIndex's own instrumentation.

    python examples/llamaindex_chat.py

Without ANTHROPIC_API_KEY it asks a local emulator; with one, the provider.
"""

import os
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.llms.anthropic import Anthropic

from llamaindex_promptcache import PromptCacheEvent, prompt_cached
from promptcache.emulator import Emulator

SOURCE = Path(textwrap.__file__).read_text(encoding="utf-8")


class Bill(BaseEventHandler):
    """Prints what each request read and cost."""

    def handle(self, event: Any, **_: Any) -> None:
        """Take note of one event."""
        if isinstance(event, PromptCacheEvent):
            paid = event.receipt
            print(f"  {paid['read_tokens']} of {paid['input_tokens']} tokens read,")
            print(f"  ${paid['cost_usd']:.5f}, {', '.join(paid['breakpoints'])}")


@contextmanager
def provider() -> Iterator[str | None]:
    """Let the emulator stand in for the provider where there is no key."""
    if os.environ.get("ANTHROPIC_API_KEY"):
        yield None
        return
    with Emulator() as emulator:
        os.environ["ANTHROPIC_API_KEY"] = "emulated"
        yield emulator.url


def main(url: str | None) -> None:
    """Ask two questions in one conversation."""
    get_dispatcher().add_event_handler(Bill())
    llm = prompt_cached(Anthropic(model="claude-sonnet-5-5", base_url=url))
    engine = SimpleChatEngine.from_defaults(llm=llm, system_prompt=SOURCE)
    for question in ("What is this module for?", "What does dedent do?"):
        print(engine.chat(question))


if __name__ == "__main__":
    with provider() as base_url:
        main(base_url)
