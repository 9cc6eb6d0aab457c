"""The OpenAI SDK without a framework: one call attaches the plugin to a client.

    python examples/openai_sdk.py

Without OPENAI_API_KEY it asks a local emulator; with one, the provider.
"""

import os
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import openai

import promptcache
from promptcache import PromptCache
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


def ask(client: openai.OpenAI, label: str) -> None:
    """Ask questions of several people, each in a conversation of its own."""
    # The label keeps one run from reading what the other has written.
    rules = f"You are asked {label} lunch, about this module:\n\n{SOURCE}"
    for name in ("dedent", "indent", "shorten", "wrap", "fill"):
        client.responses.create(
            model="gpt-6.1-sol",
            instructions="Answer briefly.",
            input=[
                {"role": "developer", "content": rules},
                {"role": "user", "content": f"What does {name} do?"},
            ],
        )


if __name__ == "__main__":
    with provider():
        for label, policy in (("before", "off"), ("after", "auto")):
            cache = PromptCache(policy)
            ask(promptcache.attach(openai.OpenAI(), cache), label)
            it = cache.report().to_dict()["total"]
            read = f"{it['read_tokens']} of {it['input_tokens']} tokens read"
            print(
                f"{label:7} {read} in {it['requests']} requests, ${it['cost_usd']:.4f}"
            )
