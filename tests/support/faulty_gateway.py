"""An emulator behind a gateway that does to its answers what a bad network does.

What a request meets is ordered by its workspace, so that two models with the same
script meet the same, whatever else runs. A gateway that refuses a field lets requests
without it pass, and its order is used up all the same.
"""

import asyncio
import re
from collections import defaultdict, deque
from dataclasses import dataclass, field, replace
from typing import Any
from unittest import mock

from promptcache.emulator import Emulator
from promptcache.emulator.http import server
from promptcache.emulator.http.dropping import HOOK
from promptcache.emulator.ledger import Ledger

__all__ = ["FaultyEmulator", "Met", "Trick"]

_ANSWERS = re.compile(
    r"/(messages|chat/completions|responses)$|:(stream)?[gG]enerateContent$"
)
_WORKSPACE = re.compile(r"ws-([^-]+)-")
OURS = (
    "cache_control",
    "cachedContent",
    "prompt_cache_breakpoint",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
)
"""The fields of requests that caching adds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trick:
    """What is done to one request or its answer; nothing at all by default."""

    name: str = ""
    status: int | None = None
    """Answer with it, and ask nobody."""
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ((b"content-type", b"application/json"),)
    refuses: bool = False
    """Only for requests with a field of ours; it is named in the body by `FIELD`."""
    silent: bool = False
    """Say nothing until the client goes."""
    closed: bool = False
    """Close the socket instead of answering."""
    change: Any = None
    """Takes the bytes of an answer, or of an event of one, and returns others."""
    after: int | None = None
    """How many events of a stream pass first; None for all that `change` changes."""
    then: str = "on"
    """What comes behind: `on`, `end` of the answer, `close` of the socket, `silent`."""

    @property
    def is_answer(self):
        """Whether nobody else is asked."""
        return self.status is not None or self.silent or self.closed


@dataclass(slots=True)
class Met:
    """What became of one request."""

    workspace: str
    path: str
    trick: Trick
    ours: str | None
    """A field of ours that it carries."""
    body: bytes = field(repr=False)
    row: Any = None
    """Its row of the ledger; None where the emulator was not asked."""


class _Books(Ledger):
    """A ledger in which a workspace's requests for an answer are found at once."""

    def __init__(self):
        super().__init__()
        self.by_workspace = defaultdict(list)
        self.keeps_bodies = True

    def add(self, row):
        kept = row if self.keeps_bodies else replace(row, body={})
        with self._lock:
            self._rows.append(kept)
            if _ANSWERS.search(row.path):
                self.by_workspace[row.workspace].append(kept)

    def clear(self):
        with self._lock:
            self._rows.clear()
            self.by_workspace.clear()


class FaultyEmulator(Emulator):
    """An emulator whose answers pass a gateway that follows scripts."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.books = self._machine.ledger = _Books()
        self.scripts = defaultdict(deque)
        self.met = defaultdict(list)
        """What became of the requests of each workspace, oldest first."""

    def start(self):
        """Listen, with the gateway behind what can drop a connection."""
        build, configure = server.build_app, server._config

        def built(machine):
            app = build(machine)
            app._app = _Gateway(app._app, self)
            return app

        def configured(app):
            config = configure(app)
            # On a slow machine a connection would be closed just when it is used again,
            # which a stock class fails on, too.
            config.timeout_keep_alive = 3_600
            return config

        with (
            mock.patch.object(server, "build_app", built),
            mock.patch.object(server, "_config", configured),
        ):
            super().start()

    def reset(self):
        """Forget all that was met, too."""
        super().reset()
        self.scripts.clear()
        self.met.clear()


class _Gateway:
    def __init__(self, app, emulator):
        self._app, self._emulator = app, emulator

    async def __call__(self, scope, receive, send):
        asks = scope["type"] == "http" and scope["method"] == "POST"
        if not asks or not _ANSWERS.search(scope["path"]):
            await self._app(scope, receive, send)
            return
        body = await _read(receive)
        met = self._meet(scope, body)
        if met.trick.is_answer:
            await _answer(met, scope, receive, send)
            return
        passed = _Passed(met, self._emulator, scope, receive, send)
        await self._app(scope, _replayed(body, receive), passed.send)

    def _meet(self, scope, body):
        said = [value.decode("latin-1") for _, value in scope["headers"]]
        said.append(scope["query_string"].decode("latin-1"))
        found = next(filter(None, map(_WORKSPACE.search, said)), None)
        workspace = found[1] if found else "default"
        ours = next((name for name in OURS if b'"%b":' % name.encode() in body), None)
        trick = self._next(self._emulator.scripts[workspace], ours)
        met = Met(workspace, scope["path"], trick, ours, body)
        self._emulator.met[workspace].append(met)
        return met

    @staticmethod
    def _next(script, ours):
        while script:
            trick = script.popleft()
            if ours or not trick.refuses:
                return trick
        return Trick()


async def _answer(met, scope, receive, send):
    trick = met.trick
    if trick.closed:
        await scope[HOOK]()
        return
    if trick.silent:
        await _gone(receive)
        return
    body = trick.body.replace(b"FIELD", (met.ours or "").encode())
    headers = [*trick.headers, (b"content-length", str(len(body)).encode())]
    await send(
        {"type": "http.response.start", "status": trick.status, "headers": headers}
    )
    await send({"type": "http.response.body", "body": body})


class _Passed:
    """An answer on its way through."""

    def __init__(self, met, emulator, scope, receive, send):
        self._met, self._emulator = met, emulator
        self._trick, self._scope, self._receive = met.trick, scope, receive
        self._send, self._start, self._number, self._over = send, None, 0, False

    async def send(self, message):
        if message["type"] == "http.response.start":
            self._begin(message["status"])
        trick = self._trick
        if self._over:
            # A stream that is not waited for would go on in no time, and for nothing.
            await asyncio.sleep(0)
            return
        if trick.change is None and trick.after is None:
            await self._send(message)
        elif message["type"] == "http.response.start":
            self._start = message
        elif self._is_whole():
            await self._whole(message)
        else:
            await self._event(message)

    def _begin(self, status):
        # It is written before it is answered, and requests of one workspace come one
        # after the other.
        self._met.row = self._emulator.books.by_workspace[self._met.workspace][-1]
        if status != 200:
            # A refusal is nothing to change; what is sent instead of it may be.
            if self._trick.name:
                self._emulator.scripts[self._met.workspace].appendleft(self._trick)
            self._trick = self._met.trick = Trick()

    def _is_whole(self):
        return any(key == b"content-length" for key, _ in self._start["headers"])

    async def _whole(self, message):
        change = self._trick.change or (lambda body: body)
        body = change(message["body"])
        # What is cut is shorter than what was announced.
        size = len(message["body"] if self._trick.then != "on" else body)
        headers = [
            pair for pair in self._start["headers"] if pair[0] != b"content-length"
        ]
        headers.append((b"content-length", str(size).encode()))
        await self._send({**self._start, "headers": headers})
        await self._send({**message, "body": body, "more_body": size > len(body)})
        if size > len(body):
            await self._leave()

    async def _event(self, message):
        trick, number = self._trick, self._number
        if not number:
            await self._send(self._start)
        self._number += 1
        is_due = trick.after is None or number == trick.after
        if not is_due or not message.get("body"):
            await self._send(message)
            return
        change = trick.change or (lambda body: body)
        await self._send({**message, "body": change(message["body"])})
        if trick.then != "on":
            await self._leave()

    async def _leave(self):
        self._over = True
        if self._trick.then == "end" and not self._is_whole():
            await self._send({"type": "http.response.body", "body": b""})
        elif self._trick.then == "silent":
            await _gone(self._receive)
        else:
            await self._scope[HOOK]()


async def _read(receive):
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def _replayed(body, receive):
    first = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay():
        return first.pop() if first else await receive()

    return replay


async def _gone(receive):
    while (await receive())["type"] != "http.disconnect":
        pass
