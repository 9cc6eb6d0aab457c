"""Whether a cached content is created or extended."""

from typing import Any

import orjson

from promptcache.emulator.rules.gemini_prompt import Segment, rendered, total_tokens
from promptcache.emulator.rules.gemini_rejection import (
    GeminiRejectedError,
    bad_value,
    not_served,
    over_free_tier,
    too_small,
)
from promptcache.emulator.rules.gemini_requests import (
    IN_CACHED,
    bare,
    check_contents,
    check_names,
)
from promptcache.emulator.rules.gemini_settings import GeminiSettings
from promptcache.emulator.rules.gemini_spelling import Body, camel
from promptcache.emulator.rules.gemini_times import duration, instant
from promptcache.providers.gemini.facts import (
    DEFAULT_TTL_SECONDS,
    HOSTS,
    MAX_DISPLAY_NAME,
    Host,
    model_facts,
)

__all__ = ["check_creation", "expiration", "new_expiration"]

METHOD = "createCachedContent"
OUTPUT = frozenset(["createTime", "name", "updateTime", "usageMetadata"])
TIMES = ("ttl", "expireTime")
HELD = ("contents", *IN_CACHED)
KNOWN: dict[Host, frozenset[str]] = {
    "developer": frozenset(["displayName", "model", *HELD, *TIMES]) | OUTPUT,
    "vertex": frozenset(["displayName", "encryptionSpec", "model", *HELD, *TIMES])
    | OUTPUT,
}


def check_creation(
    body: Body, *, host: Host, version: str, settings: GeminiSettings
) -> tuple[Segment, ...]:
    """Refuse what the provider refuses to cache, and return what it holds.

    Args:
        body: The cached content as it was sent.
        host: Who was called.
        version: The version of the API in the path.
        settings: The choices where sources leave a rule open.

    Raises:
        GeminiRejectedError: The provider would refuse it.
    """
    check_names(body, KNOWN[host])
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise bad_value("cached_content.model", "a model is required")
    facts = model_facts(model)
    if not bare(model).startswith("gemini-") or not settings.explicit(facts):
        raise not_served(host, model, version=version, method=METHOD)
    _check_display_name(body.get("displayName"))
    check_contents(body)
    if not any(body.get(name) for name in HELD) or (
        settings.contents_required and not body.get("contents")
    ):
        # Source: googleapis/nodejs-agentplatform#471.
        raise GeminiRejectedError("CachedContent must have at least one content.")
    most = HOSTS[host].max_inline_bytes
    if most is not None and sum(len(orjson.dumps(body.get(it))) for it in HELD) > most:
        raise GeminiRejectedError(
            f"The inline content is larger than {most} bytes; refer to a file instead."
        )
    segments = rendered(body)
    tokens = total_tokens(segments)
    minimum = settings.explicit_minimum(facts, host)
    if tokens < minimum:
        raise too_small(host, tokens, minimum)
    if settings.free_tier and host == "developer":
        raise over_free_tier(bare(model), tokens)
    return segments


def expiration(body: Body, *, host: Host, now: float) -> float:
    """Return when a cached content that is created now is over.

    Raises:
        GeminiRejectedError: The provider would refuse the time.
    """
    asked = _asked(body, host=host, now=now)
    return now + DEFAULT_TTL_SECONDS if asked is None else asked


def new_expiration(body: Body, mask: str | None, *, host: Host, now: float) -> float:
    """Return when a cached content is over that is updated now.

    Args:
        body: What was sent.
        mask: The fields to be updated, in either spelling; all that was sent if None.
        host: Who was called.
        now: The start of the request.

    Raises:
        GeminiRejectedError: Something else than its expiration is to be updated, or
            nothing, or to a time that the provider would refuse.
    """
    if "name" in body:
        # Source: a report on the Developer API.
        raise GeminiRejectedError(
            "Invalid value at 'cached_content' (oneof), oneof field '_name' is already "
            "set. Cannot set 'name'"
        )
    check_names(body, KNOWN[host])
    masked = None if mask is None else set(map(camel, mask.split(",")))
    fields: dict[str, Any] = {
        name: it for name, it in body.items() if masked is None or name in masked
    }
    fixed = sorted((masked or set(fields)).difference(TIMES))
    if fixed:
        raise bad_value(f"cached_content.{fixed[0]}", "only expiration can be updated")
    asked = _asked(fields, host=host, now=now)
    if asked is None:
        raise bad_value("cached_content", "`ttl` or `expireTime` is required")
    return asked


def _asked(body: Body, *, host: Host, now: float) -> float | None:
    """Return the time that is asked for.

    That both forms of it are refused follows from their being one field; the words
    are those of the same refusal of another field.
    """
    if all(name in body for name in TIMES):
        raise GeminiRejectedError(
            "Invalid value at 'cached_content' (oneof), oneof field 'expiration' is "
            "already set. Cannot set 'expireTime'"
        )
    until: float | None = None
    if "ttl" in body:
        seconds = duration(body["ttl"])
        if seconds is None:
            raise bad_value("cached_content.ttl", 'a duration like "3.5s" is expected')
        until = now + seconds
    elif "expireTime" in body:
        until = instant(body["expireTime"])
        if until is None:
            what = "a time like 2026-11-22T12:00:00Z is expected"
            raise bad_value("cached_content.expire_time", what)
    if until is None:
        return None
    least = HOSTS[host].minimum_ttl_seconds
    if until - now < least:
        raise bad_value("cached_content.expiration", f"{least:g} s are the minimum")
    if until <= now:
        raise bad_value("cached_content.expiration", "it must be in the future")
    return until


def _check_display_name(name: object) -> None:
    if name is None:
        return
    if not isinstance(name, str):
        raise bad_value("cached_content.display_name", "a string is expected")
    if len(name) > MAX_DISPLAY_NAME:
        what = f"at most {MAX_DISPLAY_NAME} characters are allowed"
        raise bad_value("cached_content.display_name", what)
