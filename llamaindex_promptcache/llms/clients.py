"""The SDK clients that LlamaIndex makes, attached to a cache."""

from typing import Any

from promptcache import PromptCache, attach

__all__ = ["attached"]


def attached(client: Any, cache: PromptCache) -> Any:
    """Return a client that plans its requests; a test's mock, or None, as it is."""
    # A mock may claim any class but its own type's.
    if client is None or type(client).__module__.startswith("unittest."):
        return client
    return attach(client, cache)
