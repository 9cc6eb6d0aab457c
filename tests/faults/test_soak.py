"""Random faults under load: every call ends as the stock class's, and nothing is left.

`SOAK` says how many calls, `SOAK_SEED` which ones; each call is
made twice, by a stock class and by ours.
"""

import gc
import json
import os
import threading
import time
from pathlib import Path

import pytest
from faulty_gateway import FaultyEmulator
from faulty_soak import FIGURES, SkewedClock, Soak

from promptcache import PromptCache
from promptcache.receipts.events import Settled

CALLS = int(os.environ.get("SOAK", "150"))
SEED = int(os.environ.get("SOAK_SEED", "9"))
HOUR = 3600.0

pytestmark = pytest.mark.timeout(max(300, CALLS))


def descriptors():
    """Return what this process holds open, as far as that can be told."""
    folder = Path("/proc/self/fd")
    if not folder.exists():
        return None
    found = []
    for entry in folder.iterdir():
        try:
            found.append(str(entry.readlink()))
        except OSError:
            continue
    return sorted(it.partition(":")[0] if "/" not in it else it for it in found)


def settled(what, wanted):
    """Wait until something is as it was; return what it is then."""
    until = time.monotonic() + 10
    while (found := what()) != wanted and time.monotonic() < until:
        gc.collect()
        time.sleep(0.05)
    return found


def threads():
    return sorted(it.name for it in threading.enumerate())


def test_soak(tmp_path, capsys):
    """No call ends otherwise, no receipt is lost or wrong, and nothing stays behind."""
    gc.collect()
    home = Path(os.environ["XDG_CACHE_HOME"])
    before = threads(), descriptors(), sorted(home.rglob("*"))
    told = []
    with FaultyEmulator() as faulty:
        faulty.books.keeps_bodies = False
        clock = SkewedClock(faulty.clock)
        cache = PromptCache(
            store=f"sqlite:///{tmp_path / 'state.db'}",
            clock=clock,
            listeners=[told.append],
        )
        soak = Soak(faulty, cache, SEED, clock=clock)
        begun = time.monotonic()
        soak.run(CALLS)
        took = time.monotonic() - begun
        cache.close()
        faulty.clock.advance(HOUR + 1)
        live = [row for row in faulty.caches if row.live]
        created = len(faulty.caches)
    total = cache.report().to_dict()["total"]
    kinds = sorted({type(event).__name__ for event in told})
    with capsys.disabled():
        figures = {**soak.counts, "caches created": created, "seconds": round(took)}
        for told_of in soak.wrong[:50]:
            print(*told_of)  # noqa: T201 - figures are what a long run is for
        said = json.dumps({"seed": SEED, **figures, "events": kinds}, indent=1)
        print("\n", said)  # noqa: T201 - as above

    assert soak.wrong == []
    assert soak.counts["calls"] == CALLS
    # Receipts: each was collected once, told once, and is in the report once.
    assert total["requests"] == len(soak.receipts)
    assert sum(isinstance(event, Settled) for event in told) == len(soak.receipts)
    for name in FIGURES:
        known = [getattr(it.usage, name) for it in soak.receipts]
        assert total[name] == sum(filter(None, known)), name
    # Remote: nothing lives longer than an hour after the last request.
    assert live == []
    assert settled(threads, before[0]) == before[0]
    assert settled(descriptors, before[1]) == before[1]
    assert sorted(home.rglob("*")) == before[2]
    names = {it.name for it in tmp_path.iterdir()}
    assert {it for it in names if "state" not in it} == set()
    assert not any(it.endswith(("-wal", "-shm", ".tmp")) for it in names)
