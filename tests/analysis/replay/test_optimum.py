"""The least bill that was possible, against sums by hand and against trying all."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcache.analysis.replay.optimum import Optimum

LIVES = ((300.0, 1.25), (3600.0, 2.0))
READ = 0.1


def least(times, **more):
    optimum = Optimum(LIVES, READ, **more)
    for now in times:
        optimum.add([b"a"], [1000], total=1000, now=now)
    return optimum.bill()[0] / 1000


def tried(times):
    """Return the least bill of a token by trying every way to write it."""
    best = float(len(times))
    for ways in product((None, *LIVES), repeat=len(times)):
        cost, life, used = 0.0, 0.0, -1e9
        for now, way in zip(times, ways, strict=True):
            if now - used < life:
                cost += READ
            elif way is None:
                cost, life = cost + 1, 0.0
            else:
                life = way[0]
                cost += way[1]
            used = now
        best = min(best, cost)
    return best


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([0], 1.0),  # nothing comes again, so nothing is written
        ([0, 100], 1.25 + 0.1),
        ([0, 300], 2.0),  # the lifetime is over when it has passed
        ([0, 600], 2.0),  # an hour's write is dearer than two readings save
        ([0, 600, 1200], 2.0 + 0.1 + 0.1),
        ([0, 4000, 4100], 1 + 1.25 + 0.1),
    ],
)
def test_a_block_by_its_uses(times, expected):
    """A block is written only where its later uses pay for that."""
    assert least(times) == pytest.approx(expected)


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=5))
def test_no_way_to_write_is_cheaper(gaps):
    """Trying all ways by hand finds the same bill."""
    times = [sum(gaps[:number]) for number in range(len(gaps))]

    assert least(times) == pytest.approx(tried(times))


def test_pings_bridge_a_gap():
    """Two readings for nobody's sake keep a block alive for ten minutes more."""
    times = [0, 800]

    assert least(times) == 2.0
    assert least(times, pings=True) == pytest.approx(1.25 + 2 * 0.1 + 0.1)


def test_blocks_part_where_requests_do():
    """What two requests share is written, and what each has alone is not."""
    optimum = Optimum(LIVES, READ)
    optimum.add([b"a", b"b", b"c"], [10, 20, 30], total=33, now=0)
    optimum.add([b"a", b"b", b"d"], [10, 20, 30], total=33, now=60)

    cost, read = optimum.bill()

    assert cost == pytest.approx(20 * 1.25 + 10 + 3 + 20 * 0.1 + 10 + 3)
    assert read == 20


def test_what_does_not_count_is_free():
    """What was written in the warm-up is read for its price alone."""
    optimum = Optimum(LIVES, READ)
    optimum.add([b"a"], [100], total=100, now=0, counts=False)
    optimum.add([b"a"], [100], total=100, now=60)

    assert optimum.bill() == (pytest.approx(10), 100)


def test_a_prompt_below_the_minimum_costs_its_tokens():
    """Nothing of a short prompt can be cached."""
    assert least([0, 100], minimum=1001) == 2.0
    assert least([0, 100], minimum=1000) == pytest.approx(1.35)


def test_roots_share_nothing():
    """The same blocks of two tenants are two prefixes."""
    optimum = Optimum(LIVES, READ)
    for root in (b"one", b"two"):
        optimum.add([b"a"], [10], total=10, now=0, root=root)

    assert optimum.bill() == (20, 0)
