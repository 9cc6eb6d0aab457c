"""One request, from the framework's body to its receipt."""

import copy
import gc
import threading
from datetime import timedelta

import pytest
from anthropic import Anthropic

from promptcache import Policy, PromptCache, options
from promptcache.errors import (
    OptionError,
    PromptCacheError,
    UnreadableBodyError,
    UnsupportedClientError,
)
from promptcache.interrupts import when_free
from promptcache.options import CallOptions
from promptcache.prepared import Prepared
from promptcache.providers import Request
from promptcache.providers.anthropic import ANTHROPIC
from promptcache.receipts.events import (
    BodyUnreadable,
    MarkersChanged,
    ModelAssumed,
    PlanningFailed,
    RetriedUnplanned,
    Settled,
    UsageMissing,
)
from promptcache.receipts.prices import Cost
from promptcache.state.probed import remember
from promptcache.state.refusals import REFUSED_SECONDS

MODEL = "claude-sonnet-5-5"
LONG = "word " * 800
MARK = {"type": "ephemeral"}
USAGE = {
    "input_tokens": 5,
    "cache_read_input_tokens": 100,
    "cache_creation_input_tokens": 0,
    "output_tokens": 7,
}
REFUSAL = "messages.0: cache_control: Extra inputs are not permitted"


class FakeClock:
    """A clock that the test moves."""

    def __init__(self):
        self.time = 1_000.0

    def now(self):
        return self.time

    def wait(self, seconds):
        self.time += seconds


class FlatPrices:
    """A cent for everything."""

    def cost(self, provider, model, usage, *, tier=None, at=None):
        return Cost(0.01, 0.02)


class World:
    """A cache, its clock and the events it told of."""

    def __init__(self, policy="auto", **fields):
        self.clock, self.events = FakeClock(), []
        self.cache = PromptCache(
            policy,
            **{
                "listeners": [self.events.append],
                "prices": FlatPrices(),
                "clock": self.clock,
                **fields,
            },
        )

    def prepare(self, body=None, *, host="anthropic", **fields):
        body = {**agent(), **fields} if body is None else body
        return self.cache.prepare(Request(ANTHROPIC, body, host))

    def told(self, kind=None):
        return [type(event) for event in self.events if kind in (None, type(event))]


@pytest.fixture
def world():
    return World()


@pytest.fixture
def make():
    return World


def agent(**fields):
    return {
        "model": MODEL,
        "tools": [{"name": "f", "description": LONG}],
        "system": LONG,
        "messages": [{"role": "user", "content": "hello"}],
        **fields,
    }


def test_a_request_is_planned(world):
    """A request gets breakpoints, each described by place, lifetime and reason."""
    body = agent()
    before = copy.deepcopy(body)
    prepared = world.prepare(body)

    assert prepared.is_planned
    assert prepared.body["messages"][0]["content"][0]["cache_control"] == MARK
    assert prepared.breakpoints == (
        "tools[0] 5m tools",
        "system[0] 5m system",
        "messages[0].content[0] 5m tail",
    )
    assert body == before
    assert world.events == []


def test_a_receipt(world):
    """A receipt says what was planned, used and paid, and how long it took."""
    with options(tenant="acme", conversation="42"):
        prepared = world.prepare()
    prepared.attempts = 2
    world.clock.wait(1.5)
    prepared.first_token = world.clock.now()
    world.clock.wait(1)
    world.cache.settle(prepared, USAGE, model="claude-sonnet-5-5-x", message_id="m1")
    receipt = prepared.receipt

    assert receipt.provider == "anthropic"
    assert receipt.model == "claude-sonnet-5-5-x"
    assert (receipt.at, receipt.first_token_s, receipt.total_s) == (1_000.0, 1.5, 2.5)
    assert (receipt.policy, receipt.facts, receipt.attempts) == ("auto", "known", 2)
    assert (receipt.usage.input_tokens, receipt.usage.read_tokens) == (105, 100)
    assert (receipt.cost_usd, receipt.without_caching_usd) == (0.01, 0.02)
    assert receipt.breakpoints == prepared.breakpoints
    assert (receipt.tenant, receipt.conversation) == ("acme", "42")
    assert (receipt.id, receipt.notes) == ("m1", ())
    assert world.events == [Settled(receipt)]
    assert world.cache.report().to_dict()["total"]["requests"] == 1


def test_only_the_first_settling_counts(world):
    """A request has one receipt, however often it is settled."""
    with world.cache.collect() as collected:
        prepared = world.prepare()
    world.cache.settle(prepared, USAGE)
    first = prepared.receipt
    world.cache.settle(prepared, {**USAGE, "output_tokens": 900})

    assert prepared.receipt is first
    assert collected == [first]
    assert world.told() == [Settled]


def test_receipts_go_where_the_request_was_made(world):
    """A receipt goes to the collectors around the request, not around its answer."""
    with world.cache.collect() as outer, world.cache.collect() as inner:
        prepared = world.prepare()
    with world.cache.collect() as elsewhere:
        world.cache.settle(prepared, USAGE)

    assert outer == inner == [prepared.receipt]
    assert elsewhere == []


def test_usage_that_is_missing(world):
    """An answer without usage has a receipt that knows nothing, and an event."""
    prepared = world.prepare()
    world.cache.settle(prepared, None)
    world.cache.settle(world.prepare(), {"output_tokens": 3})

    assert prepared.receipt.usage.input_tokens is None
    assert [event.why for event in world.events if type(event) is UsageMissing] == [
        "no usage was reported",
        "it is incomplete",
    ]
    assert world.told(Settled) == [Settled] * 2


UNREADABLE = [
    pytest.param({"model": MODEL, "messages": "hello"}, id="messages-a-string"),
    pytest.param({"model": MODEL, "messages": [5]}, id="message-a-number"),
    pytest.param(None, id="nothing"),
    pytest.param([1], id="a-list"),
    pytest.param("text", id="a-string"),
]


@pytest.mark.parametrize("body", UNREADABLE)
def test_unreadable_bodies_are_sent_as_they_are(world, body):
    """What cannot be read goes out unchanged, with one event and a receipt."""
    prepared = world.cache.prepare(Request(ANTHROPIC, body, "anthropic"))
    world.cache.settle(prepared, USAGE)

    assert prepared.body is body
    assert not prepared.is_planned
    assert world.told()[-2:] == [BodyUnreadable, Settled]
    assert len(world.told(BodyUnreadable)) == 1


@pytest.mark.parametrize("body", UNREADABLE)
def test_a_strict_cache_raises(make, body):
    """A strict cache raises what a lenient one tells of."""
    world = make(strict=True)

    with pytest.raises(UnreadableBodyError):
        world.cache.prepare(Request(ANTHROPIC, body, "anthropic"))
    assert world.told(BodyUnreadable) == [BodyUnreadable]


class BrokenHistory:
    """A history that fails where it is told to."""

    def __init__(self, at):
        self.at = at

    def past(self, outline, **asked):
        if self.at == "past":
            raise ZeroDivisionError("secret prompt text")
        return World().cache._planner.history.past(outline, **asked)

    def record(self, *_, **__):
        raise ZeroDivisionError("secret prompt text")


@pytest.mark.parametrize("at", ["past", "record"])
def test_an_error_of_ours_sends_the_request_as_it_was(world, at):
    """Wherever planning fails, the framework's own body goes out, with one event."""
    world.cache._planner.history = BrokenHistory(at)
    body = agent()
    prepared = world.prepare(body)
    world.cache.settle(prepared, USAGE)
    (event,) = [event for event in world.events if type(event) is PlanningFailed]

    assert prepared.body is body
    assert (prepared.plan.breakpoints, prepared.breakpoints) == ((), ())
    assert event.error == "ZeroDivisionError"
    assert "secret" not in event.message
    assert prepared.receipt.breakpoints == ()


def test_a_strict_cache_chains_the_cause(make):
    """An error that is not ours is raised as ours, with its cause."""
    world = make(strict=True)
    world.cache._planner.history = BrokenHistory("past")

    with pytest.raises(PromptCacheError) as caught:
        world.prepare()
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("how", ["policy", "option"])
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(agent(), id="plain"),
        pytest.param(
            agent(messages=[{"role": "user", "cache_control": MARK}]), id="illegal"
        ),
        pytest.param({"model": MODEL, "messages": 5}, id="unreadable"),
    ],
)
def test_off_changes_nothing(make, how, body, strict):
    """Switched off, the very body goes out, even an illegal one, and has a receipt."""
    world = make("off" if how == "policy" else "auto", strict=strict)
    with options(enabled=None if how == "policy" else False):
        prepared = world.prepare(body)
    world.cache.settle(prepared, USAGE)

    assert prepared.body is body
    assert prepared.receipt.policy == "off"
    assert prepared.receipt.breakpoints == ()
    assert world.told(MarkersChanged) == []


def test_markers_that_are_mended(world):
    """What was dropped or shortened is an event and a note of the receipt."""
    system = [{"type": "text", "text": "s", "cache_control": MARK}]
    messages = [
        {"role": "user", "content": "a", "cache_control": MARK},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "b", "cache_control": {**MARK, "ttl": "1h"}}
            ],
        },
    ]
    prepared = world.prepare(agent(system=system, messages=messages))
    world.cache.settle(prepared, USAGE)

    assert world.events[0] == MarkersChanged(
        "anthropic", MODEL, ("messages[0]",), ("messages[1].content[0]",)
    )
    assert prepared.receipt.notes[:2] == (
        "dropped messages[0]",
        "shortened messages[1].content[0]",
    )


def test_automatic_caching_is_described(world):
    """The caller's automatic caching is among the breakpoints of the receipt."""
    prepared = world.prepare(agent(cache_control=MARK))

    assert prepared.breakpoints[-1] == "automatic 5m fixed"


def test_a_refusal_is_remembered_for_a_day(world):
    """A model that refused our fields is left alone on its host for 24 hours."""
    prepared = world.prepare()

    assert world.cache.refuse(prepared, 400, REFUSAL) is True
    assert prepared.body is prepared.request.body
    assert (prepared.plan.notes, prepared.breakpoints) == (("refused",), ())
    assert world.told() == [RetriedUnplanned]
    assert not world.prepare().is_planned
    world.clock.wait(REFUSED_SECONDS - 1)
    assert not world.prepare().is_planned
    world.clock.wait(1)
    assert world.prepare().is_planned


def test_a_refusal_concerns_one_model_on_one_host(world):
    """Other models, and other hosts, go on being planned."""
    world.cache.refuse(world.prepare(), 400, REFUSAL)

    assert world.prepare(model="claude-opus-5").is_planned
    assert world.prepare(host="vertex").is_planned
    assert not world.prepare().is_planned


@pytest.mark.parametrize(
    ("status", "message"),
    [
        pytest.param(400, "messages: at least one is required", id="not-ours"),
        pytest.param(529, REFUSAL, id="overloaded"),
    ],
)
def test_other_refusals_are_the_callers(world, status, message):
    """A refusal that does not name our fields changes nothing."""
    prepared = world.prepare()

    assert world.cache.refuse(prepared, status, message) is False
    assert prepared.is_planned
    assert world.events == []


def test_a_request_is_refused_once(world):
    """What was sent unplanned is not sent again."""
    prepared = world.prepare()
    world.cache.refuse(prepared, 400, REFUSAL)

    assert world.cache.refuse(prepared, 400, REFUSAL) is False


def test_assumed_models_are_bounded(world, monkeypatch):
    """Names that nobody ends with fill no memory."""
    monkeypatch.setattr("promptcache.reading._MAX_ASSUMED", 5)
    for number in range(20):
        world.prepare(model=f"model-{number}")

    assert (
        len(world.told(ModelAssumed)) == len(world.cache._planner._reader._assumed) == 5
    )


def test_an_unknown_model_is_noted_once(world):
    """An unknown model is one event, and every receipt of it says so."""
    receipts = []
    for _ in range(3):
        prepared = world.prepare(model="claude-next")
        world.cache.settle(prepared, USAGE)
        receipts.append(prepared.receipt.facts)

    assert receipts == ["assumed"] * 3
    assert world.told(ModelAssumed) == [ModelAssumed]


def test_facts_make_a_model_known(make):
    """A row of the caller's is what a model is planned by."""
    world = make(facts={"claude-next": {"minimum_tokens": 1}})
    prepared = world.prepare(
        agent(model="claude-next", system="short", tools=[]), tool_choice=None
    )

    assert prepared.facts_known
    assert prepared.breakpoints[0] == "system[0] 5m system"


def test_a_listener_that_raises(make):
    """A listener that fails stops neither the call nor the other listeners."""
    events = []

    def fail(event):
        raise RuntimeError

    world = make(listeners=[fail, events.append])
    prepared = world.prepare()
    world.cache.settle(prepared, USAGE)

    assert prepared.is_planned
    assert events == [Settled(prepared.receipt)]


def test_a_listener_that_comes_later(world):
    """A listener that is added hears what happens from then on."""
    later = []
    world.cache.settle(world.prepare(), USAGE)
    world.cache.listen(later.append)
    world.cache.settle(world.prepare(), USAGE)

    assert len(later) == 1
    assert len(world.events) == 2


class BrokenPrices:
    """Prices that cannot be had."""

    def cost(self, *_, **__):
        raise KeyError("no price")


def test_prices_that_fail(make):
    """An error after the answer is there is one event and reaches nobody."""
    world = make(prices=BrokenPrices(), strict=True)
    prepared = world.prepare()
    for _ in range(3):
        world.cache.settle(prepared, USAGE)

    assert world.told() == [PlanningFailed]


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"policy": "always"}, id="policy"),
        pytest.param({"policy": None}, id="policy-none"),
        pytest.param({"policy": 5}, id="policy-a-number"),
    ],
)
def test_wrong_arguments(fields):
    """A wrong policy is refused at construction."""
    with pytest.raises(OptionError):
        PromptCache(**fields)


def test_clients_of_no_sdk_that_is_supported(world):
    """A client of something else is refused with what is supported."""
    with pytest.raises(UnsupportedClientError, match="SDKs `anthropic`"):
        world.cache.attach(object())


@pytest.mark.parametrize(
    ("policy", "ttl", "allowed"),
    [
        pytest.param("auto", None, True, id="nothing-said"),
        pytest.param("auto", "1h", True, id="on-offer"),
        pytest.param("auto", "30m", False, id="of-another-provider"),
        pytest.param(Policy.fixed(), None, True, id="policy-on-offer"),
        pytest.param(
            Policy.fixed(tools=timedelta(hours=12)), None, False, id="policy-of-another"
        ),
    ],
)
def test_lifetimes_are_checked(policy, ttl, allowed):
    """A lifetime that a provider lacks is refused with those it has."""
    cache = PromptCache(policy)
    if allowed:
        cache.check_ttl(ttl, ANTHROPIC)
        return

    with pytest.raises(OptionError, match="5m, 1h"):
        cache.check_ttl(ttl, ANTHROPIC)


def test_a_lifetime_that_a_call_may_not_ask_for(world):
    """A call that asks for what the provider lacks is sent as it was, with an event."""
    with options(ttl="30m"):
        prepared = world.prepare()

    assert not prepared.is_planned
    assert "5m, 1h" in world.events[0].message


def test_the_lifetime_of_a_call(make):
    """A call's lifetime is that of all that is placed."""
    world = make(Policy.fixed())
    with options(ttl="1h"):
        prepared = world.prepare()

    assert {point.ttl for point in prepared.plan.breakpoints} == {"1h"}


def test_tenants_learn_apart(world):
    """What one tenant sent is no past of another's."""
    with options(tenant="a"):
        world.prepare()
        mine = world.prepare()
    with options(tenant="b"):
        theirs = world.prepare()

    assert len(world.cache._planner.history) == 6
    assert mine.options == CallOptions("a")
    assert theirs.options == CallOptions("b")


class GreedyLock:
    """A lock in which the garbage collector runs; taking it twice fails."""

    def __init__(self):
        self.held = False

    def __enter__(self):
        assert not self.held, "a thread waits for itself"
        self.held = True
        gc.collect()

    def __exit__(self, *_):
        self.held = False


class Dropped:
    """Something in a cycle, like a stream, that settles a request when it goes."""

    def __init__(self, world, prepared):
        self.me, self.world, self.prepared = self, world, prepared

    def __del__(self):
        world, prepared = self.world, self.prepared
        when_free(lambda: world.cache.settle(prepared, USAGE))


def test_a_stream_that_is_collected_while_another_settles(world):
    """What the garbage collector settles waits until locks are free."""
    gc.collect()
    first, second = world.prepare(), world.prepare()
    world.cache._report._lock = GreedyLock()
    Dropped(world, first)
    world.cache.settle(second, USAGE)

    assert first.receipt is not None
    assert second.receipt is not None
    assert world.told() == [Settled, Settled]
    assert world.events[0].receipt is second.receipt


def test_a_stream_that_is_dropped_settles_at_once(world):
    """Where nothing else goes on, nothing waits."""
    prepared = world.prepare()
    when_free(lambda: world.cache.settle(prepared, USAGE))

    assert prepared.receipt is not None


def test_many_threads(world):
    """Requests of many threads have a receipt each, and all are counted."""
    done, errors = [], []

    def work(name):
        try:
            for number in range(50):
                with options(conversation=name):
                    prepared = world.prepare(
                        agent(messages=[{"role": "user", "content": f"{name}{number}"}])
                    )
                world.cache.settle(prepared, USAGE)
                done.append(prepared.receipt.conversation == name)
        except Exception as error:  # noqa: BLE001 - whatever it is fails the test
            errors.append(error)

    threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert done == [True] * 800
    assert world.cache.report().to_dict()["total"]["requests"] == 800


def test_prepared_knows_whether_it_is_planned():
    """A request is planned if another body than its own is sent."""
    body = {"model": "m"}
    request = Request(ANTHROPIC, body, "anthropic")
    prepared = Prepared(request, body, CallOptions(), "auto", 0.0)

    assert not prepared.is_planned
    prepared.body = dict(body)
    assert prepared.is_planned


@pytest.mark.parametrize(
    ("keeps", "ttl"),
    [
        pytest.param(None, "5m", id="never-asked"),
        pytest.param(True, "5m", id="kept"),
        pytest.param(False, "1h", id="forgotten"),
    ],
)
def test_what_was_probed_counts(world, tmp_path, monkeypatch, keeps, ttl):
    """Where what is promoted is forgotten, an agent's first request lives long."""
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    where = ("anthropic", MODEL, "anthropic")
    if keeps is not None:
        remember(where, keeps=keeps, at=0.0)
    world.cache.attach(Anthropic(api_key="k"))
    # It is read once: what is found out later counts from the next start on.
    remember(where, keeps=True, at=1.0)
    world.cache.attach(Anthropic(api_key="k"))

    points = world.prepare().plan.breakpoints
    assert {point.ttl for point in points} == {ttl}


@pytest.mark.parametrize("ttl", ["5m", "1h"])
def test_an_agents_first_request_lives_as_asked(world, ttl):
    """A lifetime that is asked for says for how long, not whether."""
    with options(ttl=ttl):
        points = world.prepare().plan.breakpoints

    assert [(point.reason, point.ttl) for point in points] == [
        ("tools", ttl),
        ("system", ttl),
        ("tail", ttl),
    ]
