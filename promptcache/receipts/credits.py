"""Whose doing it is that a request read from the cache.

Rule 1: who asked for the breakpoint by which the prefix was found has the credit.
Rule 2: what the provider does unasked is nobody's.

The breakpoint is told by size: it is the first one whose estimated prefix is as long as
what was read, or nearly. So a request that reads up to a marker of the caller's is
`fixed`, though another was placed behind it. Where two breakpoints stand closely
together, the estimate may take one for the other; and a breakpoint of ours that an
earlier process wrote, and the caller's own now finds, counts as theirs.
"""

from collections.abc import Sequence

from promptcache.receipts.footprint import Footprint
from promptcache.receipts.receipt import Credit

__all__ = ["credits_of"]

_NEARLY = 0.9


def credits_of(
    asked: Footprint,
    whose: Sequence[Credit],
    *,
    named: Credit | None = None,
) -> tuple[Credit, ...]:
    """Return whose doing it is; nothing if nothing was read.

    Args:
        asked: The request.
        whose: Who asked for each of its entries, in their order.
        named: Who put the name of a cached content there, if anybody did.
    """
    if not asked.read_tokens:
        return ()
    if named is not None:
        return (named,)
    if not whose:
        return ("implicit",)
    for (position, _), credit in zip(asked.entries, whose, strict=True):
        if asked.estimate(position) >= _NEARLY * asked.read_tokens:
            return (credit,)
    return (whose[-1],)
