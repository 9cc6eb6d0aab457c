"""How many keys a head needs, by how often its requests come."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from promptcache.state.rates import Rates

HEAD = b"head"


def after(rates, *, per_minute, minutes, start=0.0, limit=15, talks=1_000):
    """Return the keys in use after so many minutes of evenly spaced requests."""
    shards = 1
    for number in range(int(per_minute * minutes)):
        now = start + number * 60 / per_minute
        talk = b"%d" % (number % talks)
        shards = rates.shards(HEAD, talk, per_minute=limit, now=now)
    return shards


@pytest.mark.parametrize(
    ("per_minute", "shards"),
    [
        pytest.param(5, 1, id="few"),
        pytest.param(15, 1, id="just-what-one-takes"),
        pytest.param(20, 2, id="above-one-key"),
        pytest.param(60, 8, id="busy"),
        pytest.param(150, 16, id="very-busy"),
    ],
)
def test_keys_follow_the_rate(per_minute, shards):
    """On average no key gets more than it takes."""
    assert after(Rates(), per_minute=per_minute, minutes=3) == shards


def test_the_limit_is_a_setting():
    """A fact row may say what one key takes."""
    assert after(Rates(), per_minute=60, minutes=3, limit=100) == 1


@pytest.mark.parametrize(("talks", "shards"), [(1, 1), (2, 2), (3, 4), (5, 8)])
def test_never_more_keys_than_conversations(talks, shards):
    """A lonely busy agent stays where its cache is."""
    assert after(Rates(), per_minute=60, minutes=3, talks=talks) == shards


def test_keys_grow_when_one_is_full():
    """The second key comes when the first has had its fifteen in a minute."""
    rates = Rates()
    used = [
        rates.shards(HEAD, b"%d" % at, per_minute=15, now=float(at)) for at in range(60)
    ]

    assert used.index(2) == 15
    assert used == sorted(used)


def test_a_quiet_hour_gives_keys_back():
    """One at a time: each change sends conversations elsewhere."""
    rates = Rates()
    busy = after(rates, per_minute=60, minutes=3)
    soon = after(rates, per_minute=1, minutes=5, start=200.0)
    late = after(rates, per_minute=1, minutes=60, start=500.0)

    assert (busy, soon, late) == (8, 8, 1)


def test_heads_are_counted_apart():
    """Another head has its own keys."""
    rates = Rates()
    after(rates, per_minute=60, minutes=3)

    assert rates.shards(b"other", b"talk", per_minute=15, now=180.0) == 1


def test_heads_are_bounded(monkeypatch):
    """The one used least recently goes first."""
    monkeypatch.setattr("promptcache.state.rates._MAX_HEADS", 3)
    rates = Rates()
    for number in range(10):
        rates.shards(b"%d" % number, b"talk", per_minute=15, now=0.0)

    assert list(rates._rates) == [b"7", b"8", b"9"]


def test_a_clock_that_goes_back_breaks_nothing():
    """What comes from before counts as now."""
    rates = Rates()
    rates.shards(HEAD, b"talk", per_minute=15, now=1_000.0)

    assert rates.shards(HEAD, b"other", per_minute=15, now=10.0) == 1


def test_conversations_are_bounded(monkeypatch):
    """Only so many as keys are ever needed."""
    monkeypatch.setattr("promptcache.state.rates._MAX_SHARDS", 4)
    rates = Rates()

    assert after(rates, per_minute=600, minutes=1) == 4
    assert len(rates._rates[HEAD].seen) == 4


def test_threads_lose_no_request():
    """Sixteen threads count as one would."""
    rates = Rates()
    with ThreadPoolExecutor(16) as pool:
        jobs = [
            pool.submit(rates.shards, HEAD, b"%d" % number, per_minute=15, now=1.0)
            for number in range(480)
        ]
        used = [job.result() for job in jobs]

    assert max(used) == 64
    assert sum(count for _, count in rates._rates[HEAD].steps) == 480
