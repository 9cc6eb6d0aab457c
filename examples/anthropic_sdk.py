"""The Anthropic SDK without a framework: one call attaches the plugin to a client.

    python examples/anthropic_sdk.py

Without ANTHROPIC_API_KEY it asks a local emulator; with one, the provider.
"""

import os
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anthropic
from anthropic.types import MessageParam

import promptcache
from promptcache import PromptCache
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


def lead(client: anthropic.Anthropic) -> None:
    """Ask three questions in one conversation."""
    messages: list[MessageParam] = []
    for question in ("What does dedent do?", "And shorten?", "And wrap?"):
        messages.append({"role": "user", "content": question})
        with client.messages.stream(
            model="claude-sonnet-5-5",
            max_tokens=300,
            system=f"Answer briefly, about this module:\n\n{SOURCE}",
            messages=messages,
        ) as stream:
            answer = stream.get_final_text()
        messages.append({"role": "assistant", "content": answer})


if __name__ == "__main__":
    with provider():
        for label, policy in (("before", "off"), ("after", "auto")):
            cache = PromptCache(policy)
            lead(promptcache.attach(anthropic.Anthropic(), cache))
            it = cache.report().to_dict()["total"]
            read = f"{it['read_tokens']} of {it['input_tokens']} tokens read"
            print(
                f"{label:7} {read} in {it['requests']} requests, ${it['cost_usd']:.4f}"
            )
