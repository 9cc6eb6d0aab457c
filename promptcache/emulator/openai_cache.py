"""The entries and responses of an emulated OpenAI, guarded for many threads."""

import threading
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from promptcache.emulator.rules.openai import (
    Accepted,
    Verdict,
    machine_for,
    route,
    verdict_on,
)
from promptcache.emulator.rules.openai_diagnostics import ResponseFingerprint
from promptcache.emulator.rules.openai_entries import Entry, is_live
from promptcache.emulator.rules.openai_settings import OpenAISettings

__all__ = ["Admitted", "KeptResponse", "OpenAICache"]

MAX_RESPONSES = 10_000
PRUNE_ABOVE = 50_000

Where: TypeAlias = tuple[str, bytes, int]
"""Workspace, route and machine."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """The verdict on a request, and the machine that took it."""

    verdict: Verdict
    where: Where


@dataclass(frozen=True, slots=True)
class KeptResponse:
    """What is known of an answered request to the Responses API."""

    items: tuple[Mapping[str, Any], ...] | None
    """Input and output for the next request to go on from; None if not stored."""
    fingerprint: ResponseFingerprint
    at: float
    answer: Mapping[str, Any] | None = None
    """The response itself, to be asked for; None if not stored."""


class OpenAICache:
    """The entries on every machine; the rules decide, this only keeps."""

    def __init__(self, settings: OpenAISettings) -> None:
        self.settings = settings
        self._entries: dict[Where, dict[bytes, Entry]] = {}
        self._starts: dict[tuple[str, bytes], list[deque[float]]] = {}
        """For each route its machines, each with the requests that may fill it."""
        self._responses: OrderedDict[tuple[str, str], KeptResponse] = OrderedDict()
        self._lock = threading.Lock()

    def admit(self, request: Accepted, *, workspace: str, now: float) -> Admitted:
        """Judge a request that starts now, and extend what it reads."""
        with self._lock:
            taken = route(request, self.settings)
            starts = self._starts.setdefault((workspace, taken), [])
            number = machine_for(starts, request, now=now, settings=self.settings)
            if number == len(starts):
                starts.append(deque(maxlen=self.settings.requests_per_minute))
            starts[number].append(now)
            where = (workspace, taken, number)
            entries = self._entries.setdefault(where, {})
            verdict = verdict_on(request, entries, now=now, settings=self.settings)
            self._keep(entries, verdict.refreshed, now)
            return Admitted(verdict, where)

    def commit(self, admitted: Admitted, *, now: float) -> None:
        """Make a request's writes findable: its response begins."""
        with self._lock:
            entries = self._entries.setdefault(admitted.where, {})
            if len(entries) > PRUNE_ABOVE:
                for key in [key for key in entries if not is_live(entries[key], now)]:
                    del entries[key]
            self._keep(entries, admitted.verdict.written, now)

    def _keep(
        self, entries: dict[bytes, Entry], changed: Iterable[Entry], now: float
    ) -> None:
        for entry in changed:
            known = entries.get(entry.key)
            # A write never shortens the life of what another request can still read.
            if (
                known is None
                or not is_live(known, now)
                or known.expires <= entry.expires
            ):
                entries[entry.key] = entry

    def keep_response(self, name: str, kept: KeptResponse, *, workspace: str) -> None:
        """Keep an answered request by the id of its response."""
        with self._lock:
            self._responses[workspace, name] = kept
            if len(self._responses) > MAX_RESPONSES:
                self._responses.popitem(last=False)

    def response(self, name: str, *, workspace: str) -> KeptResponse | None:
        """Return what is known of a response of this workspace."""
        with self._lock:
            return self._responses.get((workspace, name))

    def clear(self) -> None:
        """Forget every entry, response and count."""
        with self._lock:
            self._entries.clear()
            self._starts.clear()
            self._responses.clear()
