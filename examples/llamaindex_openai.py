"""LlamaIndex on both of OpenAI's APIs: a streamed chat, and structured output.

    python examples/llamaindex_openai.py

Without OPENAI_API_KEY it asks a local emulator; with one, the provider.
"""

import os
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import ChatPromptTemplate
from llama_index.llms.openai import OpenAIResponses
from pydantic import BaseModel

from llamaindex_promptcache import PromptCachedOpenAI, prompt_cached
from promptcache import PromptCache
from promptcache.emulator import Emulator

SOURCE = Path(textwrap.__file__).read_text(encoding="utf-8")


class Function(BaseModel):
    """A function."""

    purpose: str


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
    """Ask about one module, in words and for data."""
    cache = PromptCache()
    llm = prompt_cached(OpenAIResponses("gpt-6.1-sol", api_base=url), cache)
    engine = SimpleChatEngine.from_defaults(llm=llm, system_prompt=SOURCE)
    for question in ("What is this module for?", "What does dedent do?", "Why?"):
        print("".join(engine.stream_chat(question).response_gen))
    parser = PromptCachedOpenAI("gpt-6.1-sol", api_base=url, prompt_cache=cache)
    asked = [ChatMessage(SOURCE, role="system"), ChatMessage("Describe {name}.")]
    for name in ("dedent", "shorten", "wrap"):
        print(parser.structured_predict(Function, ChatPromptTemplate(asked), name=name))
    print(cache.report())


if __name__ == "__main__":
    with provider() as base_url:
        main(base_url)
