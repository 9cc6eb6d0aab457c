"""Which handles are to live on, and until when.

Rule 1: a handle is extended only while another use of it is expected, or it is held.
Rule 2: no lock is held over I/O.
"""

from dataclasses import dataclass, replace
from math import inf
from threading import Lock

from promptcache.clock import Clock
from promptcache.interrupts import undisturbed
from promptcache.providers.gemini.handles import Handles
from promptcache.providers.gemini.life import LONGEST_SECONDS, SHORTEST_SECONDS
from promptcache.providers.gemini.remote import Remote
from promptcache.state.forks import let_go_at_forks
from promptcache.state.stores import Handle

__all__ = ["Tended", "Tending"]

_BEFORE_SECONDS = 90.0
"""How long before its end a handle is extended."""

_LEAVING_SECONDS = 60.0
"""How long what is left behind lives on, for requests that name it already."""


@dataclass(frozen=True, slots=True)
class Tended:
    """A handle that is to live on."""

    handle: Handle
    remote: Remote
    until: float = inf
    """When it is better let go, in UTC seconds; never while it is held."""
    ahead: float = LONGEST_SECONDS
    """Seconds for which storage is ordered at a time."""
    is_due: bool = False
    """Whether a use has asked for a later end."""


class Tending:
    """Handles by name; safe from many threads and forks."""

    def __init__(self, handles: Handles, *, clock: Clock) -> None:
        """Tend nothing yet."""
        self._handles = handles
        self._clock = clock
        self._lock = Lock()
        self._tended: dict[str, Tended] = {}
        let_go_at_forks(self)

    def keep(self, tended: Tended) -> None:
        """Keep a handle alive until it is dropped, whatever its use."""
        with undisturbed(), self._lock:
            self._tended[tended.handle.name] = tended

    def use(self, tended: Tended) -> None:
        """Note a use, and until when that lets a handle live on."""
        with undisturbed(), self._lock:
            before = self._tended.get(tended.handle.name)
            if before is not None and before.until == inf:
                return
            if before is not None and before.is_due:
                tended = replace(tended, is_due=True)
            self._tended[tended.handle.name] = tended

    def leave(self, handle: Handle, remote: Remote) -> None:
        """Have a handle deleted soon that no request is going to name any more.

        Requests that are on their way may still name it.
        """
        until = self._clock.now() + _LEAVING_SECONDS
        with undisturbed(), self._lock:
            self._tended[handle.name] = Tended(handle, remote, until)

    def drop(self, name: str) -> None:
        """Leave a handle to its end."""
        with undisturbed(), self._lock:
            self._tended.pop(name, None)

    def tend(self) -> bool:
        """Extend and let go what is due; tell whether anything is left."""
        now = self._clock.now()
        for name, tended in list(self._tended.items()):
            handle = self._handles.known(tended.handle.key)
            if handle is None or handle.name != name:
                self.drop(name)
                continue
            left = handle.expires_at - now
            if tended.until <= now:
                self.drop(name)
                if left > _BEFORE_SECONDS and handle.owner == self._handles.owner:
                    self._handles.delete(handle, tended.remote)
                continue
            ends_early = left < min(_BEFORE_SECONDS, tended.ahead / 2)
            if tended.is_due or (ends_early and tended.until > handle.expires_at):
                self._extend(name, handle, tended, now)
        return bool(self._tended)

    def pause(self) -> bool:
        """Stand still before a fork."""
        return self._lock.acquire(timeout=1.0)

    def resume(self) -> None:
        """Go on after a fork."""
        self._lock.release()

    def restart(self) -> None:
        """Tend nothing in the child of a fork: its parent does."""
        self._lock = Lock()
        self._tended = {}

    def _extend(self, name: str, handle: Handle, tended: Tended, now: float) -> None:
        seconds = max(min(tended.until - now, tended.ahead), SHORTEST_SECONDS)
        if tended.is_due:
            with undisturbed(), self._lock:
                if self._tended.get(name) is tended:
                    self._tended[name] = replace(tended, is_due=False)
        if now + seconds > handle.expires_at:
            self._handles.extend(handle, tended.remote, seconds=seconds)
