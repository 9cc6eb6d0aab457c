"""Plain LlamaIndex objects, planned for and reported on by a handler.

    python examples/llamaindex_handler.py

Without OPENAI_API_KEY it asks a local emulator; with one, the provider.
"""

import os
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.llms.openai import OpenAI

from llamaindex_promptcache import PromptCacheHandler
from promptcache.emulator import Emulator

SOURCE = Path(textwrap.__file__).read_text(encoding="utf-8")
QUESTIONS = ("What is this module for?", "What does dedent do?", "Why?")


@contextmanager
def provider() -> Iterator[str | None]:
    """Let the emulator stand in for the provider where there is no key."""
    if os.environ.get("OPENAI_API_KEY"):
        yield None
        return
    with Emulator() as emulator:
        os.environ["OPENAI_API_KEY"] = "emulated"
        yield f"{emulator.url}/v1"


def main(url: str | None) -> None:
    """Hold one conversation, streamed, and look at what it read."""
    handler = PromptCacheHandler(insert=True).install()
    llm = OpenAI("gpt-6.1-sol", api_base=url)
    engine = SimpleChatEngine.from_defaults(llm=llm, system_prompt=SOURCE)
    for question in QUESTIONS:
        print("".join(engine.stream_chat(question).response_gen))
    for call in handler.calls:
        print(f"{call.llm}.{call.method} in {call.workflow}: {call.receipt}")
    print(handler.report())
    handler.uninstall()


if __name__ == "__main__":
    with provider() as base_url:
        main(base_url)
