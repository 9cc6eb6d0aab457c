"""Which documents live in a cached content: what pays, all, or those retrieved most."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from promptcache.providers.gemini.life import Books
from promptcache.providers.gemini.residency import Residency, Standing
from promptcache.providers.gemini.terms import Terms

# gemini-3.8-flash, in US dollars for a token and a token-hour.
TERMS = Terms(input=0.75e-6, read=0.075e-6, storage=0.5e-6, creation=0.75e-6)
MINIMUM = 4096
NAMES = [bytes([number]) for number in range(40)]
ALL = dict.fromkeys(NAMES, 1_000)


class Desk:
    """A residency, and what a keeper does about it."""

    def __init__(self, mode="auto", *, gap=30.0, head=100, luck=0.0, **fields):
        self.residency = Residency(mode, **fields)
        self.books, self.head, self.gap, self.luck = Books(), head, gap, luck
        self.now, self.standing, self.made, self.let_go = 0.0, None, [], 0

    def ask(self, *numbers, times=1, is_luck_known=True, minimum=MINIMUM):
        for _ in range(times):
            self.now += self.gap
            documents = {NAMES[it]: 1_000 for it in numbers}
            whole = self.head + sum(documents.values())
            self.residency.see(
                documents.items(), anyway=self.luck * whole, now=self.now
            )
            self.books.input += whole * TERMS.input
            standing = self.standing
            if standing is not None and not self.residency.pays(
                standing, TERMS, head=self.head
            ):
                self.standing, self.let_go = None, self.let_go + 1
            made = self.residency.wanted(
                self.standing,
                TERMS,
                self.books,
                head=self.head,
                minimum=minimum,
                is_luck_known=is_luck_known,
            )
            if made is not None:
                self.standing = Standing(made.documents, made.tokens)
                self.books.spent += made.life.cost_usd
                self.made.append(made)
        return self.made


# What pays.


def test_documents_that_come_again():
    """They are kept once they would have paid for it."""
    desk = Desk()
    desk.ask(1, 2, 3, 4, 5, times=2)
    assert desk.made == []
    desk.ask(1, 2, 3, 4, 5, times=40)
    (made,) = desk.made

    assert made.documents == {NAMES[it] for it in (1, 2, 3, 4, 5)}
    assert made.tokens == 5_100
    assert made.life.gain_usd > 0


def test_documents_that_hardly_come_again():
    """They stay out of it: reading them each time costs more than sending them."""
    desk = Desk()
    for number in range(120):
        desk.ask(1, 2, 3, 4, 5, 6 + number % 30)
    kept = desk.made[-1].documents

    assert kept == {NAMES[it] for it in (1, 2, 3, 4, 5)}


@pytest.mark.parametrize(
    ("why", "fields"),
    [
        ("luck is not known", {"is_luck_known": False}),
        ("too little of it", {"minimum": 5_101}),
    ],
)
def test_nothing_is_created(why, fields):
    """Neither blindly, nor below what the provider takes."""
    assert Desk().ask(1, 2, 3, 4, 5, times=90, **fields) == [], why


def test_what_is_read_anyway():
    """Where implicit caching reads all of it, nothing is ever created."""
    assert Desk(luck=1.0).ask(1, 2, 3, 4, 5, times=300) == []
    assert Desk(luck=0.0).ask(1, 2, 3, 4, 5, times=300) != []


def test_what_does_not_come_in_time():
    """Storage between two days costs more than sending it all again."""
    assert Desk(gap=86_400.0).ask(1, 2, 3, 4, 5, times=60) == []


def test_what_stopped_paying():
    """It is let go, and not made again at once."""
    desk = Desk()
    desk.ask(1, 2, 3, 4, 5, times=60)
    assert desk.standing is not None
    desk.luck = 1.0
    desk.ask(1, 2, 3, 4, 5, times=300)

    assert desk.standing is None
    assert desk.let_go == 1
    assert len(desk.made) == 1


def test_what_ran_out():
    """What has paid is made again without waiting anew."""
    desk = Desk()
    desk.ask(1, 2, 3, 4, 5, times=60)
    desk.standing = None
    desk.ask(1, 2, 3, 4, 5)

    assert len(desk.made) == 2


def test_other_habits():
    """Documents that are asked for now take the place of those that were."""
    desk = Desk()
    desk.ask(1, 2, 3, 4, 5, times=60)
    desk.ask(11, 12, 13, 14, 15, times=2_000)

    assert {NAMES[it] for it in (11, 12, 13, 14, 15)} <= desk.made[-1].documents
    assert len(desk.made) < 20


# All, or those retrieved most.


def test_a_corpus():
    """All of it is created at once; nothing is weighed, nothing made twice."""
    desk = Desk("corpus", corpus=ALL, luck=1.0)
    desk.ask(1, times=200)
    (made,) = desk.made

    assert made.documents == set(ALL)
    assert made.tokens == 40_100


def test_a_corpus_that_is_too_small():
    """It is not created."""
    assert Desk("corpus", corpus={NAMES[0]: 1_000}).ask(0, times=9) == []


def test_a_corpus_that_is_not_known():
    """All that was seen stands for it, and is made anew only when it has grown."""
    desk = Desk("corpus")
    for number in range(40):
        desk.ask(number)
    sizes = [len(it.documents) for it in desk.made]

    assert sizes[-1] >= 36
    assert all(later > 1.1 * before for before, later in pairwise(sizes))


def test_another_corpus():
    """It is made from what is there now, at once if nothing stands."""
    desk = Desk("corpus", corpus=ALL)
    desk.ask(1, times=50)
    fewer = dict.fromkeys(NAMES[:30], 1_000)
    desk.residency.know(fewer)
    desk.standing = None
    desk.ask(1)

    assert desk.made[-1].documents == set(fewer)


def test_hot_documents():
    """Those retrieved most are kept, as many as fit."""
    desk = Desk("hot", hot_tokens=5_000)
    for number in range(200):
        desk.ask(1, 2, 3, 4, 5, 10 + number % 20)

    assert desk.made[-1].documents == {NAMES[it] for it in (1, 2, 3, 4, 5)}
    assert len(desk.made) < 5


@pytest.mark.parametrize("mode", ["auto", "corpus", "hot"])
def test_a_document_that_is_gone(mode):
    """It is in nothing that is created from then on."""
    desk = Desk(mode, corpus=ALL)
    desk.ask(1, 2, 3, 4, 5, 6, times=60)
    assert NAMES[2] in desk.made[-1].documents
    desk.residency.forget(NAMES[2])
    desk.standing = None
    desk.ask(1, 3, 4, 5, 6, times=60)

    assert NAMES[2] not in desk.made[-1].documents


def test_counts_do_not_overflow():
    """However long it runs, the share of what comes each time stays near one."""
    desk = Desk()
    desk.ask(1, times=4_090)
    before = desk.residency._share(NAMES[1])
    desk.ask(1, times=20)

    assert before == pytest.approx(desk.residency._share(NAMES[1]), abs=0.001)
    assert 0.98 < before < 1.0


ASKED = st.lists(
    st.tuples(
        st.lists(st.integers(0, 39), max_size=8),
        st.sampled_from([1.0, 30.0, 600.0, 7_200.0, 90_000.0]),
        st.sampled_from([0.0, 0.5, 1.0]),
    ),
    max_size=60,
)


@given(
    ASKED,
    st.sampled_from(["auto", "corpus", "hot"]),
    st.integers(1, 60_000),
    st.integers(1, 20_000),
    st.booleans(),
)
@example([([1, 2, 3, 4, 5], 30.0, 0.0)] * 60, "auto", 5_100, 9, True)
@example([([1, 2, 3], 30.0, 0.0)] * 5, "hot", 3_100, 3_000, True)
def test_whatever_is_asked(asked, mode, minimum, hot_tokens, knows_luck):
    """Nothing is below the minimum or above the hot tokens, or of unseen documents."""
    desk = Desk(mode, hot_tokens=hot_tokens)
    seen = set()
    for numbers, gap, luck in asked:
        desk.gap, desk.luck = gap, luck
        seen |= {NAMES[it] for it in numbers}
        before = desk.books.spent, desk.books.input
        had = len(desk.made)
        desk.ask(*numbers, minimum=minimum, is_luck_known=knows_luck)
        for made in desk.made[had:]:
            assert made.tokens >= minimum
            assert made.documents <= seen
            assert made.tokens == desk.head + 1_000 * len(made.documents)
            assert mode != "hot" or made.tokens - desk.head <= hot_tokens
            assert mode != "auto" or (knows_luck and made.life.gain_usd > 0)
            # However wrong it all was, what is lost is bounded.
            cost = made.life.cost_usd
            allowance = max(200_000 * TERMS.input, cost)
            most = allowance + 0.01 * (before[1] + 9_000 * TERMS.input)
            assert mode != "auto" or before[0] + cost <= most
