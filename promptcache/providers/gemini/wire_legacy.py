"""Requests of `google-generativeai` as JSON, and back.

Rule 1: the JSON is that of `google-genai`, so that both SDKs have the same digests.
Rule 2: what JSON cannot carry is not left out: then there is no body at all.
"""

from collections.abc import Mapping
from typing import Any

from google.ai import generativelanguage as glm
from google.protobuf import json_format  # type: ignore[import-untyped]

__all__ = ["body_of", "request_of"]

_URL_SAFE = str.maketrans("+/", "-_")
"""The alphabet in which `google-genai` spells bytes; the API reads both."""

_MEDIA = ("inlineData", "fileData")
_SPELLINGS: Mapping[str, str] = {"mimeType": "mime_type", "fileUri": "file_uri"}
"""How `google-genai` spells what media have; the API reads both. Source: what 2.34 and
3.4 were seen to send."""

_STRUCTS: Mapping[str, str] = {"functionCall": "args", "functionResponse": "response"}
"""Parts that hold a `Struct`, and where. It has no integers: 2 is 2.0 there. Source:
google/protobuf/struct.proto."""

_EXACT = 2**53
"""From here on not every integer is a number of a `Struct`."""


def body_of(request: Any) -> dict[str, Any] | None:
    """Return what a `GenerateContentRequest` says, but for its model.

    Returns:
        None if it holds fields that the SDK does not know, as answers over gRPC may, or
        numbers that JSON does not have.
    """
    message = glm.GenerateContentRequest.pb(request)
    if _has_unknown_fields(message):
        return None
    try:
        body: dict[str, Any] = json_format.MessageToDict(message)
    except json_format.SerializeToJsonError:
        return None
    body.pop("model", None)
    for content in (body.get("systemInstruction", {}), *body.get("contents", ())):
        for part in content.get("parts", ()):
            for kind in part.keys() & _MEDIA:
                part[kind] = _media(part[kind])
            for kind in part.keys() & _STRUCTS.keys():
                part[kind] = {name: _whole(it) for name, it in part[kind].items()}
    return body


def request_of(body: Mapping[str, Any], model: str) -> Any:
    """Return the `GenerateContentRequest` that says what a body says.

    Args:
        body: The body; it is not written to.
        model: The model, with its path.

    Raises:
        ParseError: The SDK cannot express it.
    """
    request = glm.GenerateContentRequest()
    json_format.ParseDict(dict(body), glm.GenerateContentRequest.pb(request))
    request.model = model
    return request


def _media(said: Mapping[str, str]) -> dict[str, str]:
    media = {_SPELLINGS.get(name, name): value for name, value in said.items()}
    if "data" in media:
        media["data"] = media["data"].translate(_URL_SAFE)
    return media


def _whole(value: Any) -> Any:
    """Return a value with integers for whole numbers, as `google-genai` has them."""
    if isinstance(value, dict):
        return {name: _whole(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_whole(inner) for inner in value]
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) < _EXACT
    return int(value) if is_whole else value


def _has_unknown_fields(message: Any) -> bool:
    known = type(message)()
    known.CopyFrom(message)
    known.DiscardUnknownFields()
    return bool(known.ByteSize() != message.ByteSize())
