"""Which earlier prefix a request finds."""

import pytest

MARK = {"type": "ephemeral"}


def test_the_documented_example(world, make):
    """Block 10 is found from 15, and 15 is not found from 35, 20 positions on."""
    here = world()

    assert here.hit(make(10, [10])) is None
    assert here.hit(make(15, [15])) == "messages.0.content.9"
    assert here.hit(make(35, [35])) is None


def test_the_documented_mend(world, make):
    """A second breakpoint at 15 opens its own window and hits."""
    here = world()
    here.call(make(15, [15]))

    assert here.hit(make(35, [15, 35])) == "messages.0.content.14"


@pytest.mark.parametrize(
    ("window", "distance", "found"),
    [
        pytest.param(20, 19, True, id="documented-last"),
        pytest.param(20, 20, False, id="documented-beyond"),
        pytest.param(22, 21, True, id="measured-last"),
        pytest.param(22, 22, False, id="measured-beyond"),
    ],
)
def test_the_window_counts_the_breakpoint(world, make, window, distance, found):
    """An entry is found within window minus one positions before the breakpoint."""
    here = world(lookback=window)
    here.call(make(10, [10]))

    hit = here.hit(make(10 + distance, [10 + distance]))

    assert (hit is not None) is found


def test_only_written_prefixes_are_found(world, make):
    """Stable content before a changed one is not found, as nothing was written there.

    "It is looking for prior writes, not for stable content."
    """
    here = world()
    here.call(make(10, [10]))
    changed = make(10, [10])
    changed["messages"][0]["content"][9]["text"] = "another tail"

    assert here.hit(changed) is None


def test_the_last_breakpoint_is_looked_up_first(world, make):
    """The longest of several live prefixes is the one that is read."""
    here = world()
    here.call(make(10, [6, 10]))

    assert here.hit(make(12, [6, 12])) == "messages.0.content.9"


def test_markers_do_not_enter_the_key(world, make):
    """A prefix is found though none of its blocks is marked any longer."""
    here = world()
    here.call(make(10, [6, 8, 10]))

    assert here.hit(make(12, [12])) == "messages.0.content.9"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        pytest.param({}, True, id="claude-api"),
        pytest.param({"collapse_tool_runs": False}, False, id="switched-off"),
        pytest.param({"host": "bedrock-mantle"}, False, id="not-stated-for-the-host"),
    ],
)
def test_a_run_of_tool_calls_is_one_position(world, make, settings, expected):
    """30 parallel calls and their results push nothing out of the window.

    "A run of consecutive tool_use blocks counts as one position, and so does a run of
    consecutive tool_result blocks."
    """
    here = world(**settings)
    body = make(10, [10])
    here.call(body)
    ids = [f"toolu_{number}" for number in range(30)]
    calls = [{"type": "tool_use", "id": i, "name": "f", "input": {}} for i in ids]
    results = [{"type": "tool_result", "tool_use_id": i, "content": "x"} for i in ids]
    results[-1]["cache_control"] = MARK
    del body["messages"][0]["content"][9]["cache_control"]
    body["messages"] += [
        {"role": "assistant", "content": calls},
        {"role": "user", "content": results},
    ]

    assert (here.hit(body) is not None) is expected


@pytest.mark.parametrize(
    ("window", "found"),
    [pytest.param(3, True, id="reaches"), pytest.param(2, False, id="falls-short")],
)
def test_calls_and_their_results_are_two_positions(world, make, window, found):
    """From a run of results, the run of calls is one step back, its question two."""
    here = world(lookback=window)
    body = make(10, [10])
    here.call(body)
    del body["messages"][0]["content"][9]["cache_control"]
    call = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "t", "cache_control": MARK}
    body["messages"] += [
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result]},
    ]

    assert (here.hit(body) is not None) is found


def test_the_lookback_crosses_sections(world, make):
    """A breakpoint in the messages finds an entry that ends in the system prompt."""
    here = world()
    system = [{"type": "text", "text": "s" * 4000, "cache_control": MARK}]
    here.call(make(1, system=system))

    assert here.hit(make(3, [3], system="s" * 4000)) == "system.0"


@pytest.mark.parametrize(
    ("same", "expected"),
    [
        pytest.param(True, "messages.0.content.0", id="same"),
        pytest.param(False, None, id="different"),
    ],
)
def test_string_content_is_one_block(world, make, same, expected):
    """Whether a string and one text block are one prefix is a setting."""
    here = world(string_is_block=same)
    body = make(1, cache_control=MARK)
    text = "x" * 4000
    here.call({**body, "messages": [{"role": "user", "content": text}]})
    blocks = [{"type": "text", "text": text}]

    hit = here.hit({**body, "messages": [{"role": "user", "content": blocks}]})

    assert hit == expected


def test_deferred_tools_are_not_in_the_prefix(world, make):
    """Adding a deferred tool changes neither the key nor the tokens."""
    here = world()
    tools = [{"name": "f", "input_schema": {"type": "object"}}]
    more = [*tools, {**tools[0], "name": "g", "defer_loading": True}]
    first = here.call(make(10, [10], tools=tools))

    again = here.call(make(10, [10], tools=more))

    assert again.read == first.written_5m


def test_a_scoped_system_turn_goes_when_the_user_speaks(world, make):
    """A turn-scoped system message costs nothing once a later user turn exists."""
    here = world()
    scoped = {"role": "system", "content": "x" * 400, "clear_at": "next_user_message"}
    answer = {"role": "assistant", "content": "yes"}
    body = make(10, [10])
    without = {**body, "messages": [*body["messages"], answer, *body["messages"]]}
    with_it = {
        **body,
        "messages": [*body["messages"], scoped, answer, *body["messages"]],
    }

    assert here.judge(with_it).usage == here.judge(without).usage
