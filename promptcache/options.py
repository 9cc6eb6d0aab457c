"""What a caller may say: per model, per call, or for everything inside a `with`."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar, Token
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any

from promptcache.errors import OptionError
from promptcache.receipts.fixed_prices import read_prices
from promptcache.receipts.prices import Prices
from promptcache.ttl import Ttl, read_ttl

__all__ = ["CallOptions", "current_options", "entered", "options"]


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What the caller said; None is "nothing said"."""

    tenant: str | None = None
    """Whose request it is. Tenants never share history, keys or handles."""
    conversation: str | None = None
    """Which conversation it continues; else that is told from its prefix."""
    ttl: Ttl | None = None
    """Lifetime of the breakpoints that we place."""
    enabled: bool | None = None
    """False leaves the request as the framework built it."""
    stream_usage: bool | None = None
    """True asks for the usage of a stream where the API does not tell it unasked."""
    gemini_caches: bool | None = None
    """False creates, extends and names no cached content of Gemini's."""
    move_volatile: bool | None = None
    """True moves a block of the system prompt that was another one on every call behind
    what does not change."""
    fan_out: bool | None = None
    """True sends one of several requests that share an unwritten head, and the rest
    once that is answered."""
    stable_tools: bool | None = None
    """True sends the tools in one order, and the keys of their schemas too."""
    withheld_tools: tuple[str, ...] | None = None
    """Tools that a request has for the sake of its prefix, and are not to be called."""
    prices: Prices | None = None
    """What the receipt reckons with instead of the prices of the cache."""

    @classmethod
    def read(
        cls, said: "Mapping[str, Any] | CallOptions | bool | None"
    ) -> "CallOptions":
        """Read options as a call gives them: a dict, True, False or None.

        Raises:
            OptionError: A name or a value is not allowed.
        """
        if said is None or isinstance(said, bool):
            return cls(enabled=said)
        if isinstance(said, CallOptions):
            return said
        names = [field.name for field in fields(cls)]
        if not isinstance(said, Mapping):
            allowed = f"a dict of {', '.join(names)}, True, False or None"
            raise OptionError("prompt_cache", said, allowed)
        unknown = sorted(set(said) - set(names))
        if unknown:
            raise OptionError("prompt_cache", unknown[0], ", ".join(names))
        return cls(
            tenant=_text("tenant", said.get("tenant")),
            conversation=_text("conversation", said.get("conversation")),
            ttl=None if said.get("ttl") is None else read_ttl(said["ttl"]),
            enabled=_flag("enabled", said.get("enabled")),
            stream_usage=_flag("stream_usage", said.get("stream_usage")),
            gemini_caches=_flag("gemini_caches", said.get("gemini_caches")),
            move_volatile=_flag("move_volatile", said.get("move_volatile")),
            fan_out=_flag("fan_out", said.get("fan_out")),
            stable_tools=_flag("stable_tools", said.get("stable_tools")),
            withheld_tools=_names("withheld_tools", said.get("withheld_tools")),
            prices=(
                None if said.get("prices") is None else read_prices(said["prices"])
            ),
        )

    def over(self, base: "CallOptions") -> "CallOptions":
        """Return these options, with `base` where nothing is said."""
        if self == _NOTHING:
            return base
        return CallOptions(
            tenant=base.tenant if self.tenant is None else self.tenant,
            conversation=(
                base.conversation if self.conversation is None else self.conversation
            ),
            ttl=base.ttl if self.ttl is None else self.ttl,
            enabled=base.enabled if self.enabled is None else self.enabled,
            stream_usage=(
                base.stream_usage if self.stream_usage is None else self.stream_usage
            ),
            gemini_caches=(
                base.gemini_caches if self.gemini_caches is None else self.gemini_caches
            ),
            move_volatile=(
                base.move_volatile if self.move_volatile is None else self.move_volatile
            ),
            fan_out=base.fan_out if self.fan_out is None else self.fan_out,
            stable_tools=(
                base.stable_tools if self.stable_tools is None else self.stable_tools
            ),
            withheld_tools=(
                base.withheld_tools
                if self.withheld_tools is None
                else self.withheld_tools
            ),
            prices=base.prices if self.prices is None else self.prices,
        )


_NOTHING = CallOptions()
_current: ContextVar[CallOptions] = ContextVar("promptcache_options", default=_NOTHING)


@contextmanager
def options(
    *,
    tenant: str | None = None,
    conversation: str | None = None,
    ttl: str | timedelta | None = None,
    enabled: bool | None = None,
    stream_usage: bool | None = None,
    gemini_caches: bool | None = None,
    move_volatile: bool | None = None,
    fan_out: bool | None = None,
    stable_tools: bool | None = None,
    withheld_tools: Collection[str] | None = None,
    prices: Prices | Mapping[str, Any] | None = None,
) -> Iterator[None]:
    """Set options for every model call inside the `with`, in this thread or task.

    An inner `with` overrides an outer one, and the options of a call override both.

    Args:
        tenant: Whose requests they are.
        conversation: Which conversation they continue.
        ttl: Lifetime of the breakpoints that are placed.
        enabled: False leaves requests as the framework built them.
        stream_usage: True asks for the usage of a stream where the API does not tell
            it unasked: OpenAI's Chat Completions then send one more chunk.
        gemini_caches: False leaves Gemini to its implicit caching: no cached content is
            created, extended or named.
        move_volatile: True moves a block of the system prompt that was another one on
            every call so far behind what does not change; the receipt says so.
        fan_out: True has requests that share an unwritten head, and that are sent at
            once, wait until the first of them begins to be answered, so that one
            writes and the others read: at most `Limits.fan_out_seconds`. It holds for
            Anthropic and OpenAI.
        stable_tools: True sends the tools of a request in one order, whatever order
            they came in, and the keys of their schemas too. Names, descriptions and
            schemas stay; what was arranged is in the receipt's notes.
        withheld_tools: Names of tools that a request has only so that its prefix is the
            one of other requests. OpenAI's `tool_choice` is narrowed to the others;
            elsewhere the model may call them, and who reads the answer must not.
        prices: What receipts reckon with: a source of prices, or US dollars for a
            million tokens of `input`, `read`, `written`, `written_1h` and `output`.

    Raises:
        OptionError: A value is not allowed.
    """
    said = CallOptions.read(
        {
            "tenant": tenant,
            "conversation": conversation,
            "ttl": ttl,
            "enabled": enabled,
            "stream_usage": stream_usage,
            "gemini_caches": gemini_caches,
            "move_volatile": move_volatile,
            "fan_out": fan_out,
            "stable_tools": stable_tools,
            "withheld_tools": withheld_tools,
            "prices": prices,
        }
    )
    token = entered(said)
    try:
        yield
    finally:
        # A generator may be closed in another context, which never had them.
        with suppress(ValueError):
            _current.reset(token)


def entered(said: CallOptions) -> "Token[CallOptions]":
    """Lay options over the current ones until the token's variable is reset."""
    return _current.set(said.over(_current.get()))


def current_options() -> CallOptions:
    """Return the options of the enclosing `with options(...)` blocks."""
    return _current.get()


def _text(name: str, value: object) -> str | None:
    if value is None or (isinstance(value, str) and value):
        return value
    raise OptionError(name, value, "a non-empty string")


def _flag(name: str, value: object) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    raise OptionError(name, value, "True or False")


def _names(name: str, value: object) -> tuple[str, ...] | None:
    if value is None:
        return None
    if isinstance(value, Collection) and not isinstance(value, (str, bytes, Mapping)):
        named = list(value)
        if all(isinstance(it, str) for it in named):
            return tuple(sorted(set(named)))
    raise OptionError(name, value, "a list of names")
