"""What the cache adds for OpenAI: keys by rate, trails, refusals, usage of streams."""

import copy

import pytest

from promptcache import PromptCache, options
from promptcache.errors import OptionError
from promptcache.providers import Request
from promptcache.providers.openai import CHAT, RESPONSES
from promptcache.receipts.events import MarkersChanged, RetriedUnplanned

MARKED = "gpt-6.1-sol"
MATCHED = "gpt-5.2"
LONG = "word " * 1500
TOOL = {"type": "function", "name": "f", "parameters": {"type": "object"}}
USAGE = {"prompt_tokens": 5, "completion_tokens": 7}
BREAKPOINT = {"mode": "explicit"}


class FakeClock:
    """A clock that the test moves."""

    def __init__(self):
        self.time = 1_000.0

    def now(self):
        return self.time

    def wait(self, seconds):
        self.time += seconds


class World:
    """A cache, its clock and the events it told of."""

    def __init__(self, **fields):
        self.clock, self.events = FakeClock(), []
        self.cache = PromptCache(
            listeners=[self.events.append], clock=self.clock, **fields
        )

    def chat(self, body=None, *, host="openai", **fields):
        body = {**question(), **fields} if body is None else body
        return self.cache.prepare(Request(CHAT, body, host))

    def respond(self, body, *, host="openai"):
        follows = body.get("previous_response_id")
        return self.cache.prepare(Request(RESPONSES, body, host, follows=follows))


@pytest.fixture
def world():
    return World()


def question(text="hello", model=MARKED, **fields):
    messages = [
        {"role": "system", "content": LONG},
        {"role": "user", "content": text},
    ]
    return {"model": model, "messages": messages, **fields}


def items(*texts, **fields):
    said = [{"role": "user", "content": text} for text in texts]
    return {"model": MARKED, "input": said, "tools": [TOOL], **fields}


def test_a_forced_answer_writes_its_head_only(world):
    """The end of a question whose answer has a given form is not billed as a write."""
    said = "hello " * 200
    schema = {"type": "json_schema", "json_schema": {"name": "s", "schema": {}}}
    body = question(said, response_format=schema)
    before = copy.deepcopy(body)
    prepared = world.chat(body)

    system = {"type": "text", "text": LONG, "prompt_cache_breakpoint": BREAKPOINT}
    assert prepared.body["messages"][0]["content"] == [system]
    assert prepared.body["messages"][1]["content"] == [{"type": "text", "text": said}]
    assert prepared.body["prompt_cache_options"] == {"mode": "explicit", "ttl": "30m"}
    assert prepared.body["prompt_cache_key"].startswith("promptcache-")
    assert prepared.breakpoints == ("system[0] 30m system",)
    assert body == before


def test_an_earlier_model_gets_a_key_and_nothing_else(world):
    """Its fields for breakpoints would be refused."""
    body = question(model=MATCHED)
    prepared = world.chat(body)

    added = {"prompt_cache_key": prepared.plan.key}
    assert prepared.body == {**body, **added}
    assert prepared.body["messages"] is body["messages"]


def test_a_busy_head_is_split(world):
    """Conversations spread over keys before one has its fifteen in a minute."""
    keys = []
    for number in range(240):
        prepared = world.chat(question(f"question {number}", MATCHED))
        keys.append(prepared.body["prompt_cache_key"])
        world.clock.wait(1)

    assert len(set(keys[:15])) == 1
    assert len(set(keys[120:])) == 8
    busiest = max(keys[180:].count(key) for key in set(keys[180:]))
    assert busiest <= 15


def test_the_rate_of_a_key_is_a_setting():
    """By model name, among the facts."""
    world = World(facts={MATCHED: {"requests_per_minute": 1_000}})
    keys = {
        world.chat(question(f"question {number}", MATCHED)).plan.key
        for number in range(100)
    }

    assert len(keys) == 1


def test_replicas_agree_on_keys():
    """Nothing of a process is in them."""
    body = question()
    assert World().chat(body).plan.key == World().chat(question("other")).plan.key


def test_tenants_have_keys_of_their_own(world):
    """Theirs alone where keys part caches."""
    with options(tenant="acme"):
        acme = world.chat()
    assert acme.plan.key not in (None, world.chat().plan.key)


def test_a_request_that_goes_on_from_an_answer(world):
    """It has the key of the one before, and counts as its repetition."""
    first = world.respond(items(LONG, instructions=LONG))
    world.cache.settle(first, None, message_id="resp_1")
    second = world.respond(items("and then?", previous_response_id="resp_1"))

    assert second.plan.key == first.plan.key is not None
    assert second.plan.mode == "implicit"
    world.cache.settle(second, None, message_id="resp_2")
    third = world.respond(items("and then?", previous_response_id="resp_2"))
    assert third.plan.key == first.plan.key


def test_a_trail_of_another_tenant_is_not_followed(world):
    """An id alone opens nothing."""
    with options(tenant="acme"):
        first = world.respond(items(LONG))
        world.cache.settle(first, None, message_id="resp_1")
    second = world.respond(items("and then?", previous_response_id="resp_1"))

    assert second.plan.key is None


def test_servers_may_be_named():
    """A gateway in front of OpenAI gets what OpenAI takes."""
    plain = World().chat(host="gateway.example")
    assert "prompt_cache_options" not in plain.body

    named = World(facts={"gateway.example": {"host": "openai"}})
    assert "prompt_cache_options" in named.chat(host="gateway.example").body


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param({"gateway.example": {"host": "nobody"}}, id="unknown-host"),
        pytest.param({MARKED: {"breakpoint": True}}, id="unknown-field"),
    ],
)
def test_facts_are_checked(facts):
    """At construction, where the caller sees it."""
    with pytest.raises(OptionError, match="facts") as caught:
        PromptCache(facts=facts)

    assert next(iter(facts)) in str(caught.value)
    assert "azure" in caught.value.allowed or "breakpoints" in caught.value.allowed


@pytest.mark.parametrize(
    "message",
    [
        "prompt_cache_options is not supported on this model",
        "Unrecognized request argument supplied: prompt_cache_key",
        "messages.0.content.0.prompt_cache_breakpoint: Extra inputs are not permitted",
    ],
)
def test_refused_fields(world, message):
    """Once more without them; the next request does not try."""
    prepared = world.chat()
    body = prepared.request.body

    assert world.cache.refuse(prepared, 400, message) is True
    assert prepared.body is body
    assert [type(event) for event in world.events] == [RetriedUnplanned]
    again = world.chat()
    assert again.body is again.request.body
    assert world.chat(host="azure").is_planned


def test_the_callers_own_fault(world):
    """What was refused was there before us."""
    prepared = world.chat(prompt_cache_key="x" * 65)
    message = "Invalid 'prompt_cache_key': string too long."

    assert prepared.body["prompt_cache_key"] == "x" * 65
    assert world.cache.refuse(prepared, 400, message) is False
    assert world.chat().is_planned


def test_what_would_be_refused_is_taken_off(world):
    """A breakpoint on a model that has none; one event says so."""
    part = {"type": "text", "text": LONG, "prompt_cache_breakpoint": BREAKPOINT}
    body = question(model=MATCHED)
    body["messages"][0]["content"] = [part]
    prepared = world.chat(body)

    assert prepared.body["messages"][0]["content"] == [{"type": "text", "text": LONG}]
    assert [type(event) for event in world.events] == [MarkersChanged]


def test_the_usage_of_streams(world):
    """Asked for where the caller wants it and the request says nothing of it."""
    with options(stream_usage=True):
        asked = world.chat(stream=True)
        own = world.chat(stream=True, stream_options={"include_usage": False})
        whole = world.chat()
    unasked = world.chat(stream=True)

    assert asked.body["stream_options"] == {"include_usage": True}
    assert own.body["stream_options"] == {"include_usage": False}
    assert "stream_options" not in whole.body
    assert "stream_options" not in unasked.body
    assert world.cache.refuse(asked, 400, "Unknown parameter: 'stream_options'.")


def test_off_is_off(world):
    """No key, no parts, no usage."""
    with options(enabled=False, stream_usage=True):
        prepared = world.chat(stream=True)

    assert prepared.body is prepared.request.body
    assert prepared.plan.key is None


def test_why_a_prefix_was_missed():
    """Asked by the id of the answer before; told in the receipt."""
    world = World(diagnose=True)
    first = world.respond(items(LONG))
    assert "comparison_response_id" not in first.body["prompt_cache_options"]
    world.cache.settle(first, None, message_id="resp_1")

    answer = {"role": "assistant", "content": "ok"}
    more = items(LONG)
    more["input"] += [answer, {"role": "user", "content": "and then?"}]
    second = world.respond(more)
    assert second.body["prompt_cache_options"]["comparison_response_id"] == "resp_1"

    told = {
        "type": "cache_miss",
        "reason": "tools_changed",
        "cache_missed_tokens": 120,
    }
    world.cache.settle(second, None, message_id="resp_2", diagnosis=told)
    assert second.receipt.notes[0] == "missed: tools_changed, about 120 tokens"


def test_tiers_have_prices(world):
    """The tier of an answer stands beside its usage, and has a price of its own."""
    standard, flex = world.chat(), world.chat()
    world.cache.settle(standard, {**USAGE, "prompt_tokens_details": DETAILS})
    world.cache.settle(flex, {**USAGE, "prompt_tokens_details": DETAILS}, tier="flex")

    assert standard.receipt.cost_usd is not None
    assert flex.receipt.cost_usd != standard.receipt.cost_usd


DETAILS = {"cached_tokens": 0, "cache_write_tokens": 0}


@pytest.mark.parametrize(
    ("asked", "ttl", "lifetime"),
    [
        pytest.param({}, None, "30m", id="unasked"),
        pytest.param({}, "12h", "12h", id="by-the-option"),
        pytest.param({"ttl": "12h"}, None, "12h", id="in-the-body"),
        pytest.param({"ttl": "30m"}, "12h", "30m", id="the-body-comes-first"),
    ],
)
def test_what_is_learned_goes_by_the_lifetime_of_the_request(
    world, asked, ttl, lifetime
):
    """One lifetime holds for a whole request, and its entries live as long."""
    with options(ttl=ttl):
        prepared = world.respond(items("hello", prompt_cache_options=asked))

    assert prepared.body["prompt_cache_options"]["ttl"] == lifetime
    assert prepared.sent.terms.short == lifetime
    assert prepared.sent.terms.long is None
