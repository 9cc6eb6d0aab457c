"""The errors of promptcache, by who must act.

PromptCacheError
    OptionError             the caller: a policy, ttl or option that is not allowed
    UnsupportedClientError  the caller: a client or model that cannot be cached
    AttachedError           the caller: a client that serves another cache already
    PlanningError           us: a request that could not be read or planned
        UnreadableBodyError
    HoldError               the caller: nothing could be created for a `hold`
    RemoteError             the provider: a cached content was refused
    StoreError              the store: it cannot be reached, read or written
        UnstorableError     us: a value that no store takes

None of them stops a model call unless the cache is strict: a request that cannot be
planned goes out as the framework built it.
"""

__all__ = [
    "AttachedError",
    "HoldError",
    "OptionError",
    "PlanningError",
    "PromptCacheError",
    "StoreError",
    "UnreadableBodyError",
    "UnstorableError",
    "UnsupportedClientError",
]


class PromptCacheError(Exception):
    """Base of every error that promptcache raises."""


class OptionError(PromptCacheError, ValueError):
    """A policy, ttl or option is not one of the allowed ones.

    It is also a `ValueError`, so that frameworks built on pydantic report it as a
    validation error of the field that carries it.
    """

    def __init__(self, option: str, value: object, allowed: str) -> None:
        super().__init__(f"`{option}` cannot be {value!r}; allowed: {allowed}.")
        self.option = option
        self.value = value
        self.allowed = allowed


class UnsupportedClientError(PromptCacheError):
    """The client or model is none that promptcache can plan for."""

    def __init__(self, what: object, supported: str) -> None:
        name = f"{type(what).__module__}.{type(what).__qualname__}"
        super().__init__(f"`{name}` cannot be cached; supported: {supported}.")
        self.supported = supported


class AttachedError(PromptCacheError):
    """The client serves another `PromptCache` already."""

    def __init__(self) -> None:
        super().__init__(
            "The client is attached to another PromptCache; attach the client that "
            "it was made from, or pass the same cache."
        )


class HoldError(PromptCacheError):
    """There is no cached content to hold, and none could be created."""

    def __init__(self, what: str, *, refused: bool) -> None:
        why = (
            "the provider refused it; the last `CreateRefused` event has its words"
            if refused
            else "it would exceed `Limits`, the store failed, or another worker has "
            "not finished it; the last event says which"
        )
        super().__init__(f"No cached content for `{what}` is held: {why}.")


class PlanningError(PromptCacheError):
    """A request could not be planned."""


class UnreadableBodyError(PlanningError):
    """A request body has a shape that no outline can be made from."""

    def __init__(self, why: str) -> None:
        super().__init__(f"The request body cannot be read: {why}.")
        self.why = why


class StoreError(PromptCacheError):
    """A store cannot be reached, read or written."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"The store at {where} cannot be used: {why}.")
        self.where = where
        self.why = why


class UnstorableError(StoreError):
    """A value is one that no store takes."""

    def __init__(self, what: str, allowed: str) -> None:
        PromptCacheError.__init__(
            self, f"`{what}` cannot be stored; allowed: {allowed}."
        )
        self.where = what
        self.why = allowed
