"""What a call may say: whose it is, how long prefixes live, and not to cache at all.

    python examples/options_and_tenants.py

Without ANTHROPIC_API_KEY it asks a local emulator; with one, the provider.
"""

import os
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from langchain_core.messages import AIMessage

from langchain_promptcache import PromptCachedChatAnthropic
from promptcache import Policy, Receipt, options
from promptcache.emulator import Emulator

SOURCE = Path(textwrap.__file__).read_text(encoding="utf-8")
PROMPT = [
    ("system", f"Answer briefly, about this module:\n\n{SOURCE}"),
    ("human", "Hi"),
]


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


def show(what: str, answer: AIMessage) -> None:
    """Print where prefixes ended."""
    receipt = Receipt.from_metadata(answer.response_metadata["prompt_cache"])
    print(f"{what}: {'; '.join(receipt.breakpoints) or 'no breakpoints'}")


def main() -> None:
    """Make the same call in several ways."""
    policy = Policy.fixed(tail=None)
    model = PromptCachedChatAnthropic(model="claude-sonnet-5-5", prompt_cache=policy)
    acme = {"tenant": "acme", "conversation": "42", "ttl": timedelta(minutes=5)}
    show("for one call", model.invoke(PROMPT, prompt_cache=acme))
    show("not this call", model.invoke(PROMPT, prompt_cache=False))
    show("bound", model.bind(prompt_cache={"ttl": "5m"}).invoke(PROMPT))
    with options(tenant="acme", ttl="1h"):
        show("for all calls inside", model.invoke(PROMPT))


if __name__ == "__main__":
    with provider():
        main()
