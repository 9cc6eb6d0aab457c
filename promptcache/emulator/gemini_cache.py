"""The cached contents and prefixes of an emulated Gemini, guarded for many threads."""

import itertools
import threading
from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

from promptcache.emulator.rules.gemini import (
    Accepted,
    Asked,
    Verdict,
    accepted,
    verdict_on,
)
from promptcache.emulator.rules.gemini_contents import (
    CachedContent,
    billed_seconds,
    content_name,
    found,
    page,
)
from promptcache.emulator.rules.gemini_prompt import Segment, total_tokens
from promptcache.emulator.rules.gemini_requests import bare
from promptcache.emulator.rules.gemini_settings import GeminiSettings
from promptcache.emulator.rules.gemini_spelling import Body
from promptcache.providers.gemini.facts import MAX_PAGE_SIZE, Host

__all__ = ["CacheRow", "GeminiCache", "Where"]

HOUR = 3600.0
PRUNE_ABOVE = 50_000
SWEEP_EACH = 64


class Where(NamedTuple):
    """Who shares caches: one workspace in one place."""

    host: Host
    parent: str
    """The project and location; empty on the Developer API."""
    workspace: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheRow:
    """One cached content as the provider would bill its storage so far."""

    name: str
    host: Host
    workspace: str
    model: str
    display_name: str
    tokens: int
    created: float
    expires: float
    deleted: float | None
    """When it was deleted; None if it was not."""
    live: bool
    """Whether it can be used."""
    token_seconds: float
    """Tokens stored, times the seconds they are billed for."""

    @property
    def token_hours(self) -> float:
        """Tokens stored, times the hours they are billed for."""
        return self.token_seconds / HOUR

    def as_dict(self) -> dict[str, Any]:
        """Return the row as it is served over HTTP."""
        return {**asdict(self), "token_hours": self.token_hours}


class GeminiCache:
    """What every workspace keeps; the rules decide, this only keeps."""

    def __init__(self, settings: GeminiSettings) -> None:
        self.settings = settings
        self._contents: dict[Where, dict[str, CachedContent]] = {}
        self._prefixes: dict[Where, dict[bytes, float]] = {}
        self._tried = Counter[Where]()
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def admit(self, asked: Asked, *, where: Where, now: float) -> Accepted:
        """Return a request that starts now, as it is rendered.

        Raises:
            GeminiRejectedError: The provider would refuse it.
        """
        with self._lock:
            return accepted(asked, self._contents.get(where, {}), now=now)

    def judge(self, request: Accepted, *, where: Where, now: float) -> Verdict:
        """Return what a request reads that starts now."""
        with self._lock:
            verdict = verdict_on(
                request,
                self._prefixes.get(where, {}),
                number=self._tried[where],
                now=now,
                settings=self.settings,
            )
            self._tried[where] += verdict.tried
            return verdict

    def commit(self, verdict: Verdict, *, where: Where, sent: float) -> None:
        """Make what a request has sent findable: its response begins."""
        with self._lock:
            prefixes = self._prefixes.setdefault(where, {})
            if len(prefixes) > PRUNE_ABOVE:
                for key in [key for key, until in prefixes.items() if until <= sent]:
                    del prefixes[key]
            until = sent + self.settings.implicit_seconds
            for key in verdict.left:
                prefixes[key] = max(until, prefixes.get(key, until))

    def create(
        self,
        body: Body,
        segments: tuple[Segment, ...],
        *,
        where: Where,
        now: float,
        expires: float,
    ) -> CachedContent:
        """Keep a new cached content."""
        with self._lock:
            number, contents = next(self._numbers), self._contents.setdefault(where, {})
            if number % SWEEP_EACH == 0:
                _empty(contents, now)
            content = CachedContent(
                name=content_name(where.host, where.parent, number),
                host=where.host,
                body=body,
                segments=segments,
                tokens=total_tokens(segments),
                created=now,
                updated=now,
                expires=expires,
            )
            contents[content.name] = content
            return content

    def get(self, name: str, *, where: Where, now: float) -> CachedContent:
        """Return a cached content.

        Raises:
            GeminiRejectedError: It is not there, its time is over, or it is another's.
        """
        with self._lock:
            return self._found(name, where, now)

    def extend(
        self, name: str, expires: float, *, where: Where, now: float
    ) -> CachedContent:
        """Give a cached content another expiration.

        Raises:
            GeminiRejectedError: It is not there, its time is over, or it is another's.
        """
        with self._lock:
            content = self._found(name, where, now, update=True)
            content = content.until(expires, now=now)
            self._contents[where][name] = content
            return content

    def delete(self, name: str, *, where: Where, now: float) -> CachedContent:
        """End the life of a cached content, and return it.

        Raises:
            GeminiRejectedError: It is not there, its time is over, or it is another's.
        """
        with self._lock:
            content = replace(self._found(name, where, now), deleted=now)
            self._contents[where][name] = content.emptied()
            return content

    def listed(
        self, *, size: object, token: object, where: Where, now: float
    ) -> dict[str, Any]:
        """Return a page of what is live.

        Raises:
            GeminiRejectedError: There is no such page.
        """
        with self._lock:
            return page(
                self._contents.get(where, {}),
                size=size,
                token=token,
                now=now,
                usual=self.settings.page_size,
                most=MAX_PAGE_SIZE,
            )

    def rows(self, now: float) -> list[CacheRow]:
        """Return all that were created, oldest first, and their storage until now."""
        with self._lock:
            kept = [
                (content, where)
                for where, contents in self._contents.items()
                for content in contents.values()
            ]
        until = self.settings.storage_until
        rows = [
            CacheRow(
                name=content.name,
                host=content.host,
                workspace=where.workspace,
                model=bare(content.model),
                display_name=str(content.body.get("displayName") or ""),
                tokens=content.tokens,
                created=content.created,
                expires=content.expires,
                deleted=content.deleted,
                live=content.live(now),
                token_seconds=content.tokens
                * billed_seconds(content, now=now, until=until),
            )
            for content, where in kept
        ]
        return sorted(rows, key=lambda row: row.created)

    def clear(self) -> None:
        """Forget every cached content, prefix and count."""
        with self._lock:
            self._contents.clear()
            self._prefixes.clear()
            self._tried.clear()

    def _found(
        self, name: str, where: Where, now: float, *, update: bool = False
    ) -> CachedContent:
        contents = self._contents.get(where, {})
        return found(name, contents, host=where.host, now=now, update=update)


def _empty(contents: dict[str, CachedContent], now: float) -> None:
    """Let go of what those hold whose time is over; their rows stay."""
    for name, content in contents.items():
        if content.segments and not content.live(now):
            contents[name] = content.emptied()
