"""Conversations with texts, as requests to two providers."""

import json
from itertools import pairwise

import pytest
from recorded_traces import written

from promptcache.analysis.replay.bodies import to_anthropic, to_openai
from promptcache.analysis.replay.gaps import DEFAULT_GAP, Gaps
from promptcache.analysis.replay.messages import read_messages
from promptcache.analysis.replay.replaying import Replay
from promptcache.analysis.replay.scene import scene_of
from promptcache.analysis.replay.traces import UnreadableTraceError

POLICY = "Every customer is told the rules of the house before anything else. " * 60

WEATHER = {
    "name": "weather",
    "description": "Tell the weather of a place.",
    "parameters": {"type": "dict", "properties": {"place": {"type": "string"}}},
}


def call(name, city):
    function = {"name": "weather", "arguments": json.dumps({"place": city})}
    return {"id": name, "type": "function", "function": function}


def conversation(turns=3, **more):
    messages = [{"role": "system", "content": POLICY}]
    for turn in range(turns):
        messages += [
            {"role": "user", "content": f"And in town {turn}?"},
            {"role": "assistant", "content": None, "tool_calls": [call("c", "Ulm")]},
            {"role": "tool", "tool_call_id": "c", "content": "rain " * 40},
            {"role": "assistant", "content": "It rains."},
        ]
    return {"messages": messages, **more}


def read(path, to_body=None, gaps=None):
    to_body = to_body or to_anthropic("claude-sonnet-5-5")
    return list(read_messages(path, to_body=to_body, gaps=gaps or Gaps()))


def rows(path, *policies, model="claude-sonnet-5-5", **more):
    replay = Replay(
        path=path,
        form="messages",
        scene=scene_of(model, None),
        policies=policies,
        **more,
    )
    return {row.policy: row for row in replay.rows()}


def test_each_answer_is_a_request_with_all_before_it(write):
    """A request ends with what was answered, and comes some seconds later."""
    (session,) = read(write([conversation(2)]), to_openai("gpt-5.6"))

    sent = [len(it.body["messages"]) for it in session.requests]
    assert sent == [2, 4, 6, 8]
    assert [it.at for it in session.requests] == [DEFAULT_GAP * it for it in range(4)]
    assert [it.stop for it in session.requests] == ["tool_use", "end_turn"] * 2


def test_times_that_are_said_are_kept(write):
    """An answer may say when it was asked for, in seconds."""
    told = conversation(1)
    told["messages"][4]["at"] = 75

    (session,) = read(write([told]), to_openai("gpt-5.6"))

    assert [it.at for it in session.requests] == [0, 75]
    assert not any("at" in it for it in session.requests[1].body["messages"])


def test_a_body_for_anthropic(write):
    """System text, calls and results stand where Anthropic has them."""
    (session,) = read(write([conversation(2, tools=[WEATHER])]))

    body = session.requests[3].body
    first, used, result, *_ = body["messages"]
    assert body["system"] == [{"type": "text", "text": POLICY}]
    assert first["content"][0]["text"] == "And in town 0?"
    assert used["content"][0]["input"] == {"place": "Ulm"}
    assert result["role"] == "user"
    assert result["content"][0]["tool_use_id"] == used["content"][0]["id"] == "c"
    assert body["tools"][0]["input_schema"]["type"] == "object"


def test_an_id_that_was_used_before_becomes_another(write):
    """Anthropic refuses two calls with one id; a result stays with its own call."""
    (session,) = read(write([conversation(2)]))

    blocks = [
        block
        for turn in session.requests[3].body["messages"]
        for block in turn["content"]
    ]
    used = [it["id"] for it in blocks if it["type"] == "tool_use"]
    results = [it["tool_use_id"] for it in blocks if it["type"] == "tool_result"]
    assert used == results == ["c", "c-2"]


def test_tools_beside_a_file(tmp_path):
    """A list is everybody's; of lists by name a session has those it names."""
    line = conversation(1, involved_classes=["sky"])
    path = written(tmp_path / "t.jsonl", [line])
    tools = tmp_path / "tools.json"

    tools.write_text(json.dumps({"sky": [WEATHER], "sea": [{"name": "tide"}]}))
    (session,) = read(path, to_openai("gpt-5.6"))
    named = session.requests[0].body["tools"]
    tools.write_text(json.dumps([{"type": "function", "function": WEATHER}]))
    (session,) = read(tmp_path, to_openai("gpt-5.6"))

    assert session.requests[0].body["tools"] == named
    assert [it["function"]["name"] for it in named] == ["weather"]


def test_gaps_are_drawn_by_what_ended_the_answer(tmp_path, write):
    """The same file gives the same times, between the quantiles that it says."""
    file = tmp_path / "gaps.csv"
    file.write_text(
        "quantile,after_tool_use_s,after_end_turn_s\n0,1,100\n.5,2,200\n1,3,900\n"
    )
    path = write([conversation(40)])

    once, again = (read(path, gaps=Gaps.of(file))[0].requests for _ in range(2))

    assert [it.at for it in once] == [it.at for it in again]
    after = {"tool_use": set(), "end_turn": set()}
    for one, other in pairwise(once):
        after[one.stop].add(other.at - one.at)
    assert 1 <= min(after["tool_use"]) < 2 < max(after["tool_use"]) <= 3
    assert 100 <= min(after["end_turn"]) < 200 < max(after["end_turn"]) <= 900


@pytest.mark.parametrize("text", ["", "quantile\n1\n", "quantile,after_tool_use_s\n"])
def test_a_file_without_gaps(tmp_path, text):
    """What is no file of quantiles is said to be none."""
    file = tmp_path / "gaps.csv"
    file.write_text(text)

    with pytest.raises(UnreadableTraceError, match=r"gaps\.csv"):
        Gaps.of(file)


@pytest.mark.parametrize(
    "line",
    [
        {"text": "hello"},
        {"messages": [{"role": "user", "content": "hello"}]},
        {"messages": [{"role": "user", "content": 5}, {"role": "assistant"}]},
        conversation(1, tools=[{"says": "nothing"}]),
        {
            "messages": [
                {"role": "user", "content": [{"type": "image_url"}]},
                {"role": "assistant", "content": "A cat."},
            ]
        },
    ],
)
def test_a_line_that_is_no_conversation(write, line):
    """What cannot be sent is an error that names the line."""
    good = conversation(1)

    with pytest.raises(UnreadableTraceError, match="Line 2"):
        read(write([good, line]))


def test_what_would_be_refused_is_said(write):
    """A result without its call is no request that Anthropic takes."""
    line = conversation(1)
    del line["messages"][2]

    with pytest.raises(UnreadableTraceError, match="refused"):
        rows(write([line]), "5m")


def test_a_conversation_under_real_rules(write):
    """Policies differ by what they mark, within the provider's look-back."""
    made = rows(write([conversation(6)] * 3), gaps=None)

    assert made["none"].bill == 1
    assert made["optimum"].bill <= made["hindsight"].bill
    assert made["hindsight"].bill <= made["5m"].bill < made["head"].bill < 1
    assert made["auto"].bill < 1.1 * made["5m"].bill
    assert made["auto"].requests == 36


def test_openai_caches_unasked(write):
    """`off` is what the provider does by itself, and `none` no caching at all."""
    made = rows(write([conversation(6)]), model="gpt-5.6")

    assert made["none"].bill == 1
    assert made["off"].bill < 1
    assert made["auto"].bill < 1
    assert "5m" not in made


def test_an_earlier_model_writes_for_nothing(write):
    """Its prefixes are cached at intervals, and there is nothing to choose."""
    made = rows(write([conversation(60)]), model="gpt-5.5")

    assert set(made) == {"auto", "none", "off", "hindsight", "optimum"}
    assert made["optimum"].bill <= made["off"].bill < 1
