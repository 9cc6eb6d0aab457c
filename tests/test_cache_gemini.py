"""What the cache adds for Gemini: a store, a keeper, placements, and their end."""

import threading

import pytest

from promptcache import PromptCache, options
from promptcache.errors import OptionError, PlanningError, StoreError
from promptcache.flow import Aside, arun, run
from promptcache.holdings import Holdings
from promptcache.limits import Limits
from promptcache.options import CallOptions
from promptcache.providers import Request, provider_named, warm_client
from promptcache.providers.gemini import GEMINI
from promptcache.receipts.events import PlanningFailed, Settled, StoreFailed
from promptcache.state.memory import MemoryStore
from promptcache.state.sqlite import SqliteStore

MODEL = "gemini-3.8-flash"
USAGE = {"promptTokenCount": 9, "candidatesTokenCount": 2, "totalTokenCount": 11}


class Keeper:
    """A keeper that does what a test says."""

    entry = None

    def __init__(self, place=None, lost=True):
        self.asked, self.receipts, self.closed = [], [], 0
        self._place, self._lost = place, lost

    def place(self, prepared, remote):
        self.asked.append(remote)
        if self._place is not None:
            raise self._place
        name = yield Aside(lambda: "n")
        prepared.body = {"cachedContent": name, "contents": []}
        prepared.breakpoints = ("system[0] in n",)
        prepared.notes.append("named")
        prepared.placement = self

    def lost(self, prepared, status, message):
        if isinstance(self._lost, Exception):
            raise self._lost
        if self._lost:
            prepared.leave()
        return self._lost

    def settled(self, receipt):
        self.receipts.append(receipt)

    def close(self):
        self.closed += 1


class World:
    """A cache, its keeper and the events it told of."""

    def __init__(self, keeper=None, policy="auto", **fields):
        self.events = []
        self.cache = PromptCache(policy, listeners=[self.events.append], **fields)
        self.keeper = self.cache._holdings._keeper = keeper or Keeper()

    def prepare(self, body=None, host="developer"):
        body = question() if body is None else body
        request = Request(GEMINI, body, host, deployment=MODEL)
        return self.cache.prepare(request)

    def placed(self):
        prepared = self.prepare()
        run(self.cache.place(prepared, lambda: "remote"))
        return prepared

    def told(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


def question(text="hello"):
    return {
        "systemInstruction": {"parts": [{"text": "word " * 4000}]},
        "contents": [{"role": "user", "parts": [{"text": text}]}],
    }


def test_a_plan_marks_nothing():
    """The body is the framework's own; what the keeper needs is there."""
    body = question()
    prepared = World().prepare(body)

    assert prepared.body is body
    assert prepared.plan.breakpoints == ()
    assert prepared.outline.length == 2
    assert prepared.facts_known


def test_an_unknown_model():
    """It is planned for with the most cautious rules, and its receipt says so."""
    world = World()
    request = Request(GEMINI, question(), "developer", deployment="gemini-9")
    prepared = world.cache.prepare(request)
    world.cache.settle(prepared, USAGE)

    assert prepared.receipt.facts == "assumed"


def test_what_changes_on_every_call_is_noted():
    """A system instruction that never comes again is told of in the receipt."""
    world = World()
    for number in range(4):
        body = question()
        body["systemInstruction"]["parts"].insert(0, {"text": f"It is {number}."})
        prepared = world.prepare(body)

    assert prepared.plan.notes == ("system[0] changes on every call",)


def test_a_placement():
    """The keeper's body is sent, its words are in the receipt, and it gets that."""
    world = World()
    prepared = world.placed()
    world.cache.settle(prepared, USAGE)
    (receipt,) = world.keeper.receipts

    assert prepared.is_planned
    assert world.keeper.asked == ["remote"]
    assert receipt.breakpoints == ("system[0] in n",)
    assert receipt.notes == ("named",)
    assert world.told(Settled)[0].receipt is receipt


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ("off", {}),
        ("auto", {"enabled": False}),
        ("auto", {"gemini_caches": False}),
    ],
)
def test_no_placement(policy, said):
    """Nothing is asked of a keeper where the caller wants no cached content."""
    world = World(policy=policy)
    with options(**said):
        prepared = world.placed()

    assert world.keeper.asked == []
    assert not prepared.is_planned


def test_a_request_that_cannot_be_read_is_not_placed():
    """It goes out as it is."""
    world = World()
    prepared = world.prepare({"contents": "hello"})
    run(world.cache.place(prepared, lambda: pytest.fail("asked")))

    assert world.keeper.asked == []


def test_a_placement_that_fails():
    """The request is sent as it was built, with one event."""
    world = World(Keeper(place=ZeroDivisionError("words")))
    prepared = world.placed()

    assert (prepared.is_planned, prepared.placement) == (False, None)
    assert world.told(PlanningFailed)[0].error == "ZeroDivisionError"


def test_a_placement_that_fails_under_strict():
    """A strict cache raises what failed."""
    world = World(Keeper(place=ZeroDivisionError("words")), strict=True)
    with pytest.raises(PlanningError) as caught:
        world.placed()

    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_placement_that_fails_when_it_is_settled():
    """The receipt is there for everybody else."""
    world = World()
    prepared = world.placed()
    world.keeper.settled = None
    world.cache.settle(prepared, USAGE)

    assert len(world.told(Settled)) == len(world.told(PlanningFailed)) == 1


@pytest.mark.parametrize(
    ("lost", "again", "events"),
    [(True, True, 0), (False, False, 0), (ZeroDivisionError("words"), True, 1)],
)
def test_a_refusal(lost, again, events):
    """The keeper says whether it was about its own; if it fails, all is sent."""
    world = World(Keeper(lost=lost))
    prepared = world.placed()

    assert run(world.cache.lost(prepared, 403, "not found")) is again
    assert prepared.is_planned is not again
    assert len(world.told(PlanningFailed)) == events


def test_a_refusal_of_what_named_nothing():
    """Without a placement nobody is asked."""
    world = World(Keeper(lost=ZeroDivisionError()))

    assert run(world.cache.lost(world.prepare(), 400, "bad")) is False
    assert world.cache.refuse(world.prepare(), 400, "cachedContent") is False


# Lifetimes, facts, options.


@pytest.mark.parametrize("ttl", ["5m", "30m", "1h"])
def test_lifetimes(ttl):
    """Cached contents live an hour at most, ahead of time."""
    PromptCache().check_ttl(ttl, GEMINI)


def test_a_lifetime_that_is_too_long():
    """A longer one is refused, and the choices are named."""
    with pytest.raises(OptionError, match="1h, 30m, 5m"):
        PromptCache().check_ttl("24h", GEMINI)


def test_facts_of_models_and_servers():
    """A caller's rows are Gemini's where they have its fields or name its hosts."""
    facts = {"gemini-9": {"storage_price": 1.0}, "g.example": {"host": "vertex"}}
    prepared = World(facts=facts).prepare(host="g.example")

    assert prepared.facts_known
    with pytest.raises(OptionError, match=r"explicit_minimum.*developer|developer"):
        PromptCache(facts={"g.example": {"host": "nowhere"}})


@pytest.mark.parametrize(
    ("said", "base", "expected"),
    [(None, False, False), (True, False, True), (False, None, False)],
)
def test_whether_cached_contents_are_wanted(said, base, expected):
    """A call's word goes over that of an enclosing block."""
    over = CallOptions(gemini_caches=said, tenant="a")

    assert over.over(CallOptions(gemini_caches=base)).gemini_caches is expected


def test_a_word_that_is_no_answer():
    """It must be True or False."""
    with pytest.raises(OptionError, match="gemini_caches"):
        CallOptions.read({"gemini_caches": "no"})


def test_the_provider_of_a_name():
    """It is named as prices name it."""
    assert provider_named("google") is GEMINI
    assert GEMINI.name == "google"


def test_warming():
    """A head is held by a keeper, not written by a request."""
    kind = type("Client", (), {"__module__": "google.genai.client"})
    with pytest.raises(OptionError, match=r"Keeper\.hold"):
        warm_client(kind(), {})


# What is opened only when it is used.


def test_nothing_is_opened_at_first(monkeypatch):
    """A cache that nobody uses for Gemini has no store and no keeper."""
    monkeypatch.setattr("promptcache.holdings.open_store", pytest.fail)
    cache = PromptCache()
    cache.close()

    assert cache._holdings._keeper is None


@pytest.fixture
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def test_the_store_of_the_users_cache_directory(home):
    """Unless another is given; it is opened once."""
    cache = PromptCache()
    store = cache.store

    assert isinstance(store, SqliteStore)
    assert cache.store is store
    assert any(home.rglob("*"))
    cache.close()


def test_a_home_that_cannot_be_written(monkeypatch):
    """Handles stay in memory, and one event says so."""

    def fail(self):
        raise StoreError("/nowhere", "it cannot be written")

    monkeypatch.setattr(SqliteStore, "secret", fail)
    world = World()

    assert isinstance(world.cache.store, MemoryStore)
    assert world.cache.store is world.cache.store
    (event,) = world.events
    assert isinstance(event, StoreFailed)
    assert "it cannot be written" in event.what


def test_a_store_that_is_given():
    """It may be an object or a URL; what is given stays open."""
    closed = []
    store = MemoryStore()
    store.close = lambda: closed.append(1)
    cache = PromptCache(store=store)
    cache.close()

    assert cache.store is store
    assert closed == []
    assert isinstance(PromptCache(store="memory:").store, MemoryStore)


@pytest.mark.parametrize("store", ["mysql://x:password@y", 7, object()])
def test_what_is_no_store(store):
    """It is refused at once, and no password is shown."""
    with pytest.raises(OptionError) as caught:
        PromptCache(store=store)

    assert "password" not in str(caught.value)


def test_a_store_that_two_open_at_once(monkeypatch):
    """Both use the first one, and the other one is closed."""
    closed = []
    world = World()

    def open_late(url):
        late, world.cache._holdings._store = MemoryStore(), first
        late.close = lambda: closed.append(1)
        return late

    first = MemoryStore()
    monkeypatch.setattr("promptcache.holdings.open_store", open_late)

    assert world.cache.store is first
    assert closed == [1]


async def test_the_first_keeper_is_made_beside_the_loop(monkeypatch):
    """It opens the store, which no event loop waits for."""
    made_in, world = [], World()
    world.cache._holdings._keeper = None

    def make(self, cache):
        made_in.append(threading.current_thread())
        self._keeper = Keeper()
        return self._keeper

    monkeypatch.setattr(Holdings, "keeper", make)
    await arun(world.cache.place(world.prepare(), lambda: "remote"))

    assert made_in[0] is not threading.current_thread()


def test_closing():
    """The keeper ends what it began, once; a store that was opened here is closed."""
    closed = []
    world = World(store="memory:")
    world.cache.store.close = lambda: closed.append(1)
    world.cache.close()
    world.cache.close()

    assert world.keeper.closed == 1
    assert closed == [1, 1]


def test_limits():
    """They are the modest ones unless others are given."""
    mine = Limits(live_caches=2)

    assert PromptCache().limits == Limits()
    assert PromptCache(limits=mine).limits is mine


@pytest.mark.parametrize(
    ("secret", "environment", "expected"),
    [
        (None, None, None),
        (None, "", None),
        (None, "sesame", b"sesame"),
        ("mine", "sesame", b"mine"),
        (b"\x00\xff", None, b"\x00\xff"),
    ],
)
def test_secrets(monkeypatch, secret, environment, expected):
    """One that is given goes over the environment's, and that over the store's own."""
    if environment is not None:
        monkeypatch.setenv("PROMPTCACHE_SECRET", environment)

    assert PromptCache(secret=secret).secret == expected


@pytest.mark.parametrize("secret", ["", b"", 7])
def test_what_is_no_secret(secret):
    """It is refused, and not shown."""
    with pytest.raises(OptionError, match="text or bytes, not empty"):
        PromptCache(secret=secret)


def test_the_keeper_is_made_once(monkeypatch, home):
    """Whoever asks for it gets the same one."""
    cache = PromptCache(store="memory:")

    assert cache.keeper is cache.keeper
    cache.close()
