"""Cached contents for tests of handles: in memory, and on an emulator over HTTP."""

import itertools
import json
import threading
import urllib.error
import urllib.request
from dataclasses import replace
from datetime import datetime

import pytest

from promptcache.limits import Limits
from promptcache.providers.gemini.handles import Creation, Handles
from promptcache.providers.gemini.handles.naming import DisplayName
from promptcache.providers.gemini.remote import Held, RemoteError
from promptcache.providers.gemini.terms import Terms
from promptcache.state.memory import MemoryStore

NOW = 1_795_000_000.0
HOUR = 3600.0
SCOPE = "developer/test"
TERMS = Terms(input=1e-6, read=1e-7, storage=2e-6, creation=1e-6)
"""With 5,000 tokens: $0.005 to create, and $0.01 an hour."""
MODEL = "gemini-3.8-flash"
MEMBERS = {"contents": [{"role": "user", "parts": [{"text": "abcd" * 5000}]}]}


class StillClock:
    """A clock that moves when it is advanced or somebody waits."""

    def __init__(self, now=NOW):
        self.time = now
        self.waited = 0.0

    def now(self):
        return self.time

    def wait(self, seconds):
        self.waited += seconds
        self.time += seconds

    def advance(self, seconds):
        self.time += seconds


class PatientClock(StillClock):
    """A clock that stands still while threads wait for each other."""

    def wait(self, seconds):
        threading.Event().wait(0.001)


class World:
    """Workers that share a store and a provider, and what they are told."""

    def __init__(self, store=None, clock=None):
        self.clock = clock or StillClock()
        self.store = store or MemoryStore()
        self.remote = MemoryRemote(self.clock)
        self.events = []

    def worker(self, store=None, events=None, **options):
        options = {"limits": Limits(usd_per_hour=1.0), **options}
        return Handles(
            store or self.store,
            clock=self.clock,
            tell=(self.events if events is None else events).append,
            **options,
        )

    def creation(self, **fields):
        usual = {
            "remote": self.remote,
            "model": MODEL,
            "members": MEMBERS,
            "tokens": 5000,
            "seconds": HOUR,
            "terms": TERMS,
        }
        return Creation(**{**usual, **fields})

    def told(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    def stored(self, key):
        return self.store.handle(key, now=self.clock.now())


def die(world, worker, key, **creation):
    """Have a worker end while it creates, before the provider has done it."""

    def killed():
        # The dead give no lease back.
        world.store.release = lambda lease: None
        raise KeyboardInterrupt

    world.remote.during["create"] = killed
    with pytest.raises(KeyboardInterrupt):
        worker.create(key, world.creation(**creation))
    del world.store.release


def leave(world, worker, key, *, seconds=HOUR):
    """Have a worker end right after the provider has created what it asked for."""
    die(world, worker, key)
    name = DisplayName(worker._keys.fleet, worker.owner, key)
    return world.remote.create(MODEL, {}, seconds=seconds, display_name=str(name))


class MemoryRemote:
    """A `Remote` that keeps what it is told, and fails or waits when it is told to."""

    host = "developer"

    def __init__(self, clock, *, tokens=5000, scope=SCOPE):
        self.clock = clock
        self.tokens = tokens
        self.scope = scope
        self.contents = {}
        self.asked = []
        self.failures = []
        self.unanswered = False
        """Whether the next creation is done and its answer lost."""
        self.during = {}
        """What happens while a call is under way, by its name, once."""
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)

    def create(self, model, members, *, seconds, display_name):
        self._called("create", display_name)
        with self._lock:
            now = self.clock.now()
            name = f"cachedContents/{next(self._numbers)}"
            made = Held(name, model, display_name, self.tokens, now, now + seconds)
        self._passes("create")
        with self._lock:
            self.contents[name] = made
        if self.unanswered:
            self.unanswered = False
            raise RemoteError.of(None, "no usable answer: ReadTimeout")
        return made

    def get(self, name):
        self._called("get", name)
        return self._found(name)

    def listed(self):
        self._called("list", "")
        yield from [held for held in list(self.contents.values()) if self._lives(held)]

    def extend(self, name, *, seconds):
        self._called("extend", name)
        self._passes("extend")
        held = replace(self._found(name), expires_at=self.clock.now() + seconds)
        self.contents[name] = held
        return held

    def delete(self, name):
        self._called("delete", name)
        self._passes("delete")
        self._found(name)
        del self.contents[name]

    def close(self):
        pass

    def fail(self, kind, status=400, message="no", times=1):
        """Have the next calls fail, whichever they are."""
        self.failures += [RemoteError(status, message, kind=kind)] * times

    @property
    def live(self):
        """The names of all that live."""
        return [held.name for held in self.contents.values() if self._lives(held)]

    def count(self, operation):
        """Return how often something was asked for."""
        return sum(asked == operation for asked, _ in self.asked)

    def _called(self, operation, name):
        self.asked.append((operation, name))
        with self._lock:
            failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure

    def _passes(self, operation):
        self.during.pop(operation, lambda: None)()

    def _found(self, name):
        held = self.contents.get(name)
        if held is None or not self._lives(held):
            raise RemoteError.of(403, "CachedContent not found (or permission denied)")
        return held

    def _lives(self, held):
        return held.expires_at > self.clock.now()


class HttpRemote:
    """A `Remote` on the emulator's Developer API, with no SDK to load."""

    host = "developer"

    def __init__(self, url):
        self.scope = SCOPE
        self._url = f"{url}/v1beta"

    def create(self, model, members, *, seconds, display_name):
        body = {"model": f"models/{model}", "ttl": f"{seconds}s", **members}
        body["displayName"] = display_name
        return _held(self._asked("POST", "/cachedContents", body))

    def get(self, name):
        return _held(self._asked("GET", f"/{name}"))

    def listed(self):
        path = "/cachedContents?pageSize=1000"
        page = self._asked("GET", path)
        while True:
            yield from map(_held, page.get("cachedContents", []))
            if "nextPageToken" not in page:
                return
            page = self._asked("GET", f"{path}&pageToken={page['nextPageToken']}")

    def extend(self, name, *, seconds):
        return _held(self._asked("PATCH", f"/{name}", {"ttl": f"{seconds}s"}))

    def delete(self, name):
        self._asked("DELETE", f"/{name}")

    def close(self):
        pass

    def _asked(self, method, path, body=None):
        request = urllib.request.Request(
            f"{self._url}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"x-goog-api-key": "test", "content-type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                message = json.load(error)["error"]["message"]
                raise RemoteError.of(error.code, message) from None


def _held(resource):
    return Held(
        name=resource["name"],
        model=resource["model"].rsplit("/", 1)[-1],
        display_name=resource.get("displayName", ""),
        tokens=resource["usageMetadata"]["totalTokenCount"],
        created_at=_seconds(resource["createTime"]),
        expires_at=_seconds(resource["expireTime"]),
    )


def _seconds(time):
    # Python 3.10 reads no more than six digits.
    whole, _, rest = time.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{whole}+00:00").timestamp() + float(
        f"0.{rest or 0}"
    )
