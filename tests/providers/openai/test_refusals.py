"""Whether a refusal is ours."""

import pytest

from promptcache.providers.openai import CHAT
from promptcache.providers.openai.refusals import names_our_fields

MARK = {"mode": "explicit"}


def message(*marks):
    parts = [
        {
            "type": "text",
            "text": "x",
            **({"prompt_cache_breakpoint": MARK} if mark else {}),
        }
        for mark in marks
    ]
    return {"role": "user", "content": parts}


PLAIN = {"messages": [{"role": "user", "content": "x"}]}
MARKED = {"messages": [message(True)]}
KEYED = {**PLAIN, "prompt_cache_key": "k"}
TOLD = {**PLAIN, "prompt_cache_options": {"mode": "explicit", "ttl": "30m"}}
KEPT = {**PLAIN, "prompt_cache_retention": "24h"}
METERED = {**PLAIN, "stream_options": {"include_usage": True}}

KEY = "Unrecognized request argument supplied: prompt_cache_key"
TOO_LONG = (
    "Invalid 'prompt_cache_key': string too long. Expected a string with maximum "
    "length 64, but got a string with length 72 instead."
)
OPTIONS = "prompt_cache_options is not supported on this model"
BREAKPOINT = "prompt_cache_breakpoint is not supported on this model"


def names(path):
    return f"Unknown parameter: '{path}.prompt_cache_breakpoint'."


@pytest.mark.parametrize(
    ("status", "said", "built", "sent", "expected"),
    [
        pytest.param(400, KEY, PLAIN, KEYED, True, id="key"),
        pytest.param(400, KEY, KEYED, KEYED, False, id="callers-key"),
        pytest.param(400, TOO_LONG, KEYED, {**KEYED, **TOLD}, False, id="too-long"),
        pytest.param(400, OPTIONS, PLAIN, TOLD, True, id="options"),
        pytest.param(400, OPTIONS, TOLD, TOLD, False, id="callers-options"),
        pytest.param(
            400,
            "Invalid value: '12h'. Supported values are: '30m'. "
            "(prompt_cache_options.ttl)",
            {**PLAIN, "prompt_cache_options": {"mode": "explicit"}},
            TOLD,
            True,
            id="options-around-the-callers",
        ),
        pytest.param(
            400,
            "Additional properties are not allowed "
            "('prompt_cache_options' was unexpected)",
            PLAIN,
            TOLD,
            True,
            id="strict-server",
        ),
        pytest.param(
            422,
            '{"detail":[{"type":"extra_forbidden","loc":["body","prompt_cache_key"]}]}',
            PLAIN,
            KEYED,
            True,
            id="validation",
        ),
        pytest.param(
            400,
            "prompt_cache_retention is not supported on this model",
            PLAIN,
            KEPT,
            True,
            id="retention",
        ),
        pytest.param(
            400, "stream_options not allowed", PLAIN, METERED, True, id="usage"
        ),
        pytest.param(
            422, "extra field: include_usage", PLAIN, METERED, True, id="its-field"
        ),
        pytest.param(
            400,
            "stream_options not allowed",
            METERED,
            METERED,
            False,
            id="callers-usage",
        ),
        pytest.param(400, BREAKPOINT, PLAIN, MARKED, True, id="breakpoint"),
        pytest.param(400, BREAKPOINT, MARKED, MARKED, False, id="callers-breakpoint"),
        pytest.param(400, BREAKPOINT, MARKED, PLAIN, False, id="dropped-breakpoint"),
        pytest.param(
            400,
            BREAKPOINT,
            {"messages": [message(True, False)]},
            {"messages": [message(False, True)]},
            True,
            id="another-breakpoint",
        ),
        pytest.param(
            400,
            names("messages[0].content[1]"),
            {"messages": [message(True, False)]},
            {"messages": [message(True, True)]},
            True,
            id="ours-by-name",
        ),
        pytest.param(
            400,
            names("messages[0].content[0]"),
            {"messages": [message(True, False)]},
            {"messages": [message(True, True)]},
            False,
            id="the-callers-by-name",
        ),
        pytest.param(
            400,
            BREAKPOINT,
            {"input": [{"type": "function_call_output", "output": "x"}]},
            {
                "input": [
                    {
                        "type": "function_call_output",
                        "output": [{"prompt_cache_breakpoint": MARK}],
                    }
                ]
            },
            True,
            id="output",
        ),
        pytest.param(
            400,
            BREAKPOINT,
            {"input": "x"},
            {"input": [{"role": "user", **message(True)}]},
            True,
            id="input-string",
        ),
        pytest.param(400, "context_length_exceeded", PLAIN, KEYED, False, id="other"),
        pytest.param(500, KEY, PLAIN, KEYED, False, id="server-error"),
        pytest.param(429, KEY, PLAIN, KEYED, False, id="too-many"),
    ],
)
def test_whose_fault_it_is(status, said, built, sent, expected):
    """Only what we added and the refusal names."""
    assert names_our_fields(status, said, built=built, sent=sent) is expected


def test_the_provider_asks_it():
    """The core asks by the provider's method."""
    assert CHAT.is_our_fault(400, KEY, built=PLAIN, sent=KEYED)
