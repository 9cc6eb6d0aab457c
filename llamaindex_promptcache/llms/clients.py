"""The clients of the `anthropic` SDK that LlamaIndex makes, attached to a cache."""

from typing import Any

import anthropic

from llamaindex_promptcache.errors import UnsupportedSdkError
from promptcache import PromptCache, attach

__all__ = ["attached", "check_sdk"]

SUPPORTED = "anthropic>=0.120,<1"
FIRST_UNSUPPORTED = 1
"""The major version of the SDK from which on LlamaIndex's own class fails."""


def attached(client: Any, cache: PromptCache) -> Any:
    """Return a client that plans its requests; a test's mock as it is."""
    # A mock may claim any class but its own type's.
    if type(client).__module__.startswith("unittest."):
        return client
    return attach(client, cache)


def check_sdk() -> None:
    """Refuse an SDK that LlamaIndex itself fails with.

    Raises:
        UnsupportedSdkError: It is installed.
    """
    installed = anthropic.__version__
    if int(installed.partition(".")[0]) >= FIRST_UNSUPPORTED:
        raise UnsupportedSdkError(
            sdk="anthropic",
            installed=installed,
            supported=SUPPORTED,
            extra="llamaindex-anthropic",
        )
