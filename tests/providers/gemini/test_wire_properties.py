"""What holds for every body that anyone may send to Gemini."""

import copy
import json

from hypothesis import assume, given
from hypothesis import strategies as st

from promptcache.emulator.rules.gemini_creation import check_creation
from promptcache.emulator.rules.gemini_prompt import rendered, total_tokens
from promptcache.emulator.rules.gemini_rejection import GeminiRejectedError
from promptcache.emulator.rules.gemini_requests import check_request
from promptcache.emulator.rules.gemini_settings import GeminiSettings
from promptcache.emulator.rules.gemini_spelling import spelled
from promptcache.providers.gemini.wire import (
    cuts,
    end_of,
    members,
    named,
    outline,
    rest,
)

MODEL = "gemini-3.8-flash"
NAME = "cachedContents/any"
HEAD = ("systemInstruction", "tools", "toolConfig")
OTHER = {"system_instruction": "systemInstruction", "tool_config": "toolConfig"}
SMALL = GeminiSettings(minimum_tokens=1)

texts = st.one_of(st.text(max_size=9), st.just("word " * 99))
parts = st.one_of(
    st.fixed_dictionaries({"text": texts}, optional={"thought": st.booleans()}),
    st.just({"inlineData": {"mimeType": "image/png", "data": "aaaa"}}),
    st.just({"fileData": {"mimeType": "video/mp4", "fileUri": "gs://a/b"}}),
    st.just({"functionCall": {"name": "f", "args": {"b": 1, "a": [2]}}}),
    st.just({"functionResponse": {"name": "f", "response": {"c": 3}}}),
)
contents = st.fixed_dictionaries(
    {"parts": st.lists(parts, min_size=1, max_size=3)},
    optional={"role": st.sampled_from(["user", "model", "function"])},
)
declared = st.fixed_dictionaries(
    {"name": st.sampled_from(["f", "g"])},
    optional={"description": texts, "parameters": st.just({"type": "OBJECT"})},
)
tools = st.one_of(
    st.fixed_dictionaries(
        {"functionDeclarations": st.lists(declared, max_size=3)},
        optional={"googleSearch": st.just({})},
    ),
    st.just({"codeExecution": {}}),
)
instructions = st.fixed_dictionaries(
    {"parts": st.lists(st.fixed_dictionaries({"text": texts}), max_size=2)},
    optional={"role": st.just("user")},
)
choices = st.sampled_from([{}, {"functionCallingConfig": {"mode": "AUTO"}}])
bodies = st.fixed_dictionaries(
    {"contents": st.lists(contents, min_size=1, max_size=6)},
    optional={
        "systemInstruction": instructions,
        "system_instruction": instructions,
        "tools": st.lists(tools, max_size=3),
        "toolConfig": choices,
        "tool_config": choices,
        "generationConfig": st.just({"temperature": 0.5, "responseMimeType": "a/b"}),
        "safetySettings": st.just([{"category": "x", "threshold": "y"}]),
        "labels": st.just({"team": "a"}),
        "_url": st.just({"model": MODEL}),
    },
).filter(lambda body: not any(a in body and b in body for a, b in OTHER.items()))


def read(body):
    return outline(body, model=MODEL, tenant=None)


def sent(body):
    """Return what the provider gets, in its own spelling."""
    return {
        OTHER.get(key, key): value
        for key, value in body.items()
        if not key.startswith("_") and value != []
    }


@given(bodies)
def test_both_parts_are_the_whole(body):
    """Each field and each content is in one of the parts, once; nothing is added."""
    before = copy.deepcopy(body)
    for cut in cuts(body):
        held, kept = members(body, cut), rest(body, cut, NAME)

        assert named(kept) == NAME
        assert kept["contents"]
        assert not set(HEAD) & {OTHER.get(key, key) for key in kept}
        assert held.pop("contents", []) + kept.pop("contents") == body["contents"]
        del kept["cachedContent"]
        assert not set(held) & set(kept)
        assert {**held, **kept, "contents": body["contents"]} == sent(body)
    assert body == before


def is_accepted(body):
    try:
        check_request(
            spelled(body),
            f"models/{MODEL}",
            host="developer",
            version="v1",
            method="generateContent",
        )
    except GeminiRejectedError:
        return False
    return True


@given(bodies, st.sampled_from(["developer", "vertex"]))
def test_cuts_are_legal(body, host):
    """What is taken whole is taken in both parts, and the prompt is as long."""
    assume(is_accepted(sent(body)))
    whole = total_tokens(rendered(spelled(sent(body))))
    for cut in cuts(body):
        held, kept = members(body, cut), rest(body, cut, NAME)
        created = spelled({"model": f"models/{MODEL}", **held})
        if not total_tokens(rendered(created)):
            continue
        segments = check_creation(created, host=host, version="v1", settings=SMALL)

        assert is_accepted(kept)
        assert total_tokens([*segments, *rendered(spelled(kept))]) == whole


@given(bodies)
def test_what_is_not_cut(body):
    """Where no cut is, the first content that stays would not be the user's."""
    has_head = any(OTHER.get(key, key) in HEAD and body[key] != [] for key in body)
    for number, content in enumerate(body["contents"]):
        is_users = content.get("role", "user") != "model"

        assert (number in cuts(body)) == (is_users and (number > 0 or has_head))


@given(bodies, st.lists(contents, max_size=3), st.lists(contents, max_size=3))
def test_digests_of_beginnings(body, one, another):
    """Bodies that begin alike have the same digest there, whatever comes behind."""
    length = len(body["contents"])
    first = {**body, "contents": [*body["contents"], *one]}
    second = {**body, "contents": [*body["contents"], *another]}
    for cut in range(length):
        mine = read(first).digest_before(end_of(read(first), cut))

        assert mine == read(second).digest_before(end_of(read(second), cut))
    assert (
        (one == another)
        or read(first).blocks.digests != (read(second).blocks.digests)
        or plain(one) == plain(another)
    )


def plain(turns):
    """Return contents with what is the same to the provider spelled the same."""
    return [{"role": "user", **turn} for turn in turns]


@given(bodies, bodies)
def test_digests_tell_bodies_apart(one, another):
    """Two heads have the same digest only if they are cached as the same."""
    ends = [read(body).digest_before(end_of(read(body), 0)) for body in (one, another)]
    heads = [spelled(rendered_head(body)) for body in (one, another)]

    assert (ends[0] == ends[1]) == (heads[0] == heads[1])


def rendered_head(body):
    """Return what is said before the contents, freed from groups and roles."""
    fields = sent(body)
    declarations = [
        [key, value]
        for tool in fields.get("tools") or ()
        for key in sorted(tool)
        for value in (tool[key] if key == "functionDeclarations" else [tool[key]])
    ]
    return {
        "instruction": (fields.get("systemInstruction") or {}).get("parts") or [],
        "tools": declarations,
        "choice": [fields["toolConfig"]] if "toolConfig" in fields else [],
    }


@given(bodies, st.randoms())
def test_order_of_fields(body, random):
    """The order of an object's fields is no part of a prompt."""

    def shuffled(value):
        if isinstance(value, list):
            return [shuffled(item) for item in value]
        if not isinstance(value, dict):
            return value
        items = [(key, shuffled(item)) for key, item in value.items()]
        random.shuffle(items)
        return dict(items)

    assert read(shuffled(body)).blocks.digests == read(body).blocks.digests


@given(bodies)
def test_a_body_that_was_sent_and_read_again(body):
    """What went over the wire has the digests of what was sent."""
    again = json.loads(json.dumps(body))

    assert read(again).blocks.digests == read(body).blocks.digests


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["contents", "parts", "text", "role", "tools", "data"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=9,
)


@given(
    st.dictionaries(
        st.sampled_from(["contents", "systemInstruction", "tools", "toolConfig", "x"]),
        junk,
        max_size=4,
    )
)
def test_bodies_of_any_shape(body):
    """A body is read, or is told to be unreadable; nothing else happens."""
    from promptcache.errors import UnreadableBodyError  # noqa: PLC0415

    before = copy.deepcopy(body)
    try:
        found = read(body)
    except UnreadableBodyError:
        return
    ends = [end_of(found, cut) for cut in cuts(body)]

    assert ends == sorted(ends)
    assert all(end < found.length for end in ends)
    assert body == before
