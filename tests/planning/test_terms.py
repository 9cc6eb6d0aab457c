"""What a provider asks for, and from when on that pays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcache.planning.terms import WRITE, Terms

reads = st.sampled_from([0.025, 0.05, 0.1, 0.5])
tokens = st.integers(0, 10**6)


@pytest.mark.parametrize(
    ("read", "short", "long"),
    [
        pytest.param(0.1, 0.217, 0.870, id="a-tenth"),
        pytest.param(0.05, 0.208, 0.833, id="a-twentieth"),
        pytest.param(0.025, 0.204, 0.816, id="a-fortieth"),
    ],
)
def test_break_even(read, short, long):
    """A write for five minutes pays from one reading in five on."""
    terms = Terms(read)

    assert terms.break_even("5m") == pytest.approx(short, abs=5e-4)
    assert terms.break_even("1h") == pytest.approx(long, abs=5e-4)


@given(reads, st.sampled_from([*WRITE]))
def test_break_even_of_the_only_lifetime(read, ttl):
    """There a reading saves all that the write costs more than it."""
    terms = Terms(read, ttl, None)
    chance = terms.break_even(ttl)

    assert terms.write(ttl) - 1 == pytest.approx(chance * (terms.write(ttl) - read))


@pytest.mark.parametrize(
    ("terms", "chance", "extra"),
    [
        pytest.param(Terms(), 0.217, 0.25, id="unasked"),
        pytest.param(Terms(0.1, "1h", None), 0.526, 1.0, id="an-hour-alone"),
        pytest.param(
            Terms(0.1, "1h", None, judged=1.25), 0.217, 0.25, id="an-hour-asked-for"
        ),
    ],
)
def test_whether_is_judged_by_another_price(terms, chance, extra):
    """Who asks for a longer lifetime says for how long, not whether; the bill stays."""
    assert terms.break_even(terms.short) == pytest.approx(chance, abs=5e-4)
    assert terms.extra_of(terms.short) == extra
    written = {terms.short: 100.0}
    assert terms.excess(read=0, written=written) == 100 * (WRITE[terms.short] - 1)


@pytest.mark.parametrize(
    ("terms", "short", "long"),
    [
        pytest.param(Terms(), 300, 3600, id="both"),
        pytest.param(Terms(short="1h", long=None), 3600, 3600, id="asked-for-an-hour"),
        pytest.param(Terms(short="30m", long=None), 1800, 1800, id="half-an-hour"),
    ],
)
def test_seconds(terms, short, long):
    """Who has no second lifetime waits for the only one."""
    assert (terms.short_seconds, terms.long_seconds) == (short, long)


@given(reads, tokens, tokens, tokens, tokens)
def test_excess(read, plain, reused, short, long):
    """It is the bill less what all of it costs as plain input."""
    terms = Terms(read)
    bill = plain + read * reused + 1.25 * short + 2 * long
    excess = terms.excess(read=reused, written={"5m": short, "1h": long})

    assert excess == pytest.approx(bill - (plain + reused + short + long))
