"""What a request begins with that goes on from an answer."""

from promptcache.outline import Trail
from promptcache.state.trails import Trails

TRAIL = Trail(b"digest", 2_000, "key")


def test_a_trail_is_found_by_its_answer():
    """The answer's id is all that the next request has."""
    trails = Trails()
    trails.note(None, "resp_1", TRAIL)

    assert trails.before(None, "resp_1") == TRAIL
    assert trails.before(None, "resp_2") is None


def test_tenants_do_not_share_them():
    """An id that another tenant learned of leads nowhere."""
    trails = Trails()
    trails.note("acme", "resp_1", TRAIL)

    assert trails.before("other", "resp_1") is None
    assert trails.before(None, "resp_1") is None


def test_they_are_bounded(monkeypatch):
    """The oldest go first."""
    monkeypatch.setattr("promptcache.state.trails._MAX_TRAILS", 3)
    trails = Trails()
    for number in range(5):
        trails.note(None, f"resp_{number}", TRAIL)

    found = [trails.before(None, f"resp_{number}") for number in range(5)]
    assert found == [None, None, TRAIL, TRAIL, TRAIL]
