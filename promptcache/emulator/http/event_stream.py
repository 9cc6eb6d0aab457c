"""The binary framing in which Amazon Bedrock streams events.

A frame is its length, the length of its headers, a checksum of both, the headers, the
payload, and a checksum of all of it. Source: `botocore` 1.44, `eventstream.py`.
"""

import base64
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import orjson

__all__ = ["MEDIA_TYPE", "framed"]

MEDIA_TYPE = "application/vnd.amazon.eventstream"
PRELUDE_AND_CHECKSUMS = 16
STRING = 7
EXCEPTIONS: Mapping[str, str] = {
    "invalid_request_error": "validationException",
    "overloaded_error": "serviceUnavailableException",
    "rate_limit_error": "throttlingException",
}


def framed(event: Mapping[str, Any]) -> bytes:
    """Return an event of the Messages API as a frame; an error is an exception."""
    if event["type"] == "error":
        error = event.get("error") or {}
        kind = EXCEPTIONS.get(str(error.get("type")), "internalServerException")
        payload = orjson.dumps({"message": error.get("message", "")})
        return _frame({":message-type": "exception", ":exception-type": kind}, payload)
    inner = base64.b64encode(orjson.dumps(event)).decode()
    headers = {":event-type": "chunk", ":message-type": "event"}
    return _frame(headers, orjson.dumps({"bytes": inner}))


def _frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    packed = b"".join(
        _header(name, value)
        for name, value in {":content-type": "application/json", **headers}.items()
    )
    size = PRELUDE_AND_CHECKSUMS + len(packed) + len(payload)
    prelude = struct.pack("!II", size, len(packed))
    frame = prelude + struct.pack("!I", zlib.crc32(prelude)) + packed + payload
    return frame + struct.pack("!I", zlib.crc32(frame))


def _header(name: str, value: str) -> bytes:
    key, text = name.encode(), value.encode()
    form = f"!B{len(key)}sBH{len(text)}s"
    return struct.pack(form, len(key), key, STRING, len(text), text)
