"""Plans, written into bodies of Chat Completions."""

import copy

import pytest
from openai.types.chat import ChatCompletionMessage

from promptcache.planning.plan import Breakpoint, Plan
from promptcache.providers.openai.chat import apply, outline

MARK = {"mode": "explicit"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
CHOSEN = {"mode": "explicit", "ttl": "30m"}


def text(value, **fields):
    return {"type": "text", "text": value, **fields}


def marked(value, **fields):
    return text(value, prompt_cache_breakpoint={**MARK, **fields})


def said(role, content, **fields):
    return {"role": role, "content": content, **fields}


def body(*messages, **fields):
    return {"model": "gpt-6.1-sol", "messages": list(messages), **fields}


MARKED = Plan(mode="explicit", ttl="30m", key="k")


def written(given, plan):
    before = copy.deepcopy(given)
    made = apply(given, outline(given), plan)
    assert given == before
    return made


def test_strings_become_parts():
    """Every string that may carry a breakpoint has one form, marked or not."""
    given = body(
        said("system", "s"),
        said("developer", "d"),
        said("user", "u", name="ann"),
        said("assistant", "a"),
        said("tool", "t", tool_call_id="c"),
        said("function", "f", name="f"),
        said("user", ""),
        said("user", [text("kept")]),
    )
    made = written(given, MARKED)

    assert made == {
        **body(
            said("system", [text("s")]),
            said("developer", [text("d")]),
            said("user", [text("u")], name="ann"),
            said("assistant", "a"),
            said("tool", [text("t")], tool_call_id="c"),
            said("function", "f", name="f"),
            said("user", ""),
            said("user", [text("kept")]),
        ),
        "prompt_cache_options": CHOSEN,
        "prompt_cache_key": "k",
    }
    assert made["messages"][7] is given["messages"][7]
    assert made["messages"][3] is given["messages"][3]


def test_marks_are_placed():
    """Each stands on its part; only another lifetime than the request's is said."""
    given = body(
        said("system", [text("a"), text("b")]), said("user", "u"), tools=[TOOL]
    )
    points = (
        Breakpoint(2, "30m", "system"),
        Breakpoint(3, "12h", "tail"),
    )
    made = written(given, Plan(points, mode="implicit", ttl="30m"))

    assert made["messages"] == [
        said("system", [text("a"), marked("b")]),
        said("user", [marked("u", ttl="12h")]),
    ]
    assert made["tools"] is given["tools"]
    assert "prompt_cache_key" not in made


def test_the_callers_marks_keep_their_form():
    """A legal one is not written anew, an illegal one goes."""
    own = marked("a", ttl="30m")
    given = body(
        said("user", [own, marked("b", ttl="5m"), text("c")]),
        said("assistant", [marked("d")]),
        said("user", "e", prompt_cache_breakpoint=MARK),
        said("assistant", "f", prompt_cache_breakpoint=MARK),
        tools=[
            {**TOOL, "prompt_cache_breakpoint": None},
            {
                "type": "function",
                "function": {"name": "f", "prompt_cache_breakpoint": MARK},
            },
            TOOL,
        ],
    )
    made = written(
        given,
        Plan(
            (Breakpoint(3, "30m", "fixed"), Breakpoint(4, "30m", "tail")),
            mode="explicit",
            ttl="30m",
        ),
    )

    assert made["messages"] == [
        said("user", [own, marked("b"), text("c")]),
        said("assistant", [text("d")]),
        said("user", [text("e")]),
        said("assistant", "f"),
    ]
    assert made["messages"][0]["content"][0] is own
    assert made["tools"] == [
        TOOL,
        {"type": "function", "function": {"name": "f"}},
        TOOL,
    ]
    assert made["tools"][2] is given["tools"][2]


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        pytest.param(None, CHOSEN, id="null"),
        pytest.param({}, CHOSEN, id="empty"),
        pytest.param({"mode": "implicit"}, {**CHOSEN, "mode": "implicit"}, id="mode"),
        pytest.param({"mode": None, "more": 1}, {**CHOSEN, "more": 1}, id="more"),
        pytest.param({"mode": "loud", "ttl": "12h"}, CHOSEN, id="illegal"),
        pytest.param("explicit", CHOSEN, id="no-object"),
    ],
)
def test_options_go_around_the_callers(own, expected):
    """What the caller says legally stays; what no provider takes is replaced."""
    given = body(said("user", "u"), prompt_cache_options=own)
    made = outline(given)
    plan = Plan(mode=made.mode or "explicit", ttl="30m")

    assert written(given, plan)["prompt_cache_options"] == expected


def test_the_callers_key_stays():
    """Ours is for requests without one."""
    given = body(said("user", [text("u")]), prompt_cache_key="mine")

    assert written(given, MARKED)["prompt_cache_key"] == "mine"
    assert written({**given, "prompt_cache_key": None}, MARKED)["prompt_cache_key"] == (
        "k"
    )


def test_without_breakpoints_nothing_but_a_key_is_added():
    """No string becomes a part, and a body that needs nothing is the very same."""
    given = body(said("user", "u"), prompt_cache_retention="in_memory")

    assert written(given, Plan(key="k", retention="24h")) == {
        **given,
        "prompt_cache_key": "k",
    }
    assert apply(given, outline(given), Plan()) is given
    assert written(body(said("user", "u")), Plan(retention="24h")) == body(
        said("user", "u"), prompt_cache_retention="24h"
    )


def test_all_breakpoints_are_taken_off():
    """Where none is taken, the caller's go, and their options."""
    untouched = said("user", [text("c")])
    given = body(
        said("user", [marked("a"), text("b")]),
        untouched,
        said("assistant", [marked("d")], prompt_cache_breakpoint=MARK),
        tools=[{**TOOL, "prompt_cache_breakpoint": MARK}],
        prompt_cache_options={"mode": "explicit"},
    )
    made = written(given, Plan(key="k", bare=True))

    assert made == body(
        said("user", [text("a"), text("b")]),
        untouched,
        said("assistant", [text("d")]),
        tools=[TOOL],
        prompt_cache_key="k",
    )
    assert made["messages"][1] is untouched


def test_objects_of_the_sdk_stay_unless_marked():
    """Only what changes is copied."""
    answer = ChatCompletionMessage(role="assistant", content="x")
    given = body(answer, said("user", "u"))

    assert written(given, MARKED)["messages"][0] is answer
