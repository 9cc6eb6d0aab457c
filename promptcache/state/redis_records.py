"""How records are written in Redis, and read again.

Rule 1: other programs may write anything under any key: what is read raises one of
`NOT_OURS`, or is in bounds.
"""

from json import dumps, loads

from promptcache.errors import UnstorableError
from promptcache.state.stores import Handle, Lease

__all__ = [
    "NOT_OURS",
    "counted",
    "handle_of",
    "mark_of",
    "or_dash",
    "packed",
    "text_of",
    "use_of",
]

NOT_OURS = (
    ArithmeticError,
    AttributeError,
    RecursionError,
    TypeError,
    UnstorableError,
    ValueError,
)
"""What reading raises where another program has written."""

Stored = bytes | str
"""What a client returns; which of the two is up to whoever made it."""


def packed(handle: Handle) -> str:
    """Return what of a handle stays as it is, led by its name for the scripts."""
    rest = (
        handle.model,
        handle.scope,
        handle.tokens,
        handle.created_at,
        handle.owner,
    )
    return f"{handle.name}\n{dumps(rest)}"


def use_of(handle: Handle) -> str:
    """Return what of a handle changes with each use."""
    return f"{handle.uses} {or_dash(handle.used_at)} {or_dash(handle.saved_usd)}"


def handle_of(key: Stored, until: Stored, whole: Stored, use: Stored) -> Handle:
    """Return the handle of a record.

    Args:
        key: Its key, as hexadecimal digits.
        until: When it ends.
        whole: What `packed` returned.
        use: What `use_of` returned, or a script has made of it.
    """
    name, _, rest = text_of(whole).partition("\n")
    model, scope, tokens, created_at, owner = loads(rest)
    uses, used_at, saved_usd = text_of(use).split()
    return Handle(
        key=bytes.fromhex(text_of(key)),
        name=name,
        model=model,
        scope=scope,
        tokens=tokens,
        created_at=created_at,
        expires_at=float(until),
        owner=owner,
        uses=int(uses),
        used_at=_unless_dash(used_at),
        saved_usd=_unless_dash(saved_usd),
    )


def counted(key: Stored, sums: Stored) -> tuple[bytes, tuple[int, ...]]:
    """Return the key of a record of counts, and its numbers."""
    return bytes.fromhex(text_of(key)), tuple(map(int, text_of(sums).split(",")))


def mark_of(lease: Lease) -> str:
    """Return what tells a lease from those before it."""
    return f"{lease.token} {lease.owner}"


def text_of(value: Stored) -> str:
    """Return what was stored as text."""
    return value if isinstance(value, str) else value.decode()


def or_dash(number: float | None) -> str:
    """Return a number without loss, or what stands for none."""
    return "-" if number is None else repr(number)


def _unless_dash(number: str) -> float | None:
    return None if number == "-" else float(number)
