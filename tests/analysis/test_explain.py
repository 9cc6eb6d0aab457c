"""What is explained of requests: their plans, chances, costs and books."""

import json

import pytest

from promptcache import OptionError, Policy, PromptCache, explain
from promptcache.analysis.explain import weighing
from promptcache.emulator.clock import EmulatorClock
from promptcache.outline import Blocks, Outline
from promptcache.planning.chances import Chance
from promptcache.planning.past import Again, Past
from promptcache.planning.plan import Breakpoint, Plan
from promptcache.planning.slots import Rules
from promptcache.planning.terms import Terms
from promptcache.planning.ways import is_cheap_to_promote
from promptcache.providers import Request
from promptcache.providers.anthropic import ANTHROPIC
from promptcache.state.probed import remember

MODEL = "claude-sonnet-5-5"
SYSTEM = "You answer with the word secret. " * 150
PRICED = {"input": 2, "read": 0.1, "written": 2.5, "written_1h": 4, "output": 10}


def body(turns=0, **fields):
    messages = [{"role": "user", "content": "first question " * 40}]
    for number in range(turns):
        messages += [
            {"role": "assistant", "content": f"answer {number} " * 120},
            {"role": "user", "content": f"question {number} " * 50},
        ]
    return {
        "model": MODEL,
        "max_tokens": 16,
        "system": SYSTEM,
        "messages": messages,
        **fields,
    }


TOOLS = [{"name": "f", "description": "d" * 900, "input_schema": {"type": "object"}}]


def talk(*times, **fields):
    return [{**body(turns, **fields), "at": at} for turns, at in enumerate(times)]


@pytest.fixture(autouse=True)
def cache_home(tmp_path, monkeypatch):
    """Keep what is found out where no other test looks."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))


@pytest.mark.parametrize("tools", [TOOLS, []], ids=["agent", "chat"])
def test_the_plans_are_those_of_live_requests(tools):
    """A cache that is asked the same at the same times places the same breakpoints."""
    times = (0.0, 20.0, 500.0, 560.0, 2_000.0)
    clock = EmulatorClock()
    begun, cache = clock.now(), PromptCache(clock=clock, strict=True)
    found = explain(talk(*times, tools=tools))
    for turns, (at, row) in enumerate(zip(times, found.requests, strict=True)):
        clock.advance(begun + at - clock.now())
        request = Request(ANTHROPIC, body(turns, tools=tools), "anthropic")
        prepared = cache.prepare(request)
        said = [f"{it.place} {it.ttl} {it.reason}" for it in row.breakpoints]

        assert said == [*prepared.breakpoints]
        assert said
        written = sum(it.writes for it in row.breakpoints)
        reported = {
            "input_tokens": row.tokens - row.expected_read - written,
            "cache_read_input_tokens": row.expected_read,
            "cache_creation_input_tokens": written,
        }
        cache.settle(prepared, reported)


def test_what_is_expected_is_what_is_billed(emulator):
    """The emulator reads and writes what was expected, but for what it counts so."""
    anthropic = pytest.importorskip("anthropic")
    cache = PromptCache(clock=emulator.clock)
    kit = anthropic.Anthropic(base_url=emulator.url, api_key="k")
    client = cache.attach(kit)
    times = (0, 20, 500, 560)
    found = explain(talk(*times, tools=TOOLS))
    passed = 0
    for turns, at in enumerate(times):
        emulator.clock.advance(at - passed)
        passed = at
        client.messages.create(**body(turns, tools=TOOLS))
    rows = emulator.ledger

    for row, billed in zip(found.requests, rows, strict=True):
        written = sum(it.writes for it in row.breakpoints)

        assert row.expected_read == pytest.approx(
            billed.cache_read_input_tokens, rel=0.06
        )
        assert written == pytest.approx(billed.cache_creation_input_tokens, rel=0.06)
    assert [row.expected_read > 0 for row in found.requests].count(True) > 1


def test_costs_and_savings_of_each_choice():
    """For 1,000 new tokens that come again with 60 % in 5m and with 80 % in an hour."""
    outline = Outline(Blocks(b"", tokens=[1_000]), 1, 0, 0, (0,), ("user",), {})
    part = weighing.Stretch(
        "last", 1_000, Chance(0.6, 0.1), Chance(0.8, 0), None, 0.2, 0.8
    )

    none, short, long = weighing.choices(outline, Past(), (part,), Terms(0.1))

    assert (none.way, none.cost, none.later) == ("none", 1_000, 0)
    assert (short.way, short.cost) == ("short", 1_250)
    assert short.later == pytest.approx(0.6 * 1.15 * 1_000)
    assert short.net == pytest.approx(560)
    assert (long.way, long.cost) == ("long", 2_000)
    assert long.later == pytest.approx(0.8 * 1.15 * 1_000)


def live(tokens, added):
    outline = Outline(
        Blocks(b"", tokens=[tokens, tokens + added]), 2, 0, 0, (0, 1), ("user",), {}
    )
    past = Past(entry=0, shared=0, pauses=2, gaps=10)
    part = weighing.Stretch(
        "last", added, Chance(0.9, 0), Chance(0.9, 0), None, 0.2, 0.8
    )
    return outline, past, (part,)


@pytest.mark.parametrize("added", [100, 500, 2_000])
def test_promoting_is_weighed_as_it_is_decided(added):
    """It is a choice of its own once what it keeps is worth more than what it costs."""
    terms = Terms(0.1)
    for tokens in range(0, 20_000, 50):
        found = weighing.choices(*live(tokens, added), terms)
        by_way = {it.way: it for it in found}
        short, promote = by_way["short"], by_way["promote"]
        kept = promote.later - by_way["long"].later
        extra = promote.cost - short.cost
        promotes = is_cheap_to_promote(added, tokens, pauses=2, gaps=10, terms=terms)

        assert (promote.cost > short.cost) == promotes
        if promotes:
            assert kept > extra
            assert promote.cost == by_way["long"].cost
        else:
            assert promote.net == short.net


def test_what_is_read_and_written():
    """Behind what lives, each stretch is written for the lifetime of its breakpoint."""
    outline = Outline(
        Blocks(b"", tokens=[1_000, 3_000, 3_500]), 3, 0, 0, (0,), ("user",), {}
    )
    points = (
        Breakpoint(0, "1h", "system"),
        Breakpoint(1, "1h", "stable"),
        Breakpoint(2, "5m", "tail"),
    )
    found = weighing.spent(outline, Plan(points), Rules(), live=0)

    assert (found.read, found.written) == (1_000, {"1h": 2_000, "5m": 500})
    assert found.cost(Terms(0.1)) == pytest.approx(100 + 4_000 + 625)


def test_parts_say_what_they_were_judged_by():
    """A part has its chances, known or usual, and how long it is written."""
    outline = Outline(
        Blocks(b"", tokens=[1_000, 3_000, 3_500], refusals=["", "", ""]),
        3,
        0,
        1,
        (1, 2),
        ("user", "assistant"),
        {},
    )
    known = Again(Chance(0.7, 0.1), Chance(0.9, 0.1))
    decided = Plan((Breakpoint(1, "1h", "stable"),))

    head, turns, last = weighing.stretches(
        outline, Past(chances={"turns": known}), decided, Terms()
    )

    assert (head.name, head.tokens, head.short.error) == ("head", 1_000, 0)
    assert (turns.name, turns.tokens, turns.short) == ("turns", 2_000, known.short)
    assert turns.long == known.long
    assert (head.ttl, turns.ttl, last.ttl) == ("1h", "1h", None)


def test_books_of_a_conversation():
    """Each way's bill is that of its rule, here with a pause before the last one."""
    found = explain(talk(0, 60, 660, tools=TOOLS), prices=PRICED)
    one, two, three = (row.tokens for row in found.requests)
    books = found.requests[-1].books

    assert books["none"] == one + two + three
    assert books["short"] == pytest.approx(
        1.25 * one + 0.05 * one + 1.25 * (two - one) + 1.25 * three
    )
    assert books["long"] == pytest.approx(
        2 * one + 0.05 * one + 2 * (two - one) + 0.05 * two + 2 * (three - two)
    )
    assert books["planned"] == pytest.approx(sum(it.cost for it in found.requests))


def test_books_are_told_of_several_requests():
    """Of one request they would say what its choices do."""
    assert "All requests" not in str(explain(body()))
    told = str(explain(talk(0, 60)))

    assert "All requests, if all goes as planned" in told
    assert "as if the provider keeps what is promoted" in told


def test_what_was_written_pays():
    """Each request is taken to be answered, so that readings make up for writing."""
    times = range(0, 900, 60)
    found = explain(talk(*times, system="a long prompt " * 40_000, tools=TOOLS))
    last = found.requests[-1]

    assert last.tokens > 100_000
    assert last.breakpoints[-1].reason == "tail"
    assert all("cost as much as it may" not in note for note in last.notes)


def test_words_of_an_agent():
    """Of an agent it is said that the books decide, of a question that its parts do."""
    by_books = "the books decide how long"
    told = str(explain(talk(0, 20, tools=TOOLS)))

    assert told.count(by_books) == 2
    assert by_books not in str(explain(body()))
    assert "what is worth most of each part" in str(explain(body()))


def test_dollars():
    """A choice costs its tokens by the price of plain input."""
    (row,) = explain(body(), prices=PRICED).as_dicts()
    (none, *_) = row["choices"]

    assert none["cost_usd"] == pytest.approx(row["tokens"] * 2e-6)
    assert row["cost_usd"] == pytest.approx(row["cost_tokens"] * 2e-6)


def test_no_price():
    """Without a price there are tokens, and no dollars."""
    found = explain(body(), model="claude-of-tomorrow")
    (row,) = found.as_dicts()

    assert row["facts"] == "assumed"
    assert {it["net_usd"] for it in row["choices"]} == {None}
    assert row["cost_tokens"] > 0
    assert "unknown" in str(found)


def test_a_part_that_is_not_written_says_why():
    """A long question is sent with its chance and the break-even it fails."""
    question = "which one? " * 8_000
    found = explain(body(messages=[{"role": "user", "content": question}]))
    last = found.requests[0].parts[-1]

    assert (last.name, last.ttl) == ("last", None)
    assert last.short.mean < last.even_short
    assert any("tail not written" in note for note in found.requests[0].notes)


def test_too_short():
    """A prefix below the model's minimum is said to be."""
    found = explain(body(system="Be brief.", messages=[]))

    assert found.requests[0].breakpoints == ()
    assert "and this model caches from 512 on" in str(found)


def test_a_head_that_is_too_short():
    """So is a head on its own, where the request as a whole is long enough."""
    found = explain(body(1, system="Be brief.", messages=body(2)["messages"]))

    assert any("no breakpoint after the head" in it for it in found.requests[0].notes)


def test_callers_markers_that_would_be_refused():
    """What is dropped and shortened of the caller's is said."""
    marked = {"type": "ephemeral"}
    system = [
        {"type": "text", "text": SYSTEM, "cache_control": marked},
        {"type": "text", "text": SYSTEM, "cache_control": {**marked, "ttl": "1h"}},
        {"type": "text", "text": SYSTEM, "cache_control": {**marked, "ttl": "2h"}},
    ]
    notes = explain(body(system=system)).requests[0].notes

    assert "system[2] dropped: it would be refused" in notes
    assert any(it.startswith("system[1] shortened") for it in notes)


def test_a_lifetime_that_is_asked_for():
    """What is placed lives as long as is asked, and there is no other to choose."""
    *_, row = explain(talk(0, 20, tools=TOOLS), ttl="1h").requests

    assert {it.ttl for it in row.breakpoints} == {"1h"}
    assert (row.short, row.long) == ("1h", None)
    assert [it.way for it in row.choices] == ["none", "short"]


def test_a_policy_that_knows_short_lifetimes_only():
    """No longer one is weighed, in no part, choice or book, as none is placed."""
    times = (0.0, 660.0, 1_320.0, 1_980.0)
    found = explain(talk(*times, tools=TOOLS), policy=Policy.auto("5m")).requests
    usual = explain(talk(*times, tools=TOOLS)).requests

    assert {it.long for it in usual} == {"1h"}
    assert {it.long for it in found} == {None}
    assert {place.ttl for it in found for place in it.breakpoints} == {"5m"}
    assert {choice.way for it in found for choice in it.choices} == {"none", "short"}
    assert {*found[-1].books} == {"none", "short", "planned"}
    assert "1h" not in str(found)


@pytest.mark.parametrize("policy", ["off", Policy.fixed(), "cheap"])
def test_a_policy_that_decides_nothing(policy):
    """Only what decides by what it has seen has something to explain."""
    with pytest.raises(OptionError, match="policy"):
        explain(body(), policy=policy)


def test_text_only_where_it_is_asked_for():
    """Words of the prompt are shown with `text`, and nowhere else."""
    quiet, loud = explain(body()), explain(body(), text=True)

    assert "secret" not in str(quiet) + json.dumps(quiet.as_dicts())
    assert "You answer with the word secret." in str(loud)
    assert loud.as_dicts()[0]["breakpoints"][0]["text"].startswith("You answer")


def test_what_was_probed_counts():
    """A provider that is known to forget is promoted to no more."""
    requests = talk(*range(0, 600, 60), tools=TOOLS)
    before = {row.way for row in explain(requests).requests}
    remember(("anthropic", MODEL, "anthropic"), keeps=False, at=0.0)
    after = {row.way for row in explain(requests).requests}

    assert "promote" in before
    assert "promote" not in after


OPENAI = {"messages": [{"role": "user", "content": "question " * 2_000}]}


def test_openai_marks():
    """From gpt-5.6 on there is one lifetime, a mode and a key."""
    found = explain({"model": "gpt-5.6", **OPENAI})
    row = found.requests[0]

    assert (row.provider, row.host, row.short, row.long) == (
        "openai",
        "openai",
        "30m",
        None,
    )
    assert row.options["mode"] == "implicit"
    assert "mode: implicit" in str(found)
    assert [it.way for it in row.choices] == ["none", "short"]
    schema = {"type": "json_schema", "json_schema": {"name": "s", "schema": {}}}
    forced = explain({"model": "gpt-5.6", **OPENAI, "response_format": schema})
    assert forced.requests[0].options["mode"] == "explicit"


def test_openai_without_marks():
    """Before that nothing is written, so there is nothing to choose."""
    found = explain({"model": "gpt-4.1", **OPENAI})
    row = found.requests[0]

    assert (row.parts, row.choices, row.cost, row.books) == ((), (), None, {})
    assert "writes for free" in str(found)
    assert "All requests" not in str(explain([{"model": "gpt-4.1", **OPENAI}] * 2))


def test_gemini():
    """A request of Gemini's has no marks either."""
    contents = [{"role": "user", "parts": [{"text": "question " * 3_000}]}]
    found = explain({"contents": contents}, model="gemini-2.5-flash")
    row = found.requests[0]

    assert (row.provider, row.host, row.model) == (
        "google",
        "developer",
        "gemini-2.5-flash",
    )
    assert row.breakpoints == ()
    assert "a cached content is made once" in str(found)


def test_nothing_to_explain():
    """No request is an error."""
    with pytest.raises(OptionError, match="at least one request"):
        explain([])


def test_a_body_that_cannot_be_read():
    """What the planner cannot read is an error that names the request."""
    with pytest.raises(OptionError, match="request 2"):
        explain([body(), body(messages="hello")])
    with pytest.raises(OptionError, match="request 1"):
        explain(body(messages=[{"role": "system", "content": "s"}, 7]))


@pytest.mark.parametrize("key", [None, "a key of the caller's"])
def test_a_request_without_a_block(key):
    """It is explained: nothing of it can be cached."""
    body = {"model": "gpt-6.1-sol", "messages": [], "prompt_cache_key": key}
    (request,) = explain(body).requests

    assert request.breakpoints == ()
