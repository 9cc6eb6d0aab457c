"""Payloads that are almost what they should be."""

from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

__all__ = ["JUNK", "mangled", "mutated"]

_EDGES = st.sampled_from(
    [
        *(None, True, False, 0, 1, -1, 2**31, 2**53 + 1, 2**63 - 1, 1e308, 0.5, -0.0),
        *("", " ", "0", "nan", "\u202e", "\x00", "x" * 300, "2026-01-01T00:00:00Z"),
        *([], [[]], [None], {}, {"type": "text"}, {"text": None}, {"role": "user"}),
    ]
)
JUNK = _EDGES | st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["type", "text", "role", "content", "name", "x"]),
            inner,
            max_size=2,
        )
    ),
    max_leaves=4,
)
"""Any JSON, the worst of it more often."""


@st.composite
def mutated(draw: st.DrawFn, valid: Any, *, most: int = 3) -> Any:
    """Return a value with some places replaced, left out, doubled, or made deep."""
    value = [deepcopy(valid)]
    for _ in range(draw(st.integers(1, most))):
        places = [place for place in _places(value) if place[0] is not value]
        holder, key = draw(st.sampled_from(places or [(value, 0)]))
        how = draw(st.sampled_from(["junk", "junk", "drop", "twice", "deep"]))
        if how == "drop" and holder is not value:
            del holder[key]
        elif how == "twice" and isinstance(holder, list) and holder is not value:
            holder.insert(key, deepcopy(holder[key]))
        elif how == "deep":
            holder[key] = _deep(holder[key], draw(st.sampled_from([3, 200])))
        else:
            # What is drawn may be one object each time, and is written to from here on.
            holder[key] = deepcopy(draw(JUNK))
    return value[0]


@st.composite
def mangled(draw: st.DrawFn, valid: bytes) -> bytes:
    """Return bytes cut, doubled, or with some in them replaced."""
    value = bytearray(valid)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(len(value) - 1, 0)))
        how = draw(st.sampled_from(["cut", "other", "insert", "repeat"]))
        if how == "cut":
            del value[at:]
        elif how == "repeat":
            value[at:at] = value[at : at + 40]
        else:
            new = draw(
                st.binary(min_size=1, max_size=4)
                | st.sampled_from([b"\n", b'"', b"}", b"null", b"\xff\xfe", b"\x00"])
            )
            value[at : at + (how == "other") * len(new)] = new
    return bytes(value)


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Return every place in a value, as what holds it and where."""
    found, waiting = [], [value]
    while waiting:
        it = waiting.pop()
        keys = list(it) if isinstance(it, dict) else range(len(it))
        for key in keys:
            found.append((it, key))
            if isinstance(it[key], (dict, list)):
                waiting.append(it[key])
    return found


def _deep(value: Any, levels: int) -> Any:
    for level in range(levels):
        value = [value] if level % 2 else {"content": value}
    return value
