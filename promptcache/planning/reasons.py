"""Why a breakpoint stands where it does, in one word each."""

from typing import Final, Literal

__all__ = ["FIXED", "Reason"]

Reason = Literal[
    "tools",  # the end of the tools
    "system",  # the end of a system block that does not change
    "tail",  # the end of the request, which the next one will repeat
    "stable",  # the end of the turns before the last one
    "previous",  # where an earlier request wrote, beyond the look-back of the others
    "held",  # where what is alive for the long lifetime ends
    "part",  # the end of a static text or of a document within a turn
    "shared",  # the end of what an earlier request had in common with this one
    "spaced",  # a step of the look-back through a long new stretch
    "fixed",  # the caller's own
]

FIXED: Final = "fixed"
