"""The entries of an emulated Claude, guarded for many threads."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from promptcache.emulator.rules.anthropic import Verdict, judge
from promptcache.emulator.rules.anthropic_entries import Entry, is_live
from promptcache.emulator.rules.anthropic_iterations import Bill, bill_of
from promptcache.emulator.rules.settings import Settings

__all__ = ["AnthropicCache"]

PRUNE_ABOVE = 50_000


class AnthropicCache:
    """The entries of every workspace; the rules decide, this only keeps."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._entries: dict[str, dict[bytes, Entry]] = {}
        self._lock = threading.Lock()

    def admit(
        self,
        body: Mapping[str, Any],
        *,
        workspace: str,
        now: float,
        betas: Sequence[str] = (),
    ) -> Verdict:
        """Judge a request that starts now, and extend what it reads."""
        with self._lock:
            entries = self._entries.setdefault(workspace, {})
            verdict = judge(body, entries, now=now, settings=self.settings, betas=betas)
            self._keep(entries, verdict.refreshed, now)
            return verdict

    def commit(self, verdict: Verdict, *, workspace: str, now: float) -> None:
        """Make a request's writes findable: its response begins."""
        with self._lock:
            entries = self._entries.setdefault(workspace, {})
            if len(entries) > PRUNE_ABOVE:
                self._prune(entries, now)
            self._keep(entries, verdict.written, now)

    def bill(
        self,
        body: Mapping[str, Any],
        content: Sequence[Mapping[str, Any]],
        verdict: Verdict,
        *,
        workspace: str,
        now: float,
        betas: Sequence[str] = (),
    ) -> Bill:
        """Bill an answer to a request that started now, and keep what it wrote."""
        with self._lock:
            entries = self._entries.setdefault(workspace, {})
            bill = bill_of(
                body,
                content,
                verdict,
                entries,
                now=now,
                settings=self.settings,
                betas=betas,
            )
            self._keep(entries, bill.written, now)
            return bill

    def _keep(
        self, entries: dict[bytes, Entry], changed: Iterable[Entry], now: float
    ) -> None:
        for entry in changed:
            known = entries.get(entry.key)
            longer = known is not None and known.expires > entry.expires
            # A write never shortens the life of what another request can still read.
            if not longer or not is_live(
                entry.key, entries, now=now, settings=self.settings
            ):
                entries[entry.key] = entry

    def _prune(self, entries: dict[bytes, Entry], now: float) -> None:
        dead = [
            key
            for key in entries
            if not is_live(key, entries, now=now, settings=self.settings)
        ]
        for key in dead:
            del entries[key]

    def clear(self) -> None:
        """Forget every entry."""
        with self._lock:
            self._entries.clear()
