"""`diagnostics`: why a request could not reuse an earlier one's prefix."""

import inspect

import anthropic
import pytest
from anthropic.resources import Messages

from promptcache.emulator import Emulator, Settings
from promptcache.emulator.fingerprints import Fingerprints
from promptcache.emulator.rules.anthropic_diagnostics import diagnosis, fingerprint
from promptcache.errors import OptionError

MARK = {"type": "ephemeral"}
FIRST = {"previous_message_id": None}
TOOLS = [
    {"name": "e", "description": "d" * 400, "input_schema": {}},
    {"name": "f", "description": "d" * 400, "input_schema": {}},
]
SYSTEM = [{"type": "text", "text": "s" * 400}, {"type": "text", "text": "t" * 400}]
ANSWER = {"role": "assistant", "content": "yes"}
MORE = {"role": "user", "content": "more"}
through_the_sdk = pytest.mark.skipif(
    "diagnostics" not in inspect.signature(Messages.create).parameters,
    reason="this version of the SDK has no `diagnostics`",
)
DEFERRED = {"name": "g", "input_schema": {}, "defer_loading": True}


@pytest.fixture
def body(make):
    def build(**fields):
        return make(10, **{"tools": TOOLS, "system": SYSTEM, **fields})

    return build


def edited(body, block):
    body["messages"][0]["content"][block]["text"] = "edited"
    return body


def found(before, now, **settings):
    """Return the reason's type and its tokens."""
    answer = diagnosis(fingerprint(before), fingerprint(now), Settings(**settings))
    if answer is None:
        return None
    reason = answer["cache_miss_reason"]
    return reason["type"], reason.get("cache_missed_input_tokens")


# Each block of the messages is some 440 bytes as JSON, each tool and system block too.
REASONS = [
    pytest.param({"model": "claude-opus-5"}, "model_changed", 1550, id="model"),
    pytest.param({"speed": "fast"}, "model_changed", 1550, id="speed"),
    pytest.param({"tools": TOOLS[:1]}, "tools_changed", 1440, id="tool-removed"),
    pytest.param({"tools": TOOLS[::-1]}, "tools_changed", 1550, id="tools-reordered"),
    pytest.param(
        {"tools": [*TOOLS, {**TOOLS[0], "name": "h"}]},
        "tools_changed",
        1330,
        id="tool-added",
    ),
    pytest.param({"system": SYSTEM[:1]}, "system_changed", 1210, id="system-shorter"),
    pytest.param({"system": "s"}, "system_changed", 1320, id="system"),
    pytest.param({"tool_choice": {"type": "any"}}, "unavailable", None, id="choice"),
    pytest.param(
        {"thinking": {"type": "adaptive"}}, "unavailable", None, id="thinking"
    ),
    pytest.param(
        {"output_config": {"effort": "low"}}, "unavailable", None, id="effort"
    ),
    pytest.param(
        {"context_management": {"edits": []}}, "unavailable", None, id="context"
    ),
]


@pytest.mark.parametrize(("change", "kind", "tokens"), REASONS)
def test_reasons(body, change, kind, tokens):
    """A change is named, with about the tokens that come after it."""
    reason = found(body(), body(**change))

    assert reason is not None
    assert reason[0] == kind
    assert reason[1] == (None if tokens is None else pytest.approx(tokens, rel=0.05))


@pytest.mark.parametrize(
    ("block", "tokens"),
    [pytest.param(0, 1100, id="first"), pytest.param(9, 1100, id="last")],
)
def test_an_edited_message(body, block, tokens):
    """An earlier message that differs counts as a whole."""
    reason = found(body(), edited(body(), block))

    assert reason == ("messages_changed", pytest.approx(tokens, rel=0.05))


def test_a_removed_message(body):
    """A turn that is gone is a change, and only what follows it is missed."""
    longer = body()
    longer["messages"] += [ANSWER, MORE]

    assert found(longer, body()) == ("messages_changed", pytest.approx(20, abs=5))


def test_no_divergence(body):
    """Appended turns, markers, the form of a text and deferred tools are no change."""
    grown = body(
        tools=[*TOOLS, DEFERRED], cache_control=MARK, max_tokens=5, stream=True
    )
    grown["messages"] += [ANSWER, MORE]
    grown["messages"][0]["content"][3]["cache_control"] = MARK
    again = {**grown, "messages": [*grown["messages"]]}
    again["messages"][1] = {
        "role": "assistant",
        "content": [{"type": "text", "text": "yes"}],
    }

    assert found(body(), grown) is None
    assert found(grown, again) is None


def test_the_active_betas(body):
    """Another set of betas has no diagnosis; another order is none."""
    before, same, other = (
        fingerprint(body(), betas) for betas in (["a", "b"], ["b", "a"], ["a"])
    )

    assert diagnosis(before, same, Settings()) is None
    assert diagnosis(before, other, Settings()) == {
        "cache_miss_reason": {"type": "unavailable"}
    }


EVERYTHING = {
    "model": "claude-opus-5",
    "tools": [],
    "system": "x",
    "tool_choice": {"type": "none"},
}


@pytest.mark.parametrize(
    ("kept", "kind"),
    [
        pytest.param((), "model_changed", id="model-first"),
        pytest.param(("model",), "tools_changed", id="then-tools"),
        pytest.param(("model", "tools"), "system_changed", id="then-system"),
        pytest.param(("model", "tools", "system"), "unavailable", id="then-parameters"),
        pytest.param(tuple(EVERYTHING), "messages_changed", id="then-messages"),
    ],
)
def test_which_of_several_changes_is_named(body, kept, kind):
    """The earliest in the prompt is, with the other parameters before messages."""
    change = {name: value for name, value in EVERYTHING.items() if name not in kept}

    reason = found(body(), edited(body(**change), 0))

    assert reason is not None
    assert reason[0] == kind


def test_another_order(body):
    """The order is a setting, and must name all there is."""
    now = body(model="claude-opus-5", system="x")
    order = ("system", "tools", "model", "messages", "parameters")

    assert found(body(), now, diagnosis_order=order)[0] == "system_changed"
    with pytest.raises(OptionError, match="an order of model"):
        Settings(diagnosis_order=("model",))


@through_the_sdk
def test_a_chain_of_requests(client, body):
    """The first turn opts in; a growing conversation has nothing to report."""
    first = client.messages.create(**body(), diagnostics=FIRST)
    asked = body()
    asked["messages"] += [ANSWER, MORE]
    second = client.messages.create(
        **asked, diagnostics={"previous_message_id": first.id}
    )
    third = client.messages.create(
        **edited(asked, 0), diagnostics={"previous_message_id": second.id}
    )

    assert (first.diagnostics, second.diagnostics) == (None, None)
    reason = third.diagnostics.cache_miss_reason
    assert reason.type == "messages_changed"
    assert reason.cache_missed_input_tokens > 1000


@through_the_sdk
def test_it_is_in_the_start_of_a_stream(client, body):
    """`message_start` carries the diagnosis."""
    first = client.messages.create(**body(), diagnostics=FIRST)
    named = {"previous_message_id": first.id}

    with client.messages.create(
        **body(system="x"), diagnostics=named, stream=True
    ) as stream:
        start = next(iter(stream)).message

    assert start.diagnostics.cache_miss_reason.type == "system_changed"


@through_the_sdk
def test_it_is_independent_of_a_hit(client, make, emulator):
    """An entry that has expired is no divergence."""
    first = client.messages.create(**make(10, [10]), diagnostics=FIRST)
    emulator.clock.advance(301)
    second = client.messages.create(
        **make(10, [10]), diagnostics={"previous_message_id": first.id}
    )

    assert second.usage.cache_read_input_tokens == 0
    assert second.diagnostics is None


@through_the_sdk
def test_a_message_that_did_not_opt_in(client, body):
    """Without a fingerprint there is nothing to compare with."""
    first = client.messages.create(**body())
    assert "diagnostics" not in first.model_fields_set

    second = client.messages.create(
        **body(), diagnostics={"previous_message_id": first.id}
    )
    reason = second.diagnostics.cache_miss_reason
    assert reason.type == "previous_message_not_found"


@through_the_sdk
def test_it_is_per_workspace(emulator, body):
    """A message of another workspace is not found."""

    def ask(key, **fields):
        with anthropic.Anthropic(base_url=emulator.url, api_key=key) as client:
            return client.messages.create(**body(), diagnostics=fields)

    first = ask("ws-red-1", previous_message_id=None)
    other = ask("ws-blue-1", previous_message_id=first.id)
    same = ask("ws-red-2", previous_message_id=first.id)

    assert other.diagnostics.cache_miss_reason.type == "previous_message_not_found"
    assert same.diagnostics is None


@through_the_sdk
def test_only_on_the_claude_api(make):
    """Every other platform refuses the field."""
    with (
        Emulator(settings=Settings(host="foundry")) as running,
        anthropic.Anthropic(base_url=running.url, api_key="any") as client,
        pytest.raises(anthropic.BadRequestError) as raised,
    ):
        client.messages.create(**make(1), diagnostics=FIRST)

    message = raised.value.body["error"]["message"]
    assert message == "diagnostics: Extra inputs are not permitted"


def test_fingerprints_are_bounded(body):
    """The oldest go first, and none is found once it is too old."""
    kept, mine = Fingerprints(60, most=2), fingerprint(body())
    for number in range(3):
        kept.put(f"msg_{number}", mine, workspace="w", now=number)

    def get(name, now):
        return kept.get(name, workspace="w", now=now)

    assert [get(f"msg_{number}", 3) for number in range(3)] == [None, mine, mine]
    assert (get("msg_2", 62), get("msg_2", 63)) == (mine, None)


def test_a_fingerprint_holds_no_text(body):
    """What is kept are digests and sizes."""
    assert "sss" not in repr(fingerprint(body()))
    assert "ddd" not in repr(fingerprint(body()))


@through_the_sdk
def test_how_long_and_reset(make):
    """The server forgets after the seconds of the setting, and when it is reset."""
    with (
        Emulator(settings=Settings(diagnosis_seconds=60)) as running,
        anthropic.Anthropic(base_url=running.url, api_key="any") as client,
    ):

        def ask(previous):
            named = {"previous_message_id": previous}
            answer = client.messages.create(**make(1), diagnostics=named)
            return answer.id, answer.diagnostics and answer.diagnostics.to_dict()

        first, _ = ask(None)
        running.clock.advance(61)
        late, second = ask(first), ask(None)[0]
        running.reset()
        forgotten = ask(second)

    lost = {"cache_miss_reason": {"type": "previous_message_not_found"}}
    assert late[1] == forgotten[1] == lost
