"""What an order of documents learns, whose it is, and where it is off."""

import gc
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy

import pytest

from promptcache import DocumentText, PromptCache, StableOrder, default_cache, options
from promptcache.errors import OptionError
from promptcache.prompts.ordering import _learned, _learned_by
from promptcache.prompts.parts import found


class FakeClock:
    """Stands still until it is advanced."""

    def __init__(self):
        self.seconds = 1_800_000_000.0

    def now(self):
        return self.seconds

    def wait(self, seconds):
        self.seconds += seconds


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def cache(clock):
    return PromptCache(clock=clock)


@pytest.fixture
def make(cache):
    """Return a function that makes orders on the cache of this test."""
    return lambda mode="live", **said: StableOrder(
        mode, **{"prompt_cache": cache, **said}
    )


def order_of(order, texts, **said):
    documents = [DocumentText(text) for text in texts]
    return "".join(texts[position] for position in order.arranged(documents, **said))


def test_live_order_is_learned(make):
    """What was handed out first is begun with, whatever comes beside it."""
    order = make()
    first = order_of(order, "cab")

    assert order_of(order, "xbcay")[:3] == first
    assert order_of(order, "ybacx")[:3] == first


@pytest.fixture
def untaught(clock):
    """Return a function that gives the order of documents where nothing is known."""

    def order(texts, *, name="", **said):
        fresh = StableOrder(name=name, prompt_cache=PromptCache(clock=clock))
        return order_of(fresh, texts, **said)

    return order


def test_learned_by_the_cache(make, untaught):
    """Two orders on one cache learn together, as frameworks make new ones."""
    natural = untaught("ab")
    order_of(make(), natural[1])

    assert order_of(make(), "ab") == natural[::-1]


def test_a_copy_learns_too(make, untaught):
    """What a copied order learns, its original learns too."""
    natural, order = untaught("ab"), make()
    order_of(deepcopy(order), natural[1])

    assert order_of(order, "ab") == natural[::-1]


def test_caches_learn_apart(make, untaught, clock):
    """Another cache has learned nothing."""
    natural = untaught("ab")
    order_of(make(), natural[1])

    assert order_of(make(prompt_cache=PromptCache(clock=clock)), "ab") == natural


@pytest.mark.parametrize(
    ("name", "said"),
    [
        pytest.param("", {"tenant": "b"}, id="tenant"),
        pytest.param("b", {}, id="name"),
    ],
)
def test_learned_apart(make, untaught, name, said):
    """Tenants learn nothing of each other, and prompts of other names neither."""
    natural = untaught("ab", name=name, **said)
    order_of(make(), natural[1])

    assert order_of(make(name=name), "ab", **said) == natural
    assert order_of(make(name=name), natural[1], **said) == natural[1]
    assert order_of(make(name=name), "ab", **said) == natural


def test_the_option_says_the_tenant(make, untaught):
    """A tenant that an option names comes before the one that a framework names."""
    natural = {tenant: untaught("ab", tenant=tenant) for tenant in "ab"}
    with options(tenant="a"):
        order_of(make(), natural["a"][1], tenant="b")
        order_of(make(), natural["b"][1], tenant="b")
        known = _nodes(make())

    assert order_of(make(), "ab", tenant="b") == natural["b"]
    assert order_of(make(), natural["a"][1], tenant="a")
    assert _nodes(make()) == known + len("ab")


def _nodes(order):
    return len(_learned(order._cache)._orders)


@pytest.mark.parametrize(
    ("said", "inside", "alive"),
    [
        pytest.param({}, {}, 300, id="default"),
        pytest.param({"live_seconds": 60}, {}, 60, id="live_seconds"),
        pytest.param({}, {"ttl": "1h"}, 3_600, id="option"),
        pytest.param({"live_seconds": 60}, {"ttl": "1h"}, 60, id="both"),
    ],
)
def test_life(make, clock, said, inside, alive):
    """A prefix is alive as long as was said, else five minutes."""
    order = make(**said)
    with options(**inside):
        # Alive, the pair comes first; dead, what was handed out more often does.
        pair = order_of(order, "ab")
        for _ in range(3):
            order_of(order, pair[1])
        order_of(order, "c")
        order_of(order, "c")
        clock.wait(alive - 1)
        assert order_of(order, "abc")[:2] == pair
        clock.wait(alive + 1)
        assert order_of(order, "bca") != pair + "c"


def test_ttl_of_the_choice(clock):
    """The ttl that `prompt_cache` says is the life of what is handed out."""
    order = StableOrder(prompt_cache={"ttl": "1h"})

    assert order._said.ttl == "1h"
    assert order._cache is default_cache()


def test_id_order(make):
    """Documents are sorted by id, those without one by text, each text once."""
    documents = [
        DocumentText("second", "b"),
        DocumentText("nameless"),
        DocumentText("first", "a"),
        DocumentText("second", "0"),
        DocumentText("a nameless one"),
    ]

    assert make("id").arranged(documents) == [4, 1, 0, 2]
    assert make("id").arranged(documents[::-1]) == [0, 3, 1, 2]


def test_id_order_learns_nothing(make, cache):
    """The order by id needs no memory."""
    order_of(make("id"), "abc")

    assert cache not in _learned_by


def test_same_text_once(make):
    """Of two that reach the model alike the first counts; an id alone is no text."""
    documents = [DocumentText("x", "1"), DocumentText("y", "1"), DocumentText("x", "2")]

    assert sorted(make().arranged(documents)) == [0, 1]


@pytest.mark.parametrize(
    "said",
    [
        pytest.param({"prompt_cache": False}, id="False"),
        pytest.param({"prompt_cache": "off"}, id="policy"),
        pytest.param({"prompt_cache": {"enabled": False}}, id="enabled"),
    ],
)
@pytest.mark.parametrize("mode", ["live", "id"])
def test_off(make, said, mode):
    """Where caching is off, documents stay as they were retrieved."""
    assert order_of(make(mode, **said), "cabc") == "cabc"


def test_off_for_a_call(make):
    """What is off inside a `with` is ordered outside."""
    order = make("id")
    with options(enabled=False):
        assert order_of(order, "cabc") == "cabc"

    assert order_of(order, "cabc") == "abc"


def test_off_in_the_environment():
    """`PROMPTCACHE=off` leaves documents as they were retrieved."""
    code = (
        "from promptcache import DocumentText, StableOrder\n"
        "print(StableOrder('id').arranged([DocumentText(it) for it in 'cabc']))"
    )
    env = {**os.environ, "PROMPTCACHE": "off"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=env,
        capture_output=True,
        check=True,
        text=True,
    )

    assert done.stdout.split("\n")[0] == "[0, 1, 2, 3]"


@pytest.mark.parametrize(
    ("said", "name"),
    [
        pytest.param({"mode": "score"}, "mode", id="mode"),
        pytest.param({"live_seconds": 0}, "live_seconds", id="no life"),
        pytest.param({"live_seconds": float("inf")}, "live_seconds", id="for ever"),
        pytest.param({"live_seconds": float("nan")}, "live_seconds", id="nan"),
        pytest.param({"prompt_cache": 7}, "prompt_cache", id="choice"),
    ],
)
def test_refused(said, name):
    """What is not allowed is refused when the order is made."""
    with pytest.raises(OptionError) as refused:
        StableOrder(**said)

    assert refused.value.option == name


def test_pickled():
    """An order on the cache of the process is pickled, and learns there again."""
    order = StableOrder("id", live_seconds=60, name="b")

    copied = pickle.loads(pickle.dumps(order))

    assert (copied._mode, copied._live_seconds, copied._name) == ("id", 60, "b")
    assert copied._cache is order._cache


def test_forgotten_with_the_cache(clock):
    """What was learned ends with its cache."""
    cache = PromptCache(clock=clock)
    order_of(StableOrder(prompt_cache=cache), "ab")
    gc.collect()
    before = len(_learned_by)
    del cache
    gc.collect()

    assert len(_learned_by) == before - 1


def handed(order, texts):
    documents = [DocumentText(text) for text in texts]
    return [texts[position] for position in order.arranged(documents)]


def test_threads_share_one_order(make):
    """Threads that come at once are given one order."""
    order = make()
    texts = [f"document {number}" for number in range(20)]
    with ThreadPoolExecutor(8) as pool:
        given = list(pool.map(lambda _: tuple(handed(order, texts)), range(200)))

    assert len(set(given)) == 1
    assert _nodes(order) == len(texts)


def test_a_fork_goes_on(make):
    """A child that was forked while a thread held the lock puts documents in order."""
    order = make()
    before = order_of(order, "ab")
    learned = _learned(order._cache)
    assert learned.pause()
    assert learned._lock.locked()
    learned.resume()
    learned._lock.acquire()
    learned.restart()

    assert order_of(order, "ba") == before


@pytest.mark.parametrize("mode", ["live", "id"])
def test_documents_are_found_in_a_string(make, mode):
    """Each text is remembered, so that a prefix can end with it inside of a string."""
    texts = [f"What the {mode} order found: {number}.\n" for number in range(3)]
    handed(make(mode), texts)
    with options(enabled=False):
        handed(make(mode), [f"What no {mode} order touched."])
    joined = "\n".join((*texts, f"What no {mode} order touched."))

    spans = found(joined)

    assert [joined[it.start : it.end] for it in spans] == [it.strip() for it in texts]
    assert {it.kind for it in spans} == {"document"}


def test_ranking_is_volatile():
    """The ranking is told to change with the question."""
    line = StableOrder.ranking([2, 1])

    assert [span.kind for span in found(f"Documents.\n\n{line}")] == ["volatile"]
    assert StableOrder.ranking([1]) == ""
