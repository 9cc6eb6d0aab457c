"""Tools that a request has, and that are not to be called."""

import copy

import pytest

from promptcache import OptionError, options
from promptcache.options import CallOptions, current_options
from promptcache.prompts.tool_choice import withheld


def chat(name, kind="function"):
    return {"type": kind, kind: {"name": name, "description": "It does."}}


def bare(name, kind="function"):
    return {"type": kind, "name": name, "description": "It does."}


def reference(name, kind="function"):
    return {"type": kind, kind: {"name": name}}


def chat_body(choice=None, tools=("a", "b", "c")):
    body = {"messages": [], "tools": [chat(it) for it in tools]}
    return body if choice is None else {**body, "tool_choice": choice}


ALLOWED_A = {
    "type": "allowed_tools",
    "allowed_tools": {"mode": "auto", "tools": [reference("a")]},
}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, ("auto", ["a", "c"])),
        ("auto", ("auto", ["a", "c"])),
        ("required", ("required", ["a", "c"])),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [reference("b"), reference("c")],
                },
            },
            ("required", ["c"]),
        ),
    ],
)
def test_chat(choice, expected):
    """What may be called is listed as Chat Completions has it."""
    mode, names = expected
    allowed = {"mode": mode, "tools": [reference(it) for it in names]}
    body = chat_body(choice)
    before = copy.deepcopy(body)
    changed, notes = withheld(body, {"b"}, "openai")

    choice = {"type": "allowed_tools", "allowed_tools": allowed}
    assert changed == {**before, "tool_choice": choice}
    assert body == before
    assert notes == (
        "kept 1 tools that are not to be called; tool_choice: allowed_tools",
    )


def test_responses():
    """What may be called is listed as Responses have it, servers and built-ins too."""
    tools = [
        bare("a"),
        bare("b"),
        bare("c", "custom"),
        {"type": "mcp", "server_label": "wiki", "server_url": "https://wiki.example"},
        {"type": "image_generation", "size": "auto"},
    ]
    changed, _ = withheld({"input": [], "tools": tools}, {"b"}, "openai")

    assert changed["tool_choice"] == {
        "type": "allowed_tools",
        "mode": "auto",
        "tools": [
            {"type": "function", "name": "a"},
            {"type": "custom", "name": "c"},
            {"type": "mcp", "server_label": "wiki"},
            {"type": "image_generation"},
        ],
    }
    assert changed["tools"] is tools


@pytest.mark.parametrize("choice", [None, "auto", "required", ALLOWED_A])
def test_none_is_left(choice):
    """Where no tool may be called, that is what is said."""
    changed, notes = withheld(chat_body(choice), {"a", "b", "c"}, "openai")

    assert changed["tool_choice"] == "none"
    assert notes == ("kept 3 tools that are not to be called; tool_choice: none",)


def test_none_stays_none():
    """A caller who forbids all tools still does."""
    assert withheld(chat_body("none"), {"a"}, "openai")[0]["tool_choice"] == "none"


FORCED = {"type": "function", "function": {"name": "a"}}


@pytest.mark.parametrize(
    ("body", "provider"),
    [
        pytest.param(chat_body(FORCED), "openai", id="forced"),
        pytest.param(
            {
                "input": [],
                "tools": [bare("b"), {"type": "namespace", "name": "n", "tools": []}],
            },
            "openai",
            id="namespace",
        ),
        pytest.param(
            {"messages": [], "tools": [{"name": "a"}, {"name": "b"}]},
            "anthropic",
            id="anthropic",
        ),
        pytest.param(
            {
                "contents": [],
                "tools": [{"functionDeclarations": [{"name": "a"}, {"name": "b"}]}],
            },
            "google",
            id="gemini",
        ),
    ],
)
def test_what_cannot_be_said(body, provider):
    """The body stays the same one, and that is said."""
    changed, notes = withheld(body, {"b"}, provider)

    assert changed is body
    assert notes == (
        "kept 1 tools that are not to be called; this API cannot forbid it",
    )


def test_none_on_anthropic():
    """Messages have no list, but they have "none"."""
    body = {"messages": [], "tools": [{"name": "a"}, {"name": "b"}]}
    changed, _ = withheld(body, {"a", "b"}, "anthropic")

    assert changed == {**body, "tool_choice": {"type": "none"}}


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({"messages": []}, {"a"}),
        ({"messages": [], "tools": []}, {"a"}),
        ({"messages": [], "tools": ["a"]}, {"a"}),
        (chat_body(), {"d"}),
        (chat_body(), ()),
    ],
)
def test_nothing_is_withheld(body, names):
    """A body without such tools is handed on, and nothing is said."""
    changed, notes = withheld(body, names, "openai")

    assert changed is body
    assert notes == ()


def test_the_option():
    """Names come in any collection; inner options go over outer ones."""
    with options(withheld_tools={"b", "a"}):
        assert current_options().withheld_tools == ("a", "b")
        with options(stable_tools=True):
            assert current_options().withheld_tools == ("a", "b")
        with options(withheld_tools=()):
            assert current_options().withheld_tools == ()
    assert CallOptions.read({"withheld_tools": ["a", "a"]}).withheld_tools == ("a",)


@pytest.mark.parametrize("said", ["a", {"a": 1}, [1], 7])
def test_what_is_no_list_of_names(said):
    """Anything else is refused."""
    with pytest.raises(OptionError):
        CallOptions.read({"withheld_tools": said})
