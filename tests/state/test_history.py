"""What is remembered of requests, and what it says of the next one."""

import threading
from dataclasses import replace

import pytest

from promptcache.planning.plan import Breakpoint, Plan, plan
from promptcache.planning.policies import Policy
from promptcache.planning.slots import Rules
from promptcache.planning.terms import Terms
from promptcache.providers.anthropic import ANTHROPIC
from promptcache.state.history import History

START = 1_000.0
RULES = Rules(minimum_tokens=0)
TOOL = {"name": "f"}


def text(value):
    return {"type": "text", "text": value}


def turns(*names):
    """Return messages, by turns of the user and of the model."""
    roles = ("user", "assistant")
    return [
        {"role": roles[number % 2], "content": [text(name)]}
        for number, name in enumerate(names)
    ]


def read(*names, tenant=None, **fields):
    body = {"model": "m", "messages": turns(*names), **fields}
    return ANTHROPIC.outline(body, host="anthropic", tenant=tenant)


class Requests:
    """Requests, one after the other, at times that the test sets."""

    def __init__(self, **options):
        self.history = History(**options)
        self.now = START

    def send(self, outline, *marks, ttl="5m", **fields):
        """Send a request with breakpoints, and return what was known of it."""
        past = self.past(outline)
        points = tuple(Breakpoint(position, ttl, "tail") for position in marks)
        made = Plan(breakpoints=points)
        self.sent = self.history.record(outline, made, past, now=self.now, **fields)
        return past

    def past(self, outline):
        return self.history.past(outline, now=self.now)

    def chance(self, outline, *, part="last", window="short"):
        """Return how likely a part of a request is taken to come again."""
        return getattr(self.past(outline).chances[part], window).mean

    def wait(self, seconds):
        self.now += seconds


@pytest.fixture
def requests():
    return Requests()


def test_nothing_is_known_at_first(requests):
    """The first request meets no past."""
    past = requests.send(read("a", system="s"), 1)

    assert (past.shared, past.entry, past.held, past.volatile) == (-1, -1, -1, None)
    assert past.chances["last"].short.mean == pytest.approx(0.4)
    assert past.room > 200_000


def test_what_an_earlier_request_had_too(requests):
    """The shared prefix ends with the deepest block that was seen before."""
    requests.send(read("a", "b", "c"))

    assert requests.send(read("a", "b", "X", "y")).shared == 1
    assert requests.send(read("a", "b", "c", "d", "e")).shared == 2
    assert requests.send(read("z")).shared == -1


def test_shortened_conversations(requests):
    """A request that is the beginning of an earlier one is shared as a whole."""
    requests.send(read("a", "b", "c"))

    assert requests.send(read("a")).shared == 0


@pytest.mark.parametrize(
    ("ttl", "seconds", "entry"),
    [
        pytest.param("5m", 0, 2, id="at-once"),
        pytest.param("5m", 299, 2, id="just-alive"),
        pytest.param("5m", 300, -1, id="over"),
        pytest.param("1h", 3_599, 2, id="an-hour"),
        pytest.param("1h", 3_600, -1, id="an-hour-over"),
    ],
)
def test_where_an_entry_lives(requests, ttl, seconds, entry):
    """An entry is where a breakpoint was, for its lifetime from the request's start."""
    requests.send(read("a", "b", "c"), 2, ttl=ttl)
    requests.wait(seconds)

    assert requests.send(read("a", "b", "c", "d")).entry == entry


def test_the_deepest_entry_alive(requests):
    """An earlier, longer-lived entry remains when a later one is over."""
    requests.send(read("a", "b", "c"), 0, ttl="1h")
    requests.send(read("a", "b", "c"), 2)

    assert requests.send(read("a", "b", "c", "d")).entry == 2
    requests.wait(301)
    assert requests.send(read("a", "b", "c", "d")).entry == 0


def test_a_shorter_mark_does_not_shorten_a_life(requests):
    """An entry of an hour lives on when five minutes are asked of it."""
    requests.send(read("a"), 0, ttl="1h")
    requests.send(read("a"), 0, ttl="5m")
    requests.wait(600)

    assert requests.send(read("a", "b")).entry == 0


def test_every_mark_refreshes(requests):
    """A breakpoint that is set again starts its lifetime anew."""
    requests.send(read("a"), 0)
    requests.wait(200)
    requests.send(read("a"), 0)
    requests.wait(200)

    assert requests.send(read("a", "b")).entry == 0


def test_tenants_never_meet(requests):
    """What one tenant sent says nothing of another's."""
    requests.send(read("a", "b", tenant="one"), 1)

    for other in (read("a", "b", tenant="two"), read("a", "b")):
        past = requests.send(other)
        assert (past.shared, past.entry) == (-1, -1)
    assert requests.send(read("a", "b", tenant="one")).entry == 1


NEW = read("z", system="s")
"""A request whose tail is counted with those of others behind the same head."""


@pytest.mark.parametrize(
    ("gap", "window", "rises"),
    [
        pytest.param(100, "short", True, id="soon"),
        pytest.param(299, "short", True, id="just-in-time"),
        pytest.param(300, "short", False, id="late"),
        pytest.param(300, "long", True, id="late-for-an-hour"),
        pytest.param(3_600, "long", False, id="too-late"),
    ],
)
def test_a_tail_that_came_again(requests, gap, window, rises):
    """It is likelier from then on, if it came while an entry would have lived."""
    before = requests.chance(NEW, window=window)
    for number in range(5):
        requests.send(read(f"a{number}", system="s"))
    requests.wait(gap)
    for number in range(5):
        requests.send(read(f"a{number}", "b", "c", system="s"))
    requests.wait(3_600)

    assert (requests.chance(NEW, window=window) > before) is rises


def test_nothing_is_counted_before_its_time(requests):
    """What came again at once counts when the others like it have had their time."""
    before = requests.chance(NEW)
    requests.send(read("a", system="s"))
    requests.send(read("a", "b", "c", system="s"))
    requests.wait(299)

    assert requests.chance(NEW) == before
    requests.wait(1)
    assert requests.chance(NEW) > before


def test_a_tail_that_came_again_is_counted_once(requests):
    """Two requests that go on from one tail are one repetition."""
    once = Requests()
    for following in (("c",), ("c", "d")):
        it = once if len(following) == 1 else requests
        it.send(read("a", system="s"))
        for name in following:
            it.send(read("a", "b", name, system="s"))
        it.wait(300)

    assert requests.chance(NEW) == pytest.approx(once.chance(NEW))


def test_what_was_written_makes_no_difference(requests):
    """Reuse is seen by what is sent, so it is learned of what was not cached, too."""
    cached = Requests()
    for it, marks in ((requests, ()), (cached, (1,))):
        for name in "ab":
            it.send(read(name, system="s"), *marks)
        it.send(read("a", "b", "c", system="s"), *marks)
        it.wait(300)

    assert requests.chance(NEW) == cached.chance(NEW)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(read("z", system="t", tools=[TOOL]), id="other-tools"),
        pytest.param(read("z", "y", "x", system="s"), id="a-conversation"),
        pytest.param(read("z", system="s", model="n"), id="another-model"),
        pytest.param(read("z", system="s", tenant="t"), id="another-tenant"),
    ],
)
def test_only_requests_alike_are_counted_together(requests, other):
    """What a question's tail did says nothing of requests of another kind."""
    before = requests.chance(other)
    for number in range(20):
        requests.send(read(f"a{number}", system="s"))
    requests.wait(300)

    assert requests.chance(other) == before
    assert requests.chance(NEW) < 0.09


def test_another_head_is_counted_apart_as_far_as_it_is_known(requests):
    """A head that nobody has sent is taken to be like all others of the tenant."""
    for number in range(20):
        requests.send(read(f"a{number}", system="s"))
        requests.send(read(f"a{number}", system="t"))
    requests.wait(100)
    for number in range(20):
        requests.send(read(f"a{number}", "b", "c", system="t"))
    requests.wait(300)
    chances = [requests.chance(read("z", system=it)) for it in ("s", "u", "t")]

    assert chances == sorted(chances)
    assert chances[0] < chances[1] < chances[2]


def test_a_system_prompt_that_always_changes(requests):
    """What was another on every call so far is volatile from the third call on."""
    pasts = [
        requests.send(read("a", system=[text("s"), text(f"it is {hour}")]))
        for hour in range(4)
    ]

    assert [past.volatile for past in pasts] == [None, None, 1, 1]
    assert [past.shared for past in pasts] == [-1, 0, 0, 0]


def test_tools_that_always_change(requests):
    """The tools are one part, named by their last."""
    pasts = [
        requests.send(read("a", tools=[{"name": f"f{n}"}, TOOL], system="s"))
        for n in range(3)
    ]

    assert [past.volatile for past in pasts] == [None, None, 1]


def test_a_system_prompt_that_stays(requests):
    """What was the same once is not volatile, whatever follows."""
    pasts = [
        requests.send(read("a", system=[text("s"), text(time)]))
        for time in ("one", "one", "two", "three", "four")
    ]

    assert [past.volatile for past in pasts] == [None] * 5


def test_the_first_part_that_changes_is_named(requests):
    """What stands behind a volatile part is not looked at."""
    for number in range(3):
        system = [text("s"), text(f"t{number}"), text(f"u{number}")]
        past = requests.send(read("a", system=system))

    assert past.volatile == 1


def test_tails_under_a_volatile_system_prompt_are_learned(requests):
    """Requests whose system prompt always changes are counted together."""
    for number in range(40):
        past = requests.send(read("a", system=[text("s"), text(f"now {number}")]))
        requests.wait(300)

    assert past.volatile == 1
    assert past.chances["last"].short.mean < 0.05


def test_a_plan_learns_from_history():
    """A chat whose tails are never read again soon stops writing them."""
    requests, policy = Requests(), Policy.auto()
    written = []
    for number in range(40):
        outline = read(f"{number}", "b", "c", system="s")
        past = requests.past(outline)
        made = plan(outline, rules=RULES, policy=policy, past=past)
        requests.history.record(outline, made, past, now=requests.now)
        written.append(any(point.reason == "tail" for point in made.breakpoints))
        requests.wait(400)

    assert written[-20:] == [False] * 20


def test_a_plan_learns_that_tails_come_again():
    """A chat whose turns come fast is written from some time on, and stays so."""
    requests, policy = Requests(), Policy.auto()
    written = []
    # Before it, such questions came once.
    for number in range(40):
        requests.send(read(f"once {number}", system="s"))
    requests.wait(400)
    for number in range(80):
        for turns_sent in (("q",), ("q", "r", "s")):
            outline = read(*(f"{it}{number}" for it in turns_sent), system="s")
            past = requests.past(outline)
            made = plan(outline, rules=RULES, policy=policy, past=past)
            requests.history.record(outline, made, past, now=requests.now)
            if len(turns_sent) == 1:
                written.append(any(it.reason == "tail" for it in made.breakpoints))
        requests.wait(400)

    assert not any(written[:5])
    assert written[-20:] == [True] * 20


def test_questions_with_one_long_head_are_no_conversation(requests):
    """What they share says nothing of how likely one of them goes on."""
    head = "long " * 1_000
    for number in range(20):
        requests.send(read(f"a{number}", system=head))
        requests.wait(10)
    past = requests.send(read("z", system=head))

    assert past.shared == 0
    assert past.gaps == 0
    assert past.chances["last"].short.mean <= 0.4


def test_a_conversation_has_its_own_pace(requests):
    """What went on so far is likelier to go on than others of its kind."""
    names = ["a"]
    requests.send(read(*names, system="s"))
    first = requests.chance(read(*names, "b", "c", system="s"))
    for number in range(8):
        requests.wait(60)
        names += [f"answer {number}", f"question {number}"]
        past = requests.send(read(*names, system="s"))

    assert past.gaps == 7
    assert first < 0.5 < past.chances["last"].short.mean
    assert past.chances["head"].short.mean < past.chances["last"].short.mean


def test_a_conversation_that_pauses(requests):
    """It is likely to go on within an hour, and not within five minutes."""
    names = ["a"]
    requests.send(read(*names, system="s"))
    for number in range(8):
        requests.wait(600)
        names += [f"answer {number}", f"question {number}"]
        past = requests.send(read(*names, system="s"))

    assert past.chances["last"].short.mean < 0.2
    assert past.chances["last"].long.mean > 0.7


def test_a_bounded_number_of_prefixes():
    """The prefixes used least recently go first."""
    requests = Requests(max_nodes=40)
    for number in range(100):
        requests.send(read(f"{number}", "b", "c"), 2)

    assert len(requests.history) <= 40
    assert requests.send(read("99", "b", "c")).entry == 2
    assert requests.send(read("5", "b", "c")).shared == -1


def test_a_request_of_more_blocks_than_are_remembered():
    """A bound below one request's own length is kept too."""
    requests = Requests(max_nodes=3)
    requests.send(read(*"abcdefgh"), 7)

    assert len(requests.history) == 3
    assert requests.send(read(*"abcdefghi")).entry == 7


def test_nothing_in_a_request(requests):
    """A request of no block leaves nothing behind."""
    for _ in range(2):
        past = requests.send(read())
        assert (past.shared, past.entry) == (-1, -1)
    assert len(requests.history) == 0


def test_many_threads():
    """Requests of many threads at once lose no count."""
    history, errors = History(max_nodes=500), []

    def work(name):
        try:
            for number in range(100):
                outline = read(f"{name}-{number}", "b", "c", system="s")
                past = history.past(outline, now=START)
                made = Plan(breakpoints=(Breakpoint(3, "5m", "tail"),))
                history.record(outline, made, past, now=START)
        except Exception as error:  # noqa: BLE001 - whatever it is fails the test
            errors.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    past = history.past(read("z", "b", "c", system="s"), now=START + 300)

    assert errors == []
    assert 0 < len(history) <= 500
    assert past.chances["last"].short.mean < 0.03


def test_a_block_that_was_moved_is_known_as_long_as_it_changes(requests):
    """What changes is counted in what was built, not in what was sent."""
    told = []
    for number in range(6):
        built = read("a", system=[text("s"), text(f"day {min(number, 3)}")])
        past = requests.history.past(built, now=START)
        told.append(past.volatile)
        sent = read("a", system=[text("s")])
        requests.history.record(sent, Plan(), past, now=START, built=built)

    assert told == [None, None, 1, 1, None, None]


def test_the_tail_ends_before_what_is_known_to_change(requests):
    """What is learned of tails is of the part that may come again."""
    following = read("y", "z", "x", system="s")
    before = requests.chance(following)
    for number in range(20):
        for end in "cd":
            it = read(f"a{number}", "b", end, system="s")
            past = replace(requests.past(it), unstable=3)
            requests.history.record(it, Plan(), past, now=START)
    requests.wait(300)

    assert requests.chance(following, part="turns") > before


def settle(requests, *, read_tokens, **written):
    sent = requests.sent
    requests.history.settle(
        sent, tokens=sent.outline.total_tokens, read=read_tokens, written=written
    )


def test_an_entry_that_was_gone(requests):
    """What was to be read and was not is alive no more, but where it was written."""
    requests.send(read("a" * 400, "b" * 400, "c"), 0, 1)
    requests.wait(10)
    requests.send(read("a" * 400, "b" * 400, "c", "d"), 1, 3)
    settle(requests, read_tokens=0)

    assert requests.past(read("a" * 400, "X")).entry == -1
    assert requests.past(read("a" * 400, "b" * 400, "X")).entry == 1


def test_a_reading_that_could_not_be(requests):
    """A request that names nothing reads nothing, which says nothing of entries."""
    requests.send(read("a" * 400, "b"), 0)
    requests.send(read("a" * 400, "b", "c"))
    settle(requests, read_tokens=0)

    assert requests.past(read("a" * 400, "b")).entry == 0


def test_what_is_beyond_the_look_back(requests):
    """An entry that no breakpoint comes near to is not read, nor kept alive."""
    long = read(*map(str, range(40)))
    requests.send(long, 0)
    requests.wait(200)
    requests.send(long, 39, reach=20)
    assert requests.sent.expected == -1
    requests.wait(150)

    assert requests.past(read("0", "x")).entry == -1
    assert requests.past(read(*map(str, range(41)))).entry == 39


def test_a_request_that_is_sent_without_its_plan(requests):
    """It has written nothing, and what it costs is what the provider says."""
    requests.send(read("a" * 400, "b"), 0)
    sent = requests.history.withdraw(requests.sent)

    assert sent.entries == ()
    assert requests.past(read("a" * 400, "b")).entry == -1


@pytest.mark.parametrize("how", ["settle", "assume", "wait"])
def test_what_a_request_may_cost_is_kept_until_it_is_answered(how):
    """Then what it cost takes its place; what is never answered was not billed."""
    requests = Requests(allowance=1_000.0)
    it = read("a" * 8_000)
    requests.send(it, 0)
    before = requests.past(read("z" * 8_000)).room
    if how == "settle":
        settle(requests, read_tokens=0)
    elif how == "assume":
        requests.history.assume(requests.sent)
    else:
        requests.wait(3_600)
    after = requests.past(read("z" * 8_000)).room

    assert before == pytest.approx(1_000 + 20 - 500, abs=5)
    assert after == pytest.approx(
        {"settle": 1_040, "assume": 540, "wait": 1_020}[how], abs=5
    )


def test_windows_are_those_of_the_provider(requests):
    """What comes again after ten minutes does so in time where entries live for 30."""
    terms = Terms(short="30m", long=None)
    for number in range(20):
        for name in ("a", "b"):
            outline = read(f"a{number}", *([name] * (name == "b")), system="s")
            past = requests.history.past(outline, now=requests.now, terms=terms)
            requests.history.record(
                outline, Plan(), past, now=requests.now, terms=terms
            )
            requests.wait(600)
    requests.wait(1_800)
    past = requests.history.past(NEW, now=requests.now, terms=terms)

    assert past.chances["last"].short.mean > 0.4
    assert past.way == "short"


def test_a_conversation_whose_caller_asks_for_other_lifetimes(requests):
    """It goes on, and its pace is learned anew within the times that count then."""
    names = ["a"]
    known = []
    for number in range(12):
        terms = Terms(long="1h" if number // 6 else None)
        outline = read(*names, system="s")
        past = requests.history.past(outline, now=requests.now, terms=terms)
        requests.history.record(outline, Plan(), past, now=requests.now, terms=terms)
        known.append(past.chances["last"].short.mean)
        names += [f"answer {number}", f"question {number}"]
        requests.wait(60)

    assert known[5] > 0.5
    assert known[6] < known[5]
    assert known[11] > 0.5
    assert past.gaps == 10


def test_a_fork_while_a_thread_is_at_work():
    """Its child goes on with a lock of its own."""
    history = History()
    assert history.pause()
    history.restart()

    assert history.past(read("a"), now=START).entry == -1
    assert history.pause()
    history.resume()
    assert history.past(read("a"), now=START).entry == -1
