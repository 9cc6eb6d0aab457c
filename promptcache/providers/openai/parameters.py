"""What a request says besides its conversation, as far as caches depend on it.

Rule 1: whatever breaks a prefix, by the guide's list, enters the root digest.
Source: https://developers.openai.com/api/docs/guides/prompt-caching
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal

from promptcache.errors import UnreadableBodyError
from promptcache.outline import DIGEST_BYTES, Mode
from promptcache.providers.openai.breakpoints import bare_tool
from promptcache.providers.openai.facts import CHAT_TTLS, RESPONSES_TTLS
from promptcache.providers.openai.values import encoded, fields_of, mapping_of
from promptcache.ttl import Ttl

__all__ = [
    "HEAD_BYTES",
    "Api",
    "CachingOptions",
    "caching_options",
    "digest_of",
    "head_key",
    "is_forced",
    "root",
]

Api = Literal["chat", "responses"]

HEAD_BYTES = 4_096
"""Bytes of the head that its key is made of: about 1,024 tokens, the shortest prefix
that is cached, so requests that can share one have the same."""

_TTLS: Mapping[Api, tuple[str, ...]] = {"chat": CHAT_TTLS, "responses": RESPONSES_TTLS}


@dataclass(frozen=True, slots=True)
class CachingOptions:
    """What the caller's `prompt_cache_options` say."""

    mode: Mode | None = None
    ttl: Ttl | None = None
    illegal: tuple[str, ...] = ()
    """Paths of values that no provider takes."""
    warms: bool = False
    """Nothing is to be answered, only written."""
    given: bool = False
    """The caller says something, whatever it is."""


def caching_options(body: Mapping[str, Any], api: Api) -> CachingOptions:
    """Read the caller's options of caching."""
    given = body.get("prompt_cache_options")
    if given is None:
        return CachingOptions()
    try:
        options = mapping_of(given)
    except UnreadableBodyError:
        return CachingOptions(illegal=("prompt_cache_options",), given=True)
    illegal = []
    mode, ttl = options.get("mode"), options.get("ttl")
    if mode not in (None, "implicit", "explicit"):
        illegal.append("prompt_cache_options.mode")
        mode = None
    if ttl is not None and ttl not in _TTLS[api]:
        illegal.append("prompt_cache_options.ttl")
        ttl = None
    warms = options.get("prewarm") is True
    return CachingOptions(mode, ttl, tuple(illegal), warms=warms, given=True)


def root(body: Mapping[str, Any], api: Api, tenant: str | None) -> bytes:
    """Return the digest of what stands before the first block, or parts caches.

    Args:
        body: The request.
        api: Whether both APIs share caches is in no source, so they have two roots.
        tenant: Enters it, so that tenants share no digest.
    """
    if api == "chat":
        effort, verbosity = body.get("reasoning_effort"), body.get("verbosity")
        form = body.get("response_format")
    else:
        effort = fields_of(body.get("reasoning")).get("effort")
        text = fields_of(body.get("text"))
        verbosity, form = text.get("verbosity"), text.get("format")
    said = [
        "openai",
        api,
        body.get("model"),
        tenant,
        effort,
        verbosity,
        body.get("parallel_tool_calls") is not False,
        None if fields_of(form).get("type") == "text" else form,
        body.get("context_management"),
        body.get("service_tier") or "auto",
        body.get("prompt_cache_key"),
        body.get("prompt"),
    ]
    return digest_of(encoded(said))


def head_key(
    tools: Iterable[Mapping[str, Any]], texts: Iterable[bytes], named: bytes = b""
) -> bytes:
    """Return the digest of what the head begins with, the same from both APIs.

    Args:
        tools: The tools, before anything else.
        texts: What the instructions and the initial system messages say.
        named: What the provider itself puts there.

    Returns:
        b"" if there is none of these.
    """
    head = bytearray(named)
    for tool in tools:
        if len(head) >= HEAD_BYTES:
            break
        if not tool.get("defer_loading"):
            head += encoded(_spelled_alike(tool)) + b"\0"
    for text in texts:
        if len(head) >= HEAD_BYTES:
            break
        head += text + b"\0"
    return digest_of(bytes(head[:HEAD_BYTES])) if head else b""


def is_forced(body: Mapping[str, Any], form: Any) -> bool:
    """Tell whether the form of the answer is forced.

    Args:
        body: The request.
        form: The format that it asks for.
    """
    choice = body.get("tool_choice")
    if named := fields_of(choice):
        # `allowed_tools` only narrows the choice, unless it requires one.
        if named.get("type") != "allowed_tools":
            return True
        choice = fields_of(named.get("allowed_tools") or named).get("mode")
    if choice == "required" or isinstance(body.get("function_call"), Mapping):
        return True
    return isinstance(form, type) or fields_of(form).get("type") in (
        "json_schema",
        "json_object",
    )


def _spelled_alike(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a tool as Responses spells it, which has no `function` around it."""
    bare = fields_of(bare_tool(tool))
    function = bare.get("function")
    if isinstance(function, Mapping):
        return {"type": "function", **function}
    return bare


def digest_of(content: bytes) -> bytes:
    """Return the digest of some bytes, the same in every process."""
    return blake2b(content, digest_size=DIGEST_BYTES).digest()
