"""What one model's requests did so far, and what follows for the next one."""

import pytest

from promptcache.providers.gemini.accounts import Account
from promptcache.providers.gemini.returns import Cut
from promptcache.providers.gemini.terms import Terms

TERMS = Terms(input=0.75e-6, read=0.075e-6, storage=0.5e-6, creation=0.75e-6)
HEAD = Cut(0, b"head", 6000)


def see(account, *cuts, at, read=0):
    """Let an account see a request that went out in full."""
    whole = (b"whole %f" % at, cuts[-1].tokens + 100)
    sight = account.see(cuts, whole, minimum=4096, terms=TERMS, now=at)
    account.implicit.measure(sight.expected, read, now=at)
    return sight


def wish(account, sight, **fields):
    given = {"standing": None, "held": 0, "minimum": 4096, "allowed": lambda cut: True}
    return account.wish(sight, TERMS, **{**given, **fields})


def turns(number):
    return [HEAD, *(Cut(n, b"turn %d" % n, 6000 + 800 * n) for n in range(1, number))]


def test_a_head_that_comes_again():
    """Its cached content pays from the third request on."""
    account = Account()
    pays = [wish(account, see(account, HEAD, at=n * 10.0)).pays for n in range(5)]

    assert pays == [False, False, True, True, True]


def test_what_is_read_anyway_is_not_worth_a_creation():
    """Where implicit caching reads it all, nothing is gained."""
    account = Account()
    for n in range(30):
        sight = see(account, HEAD, at=n * 10.0, read=6000)

    assert not wish(account, sight).pays


def test_below_the_minimum_there_is_no_wish():
    """Nor is there where it may not be created now."""
    account = Account()
    for n in range(9):
        sight = see(account, HEAD, at=n * 10.0)

    assert wish(account, sight, minimum=8000) is None
    assert wish(account, sight, allowed=lambda cut: False) is None


def test_the_end_of_a_conversation_is_what_pays_most():
    """What is behind its head is wished for as a whole."""
    account = Account()
    for n in range(1, 12):
        sight = see(account, *turns(n), at=n * 10.0)

    assert wish(account, sight).seen.cut == turns(11)[-1]


def test_a_conversation_rolls_on_when_its_tail_has_become_dear():
    """Right behind what is held it does not, later it does."""
    account, found = Account(), []
    for n in range(1, 25):
        sight = see(account, *turns(n), at=n * 10.0)
        if n >= 6:
            found.append(wish(account, sight, standing=5, held=turns(6)[-1].tokens))

    assert found[0] is None
    assert not found[1].pays
    assert found[-1].pays


def test_questions_behind_a_head_are_not_wished_for():
    """Only what they have in common is."""
    account = Account()
    for n in range(20):
        question = Cut(2, b"question %d" % n, 9000)
        sight = see(account, HEAD, question, at=n * 10.0)

    assert wish(account, sight).seen.cut == HEAD


@pytest.mark.parametrize("pays", [True, False])
def test_it_says_what_it_expects(pays):
    """In words that a receipt can carry."""
    account = Account()
    for n in range(9 if pays else 1):
        sight = see(account, HEAD, at=n * 10.0)

    said = str(wish(account, sight))
    assert said.startswith("6000 tokens expected again")
    assert ("gains $" if pays else "would lose $") in said
