"""Models that refused our fields, and for how long that counts."""

from promptcache.state.refusals import REFUSED_SECONDS, Refusals

KEY = ("openai", "m", "gateway.example")


def test_a_refusal_is_remembered_for_a_day():
    """It ends, since servers are updated."""
    refusals = Refusals()
    refusals.note(KEY, now=100.0)

    assert refusals.holds(KEY, now=100.0 + REFUSED_SECONDS - 1)
    assert not refusals.holds(KEY, now=100.0 + REFUSED_SECONDS)


def test_it_is_that_of_one_model_on_one_host():
    """Another host may take what this one refuses."""
    refusals = Refusals()
    refusals.note(KEY, now=0.0)

    assert not refusals.holds(("openai", "m", "openai"), now=1.0)
    assert not refusals.holds(("openai", "n", "gateway.example"), now=1.0)


def test_they_are_bounded(monkeypatch):
    """Names that nobody ends with fill no memory."""
    monkeypatch.setattr("promptcache.state.refusals._MAX_REMEMBERED", 5)
    refusals = Refusals()
    for number in range(20):
        refusals.note(("openai", f"m-{number}", "openai"), now=0.0)

    assert len(refusals._until) <= 5
    assert refusals.holds(("openai", "m-19", "openai"), now=1.0)
