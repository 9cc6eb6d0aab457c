"""Bodies of any shape."""

import contextlib

import orjson
from hypothesis import given
from hypothesis import strategies as st

from promptcache.emulator.gemini_cache import GeminiCache, Where
from promptcache.emulator.gemini_replies import gemini_reply
from promptcache.emulator.rules.gemini import Asked
from promptcache.emulator.rules.gemini_creation import (
    check_creation,
    expiration,
    new_expiration,
)
from promptcache.emulator.rules.gemini_rejection import GeminiRejectedError
from promptcache.emulator.rules.gemini_settings import GeminiSettings
from promptcache.emulator.rules.gemini_spelling import spelled

SETTINGS = GeminiSettings(minimum_tokens=1, implicit_minimum_tokens=1, implicit_step=1)
WHERE = Where("developer", "", "default")
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", " ", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "text", "name"]), inner, max_size=3)
    ),
    max_leaves=5,
)


def mostly(likely):
    """Return a strategy that is junk once in forty times."""
    return st.integers(0, 39).flatmap(lambda number: likely if number else JUNK)


SCHEMA = st.fixed_dictionaries(
    {"type": st.sampled_from(["OBJECT", "object", 6, "ARRAY", 5])},
    optional={
        "properties": st.just({"a": {"type": 3}, "b_c": {"type": "STRING"}}),
        "required": st.just(["a"]),
        "items": st.just({"type": "NUMBER", "minItems": "1"}),
    },
)
PART = st.one_of(
    st.fixed_dictionaries(
        {"text": mostly(st.sampled_from(["a", "bb" * 9, "what is f of 3"]))},
        optional={"thought": st.booleans()},
    ),
    st.fixed_dictionaries(
        {
            "inlineData": mostly(
                st.just({"mimeType": "image/png", "data": "aaaa"})
                | st.just({"mime_type": "audio/wav"})
            )
        }
    ),
    st.fixed_dictionaries({"functionCall": mostly(st.just({"name": "f", "args": {}}))}),
    st.fixed_dictionaries(
        {"function_response": mostly(st.just({"name": "f", "response": {"x": 1}}))}
    ),
)
CONTENT = st.fixed_dictionaries(
    {"parts": mostly(st.lists(mostly(PART), min_size=1, max_size=2) | PART)},
    optional={"role": mostly(st.sampled_from(["user", "model"]))},
)
FUNCTION = st.fixed_dictionaries(
    {"name": mostly(st.sampled_from("fg"))},
    optional={
        "parameters": mostly(SCHEMA),
        "parameters_json_schema": mostly(st.just({"type": "object"})),
    },
)
HELD = {
    "systemInstruction": mostly(st.just({"parts": [{"text": "s"}]})),
    "tools": mostly(
        st.lists(
            mostly(
                st.fixed_dictionaries(
                    {"functionDeclarations": mostly(st.lists(FUNCTION, max_size=2))}
                )
                | st.just({"googleSearch": {}})
            ),
            max_size=2,
        )
    ),
    "toolConfig": mostly(
        st.fixed_dictionaries(
            {},
            optional={
                "functionCallingConfig": mostly(
                    st.fixed_dictionaries(
                        {"mode": st.sampled_from(["ANY", 2, 3, 9, "AUTO"])},
                        optional={"allowedFunctionNames": mostly(st.just(["f"]))},
                    )
                )
            },
        )
    ),
}
BODY = st.fixed_dictionaries(
    {"contents": mostly(st.lists(mostly(CONTENT), min_size=1, max_size=3))},
    optional={
        **HELD,
        "cachedContent": mostly(st.just("cachedContents/none")),
        "generationConfig": mostly(
            st.fixed_dictionaries(
                {},
                optional={
                    "maxOutputTokens": mostly(st.integers(1, 9)),
                    "stopSequences": mostly(st.just(["a"])),
                    "responseMimeType": mostly(st.just("application/json")),
                    "responseSchema": mostly(SCHEMA),
                },
            )
        ),
    },
)
CREATED = st.fixed_dictionaries(
    {"model": mostly(st.just("models/gemini-3.8-flash"))},
    optional={
        **HELD,
        "contents": mostly(st.lists(mostly(CONTENT), max_size=3)),
        "ttl": mostly(st.sampled_from(["60s", "0s", "s"])),
        "expireTime": mostly(st.just("2026-11-22T12:00:00Z")),
        "displayName": mostly(st.just("d")),
    },
)


@given(body=BODY)
def test_any_request_gets_a_verdict_or_a_refusal(body):
    """Whatever is sent, the rules answer, and the answer adds up."""
    cache = GeminiCache(SETTINGS)
    asked = Asked(body=spelled(body), model="models/gemini-3.8-flash", host="developer")
    try:
        request = cache.admit(asked, where=WHERE, now=0)
    except GeminiRejectedError:
        return
    first = cache.judge(request, where=WHERE, now=0)
    cache.commit(first, where=WHERE, sent=0)
    second = cache.judge(request, where=WHERE, now=1)

    assert (first.usage.read, second.usage.read) == (0, first.usage.total)
    assert sum(first.usage.total_by_modality.values()) == first.usage.total
    assert second.usage.read_by_modality == first.usage.total_by_modality
    assert gemini_reply(spelled(body), None, iter("abc")).stop_reason


@given(body=CREATED, mask=st.none() | st.sampled_from(["ttl", "expire_time", "x"]))
def test_any_creation_is_kept_or_refused(body, mask):
    """What is kept has the tokens of its segments, and lives on after `now`."""
    body = spelled(body)
    with contextlib.suppress(GeminiRejectedError):
        assert new_expiration(body, mask, host="developer", now=0) > 0
    try:
        segments = check_creation(
            body, host="developer", version="v1", settings=SETTINGS
        )
        expires = expiration(body, host="developer", now=0)
    except GeminiRejectedError:
        return
    kept = GeminiCache(SETTINGS).create(
        body, segments, where=WHERE, now=0, expires=expires
    )

    assert kept.tokens > 0
    assert kept.live(0)
    assert orjson.dumps(kept.resource())
