"""The form of a `cache_control`, and the places inside of blocks that take none."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from promptcache.emulator.rules.anthropic_blocks import is_server_result, nested
from promptcache.emulator.rules.rejection import RejectedError
from promptcache.providers.anthropic.facts import TTL_SECONDS

__all__ = ["EXTRA", "check_inside", "check_marker", "refuse_extras"]

CACHE_CONTROL = frozenset({"type", "ttl"})
EXTRA = "Extra inputs are not permitted"
SUB_CONTENT = ("citations", "content")


def refuse_extras(path: str, value: Mapping[str, Any], known: Iterable[str]) -> None:
    """Refuse fields that are not known.

    Raises:
        RejectedError: There is one.
    """
    for name in value:
        if name not in known:
            raise RejectedError(f"{path}{name}: {EXTRA}")


def check_inside(path: str, block: Mapping[str, Any]) -> None:
    """Refuse markers inside of a block, but lift one from its last sub-block.

    Source: caozhiyuan/copilot-api#241 for the refusal, release notes for the lift;
    the request types of `anthropic` 2.12 for citations and server tools' results.

    Raises:
        RejectedError: A marker stands where it may not, or a sub-block is no object.
    """
    for field in SUB_CONTENT:
        for index, part in enumerate(_parts(block, field)):
            if part.get("cache_control") is not None:
                raise RejectedError(f"{path}.{field}.{index}.cache_control: {EXTRA}")
    content = block.get("content") if block.get("type") == "tool_result" else None
    for index, part in enumerate(content if isinstance(content, list) else ()):
        if not isinstance(part, Mapping):
            msg = f"{path}.content.{index}: Input should be an object"
            raise RejectedError(msg)
    parts = nested(block)
    field = "content" if block.get("type") == "tool_result" else "source.content"
    for index, part in enumerate(parts):
        marker = part.get("cache_control")
        place = f"{path}.{field}.{index}.cache_control"
        if marker is not None and index < len(parts) - 1:
            kind = block["type"]
            msg = (
                f"{place}: cache_control may not be specified within "
                f"`{kind}.{field}`. Instead, place it directly on `{kind}` "
            )
            raise RejectedError(msg)
        check_marker(place, marker)


def check_marker(path: str, marker: object) -> None:
    """Refuse a `cache_control` that is not exactly type and ttl.

    Source: anthropics/claude-code#25597 for the path of an unknown field; the ttl and
    type texts are quoted in public repositories.

    Raises:
        RejectedError: It is of another form.
    """
    if marker is None:
        return
    if not isinstance(marker, Mapping):
        raise RejectedError(f"{path}: Input should be an object")
    if "type" not in marker:
        raise RejectedError(f"{path}.type: Field required")
    if marker["type"] != "ephemeral":
        msg = (
            f"{path}: Input tag '{marker['type']}' found using 'type' does not match "
            f"any of the expected tags: 'ephemeral'"
        )
        raise RejectedError(msg)
    refuse_extras(f"{path}.ephemeral.", marker, CACHE_CONTROL)
    if marker.get("ttl") not in (None, *TTL_SECONDS):
        raise RejectedError(f"{path}.ephemeral.ttl: Input should be '5m' or '1h'")


def _parts(block: Mapping[str, Any], field: str) -> Iterator[Mapping[str, Any]]:
    """Yield the parts of a block that can never be marked nor lift a marker."""
    if field == "content" and not is_server_result(block):
        return
    parts = block.get(field)
    for part in parts if isinstance(parts, list) else (parts,):
        if isinstance(part, Mapping):
            yield part
