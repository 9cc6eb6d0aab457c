"""What workers have counted together, each of them and all."""

import subprocess
import sys
from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sharing_workers import DAY, START, HandClock, Worker, outline_of, stored

from promptcache.planning.terms import Terms
from promptcache.planning.ways import PRIOR, PRIOR_TOKENS, WAYS
from promptcache.state import pools as module
from promptcache.state.ledger import FADES, MANY_GAPS, Books, Ledger, Pace
from promptcache.state.memory import MemoryStore
from promptcache.state.paths import Lineage, Run
from promptcache.state.pools import MAX_LOG, Pool, Pools
from promptcache.state.prefixes import Prefixes
from promptcache.state.readings import RETRY_SECONDS, Readings
from promptcache.state.reuse import MEMORY, Reuse
from tests.support.block_judge import letters

WINDOWS = (300.0, 3_600.0)
HERE = ("anthropic", "m", "host")
SHORT = WAYS.index("short")
TODAY = "history/1/books/2026-11-18"


def pool_of(secret=b"s", **options):
    pool = Pool("books", **options)
    pool.use(secret)
    return pool


def learned(numbers, *, key=("k",), add="books"):
    """Return pools that know of others' numbers."""
    pools, others = Pools(), Pools()
    for it in (pools, others):
        getattr(it, add).use(b"s")
    pool = getattr(others, add)
    pool.add(key, numbers)
    getattr(pools, add).learn({"x": pool.take("x")})
    return pools


OPERATIONS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.one_of(
            st.sampled_from(["flush", "restart", "night"]),
            st.tuples(st.integers(0, 4), st.integers(0, 9)),
        ),
    ),
    max_size=60,
)


@given(OPERATIONS)
def test_sums_are_those_of_all(operations):
    """Whoever adds what and flushes when: the store's sums are all that was added.

    And what each worker has added since it began, with what it knows of others, is that
    sum again: nothing is counted twice, and nothing is missing.
    """
    store, clock, total = MemoryStore(), HandClock(), Counter()
    own = defaultdict(Counter)
    workers = [Worker(store, clock) for _ in range(4)]
    for number, what in operations:
        if what == "flush":
            workers[number].flush()
        elif what == "night":
            clock.wait(DAY / 4)
        elif what == "restart":
            workers[number].sharing.close()
            workers[number] = Worker(store, clock)
            own[number] = Counter()
        else:
            key, added = what
            # Readings are remembered for longer than these tests take.
            workers[number].pools.readings.add((key,), (added,))
            total[key] += added
            own[number][key] += added
    for _ in range(2):
        for worker in workers:
            worker.flush()

    for number, worker in enumerate(workers):
        for key in range(5):
            others = worker.pools.readings.others((key,), 1) or (0,)
            assert own[number][key] + others[0] == total[key]
    sums = stored(store, now=clock.time)
    assert sum(it[0] for table in sums.values() for it in table.values()) == sum(
        total.values()
    )


def test_what_was_seen_once_is_not_told():
    """It is when it is seen again; where it is known it always is."""
    pool = pool_of(least=2)
    pool.add(("a",), (0, 1))
    pool.add(("b",), (1, 1))
    pool.add(("b",), (0, 1))

    assert list(pool.take(TODAY).values()) == [(1, 2)]
    assert pool.has_news
    pool.add(("b",), (0, 1))
    assert list(pool.take(TODAY).values()) == [(0, 1)]
    pool.add(("a",), (0, 1))
    assert list(pool.take(TODAY).values()) == [(0, 2)]
    assert not pool.has_news


def test_namespaces_of_days():
    """Today's is added to, and yesterday's counts, too."""
    day = int(START // DAY)

    assert Pool("books").namespaces(day) == (
        "history/1/books/2026-11-18",
        "history/1/books/2026-11-17",
    )
    assert Pool("x", daily=False, days=9).namespaces(day) == ("history/1/x",)
    assert Pool("x", daily=False, days=9).seconds == 9 * DAY


def test_keys_of_kinds_parts_and_secrets_are_apart():
    """No two of them have the same digest, however their parts are cut."""
    keys = [
        ("a", "b"),
        ("ab",),
        ("a", b"b"),
        (("a",), "b"),
        ("a", ("b",)),
        (1,),
        ("1",),
        (1.0,),
        (None,),
        (True,),
        (),
    ]
    digests = [Pool(kind, days=1) for kind in ("one", "other")]
    found = []
    for pool in digests:
        for secret in (b"s", b"t"):
            for key in keys:
                # 1, 1.0 and True are one key of a dict, so each is told alone.
                pool.use(secret)
                pool._digests._known.clear()
                pool.add(key, (1,))
                found += pool.take("x")

    assert len(set(found)) == len(found) == 4 * len(keys)
    assert {len(it) for it in found} == {16}


def test_what_others_cannot_have_is_not_told():
    """An object that is told by its place in memory is none of anybody else."""
    pool = pool_of()
    pool.add((object(),), (1,))
    pool.add(("a", ("b", object())), (1,))
    pool.add(("a",), (float("inf"),))

    assert pool.take(TODAY) == {}
    assert not pool.has_news
    pool.learn({TODAY: {b"x": (1,)}})
    assert pool.others((object(),), 1) is None


def test_another_form_is_not_known():
    """Numbers of a version with more ways to write are left alone."""
    pools = learned((1.0, 2.0))

    assert pools.books.others(("k",), 2) == (1, 2)
    assert pools.books.others(("k",), 3) is None
    assert pools.books.others(("other",), 2) is None


def test_all_of_it_is_bounded(monkeypatch):
    """What is not told yet, what was told, and the digests of keys."""
    monkeypatch.setattr(module, "MAX_KEYS", 10)
    monkeypatch.setattr(module, "MAX_DIGESTS", 15)
    pool = pool_of(least=2)
    for number in range(MAX_LOG + 5):
        pool.add((number,), (1,))
    assert len(pool._log) == MAX_LOG
    assert pool.take(TODAY) == {}
    assert len(pool._held) == 10
    for number in range(50):
        pool.add((number,), (2,))
    assert len(pool.take(TODAY)) == 10
    for number in range(50, 70):
        pool.add((number,), (2,))

    # What has no room is not told either, so that it is not taken for others' later.
    assert pool.take(TODAY) == {}
    assert len(pool._own[TODAY]) == 10
    assert len(pool._digests._known) <= 15


def test_a_fork_before_a_flush():
    """What the child has from its parent is told by that, and is nobody else's."""
    parent, child = pool_of(), pool_of()
    for pool in (parent, child):
        pool.add(("k",), (3,))
    child.restart()
    child.add(("k",), (4,))
    sums = parent.take("x")
    ((digest, told),) = child.take("x").items()
    table = {digest: (sums[digest][0] + told[0],)}
    for pool in (parent, child):
        pool.learn({"x": table})

    assert (told, table) == ((4,), {digest: (7,)})
    assert parent.others(("k",), 1) == (4,)
    assert child.others(("k",), 1) == (0,)


def test_days_are_summed_and_forgotten():
    """What was added on a day that counts no more is not subtracted either."""
    pool = pool_of()
    pool.add(("k",), (5,))
    ((digest, _),) = pool.take("one").items()
    pool.learn({"one": {digest: (8,)}, "zero": {digest: (2,)}})
    assert pool.others(("k",), 1) == (5,)
    pool.learn({"two": {digest: (2,)}})

    assert pool.others(("k",), 1) == (2,)
    assert pool._own == {}


def test_a_secret_that_comes_back():
    """What was added under it is still known to be one's own."""
    pool = pool_of(b"one")
    pool.add(("k",), (5,))
    sums = pool.take("x")
    pool.use(b"other")
    pool.learn({"x": sums})
    assert pool.others(("k",), 1) is None
    pool.use(b"one")
    pool.learn({"x": sums})

    assert pool.others(("k",), 1) == (0,)


def chance(reuse, keys=(("all",),)):
    return reuse.chance(keys, 0.5, 0)


def test_chances_of_others_are_as_ones_own():
    """Who has not seen anything yet takes what others have seen as if it had."""
    pools = Pools()
    pools.reuse.use(b"s")
    mine, run = Reuse(WINDOWS, pools.reuse), Run(None, 0, 1, Lineage())
    for depth in range(40):
        mine.see([("all",)], 0.0, run, depth)
    mine.close(300.0)
    others = Pools()
    others.reuse.use(b"s")
    others.reuse.learn({"x": pools.reuse.take("x")})

    assert (
        chance(Reuse(WINDOWS, others.reuse)) == chance(mine) != chance(Reuse(WINDOWS))
    )
    assert chance(Reuse((300.0, 9.0), others.reuse)) == chance(Reuse(WINDOWS))
    assert Reuse(WINDOWS, others.reuse).chance([("all",)], 0.5, 1).mean == 0.5


@pytest.mark.parametrize("total", [MEMORY, 1_000_000])
def test_others_weigh_no_more_than_one(total):
    """A fleet of any size weighs as much as what a worker has seen long enough."""
    pools = learned((total, total), key=(WINDOWS, ("all", 0)), add="reuse")
    reuse, run = Reuse(WINDOWS, pools.reuse), Run(None, 0, 1, Lineage())
    before = chance(reuse)
    for depth in range(MEMORY):
        reuse.see([("all",)], 0.0, run, depth)
    reuse.close(300.0)

    assert before.mean > 0.95
    assert chance(reuse).mean == pytest.approx(0.5, abs=0.01)


def test_books_of_others():
    """They count as those of the ledger itself, and what is usual fades with them."""
    ten = Books(10.0, 10 * 1e6, [10 * 1e5] * len(WAYS))
    joined, entered = Books.usual().joined(ten), Books.usual()
    for _ in range(10):
        entered.add(Books(1.0, 1e6, (1e5,) * len(WAYS)))

    assert joined.tokens == pytest.approx(entered.tokens, rel=0.05)
    assert joined.bills == pytest.approx(entered.bills, rel=0.05)
    assert entered.joined(Books()) is entered


def test_books_of_very_many_others():
    """They weigh as much as a ledger remembers; of what is usual nothing is left."""
    many = Books(1e6, 1e12, [1e11] * len(WAYS))
    joined, entered = Books.usual().joined(many), Books.usual()
    for _ in range(3_000):
        entered.add(Books(1.0, 1e6, (1e5,) * len(WAYS)))

    assert joined.tokens == pytest.approx(entered.tokens)
    assert joined.bills == pytest.approx(entered.bills)
    assert entered.joined(many).tokens == pytest.approx(2 * entered.tokens)


@given(st.integers(0, 2_000), st.floats(0.01, 1e7))
def test_what_is_usual_is_taken_once(mine, others):
    """However many conversations there were: never more than was there."""
    books = Books.usual()
    for _ in range(mine):
        books.add(Books(1.0, 0.0, (0.0,) * len(WAYS)))
    joined = books.joined(Books(others, 0.0, (0.0,) * len(WAYS)))

    left = PRIOR_TOKENS * FADES**mine * FADES**others
    assert joined.tokens == pytest.approx(left, abs=1e-3)
    shares = [bill / PRIOR_TOKENS for bill in joined.bills]
    assert shares == pytest.approx([it * left / PRIOR_TOKENS for it in PRIOR], abs=1e-8)


def test_the_way_of_others():
    """What was cheapest in their conversations is taken in the first one here."""
    bills = [1e6] * len(WAYS)
    bills[SHORT] = 1e5
    told = learned((200.0, 2e8, *(200 * it for it in bills)), key=(b"m", "books"))
    ledger, outline = Ledger(told.books), letters("a", root=b"m")
    allowed = ("none", "short", "long")

    assert Ledger().way(outline, Lineage(), allowed, now=0.0) == "long"
    assert ledger.way(outline, Lineage(), allowed, now=0.0) == "short"
    other = letters("a", root=b"other")
    assert ledger.way(other, Lineage(), allowed, now=0.0) == "long"


def test_the_pace_of_others():
    """Their pauses are expected here, as if they had been here."""
    told = learned((30, 100), key=(b"m", "pace"))
    pauses = Ledger(told.books).pauses(letters("a", root=b"m"), Lineage())

    assert pauses == Pace(30, 100).more
    assert Pace(1, 2).joined(10 * MANY_GAPS, 20 * MANY_GAPS) == Pace(
        1 + MANY_GAPS / 2, 2 + MANY_GAPS
    )
    empty = learned((0, 0), key=(b"m", "pace"))
    ledger = Ledger(empty.books)
    assert ledger.pauses(letters("a", root=b"m"), Lineage()) == Pace().more


def test_a_ledger_tells_what_it_enters():
    """Conversations with what each way cost, and gaps with their pauses."""
    pools = Pools()
    ledger, prefixes, lineage = Ledger(pools.books), Prefixes(100), Lineage()
    ledger.add(b"m", Books(1.0, 7.4, (1.0, 2.0, 3.0, 4.0, 5.0)))
    for number, now in enumerate((0.0, 10.0, 1_000.0)):
        outline = letters("abc"[: number + 1], root=b"m")
        path = prefixes.path(outline)
        ledger.note(outline, path, lineage, Terms(), now=now)
        prefixes.grow(outline, path, now, lineage)
    pools.books.use(b"s")

    told = pools.books.take("x").values()
    assert list(told) == [(1, 7, 1, 2, 3, 4, 5), (1, 2)]


def test_readings_of_others():
    """One that was lost anywhere is enough; one's own and theirs are taken together."""
    now = START
    day = int(now // DAY)
    readings = Readings(learned((0, 1), key=(HERE, day), add="readings").readings)
    assert not readings.trusts(HERE, now=now)
    assert readings.trusts(("anthropic", "m", "other"), now=now)
    for _ in range(3):
        readings.note(HERE, kept=True, now=now)

    assert readings.trusts(HERE, now=now)
    readings.note(HERE, kept=False, now=now)
    assert not readings.trusts(HERE, now=now)


def test_readings_of_others_are_tried_again_after_a_week():
    """Within a day of that, as only the day of theirs is known."""
    day = int(START // DAY)
    pools = learned((0, 1), key=(HERE, day), add="readings")
    readings = Readings(pools.readings)

    assert not readings.trusts(HERE, now=START + RETRY_SECONDS)
    assert readings.trusts(HERE, now=START + RETRY_SECONDS + DAY)


def test_very_many_readings_of_others():
    """They weigh as much as one's own may."""
    day = int(START // DAY)
    pools = learned((10**6, 0), key=(HERE, day), add="readings")
    readings = Readings(pools.readings)
    for _ in range(30):
        readings.note(HERE, kept=False, now=START)

    assert not readings.trusts(HERE, now=START)


DIGESTS = """
from promptcache.providers.anthropic import ANTHROPIC
from promptcache.providers.gemini import GEMINI
from promptcache.providers.openai import CHAT, RESPONSES
from promptcache.state.history import History
from promptcache.state.paths import Lineage
from promptcache.state.pools import Pool
from promptcache.state.sights import keys_of

tool = {"name": "f", "description": "d", "parameters": {"type": "object"}}
turn = {"role": "user", "content": "hi"}
said = {"role": "assistant", "content": "hm"}
part = {"role": "user", "parts": [{"text": "hi"}]}
contents = {"model": "g", "contents": [part], "systemInstruction": part}
bodies = [
    (ANTHROPIC, {"model": "m", "system": "s", "tools": [tool], "messages": [turn],
                 "thinking": {"type": "enabled", "budget_tokens": 5},
                 "tool_choice": {"type": "tool", "name": "f"}}),
    (CHAT, {"model": "gpt-6.1-sol", "messages": [turn, said, turn],
            "tools": [{"type": "function", "function": tool}]}),
    (RESPONSES, {"model": "gpt-6.1-sol", "input": [turn], "instructions": "s"}),
    (GEMINI, contents),
]
pool = Pool("books")
pool.use(b"secret")
history = History()
for provider, body in bodies:
    outline = provider.outline(body, host=provider.name, tenant="t")
    path = history._prefixes.path(outline)
    for keys in keys_of(outline, path, Lineage(), None).values():
        for key in keys:
            pool.add((300.0, key), (1,))
print(sorted(it.hex() for it in pool.take("x")))
"""


def test_digests_are_the_same_in_every_process():
    """Workers find what others have told, whatever their seeds of hashing are."""
    said = [
        subprocess.run(
            [sys.executable, "-c", DIGESTS],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]

    assert said[0] == said[1]
    assert len(said[0]) > 1_000


def test_tenants_never_meet():
    """What one tenant's requests show is under keys that no other's request has."""
    store, clock = MemoryStore(), HandClock()
    one, other = Worker(store, clock), Worker(store, clock)
    for number in range(30):
        one.send(outline_of(f"question {number}", tenant="acme"))
        clock.wait(400)
    one.past(outline_of("hi", tenant="acme"))
    one.flush()
    fresh = other.chance(outline_of("hi", tenant="other"))
    same = other.chance(outline_of("hi", tenant="acme"))
    other.flush()

    assert other.chance(outline_of("hi", tenant="other")) == fresh == same
    assert other.chance(outline_of("hi", tenant="acme")) != same
