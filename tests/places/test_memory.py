"""Memory over many requests; `make memory` prints it for 200,000 of them."""

import sys
from pathlib import Path

import pytest

from promptcache import MemoryStore, PromptCache
from promptcache.state import answers, footprints, gate, habits, ledger, reuse, trails

BOUND = 200
REQUESTS = 500


@pytest.fixture(scope="module")
def memory():
    folder = str(Path(__file__).parents[2] / "benchmarks")
    sys.path.insert(0, folder)
    try:
        import memory  # noqa: PLC0415 - the script is no package

        yield memory
    finally:
        sys.path.remove(folder)


@pytest.fixture
def bounded(monkeypatch):
    """Have each bound reached after few requests, whatever it is in real use."""
    for module, name in (
        (answers, "_MAX_ANSWERS"),
        (footprints, "_MAX_FOOTPRINTS"),
        (footprints, "_MAX_SKETCH_BYTES"),
        (gate, "MAX_KEYS"),
        (gate, "MAX_UNANSWERED"),
        (habits, "_MAX_HEADS"),
        (ledger, "MAX_KINDS"),
        (ledger, "MAX_OPEN"),
        (reuse, "MAX_COUNTS"),
        (reuse, "MAX_OPEN"),
        (trails, "_MAX_TRAILS"),
    ):
        assert getattr(module, name) > BOUND
        scale = 200 if "BYTES" in name else 1
        monkeypatch.setattr(module, name, BOUND * scale)


def test_it_is_bounded(memory, bounded):
    """Twice as many requests leave hardly more objects than half of them do."""
    clock = memory.Passing()
    cache = PromptCache(store=MemoryStore(), clock=clock)
    cache._planner.history._prefixes._max_nodes = 3 * BOUND
    counts = []
    for step in range(4):
        memory.send(cache, clock, range(step * REQUESTS, (step + 1) * REQUESTS))
        counts.append(memory.held(cache))
        assert memory.sizes(cache)["nodes"] <= 3 * BOUND
        assert memory.sizes(cache)["footprints"] <= BOUND

    assert cache.report().to_dict()["total"]["requests"] == 4 * REQUESTS
    # Without a bound each step adds 50 objects a request.
    assert counts[3] - counts[1] < 2 * REQUESTS * 2
    cache.close()
