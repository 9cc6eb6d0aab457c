"""How our cached contents are called, at the provider and in stores.

Rule 1: a display name tells whose cached content it is and what for, without any
secret: after a crash it is all that is left.
"""

import re
from dataclasses import dataclass

from promptcache.errors import OptionError
from promptcache.providers.gemini.facts import MAX_DISPLAY_NAME

__all__ = [
    "PENDING",
    "PREFIX",
    "DisplayName",
    "is_pending",
    "pending_name",
]

PREFIX = "promptcache/"
"""What the display name of every cached content begins with that we made."""

PENDING = "pending/"
"""What the name of a handle begins with whose creation has begun."""

_FORM = re.compile(rf"{PREFIX}([0-9a-f]{{8}})/([0-9a-f]{{8}})/((?:[0-9a-f]{{2}})+)")


@dataclass(frozen=True, slots=True)
class DisplayName:
    """What the display name of a cached content says."""

    fleet: str
    """Id of all the workers that share a store; 8 hexadecimal digits."""
    owner: str
    """Id of the worker that made it; 8 hexadecimal digits."""
    key: bytes
    """Of its handle."""

    @classmethod
    def read(cls, text: str) -> "DisplayName | None":
        """Return what a display name says, or None if it is none of ours."""
        found = _FORM.fullmatch(text)
        return found and cls(found[1], found[2], bytes.fromhex(found[3]))

    def __str__(self) -> str:
        """Return the display name as the provider gets it.

        Raises:
            OptionError: The key is longer than there is room for.
        """
        text = f"{PREFIX}{self.fleet}/{self.owner}/{self.key.hex()}"
        if len(text) > MAX_DISPLAY_NAME:
            raise OptionError("key", self.key, f"{MAX_DISPLAY_NAME} characters in all")
        return text


def pending_name(owner: str, token: int) -> str:
    """Return the name of a handle until the provider has given it one.

    Args:
        owner: Id of the worker that creates it.
        token: That of its lease.
    """
    return f"{PENDING}{owner}/{token}"


def is_pending(name: str) -> bool:
    """Tell whether a handle's name stands for a creation that has only begun."""
    return name.startswith(PENDING)
