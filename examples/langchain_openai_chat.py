"""A LangChain chat with a GPT that streams, with a receipt on every answer.

    python examples/langchain_openai_chat.py

Without OPENAI_API_KEY it asks a local emulator; with one, the provider.
"""

import os
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from langchain_core.messages import AIMessageChunk, AnyMessage

from langchain_promptcache import PromptCachedChatOpenAI
from promptcache import Receipt
from promptcache.emulator import Emulator

SOURCE = Path(textwrap.__file__).read_text(encoding="utf-8")


@contextmanager
def provider() -> Iterator[None]:
    """Let the emulator stand in for the provider where there is no key."""
    if os.environ.get("OPENAI_API_KEY"):
        yield
        return
    with Emulator() as emulator:
        os.environ["OPENAI_BASE_URL"] = f"{emulator.url}/v1"
        os.environ["OPENAI_API_KEY"] = "emulated"
        yield


def main() -> None:
    """Ask three questions in one conversation."""
    model = PromptCachedChatOpenAI(model="gpt-6.1-sol")
    messages: list[tuple[str, str] | AnyMessage] = [("system", SOURCE)]
    for question in (
        "What is this module for?",
        "What does dedent do?",
        "And shorten?",
    ):
        messages.append(("human", question))
        answer = AIMessageChunk(content="")
        for chunk in model.stream(messages):
            print(chunk.text, end="", flush=True)
            answer = answer + chunk
        messages.append(answer)
        receipt = Receipt.from_metadata(answer.response_metadata["prompt_cache"])
        usage = receipt.usage
        print(f"\n  {usage.read_tokens} of {usage.input_tokens} tokens read,", end=" ")
        print(f"{usage.written_tokens} written, ${receipt.cost_usd:.5f}")


if __name__ == "__main__":
    with provider():
        main()
