"""What is used where a caller names nothing: one cache a process, by policy.

Frameworks build a new model for every call, and all of these must learn together.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from promptcache.cache import PromptCache
from promptcache.errors import OptionError
from promptcache.options import CallOptions
from promptcache.planning.policies import Policy
from promptcache.providers import Client, ProviderName, provider_named
from promptcache.state.forks import ForkSafeLock

__all__ = ["attach", "default_cache", "read_choice"]

_LOCK = ForkSafeLock()


def default_cache() -> PromptCache:
    """Return the cache of this process that serves whoever names no other."""
    return _shared_cache(Policy.auto())


def attach(client: Client, cache: PromptCache | None = None) -> Client:
    """Return a client of a provider's SDK whose requests are planned.

    The client that is passed in stays as it is; both share one connection pool. With
    `PROMPTCACHE=off` in the environment, the client itself is returned.

    Args:
        client: A client, synchronous or not.
        cache: What plans its requests; else the cache of this process.

    Raises:
        UnsupportedClientError: It is of no SDK that is supported.
        AttachedError: It is attached to another cache.
    """
    return (cache or default_cache()).attach(client)


def read_choice(
    choice: Any, *, provider: ProviderName | None = None
) -> tuple[PromptCache, CallOptions]:
    """Read what a caller gave as `prompt_cache=`.

    Args:
        choice: A `PromptCache`, a `Policy` or its name, a dict of options (which may
            hold a `policy`), True, False or None.
        provider: Whose model it is for; its lifetimes are the allowed ones. None if it
            is for models of several.

    Returns:
        The cache, and the options that go with every call.

    Raises:
        OptionError: It is none of these, or says what is not allowed.
    """
    cache, said = _read_choice(choice)
    if provider is not None:
        cache.check_ttl(said.ttl, provider_named(provider))
    return cache, said


def _read_choice(choice: Any) -> tuple[PromptCache, CallOptions]:
    if isinstance(choice, PromptCache):
        return choice, CallOptions()
    if isinstance(choice, (Policy, str)):
        return _shared_cache(Policy.named(choice)), CallOptions()
    if isinstance(choice, Mapping):
        said = dict(choice)
        policy = Policy.named(said.pop("policy", "auto"))
        return _shared_cache(policy), CallOptions.read(said)
    if choice is None or isinstance(choice, (bool, CallOptions)):
        return default_cache(), CallOptions.read(choice)
    allowed = (
        "a PromptCache, a Policy or its name, a dict of options, True, False, None"
    )
    raise OptionError("prompt_cache", choice, allowed)


def _shared_cache(policy: Policy) -> PromptCache:
    # Two threads that come first at once must get the same.
    with _LOCK:
        return _made_cache(policy)


@lru_cache(maxsize=64)
def _made_cache(policy: Policy) -> PromptCache:
    return _SharedCache(policy)


class _SharedCache(PromptCache):
    """The cache of a process for one policy; another process has its own."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _shared_cache, (self.policy,)
