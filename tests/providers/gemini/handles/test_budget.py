"""Limits on cached contents: kept by all workers of a store together."""

import math
from concurrent.futures import ThreadPoolExecutor

import pytest
from gemini_remote import HOUR, MODEL, SCOPE, MemoryRemote, PatientClock, World

from promptcache.limits import Limits
from promptcache.providers.gemini.handles.budget import SPENT, breached
from promptcache.providers.gemini.terms import Terms
from promptcache.receipts.events import CacheCreated, LimitReached
from promptcache.state.stores import Handle


@pytest.fixture
def world():
    return World()


def create(world, worker, number, **fields):
    """Have a worker create a content of its own."""
    key = worker.key(SCOPE, bytes([number]))
    return worker.create(key, world.creation(**fields))


def spent(world):
    """Return what is counted as spent, in dollars."""
    counts = world.store.counts(SPENT, now=world.clock.now())
    return sum(sums[0] for sums in counts.values()) / 1e9


@pytest.mark.parametrize(
    ("limits", "limit", "fitting", "would"),
    [
        # Each costs $0.005 to create and $0.01 an hour.
        pytest.param(Limits(usd_per_hour=0.045), "usd_per_hour", 3, 0.06, id="money"),
        pytest.param(
            Limits(usd_per_hour=math.inf, live_caches=2),
            "live_caches",
            2,
            0.045,
            id="caches",
        ),
        pytest.param(
            Limits(usd_per_hour=math.inf, token_hours=5000.0),
            "token_hours",
            1,
            0.03,
            id="tokens",
        ),
        pytest.param(Limits(usd_per_hour=0), "usd_per_hour", 0, 0.015, id="no money"),
        pytest.param(Limits(live_caches=0), "live_caches", 0, 0.015, id="no caches"),
    ],
)
def test_nothing_is_created_at_a_limit(world, limits, limit, fitting, would):
    """Two workers share it; what does not fit is told and not created."""
    workers = [world.worker(limits=limits) for _ in range(2)]
    made = [create(world, workers[n % 2], n) for n in range(fitting + 1)]

    assert [handle is not None for handle in made] == [True] * fitting + [False]
    assert world.remote.count("create") == fitting
    assert len(world.store.handles(now=world.clock.now())) == fitting
    (event,) = world.told(LimitReached)
    assert event == LimitReached("google", MODEL, limit, pytest.approx(would))


def test_limit_is_told_once_in_ten_minutes(world):
    """However often it is reached, and each limit for itself."""
    worker = world.worker(limits=Limits(live_caches=0))
    for number in range(5):
        create(world, worker, number)
    world.clock.advance(599)
    create(world, worker, 0)
    assert len(world.told(LimitReached)) == 1
    world.clock.advance(1)
    create(world, worker, 0)

    assert len(world.told(LimitReached)) == 2


def test_limit_is_no_refusal(world):
    """What did not fit is asked for again as soon as there is room."""
    worker = world.worker(limits=Limits(live_caches=1, usd_per_hour=1.0))
    first = create(world, worker, 1)
    assert create(world, worker, 2) is None
    worker.delete(first, world.remote)

    assert create(world, worker, 2) is not None


def test_creations_of_the_last_hour_count(world):
    """Their cost is in the bill although they are gone; after an hour it is not."""
    limits = Limits(usd_per_hour=0.0249)
    worker = world.worker(limits=limits)
    for number in range(2):
        worker.delete(create(world, worker, number), world.remote)
    assert spent(world) == pytest.approx(0.01)
    assert create(world, worker, 3) is None
    world.clock.advance(3300)
    assert create(world, worker, 4) is None
    world.clock.advance(600)

    assert create(world, worker, 5) is not None


def test_real_size_corrects_what_was_set_aside(world):
    """The provider's count is what is billed, not the estimate."""
    world.remote.tokens = 9000
    create(world, world.worker(), 1, tokens=5000)
    world.remote.tokens = 4000
    create(world, world.worker(), 2, tokens=5000)

    assert spent(world) == pytest.approx(0.013)


@pytest.mark.parametrize(
    ("status", "left"),
    [pytest.param(400, 0.0, id="refused"), pytest.param(None, 0.005, id="no answer")],
)
def test_money_is_given_back(world, status, left):
    """What a refused creation would have cost is free again; the rest may be billed."""
    worker = world.worker(limits=Limits(live_caches=1, usd_per_hour=1.0))
    world.remote.fail("refused", status)
    assert create(world, worker, 1) is None

    assert spent(world) == pytest.approx(left)
    assert (create(world, worker, 2) is None) == (status is None)


def test_creation_that_has_begun_takes_its_place(world):
    """While one worker creates, its money and its place are taken."""
    limits = Limits(live_caches=1, usd_per_hour=1.0)
    one, other = world.worker(limits=limits), world.worker(limits=limits)
    made = []
    world.remote.during["create"] = lambda: made.append(create(world, other, 2))
    create(world, one, 1)

    assert made == [None]
    assert world.remote.count("create") == 1


def test_place_of_the_dead_is_taken_once(world):
    """Whoever goes on with a creation needs no second place."""
    limits = Limits(live_caches=1, usd_per_hour=1.0)
    one, other = world.worker(limits=limits), world.worker(limits=limits)
    world.remote.fail("busy", None)
    create(world, one, 1)
    world.clock.advance(31)

    assert create(world, other, 1) is not None


def test_unknown_price_leaves_the_other_limits(world):
    """Without a price the money is not known, and caches and tokens are bounded."""
    limits = Limits(usd_per_hour=0.0, live_caches=2)
    worker = world.worker(limits=limits)
    made = [create(world, worker, number, terms=None) for number in range(3)]

    assert [handle is not None for handle in made] == [True, True, False]
    assert [event.cost_usd for event in world.told(CacheCreated)] == [None, None]
    assert world.told(LimitReached) == [
        LimitReached("google", MODEL, "live_caches", None)
    ]
    assert spent(world) == 0


@pytest.mark.parametrize(
    ("model", "fits"),
    [
        # $4.50 for a million tokens and hour, from the rows that ship.
        pytest.param("gemini-2.5-pro", False, id="listed"),
        pytest.param("gemini-of-the-future", True, id="unknown"),
    ],
)
def test_models_of_other_workers_are_priced_by_the_rows(world, model, fits):
    """A worker that never created for a model still counts what others keep of it."""
    one, other = (world.worker(limits=Limits(usd_per_hour=0.035)) for _ in range(2))
    create(world, one, 1, model=model, terms=Terms(0.0, 0.0, 0.0, 0.0))

    assert (create(world, other, 2) is not None) == fits


def test_own_price_goes_before_the_rows(world):
    """What a creation was told of its price holds for all of its model."""
    # By the rows, the first would cost a quarter of what it was told.
    worker = world.worker(limits=Limits(usd_per_hour=0.025))

    assert create(world, worker, 1) is not None
    assert create(world, worker, 2) is None


def test_threads_share_what_is_left():
    """However many ask at once for what fits three times, three get it."""
    world = World(clock=PatientClock())
    limits = Limits(live_caches=3, usd_per_hour=1.0)
    workers = [world.worker(limits=limits) for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        made = list(
            pool.map(
                lambda number: create(world, workers[number % 4], number), range(8)
            )
        )

    assert sum(handle is not None for handle in made) == 3
    assert world.remote.count("create") == 3


def test_busy_budget_is_not_waited_for_long(world):
    """A worker that died while it reserved holds others up for some seconds at most."""
    worker = world.worker()
    world.store.acquire(
        worker._keys.budget, owner="dead", seconds=5.0, now=world.clock.now()
    )

    assert create(world, worker, 1) is None
    assert world.clock.waited == pytest.approx(1.0)
    assert world.told(LimitReached) == []
    world.clock.advance(4.0)
    assert create(world, worker, 1) is not None


def test_lease_that_is_lost_while_reserving(world):
    """Nothing is created where somebody else took the lease meanwhile."""
    worker, read = world.worker(), world.store.handles
    key = worker.key(SCOPE, bytes([1]))

    def slow(*, now):
        world.clock.advance(61)
        world.store.acquire(key, owner="x", seconds=30, now=world.clock.now())
        return read(now=now)

    world.store.handles = slow

    assert create(world, worker, 1) is None
    assert world.remote.asked == []
    assert spent(world) == 0


def test_other_places_share_the_budget(world):
    """What lives on another host costs money as well."""
    worker = world.worker(limits=Limits(live_caches=1, usd_per_hour=1.0))
    elsewhere = MemoryRemote(world.clock, scope="vertex/p/l")
    create(world, worker, 1, remote=elsewhere)

    assert create(world, worker, 2) is None


@pytest.mark.parametrize("would", [0.1, 0.1 + 1e-12])
def test_sum_that_fits_exactly(would):
    """A limit may be reached, and rounding breaks none."""
    handle = Handle(b"k", "n", MODEL, SCOPE, 5000, 0.0, HOUR, "o")
    limits = Limits(usd_per_hour=0.1, live_caches=1, token_hours=5000.0)

    assert breached(limits, [handle], would_usd=would) is None
