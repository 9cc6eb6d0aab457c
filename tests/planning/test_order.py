"""The order of documents: what is alive first, what is new last, nothing lost."""

from itertools import permutations
from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptcache.planning.order import Orders, ranking

NOW = 1_800_000_000.0
LIFE = 300.0

names = st.sampled_from("abcdefg")
sets = st.lists(names, unique=True, max_size=5)
# A gap of 200 seconds keeps a prefix alive, two in a row do not.
courses = st.lists(st.tuples(sets, st.sampled_from([0.0, 200.0, 400.0])), max_size=12)
weights = st.fixed_dictionaries({it: st.integers(1, 9) for it in "abcdefg"})
EVEN = dict.fromkeys("abcdefg", 1)


def told(documents, weigh=EVEN):
    return [(it.encode(), weigh.get(it, 1)) for it in documents]


def arranged(orders, documents, *, now=NOW, weigh=EVEN):
    positions = orders.arranged(told(documents, weigh), now=now)
    return "".join(documents[position] for position in positions)


def note(orders, documents, *, now=NOW):
    digests = [it.encode() for it in documents]
    orders.note(digests, now=now, until=now + LIFE)


def sent(course, weigh=EVEN, **bounds):
    """Return orders that were noted as they were arranged, those sent, and the time."""
    orders, now, log = Orders(**bounds), NOW, []
    for documents, gap in course:
        order = arranged(orders, documents, now=now, weigh=weigh)
        note(orders, order, now=now)
        log.append((order, now))
        now += gap
    return orders, log, now


def shared(order, other):
    """Return how many documents two orders begin with alike."""
    pairs = enumerate(zip(order, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(order), len(other)))


def live_weight(order, log, now, weigh):
    """Return what an order begins with that was sent and is alive."""
    alive = [one for one, at in log if now < at + LIFE]
    longest = max((shared(order, one) for one in alive), default=0)
    return sum(weigh[it] for it in order[:longest])


@given(courses, st.lists(names, max_size=9))
def test_every_document_once(course, documents):
    """Each document that is given comes back, once, by its first position."""
    orders, _, now = sent(course)

    positions = orders.arranged(told(documents), now=now)

    assert [documents[it] for it in sorted(positions)] == list(dict.fromkeys(documents))
    assert all(documents.index(documents[it]) == it for it in positions)


@given(courses, sets, st.randoms(use_true_random=False))
def test_retrieval_order_means_nothing(course, documents, random):
    """The order follows from which documents are given, not from theirs."""
    orders, _, now = sent(course)
    shuffled = random.sample(documents, k=len(documents))

    assert arranged(orders, shuffled, now=now) == arranged(orders, documents, now=now)


@given(courses, sets)
def test_reading_is_no_learning(course, documents):
    """Orders that learned the same answer the same, however often they are asked."""
    orders, _, now = sent(course)
    other, _, _ = sent(course)
    first = arranged(orders, documents, now=now)

    assert arranged(orders, documents, now=now) == first
    assert arranged(other, documents, now=now) == first


@settings(max_examples=200)
@given(courses, sets, weights)
def test_no_order_reads_more(course, documents, weigh):
    """No permutation, so not that of the ids either, begins with more that is alive."""
    orders, log, now = sent(course, weigh)

    mine = live_weight(
        arranged(orders, documents, now=now, weigh=weigh), log, now, weigh
    )

    assert mine == max(
        live_weight(it, log, now, weigh) for it in permutations(documents)
    )


@given(courses, st.integers(1, 6), sets)
def test_bounded(course, most, documents):
    """No more is remembered than allowed, and what is left still makes an order."""
    orders, _, now = sent(course, max_nodes=most)

    assert len(orders) <= most
    assert len(orders._shares) <= most
    assert sorted(arranged(orders, documents, now=now)) == sorted(documents)
    assert reachable(orders) == set(orders._nodes)


def reachable(orders):
    """Return every node that is found from the root."""
    found, pending = set(), [orders._root]
    while pending:
        children = (pending.pop().children or {}).values()
        found.update(children)
        pending.extend(children)
    return found


def test_live_prefix_first():
    """What was sent and is alive is begun with, and the new document comes last."""
    orders = Orders()
    note(orders, "dbe")

    assert arranged(orders, "abde", now=NOW + LIFE - 1) == "dbea"


def test_a_use_begins_life_again():
    """A prefix lives from its last use on, and so do those that it begins with."""
    orders = Orders()
    note(orders, "dba")
    note(orders, "dbc", now=NOW + 200)

    assert arranged(orders, "abd", now=NOW + 299) == "dba"
    assert arranged(orders, "abd", now=NOW + 301) == "dba"
    assert arranged(orders, "cbd", now=NOW + 499) == "dbc"
    assert orders.arranged(told("db"), now=NOW + 499) == [0, 1]


def test_dead_prefix_is_nothing():
    """What is dead at its very end gives way to what was shared most."""
    orders = Orders()
    for _ in range(2):
        note(orders, "ca")
    note(orders, "bd")
    for _ in range(2):
        note(orders, "e")
        note(orders, "a")

    assert arranged(orders, "abcd", now=NOW + LIFE - 1) == "cabd"
    assert arranged(orders, "abcd", now=NOW + LIFE) == "acbd"


def test_weight_decides():
    """Of two live prefixes, the one with more to read is begun with."""
    orders = Orders()
    note(orders, "abc")
    note(orders, "da")
    given_all = "abcd"

    assert arranged(orders, given_all) == "abcd"
    assert arranged(orders, given_all, weigh={"d": 9}) == "dabc"


@pytest.mark.parametrize("more", ["ab", "ba"])
def test_used_more_decides(more):
    """Of two live prefixes of a weight, the one that was used more is begun with."""
    orders = Orders()
    for one in ("ab", "ba", more):
        note(orders, one)

    assert arranged(orders, "xab") == f"{more}x"


def test_shared_first_among_the_rest():
    """What is in no live prefix is sorted by how much it was shared, new last."""
    orders = Orders()
    for one in ("xc", "xc", "yb"):
        note(orders, one)

    assert arranged(orders, "abc") == "cba"


def test_old_use_counts_less():
    """Two uses of five hours ago count less than one of now."""
    orders = Orders()
    for now in (NOW, NOW, NOW + 18_000):
        note(orders, "xa" if now == NOW else "xb", now=now)

    assert arranged(orders, "ab", now=NOW + 18_000) == "ba"


def test_least_recently_used_goes():
    """Of more orders than fit, the one that was not used longest is forgotten."""
    orders = Orders(max_nodes=4)
    note(orders, "ba")
    note(orders, "dc")
    note(orders, "ba")
    note(orders, "fe")

    assert arranged(orders, "ab") == "ba"
    assert arranged(orders, "ef") == "fe"
    assert [node.digest for node in orders._nodes] == [b"a", b"b", b"e", b"f"]


def test_an_order_longer_than_fits():
    """Of an order that does not fit, the beginning is remembered."""
    orders = Orders(max_nodes=2)
    note(orders, "dcba")

    assert arranged(orders, "abcd")[:2] == "dc"


def test_a_repeated_document_counts_once():
    """A document that stands twice in what is noted is one."""
    orders = Orders()
    note(orders, "bab")

    assert len(orders) == len("ba")


def test_twenty_documents_among_many():
    """Twenty documents are put in order at once, whatever else is remembered."""
    orders = Orders()
    for number in range(2_500):
        digests = [b"%d-%d" % (number % 200, it * (number + 1)) for it in range(20)]
        orders.note(digests, now=NOW, until=NOW + LIFE)
    assert len(orders) > 40_000
    wanted = [(b"%d-%d" % (7, it * 8), 1) for it in range(20)]

    seconds = min(timed(orders, wanted) for _ in range(20))

    assert seconds < 0.001


def timed(orders, wanted):
    begun = perf_counter()
    orders.arranged(wanted, now=NOW)
    return perf_counter() - begun


def test_a_maze_is_left():
    """Where a great many paths fit, a long one is taken and the search ends."""
    orders = Orders()
    for one in permutations("abcdefg"):
        note(orders, one)

    order = arranged(orders, "abcdefgx")

    assert sorted(order[:7]) == list("abcdefg")
    assert order[7] == "x"


@pytest.mark.parametrize(
    ("ranks", "places"),
    [
        pytest.param([3, 1, 2], "2, 3, 1", id="all"),
        pytest.param([2, 9, 4], "1, 3, 2", id="some were left out"),
    ],
)
def test_ranking(ranks, places):
    """The ranking names places in the prompt, the most relevant first."""
    assert ranking(ranks).endswith(
        f"where 1 is the document that stands first: {places}."
    )


@pytest.mark.parametrize("ranks", [[], [1]])
def test_nothing_to_rank(ranks):
    """One document needs no ranking."""
    assert ranking(ranks) == ""
