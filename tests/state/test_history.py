"""What is remembered of requests, and what it says of the next one."""

import threading
from dataclasses import replace

import pytest

from promptcache.planning.candidates import Past
from promptcache.planning.plan import Breakpoint, Plan, plan
from promptcache.planning.policies import Policy
from promptcache.planning.slots import Rules
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

    def send(self, outline, *marks, ttl="5m"):
        """Send a request with breakpoints, and return what was known of it."""
        past = self.history.past(outline, now=self.now)
        points = tuple(Breakpoint(position, ttl, "tail") for position in marks)
        made = Plan(breakpoints=points)
        self.history.record(outline, made, past, now=self.now)
        return past

    def wait(self, seconds):
        self.now += seconds


@pytest.fixture
def requests():
    return Requests()


def test_nothing_is_known_at_first(requests):
    """The first request meets no past."""
    assert requests.send(read("a", system="s"), 1) == Past()


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

    assert requests.send(read("a", "b", tenant="two")) == Past()
    assert requests.send(read("a", "b")) == Past()
    assert requests.send(read("a", "b", tenant="one")).entry == 1


def test_a_tail_that_came_again(requests):
    """A tail counts as repeated when a later request goes on from it."""
    requests.send(read("a", system="s"))
    requests.send(read("a", "b", "c", system="s"))

    assert requests.send(read("z", system="s")).repeated == 1
    assert requests.send(read("y", system="s")).lost == 0


def test_a_tail_that_came_again_is_counted_once(requests):
    """Two requests that go on from one tail are one repetition."""
    requests.send(read("a", system="s"))
    requests.send(read("a", "b", "c", system="s"))
    requests.send(read("a", "b", "d", system="s"))

    assert requests.send(read("z", system="s")).repeated == 1


@pytest.mark.parametrize(
    ("ttl", "seconds", "lost"),
    [
        pytest.param("5m", 299, 0, id="alive"),
        pytest.param("5m", 300, 1, id="over"),
        pytest.param("1h", 300, 0, id="an-hour-alive"),
        pytest.param("1h", 3_599, 0, id="an-hour-just-alive"),
        pytest.param("1h", 3_600, 1, id="an-hour-over"),
    ],
)
def test_a_tail_is_lost_after_its_lifetime(requests, ttl, seconds, lost):
    """A tail that did not come again counts as lost, but not while it could."""
    requests.send(read("a", system="s"), 1, ttl=ttl)
    requests.wait(seconds)

    assert requests.send(read("z", system="s"), ttl=ttl).lost == lost


def test_a_long_tail_does_not_hold_up_a_short_one(requests):
    """Tails are closed in the order in which they are over."""
    requests.send(read("a", system="s"), 1, ttl="1h")
    requests.send(read("b", system="s"), 1)
    requests.wait(300)

    assert requests.send(read("z", system="s")).lost == 1


def test_a_tail_without_a_breakpoint_lives_five_minutes(requests):
    """What was not written may still come again within the shortest lifetime."""
    requests.send(read("a", system="s"))
    requests.wait(299)

    assert requests.send(read("b", system="s")).lost == 0
    requests.wait(1)
    assert requests.send(read("c", system="s")).lost == 1


def test_a_lost_tail_may_be_tried_again(requests):
    """The same request later is a new tail, and may be lost anew."""
    for _ in range(2):
        requests.send(read("a", system="s"))
        requests.wait(300)

    assert requests.send(read("z", system="s")).lost == 2


def test_a_tail_that_came_again_is_not_lost(requests):
    """What was repeated within its lifetime stays repeated when that is over."""
    requests.send(read("a", system="s"))
    requests.wait(100)
    requests.send(read("a", "b", "c", system="s"))
    requests.wait(250)
    past = requests.send(read("z", system="s"))

    assert (past.repeated, past.lost) == (1, 0)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(read("z", system="t"), id="another-system-prompt"),
        pytest.param(read("z", system="s", tools=[TOOL]), id="other-tools"),
        pytest.param(read("z", "y", "x", system="s"), id="a-conversation"),
        pytest.param(
            read("z", system="s", tool_choice={"type": "any"}), id="a-forced-answer"
        ),
        pytest.param(read("z", system="s", tenant="t"), id="another-tenant"),
    ],
)
def test_only_requests_alike_are_counted_together(requests, other):
    """What a question's tail did says nothing of requests of another kind."""
    requests.send(read("a", system="s"))
    requests.wait(300)

    assert requests.send(other).lost == 0
    assert requests.send(read("y", system="s")).lost == 1


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
    for number in range(6):
        past = requests.send(read("a", system=[text("s"), text(f"now {number}")]))
        requests.wait(300)

    assert past.volatile == 1
    assert past.lost == 3


def test_a_plan_learns_from_history():
    """A chat whose tails are never read again soon stops writing them."""
    requests, policy = Requests(), Policy.auto()
    written = []
    for number in range(9):
        outline = read(f"{number}", "b", "c", system="s")
        past = requests.history.past(outline, now=requests.now)
        made = plan(outline, rules=RULES, policy=policy, past=past)
        requests.history.record(outline, made, past, now=requests.now)
        written.append(any(point.reason == "tail" for point in made.breakpoints))
        requests.wait(400)

    assert written == [True] * 5 + [False] * 4


def test_a_bounded_number_of_prefixes():
    """The prefix used least recently goes first."""
    requests = Requests(max_nodes=10)
    for number in range(100):
        requests.send(read(f"{number}", "b", "c"), 2)

    assert len(requests.history) == 10
    assert requests.send(read("99", "b", "c")).entry == 2
    assert requests.send(read("5", "b", "c")).shared == -1


def test_a_request_of_more_blocks_than_are_remembered():
    """A bound below one request's own length is kept too."""
    requests = Requests(max_nodes=3)
    requests.send(read(*"abcdefgh"), 7)

    assert len(requests.history) == 3
    assert requests.send(read(*"abcdefghi")).entry == 7


def test_a_bounded_number_of_open_tails(monkeypatch):
    """Tails beyond the bound are forgotten, the first to be over first."""
    monkeypatch.setattr("promptcache.state.history._MAX_OPEN", 5)
    requests = Requests()
    for number in range(20):
        requests.wait(1)
        requests.send(read(f"{number}", system="s"))
        if number % 3 == 0:
            requests.send(read(f"{number}", "b", "c", system="s"))
    opened = len(requests.history._open)
    requests.wait(300)
    past = requests.send(read("z", system="s"))

    assert opened == 5
    assert past.repeated == 7
    assert past.lost == 3
    assert len(requests.history._open) == len(requests.history._tails) == 1


def test_a_bounded_number_of_kinds(monkeypatch):
    """Counts of kinds are bounded too."""
    monkeypatch.setattr("promptcache.state.history._MAX_KINDS", 5)
    requests = Requests()
    for number in range(20):
        requests.send(read("a", model=f"m{number}"))
    requests.wait(300)
    requests.send(read("z"))

    assert len(requests.history._counts) == 5


def test_nothing_in_a_request(requests):
    """A request of no block leaves nothing behind."""
    assert requests.send(read()) == Past()
    assert requests.send(read()) == Past()


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
    assert len(history) == 500
    assert past.lost == 1_600


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
    it, following = (read("a", "b", end, system="s") for end in ("c", "d"))
    past = requests.history.past(it, now=START)
    requests.history.record(it, Plan(), replace(past, unstable=3), now=START)

    assert requests.history.past(following, now=START).repeated == 1
