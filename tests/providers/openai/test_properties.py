"""What holds for every body that anyone may send to either API."""

import copy
import json
from dataclasses import replace
from math import inf

from hypothesis import assume, given
from hypothesis import strategies as st

from promptcache.emulator.rules.openai import accepted
from promptcache.emulator.rules.openai_rejection import OpenAIRejectedError
from promptcache.emulator.rules.openai_settings import OpenAISettings
from promptcache.options import CallOptions
from promptcache.outline import Trail
from promptcache.planning.chances import Chance
from promptcache.planning.past import Again, Past
from promptcache.planning.plan import plan
from promptcache.planning.policies import Policy
from promptcache.planning.ways import WAYS
from promptcache.planning.writing import NAMES
from promptcache.providers.openai import CHAT, RESPONSES

MARK = "prompt_cache_breakpoint"
OURS = ("prompt_cache_options", "prompt_cache_key", "prompt_cache_retention")
WITH_BREAKPOINTS = ("gpt-6.1-sol", "gpt-5.6-luna")
WITHOUT = ("gpt-5.2", "gpt-4o")

words = st.text(min_size=1, max_size=20)
texts = st.one_of(words, words.map(lambda text: text * 300), st.just(""))
legal = st.sampled_from(
    [
        {"mode": "explicit"},
        {"mode": "explicit", "ttl": "30m"},
        {"mode": "explicit", "ttl": "12h"},
    ]
)
marks = st.one_of(
    legal,
    st.sampled_from(
        [
            {"mode": "explicit", "ttl": "5m"},
            {"mode": "explicit", "more": 1},
            {"mode": "implicit"},
            {},
            True,
            None,
        ]
    ),
)


def marked(things):
    """Return things, some with a marker of the caller's."""
    return st.tuples(things, st.one_of(st.none(), st.none(), marks)).map(
        lambda pair: {**pair[0], MARK: pair[1]} if pair[1] is not None else pair[0]
    )


def written_as(kind):
    return texts.map(lambda text: {"type": kind, "text": text})


def contents(parts):
    return st.one_of(texts, st.lists(marked(parts), max_size=4))


chat_parts = st.one_of(
    written_as("text"),
    st.sampled_from(
        [
            {"type": "image_url", "image_url": {"url": "https://a/b.png"}},
            {"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}},
            {"type": "file", "file": {"file_id": "f"}},
            {"type": "text", "text": "x", "more": 1},
        ]
    ),
)
input_parts = st.one_of(
    written_as("input_text"),
    st.sampled_from(
        [
            {"type": "input_image", "image_url": "https://a/b.png", "detail": "low"},
            {"type": "input_file", "file_id": "f"},
            {"type": "output_text", "text": "x", "annotations": []},
        ]
    ),
)


@st.composite
def chat_turns(draw):
    """Return messages that can follow one another."""
    kind = draw(st.sampled_from(["head", "user", "user", "answer", "tools", "old"]))
    if kind == "head":
        role = draw(st.sampled_from(["system", "developer"]))
        return [{"role": role, "content": draw(contents(written_as("text")))}]
    if kind == "user":
        return [{"role": "user", "content": draw(contents(chat_parts))}]
    if kind == "old":
        return [{"role": "function", "name": "f", "content": draw(texts)}]
    spoken = st.one_of(
        written_as("text"), st.just({"type": "refusal", "refusal": "no"})
    )
    if kind == "answer":
        return [{"role": "assistant", "content": draw(contents(spoken))}]
    names = [f"c{number}" for number in range(draw(st.integers(1, 3)))]
    function = {"type": "function", "function": {"name": "f", "arguments": "{}"}}
    calls = [{"id": name, **function} for name in names]
    results = [
        {
            "role": "tool",
            "tool_call_id": name,
            "content": draw(contents(written_as("text"))),
        }
        for name in names
    ]
    said = draw(st.one_of(st.none(), contents(spoken)))
    return [{"role": "assistant", "content": said, "tool_calls": calls}, *results]


@st.composite
def response_turns(draw):
    """Return items that can follow one another."""
    kind = draw(
        st.sampled_from(["head", "user", "user", "answer", "tools", "other", "shell"])
    )
    if kind in ("head", "user"):
        role = draw(st.sampled_from(["system", "developer"]))
        role = role if kind == "head" else "user"
        item = {"role": role, "content": draw(contents(input_parts))}
        return [draw(st.sampled_from([item, {"type": "message", **item}]))]
    spoken = st.one_of(
        written_as("output_text"), st.just({"type": "refusal", "refusal": "no"})
    )
    if kind == "answer":
        return [{"role": "assistant", "content": draw(contents(spoken)), "id": "m"}]
    if kind == "other":
        return [
            draw(
                st.sampled_from(
                    [
                        {"type": "reasoning", "id": "r", "summary": []},
                        {"type": "additional_tools", "tools": [{"type": "web_search"}]},
                        {"type": "item_reference", "id": "i"},
                        {"type": "dream", "value": 1.5},
                    ]
                )
            )
        ]
    if kind == "shell":
        out = draw(st.lists(marked(st.just({"stdout": "x"})), max_size=2))
        return [{"type": "shell_call_output", "call_id": "s", "output": out}]
    call = f"c{draw(st.integers(0, 9))}"
    output = draw(contents(input_parts))
    return [
        {"type": "function_call", "call_id": call, "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": call, "output": output},
    ]


def tools_of(api):
    function = {"name": "f", "description": "d" * 800, "parameters": {"b": 1, "a": 2}}
    if api is RESPONSES:
        tool = {"type": "function", **function}
        deferred = {**tool, "defer_loading": True}
        return st.lists(marked(st.sampled_from([tool, deferred])), max_size=3)
    inner = marked(st.just(function))
    tool = inner.map(lambda found: {"type": "function", "function": found})
    return st.lists(marked(tool), max_size=3)


def options_of(api):
    """Return the caller's options, legal or not, or none."""
    fields = {
        "mode": st.sampled_from([None, "implicit", "explicit", "loud"]),
        "ttl": st.sampled_from([None, "30m", "12h", "5m"]),
    }
    if api is RESPONSES:
        fields["prewarm"] = st.booleans()
    return st.one_of(st.none(), st.just({}), st.fixed_dictionaries({}, optional=fields))


@st.composite
def requests(draw, models=(*WITH_BREAKPOINTS, *WITHOUT)):
    """Return an API and a body for it, with the caller's markers anywhere."""
    api = draw(st.sampled_from([CHAT, RESPONSES]))
    body = {"model": draw(st.sampled_from(models))}
    turns = chat_turns() if api is CHAT else response_turns()
    messages = [
        message
        for turn in draw(st.lists(turns, min_size=1, max_size=7))
        for message in turn
    ]
    if draw(st.integers(0, 5)) == 0:
        at = draw(st.integers(0, len(messages) - 1))
        messages[at] = {**messages[at], MARK: draw(legal)}
    if api is CHAT:
        body["messages"] = messages
    else:
        body["input"] = draw(st.sampled_from([messages, messages, messages, "hi"]))
        body.update(draw(st.sampled_from([{}, {"instructions": "be brief"}])))
    body.update(draw(st.sampled_from([{}, {"prompt_cache_key": "mine"}])))
    tools = draw(tools_of(api))
    if tools:
        body["tools"] = tools
    options = draw(options_of(api))
    if options is not None:
        body["prompt_cache_options"] = options
    return api, body


chance = st.builds(Chance, st.floats(0, 1), st.floats(0, 0.3))
chances = st.dictionaries(
    st.sampled_from(NAMES), st.builds(Again, short=chance, long=chance)
)
pasts = st.builds(
    Past,
    shared=st.integers(-1, 20),
    entry=st.integers(-1, 20),
    volatile=st.one_of(st.none(), st.integers(0, 5)),
    held=st.integers(-1, 30),
    is_firm=st.booleans(),
    chances=chances,
    way=st.sampled_from(WAYS),
    pauses=st.integers(0, 9),
    gaps=st.integers(0, 30),
    room=st.sampled_from([0.0, 100.0, 5_000.0, inf]),
    unstable=st.one_of(st.none(), st.integers(0, 30)),
    ends=st.lists(
        st.tuples(st.integers(0, 30), st.sampled_from(["static", "document"])),
        max_size=3,
    ).map(tuple),
    shards=st.integers(1, 4),
)
choices = st.fixed_dictionaries(
    {
        "policy": st.sampled_from(
            [
                Policy.auto(),
                Policy.fixed(tools="12h", system="12h", history="30m", tail="30m"),
            ]
        ),
        "ttl": st.sampled_from([None, "30m", "12h", "24h"]),
        "tenant": st.sampled_from([None, "acme"]),
        # Small bodies reach every rule only where nothing is too short to cache.
        "minimum": st.sampled_from([0, 1024]),
        "past": pasts,
    }
)


def clamped(past, outline):
    """Return a past that speaks of no block that a request does not have."""
    last = outline.length - 1
    entry = min(past.entry, past.shared, last)
    return replace(
        past,
        shared=min(past.shared, last),
        entry=entry,
        held=min(past.held, entry),
        volatile=past.volatile if (past.volatile or 0) < outline.system_end else None,
        unstable=past.unstable if (past.unstable or 0) < last else None,
        ends=tuple(it for it in past.ends if it[0] <= last),
    )


def planned(api, body, *, policy, ttl, tenant, minimum, past, trail=None):
    """Return the body as it would be sent."""
    own = {"minimum_tokens": minimum}
    rules, _ = api.rules(body["model"], "openai", {body["model"]: own})
    outline = api.outline(body, host="openai", tenant=tenant, trail=trail)
    known = clamped(past, outline)
    said = CallOptions(ttl=ttl, tenant=tenant)
    made = plan(outline, rules=rules, policy=policy, past=known, options=said)
    return api.apply(body, outline, made)


def strip(value):
    """Return a body without all that is about caching, single texts as strings."""
    if isinstance(value, list):
        stripped = [strip(item) for item in value]
        only = stripped[0] if len(stripped) == 1 else None
        if isinstance(only, dict) and set(only) == {"type", "text"} and only["text"]:
            return only["text"]
        return stripped
    if isinstance(value, dict):
        kept = {key: strip(value[key]) for key in value if key not in (MARK, *OURS)}
        if isinstance(kept.get("input"), str):
            kept["input"] = [{"role": "user", "content": kept["input"]}]
        return kept
    return value


def unmarked(value):
    """Return a body without breakpoints and options, everything else as it is."""
    if isinstance(value, list):
        return [unmarked(item) for item in value]
    if isinstance(value, dict):
        return {
            key: unmarked(value[key])
            for key in value
            if key not in (MARK, "prompt_cache_options")
        }
    return value


def refusal(api, body):
    """Return what the provider says of a body that it refuses, else None."""
    try:
        accepted(api.api, body, OpenAISettings())
    except OpenAIRejectedError as error:
        return error.message
    return None


def parts_of(body):
    """Yield where each part stands, and the part."""
    messages = body.get("messages") or body.get("input") or []
    for index, message in enumerate([] if isinstance(messages, str) else messages):
        for key in ("content", "output"):
            parts = message.get(key)
            for number, part in enumerate(parts if isinstance(parts, list) else []):
                yield (index, key, number), message, part


@given(requests(), choices)
def test_only_caching_is_added(request_, choice):
    """Taking all that is about caching off gives the framework's body back."""
    api, body = request_

    assert strip(planned(api, body, **choice)) == strip(body)


@given(requests(), choices)
def test_the_input_is_untouched(request_, choice):
    """Planning writes to nothing that it was given."""
    api, body = request_
    before = copy.deepcopy(body)
    planned(api, body, **choice)

    assert json.dumps(body) == json.dumps(before)


@given(requests(), choices)
def test_planning_a_planned_body_changes_nothing(request_, choice):
    """A second planning finds everything in place."""
    api, body = request_
    once = planned(api, body, **choice)

    assert planned(api, once, **choice) == once


@given(requests(), choices)
def test_the_result_is_legal(request_, choice):
    """Whatever the caller marked, the provider takes what is sent."""
    api, body = request_
    bare = {key: value for key, value in unmarked(body).items() if key not in OURS}

    # What is refused without any caching is not ours to mend.
    assert refusal(api, planned(api, body, **choice)) == refusal(api, bare)


@given(requests(models=WITHOUT), choices)
def test_without_breakpoints_nothing_is_marked(request_, choice):
    """No breakpoint, no options, and no string is turned into a part."""
    api, body = request_
    sent = planned(api, body, **choice)
    sent_key = sent.pop("prompt_cache_key", None)
    sent.pop("prompt_cache_retention", None)
    expected = unmarked(body)
    own_key = expected.pop("prompt_cache_key", None)

    assert MARK not in json.dumps(sent)
    assert sent == expected
    assert own_key in (None, sent_key)


@given(requests(models=WITH_BREAKPOINTS), choices)
def test_one_form_whatever_the_plan(request_, choice):
    """No string is left where one might be marked some day, and none elsewhere."""
    api, body = request_
    sent = planned(api, body, **choice)
    messages = sent.get("messages") or sent.get("input")
    strings = {
        "answer" if message.get("role") in ("assistant", "function") else "other"
        for message in messages
        if message.get("content") and isinstance(message["content"], str)
    }

    assert strings <= {"answer"}
    before = body.get("messages") or body["input"]
    for old, new in zip(before, messages, strict=False):
        if isinstance(old, dict) and old.get("role") in ("assistant", "function"):
            assert isinstance(new["content"], type(old["content"]))


@given(requests(models=WITH_BREAKPOINTS), choices)
def test_the_callers_legal_marks_stay(request_, choice):
    """In their very form; and so do legal options and the caller's key."""
    api, body = request_
    outline = api.outline(body, host="openai", tenant=None)
    illegal = {
        (place.index, place.block) for place in outline.illegal if not place.inside
    }
    sent = planned(api, body, **choice)
    kept = {where: part.get(MARK) for where, _, part in parts_of(sent)}
    for (index, key, number), _, part in parts_of(body):
        if part.get(MARK) is not None and (index, number) not in illegal:
            inside = any(
                place.inside and place.index == index for place in outline.illegal
            )
            assert inside or kept[index, key, number] == part[MARK]
    if "prompt_cache_key" in body:
        assert sent["prompt_cache_key"] == body["prompt_cache_key"]
    options = sent["prompt_cache_options"]
    assert options["mode"] == (outline.mode or options["mode"])
    assert options["ttl"] == (outline.automatic or options["ttl"])


@given(requests(), choices)
def test_a_body_reads_the_same_once_it_is_planned(request_, choice):
    """No breakpoint enters a digest, a string and its part are one."""
    api, body = request_
    assume("prompt_cache_key" in body)
    sent = planned(api, body, **choice)
    one = api.outline(body, host="openai", tenant=None)
    other = api.outline(sent, host="openai", tenant=None)

    assert one.blocks.digests == other.blocks.digests
    assert one.blocks.tokens == other.blocks.tokens
    assert one.head_key == other.head_key
    assert one.implicit == other.implicit


@given(requests(), st.data())
def test_a_longer_conversation_keeps_its_prefix(request_, data):
    """What follows changes no digest and no size of what stands before."""
    api, body = request_
    field = "messages" if api is CHAT else "input"
    assume(isinstance(body[field], list))
    turns = chat_turns() if api is CHAT else response_turns()
    longer = {**body, field: [*body[field], *data.draw(turns)]}
    short = api.outline(body, host="openai", tenant=None)
    long = api.outline(longer, host="openai", tenant=None)

    assert long.blocks.digests[: short.length] == short.blocks.digests
    assert long.blocks.tokens[: short.length] == short.blocks.tokens


@given(requests(models=WITH_BREAKPOINTS), choices)
def test_what_goes_on_from_an_answer(request_, choice):
    """The same holds where the provider puts an earlier conversation first."""
    api, body = request_
    assume(api is RESPONSES)
    body = {**body, "previous_response_id": "r1"}
    trail = Trail(b"d" * 16, 5000, "key")
    sent = planned(api, body, **choice, trail=trail)

    assert strip(sent) == strip(body)
    assert planned(api, sent, **choice, trail=trail) == sent
    assert sent["prompt_cache_key"] == body.get("prompt_cache_key", "key")
    assert {type(part) for _, _, part in parts_of(sent)} <= {dict}
