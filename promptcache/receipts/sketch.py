"""What is kept of a block to tell later where, and in what, another one differs.

Rule 1: a sketch holds digests, checksums and a size: no text can be read from it.
Rule 2: it is made of what a block says as the wire has it, mostly JSON, where white
space may be spelled with a backslash; so both spellings count as white space.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from zlib import crc32

from promptcache.receipts.miss import Form

__all__ = [
    "DIGEST_BYTES",
    "STEP",
    "Sketch",
    "common_bytes",
    "common_end",
    "digest_of",
    "form_of",
]

DIGEST_BYTES = 8

STEP = 64
"""Bytes between two checksums of a short block; long ones have a power of two more."""

_MOST_SUMS = 256
_SUM_BYTES = 4

_FORMS: tuple[Form, ...] = ("line ends", "white space", "case", "Unicode form")
"""The narrowest first: where only line ends differ, white space does too."""

_SPELLED = re.compile(r"\\+[nrt]")
_LINE_ENDS = re.compile(r"\r\n?|(?:\\+r\\+n|\\+r)")
_LINE_END = re.compile(r"\n|\\+n")


@dataclass(frozen=True, slots=True)
class Sketch:
    """What is left of one block."""

    size: int
    """Its bytes."""
    step: int
    """Bytes between two checksums."""
    sums: bytes
    """Checksums of its first `step` bytes, its first `2 * step` bytes, and so on."""
    ends: bytes
    """Checksums of its last 64 bytes, its last 128, and so on, each twice as many."""
    forms: bytes
    """A digest of each of its normal forms, in one."""

    @classmethod
    def of(cls, content: bytes) -> "Sketch":
        """Return the sketch of a block.

        Args:
            content: What it says, as outlines read it.
        """
        step = STEP
        while len(content) // step > _MOST_SUMS:
            step *= 2
        forms = b"".join(digest_of(form) for form in _normal(content))
        return cls(len(content), step, _sums(content, step), _ends(content), forms)


def digest_of(content: bytes, salt: bytes = b"") -> bytes:
    """Return a short digest.

    Args:
        content: What is digested.
        salt: At most 16 bytes; with another salt, nothing has the same digest.
    """
    return blake2b(content, digest_size=DIGEST_BYTES, salt=salt).digest()


def common_bytes(one: Sketch, other: Sketch) -> int:
    """Return how many bytes of two blocks are the same, from their beginning.

    Never more than there are, and less than one step of the longer block fewer, but
    for one time in four billion.
    """
    step, common = max(one.step, other.step), 0
    for end in range(step, min(one.size, other.size) + 1, step):
        if _sum(one, end) != _sum(other, end):
            break
        common = end
    return common


def common_end(one: Sketch, other: Sketch) -> int:
    """Return how many bytes at the end of two blocks are the same, or half of that."""
    common, size = 0, STEP
    for start in range(0, min(len(one.ends), len(other.ends)), _SUM_BYTES):
        end = slice(start, start + _SUM_BYTES)
        if one.ends[end] != other.ends[end]:
            break
        common, size = size, size * 2
    return common


def form_of(one: Sketch, other: Sketch) -> Form | None:
    """Return in what alone two blocks differ that are not the same; None in more."""
    for number, form in enumerate(_FORMS):
        digest = slice(number * DIGEST_BYTES, (number + 1) * DIGEST_BYTES)
        if one.forms[digest] == other.forms[digest]:
            return form
    return None


def _sums(content: bytes, step: int) -> bytes:
    view, total, sums = memoryview(content), 0, bytearray()
    for start in range(0, len(content) - step + 1, step):
        total = crc32(view[start : start + step], total)
        sums += total.to_bytes(_SUM_BYTES, "big")
    return bytes(sums)


def _ends(content: bytes) -> bytes:
    size, sums = STEP, bytearray()
    while size <= len(content):
        sums += crc32(content[-size:]).to_bytes(_SUM_BYTES, "big")
        size *= 2
    return bytes(sums)


def _sum(sketch: Sketch, end: int) -> bytes:
    number = end // sketch.step - 1
    return sketch.sums[number * _SUM_BYTES : (number + 1) * _SUM_BYTES]


def _normal(content: bytes) -> Iterator[bytes]:
    """Yield a block in each normal form, in the order of `_FORMS`."""
    text = content.decode("utf-8", "surrogatepass")
    has_ends = "\r" in text or "\\" in text
    lines = _LINE_END.sub("\n", _LINE_ENDS.sub("\n", text)) if has_ends else text
    spelled = _SPELLED.sub(" ", text) if "\\" in text else text
    composed = text if text.isascii() else unicodedata.normalize("NFC", text)
    for form in (lines, "".join(spelled.split()), text.casefold(), composed):
        yield form.encode("utf-8", "surrogatepass")
