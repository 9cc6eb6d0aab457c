"""Answers of Gemini as they are streamed.

Rule 1: a stream is a series of server-sent events with `alt=sse`, else one JSON array.
Rule 2: what chunks say of usage is what was used so far, or less until the last one.
Source: what google-genai 2.34 and google-generativeai 0.8.6 ask for and read.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

import orjson

from promptcache.emulator.rules.tokens import BLOCK, json_tokens, text_tokens

__all__ = ["ARRAY", "SERVER_SENT", "Framing", "chunks"]

Event = Mapping[str, Any]


class Framing(NamedTuple):
    """What stands around the chunks of a stream."""

    media_type: str
    first: bytes
    """Before the first chunk."""
    next: bytes
    """Before every other chunk."""
    after: bytes
    """After each chunk."""
    end: bytes = b""
    """After the last one."""

    def encoded(self, number: int, event: Event) -> bytes:
        """Return a chunk as it is sent; the first is number 0."""
        before = self.next if number else self.first
        return before + orjson.dumps(event) + self.after


SERVER_SENT = Framing("text/event-stream", b"data: ", b"data: ", b"\r\n\r\n")
ARRAY = Framing("application/json; charset=UTF-8", b"[", b",\r\n", b"", b"]")

CHUNK = 16
KEPT_EARLY = ("cachedContentTokenCount", "trafficType")


def chunks(whole: Event, *, early: Literal["cumulative", "cached"]) -> Iterator[Event]:
    """Yield the chunks of an answer.

    Args:
        whole: The answer.
        early: What all but the last of them say of usage.
    """
    (candidate,) = whole["candidates"]
    pieces = list(_pieces(candidate["content"]["parts"]))
    usage = whole["usageMetadata"]
    for number, (piece, said) in enumerate(pieces, 1):
        last = number == len(pieces)
        chosen = {
            "content": {"parts": [piece], "role": "model"},
            **({"finishReason": candidate["finishReason"]} if last else {}),
            "index": 0,
        }
        told = usage if last else _early(usage, said, early)
        yield {**whole, "candidates": [chosen], "usageMetadata": told}


def _early(usage: Event, said: int, early: str) -> Event:
    if early == "cached":
        return {name: usage[name] for name in KEPT_EARLY if name in usage}
    output = min(said, usage["candidatesTokenCount"])
    total = usage["promptTokenCount"] + output
    told = {**usage, "candidatesTokenCount": output, "totalTokenCount": total}
    if "candidatesTokensDetails" in told:
        told["candidatesTokensDetails"] = [{"modality": "TEXT", "tokenCount": output}]
    return told


def _pieces(parts: Iterable[Event]) -> Iterator[tuple[Event, int]]:
    """Yield texts in pieces and the rest as it is, each with the tokens until then."""
    begun = 0
    for part in parts:
        text = part.get("text")
        if not text or len(part) > 1:
            begun += BLOCK + json_tokens(part)
            yield part, begun
            continue
        for at in range(0, len(text), CHUNK):
            until = at + CHUNK
            yield {"text": text[at:until]}, begun + BLOCK + text_tokens(text[:until])
        begun += BLOCK + text_tokens(text)
