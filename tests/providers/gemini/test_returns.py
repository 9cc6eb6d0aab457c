"""Which prefixes came again, and how often those like them do."""

from promptcache.providers.gemini.returns import Cut, Returns

HEAD = Cut(0, b"head", 5000)


def turn(conversation, number):
    return Cut(number, f"{conversation}-{number}".encode(), 5000 + 500 * number)


def test_as_often_again_as_so_far():
    """Where nothing else is known, what came three times more is expected again so."""
    returns = Returns()
    found = [returns.see([HEAD], now=60.0 * n)[0].returns for n in range(4)]

    assert found[0] == 0.0
    assert found == sorted(found)
    assert 1.5 <= found[3] <= 3.5


def test_prefixes_like_it_tell_what_to_expect_at_first_sight():
    """Twenty heads that came fifty times each: the next one is expected to, too."""
    returns = Returns()
    for head in range(20):
        for n in range(50):
            returns.see([Cut(0, b"%d" % head, 5000)], now=n * 60.0)

    assert returns.see([Cut(0, b"new", 5000)], now=1e5)[0].returns > 10


def test_heads_that_never_come_again():
    """A new one is not expected to, either, and one that does counts for less."""
    returns = Returns()
    for head in range(100):
        returns.see([Cut(0, b"%d" % head, 5000)], now=head * 60.0)
    returns.see([HEAD], now=1e5)
    returns.see([HEAD], now=1e5 + 60)

    assert returns.see([HEAD], now=1e5 + 120)[0].returns <= 2


def test_a_conversation_is_as_old_as_its_first_turn():
    """Its newest prefix was never seen, and is expected to come as the whole was."""
    returns = Returns()
    for number in range(1, 9):
        seen = returns.see([turn("a", n) for n in range(1, number + 1)], now=number)

    assert seen[-1].uses == 1
    assert seen[-1].alone
    assert seen[-1].returns == seen[0].returns > 3


def test_behind_a_fork_a_conversation_is_new():
    """Many questions behind one head make the head likely, and no question."""
    returns = Returns()
    for number in range(30):
        seen = returns.see([HEAD, turn(f"q{number}", 1)], now=number * 10.0)

    assert seen[0].returns > 10
    assert not seen[0].alone
    assert seen[1].returns < 1


def test_idle_time_and_gaps():
    """The time since it was used is known, and the gaps are those of the prefix."""
    returns = Returns()
    assert returns.see([HEAD], now=0.0)[0].idle is None
    for n in range(1, 40):
        seen = returns.see([HEAD], now=n * 30.0)[0]

    assert seen.idle == 30.0
    assert seen.gaps.within(32.0) > 0.8


def test_a_clock_that_jumps_back():
    """No gap is negative."""
    returns = Returns()
    returns.see([HEAD], now=100.0)

    assert returns.see([HEAD], now=50.0)[0].idle == 0.0


def test_memory_is_bounded():
    """What was used least recently is forgotten first."""
    returns = Returns(max_nodes=10)
    for number in range(100):
        returns.see([HEAD, turn(f"q{number}", 1)], now=float(number))

    assert len(returns) == 10
    assert returns.see([HEAD], now=100.0)[0].uses == 101
