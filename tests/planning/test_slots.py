"""The caller's markers mended, and ours around them."""

import pytest

from promptcache.planning.slots import Rules, Slots
from promptcache.providers.anthropic import ANTHROPIC
from promptcache.providers.anthropic.blocks import ADVISORY

RULES = Rules(advisory=ADVISORY)
NO_AUTOMATIC = Rules(advisory=ADVISORY, automatic=False)
MARKS = {
    "5m": {"type": "ephemeral"},
    "1h": {"type": "ephemeral", "ttl": "1h"},
    "bad": {"type": "ephemeral", "ttl": "2h"},
}
THINKING = {"type": "thinking", "thinking": "t", "signature": "s"}
BLANK = {"type": "text", "text": " "}


def slots(*marks, automatic=None, rules=RULES, last=None):
    """Return the slots of a body of two tools, two system blocks and five messages.

    Positions 0 and 1 are tools, 2 and 3 system blocks, 4 to 8 messages; `marks` are
    pairs of a position and a lifetime.
    """
    tools = [{"name": name} for name in "fg"]
    system = [{"type": "text", "text": name} for name in "st"]
    blocks = [{"type": "text", "text": name} for name in "abcde"]
    if last is not None:
        blocks[-1] = dict(last)
    for position, ttl in marks:
        (*tools, *system, *blocks)[position]["cache_control"] = MARKS[ttl]
    body = {
        "tools": tools,
        "system": system,
        "messages": [{"role": "user", "content": [block]} for block in blocks],
    }
    if automatic is not None:
        body["cache_control"] = MARKS[automatic]
    outline = ANTHROPIC.outline(body, host="anthropic", tenant=None)
    return Slots(outline, rules)


def lives(ledger):
    """Return the lifetimes by position."""
    return {position: ttl for position, (ttl, _) in sorted(ledger.taken.items())}


@pytest.mark.parametrize(
    ("marks", "kept", "dropped", "shortened"),
    [
        pytest.param([], {}, [], [], id="none"),
        pytest.param(
            [(1, "1h"), (3, "1h"), (6, "5m"), (8, "5m")],
            {1: "1h", 3: "1h", 6: "5m", 8: "5m"},
            [],
            [],
            id="legal",
        ),
        pytest.param(
            [(1, "bad"), (8, "5m")], {8: "5m"}, ["tools[1]"], [], id="forbidden"
        ),
        pytest.param(
            [(3, "5m"), (5, "5m"), (6, "5m"), (7, "5m"), (8, "5m")],
            {3: "5m", 6: "5m", 7: "5m", 8: "5m"},
            ["messages[1].content[0]"],
            [],
            id="surplus-earliest-message",
        ),
        pytest.param(
            [(position, "5m") for position in range(9)],
            {0: "5m", 1: "5m", 2: "5m", 3: "5m"},
            [f"messages[{number}].content[0]" for number in range(5)],
            [],
            id="surplus-all-messages",
        ),
        pytest.param(
            [(0, "5m"), (1, "5m"), (2, "5m"), (3, "5m"), (8, "5m")],
            {0: "5m", 1: "5m", 2: "5m", 3: "5m"},
            ["messages[4].content[0]"],
            [],
            id="surplus-head-stays",
        ),
        pytest.param(
            [(1, "5m"), (8, "1h")],
            {1: "5m", 8: "5m"},
            [],
            ["messages[4].content[0]"],
            id="longer-after-shorter",
        ),
        pytest.param(
            [(1, "1h"), (3, "5m"), (6, "1h"), (8, "1h")],
            {1: "1h", 3: "5m", 6: "5m", 8: "5m"},
            [],
            ["messages[2].content[0]", "messages[4].content[0]"],
            id="all-that-follow",
        ),
        pytest.param(
            [(4, "5m"), (5, "1h"), (6, "1h"), (7, "1h"), (8, "1h")],
            {5: "1h", 6: "1h", 7: "1h", 8: "1h"},
            ["messages[0].content[0]"],
            [],
            id="dropped-before-shortened",
        ),
    ],
)
def test_mending(marks, kept, dropped, shortened):
    """The fewest of the caller's markers are dropped or shortened."""
    ledger = slots(*marks)

    assert lives(ledger) == kept
    assert ledger.dropped == dropped
    assert ledger.shortened == shortened
    assert {reason for _, reason in ledger.taken.values()} <= {"fixed"}


FOUR = [(1, "5m"), (3, "5m"), (4, "5m"), (5, "5m")]


@pytest.mark.parametrize(
    ("marks", "fields", "kept", "automatic", "dropped", "shortened"),
    [
        pytest.param([], {"automatic": "1h"}, {}, "1h", [], [], id="kept"),
        pytest.param(
            [],
            {"automatic": "bad"},
            {},
            None,
            ["cache_control"],
            [],
            id="illegal-form",
        ),
        pytest.param(
            [(8, "5m")], {"automatic": "5m"}, {8: "5m"}, None, [], [], id="no-op"
        ),
        pytest.param(
            [(8, "5m")],
            {"automatic": "1h"},
            {8: "5m"},
            None,
            ["cache_control"],
            [],
            id="clash",
        ),
        pytest.param(
            [(7, "5m")],
            {"automatic": "5m", "last": THINKING},
            {7: "5m"},
            None,
            [],
            [],
            id="no-op-before-thinking",
        ),
        pytest.param(
            [(7, "5m")],
            {"automatic": "5m", "last": BLANK},
            {7: "5m"},
            "5m",
            [],
            [],
            id="blank-text-is-a-target",
        ),
        pytest.param(
            FOUR,
            {"automatic": "5m"},
            {1: "5m", 3: "5m", 5: "5m"},
            "5m",
            ["messages[0].content[0]"],
            [],
            id="with-four",
        ),
        pytest.param(
            [*FOUR[:3], (8, "5m")],
            {"automatic": "5m"},
            {1: "5m", 3: "5m", 4: "5m", 8: "5m"},
            None,
            [],
            [],
            id="with-four-and-the-last-marked",
        ),
        pytest.param(
            [(3, "5m")],
            {"automatic": "1h"},
            {3: "5m"},
            "5m",
            [],
            ["cache_control"],
            id="longer-after-shorter",
        ),
        pytest.param(
            [(3, "1h")],
            {"automatic": "5m"},
            {3: "1h"},
            "5m",
            [],
            [],
            id="shorter-after",
        ),
        pytest.param(
            [],
            {"automatic": "1h", "rules": NO_AUTOMATIC},
            {8: "1h"},
            None,
            [],
            [],
            id="host-without-it",
        ),
        pytest.param(
            [(8, "5m")],
            {"automatic": "5m", "rules": NO_AUTOMATIC},
            {8: "5m"},
            None,
            [],
            [],
            id="host-without-it-no-op",
        ),
        pytest.param(
            [(3, "5m")],
            {"automatic": "1h", "rules": NO_AUTOMATIC},
            {3: "5m", 8: "5m"},
            None,
            [],
            ["messages[4].content[0]"],
            id="host-without-it-shortened",
        ),
        pytest.param(
            FOUR,
            {"automatic": "5m", "rules": NO_AUTOMATIC},
            {1: "5m", 3: "5m", 5: "5m", 8: "5m"},
            None,
            ["messages[0].content[0]"],
            [],
            id="host-without-it-with-four",
        ),
    ],
)
def test_automatic(marks, fields, kept, automatic, dropped, shortened):
    """Automatic caching stays, gives way, or becomes a marker, as the host takes it."""
    ledger = slots(*marks, **fields)

    assert lives(ledger) == kept
    assert ledger.automatic == automatic
    assert ledger.dropped == dropped
    assert ledger.shortened == shortened


@pytest.mark.parametrize(
    ("rules", "automatic"),
    [
        pytest.param(RULES, "5m", id="harmless"),
        pytest.param(NO_AUTOMATIC, None, id="host-without-it"),
    ],
)
def test_automatic_without_a_target(rules, automatic):
    """Where no block could carry it, it stays only on a host that takes the field."""
    body = {
        "messages": [{"role": "user", "content": [THINKING]}],
        "cache_control": MARKS["5m"],
    }
    outline = ANTHROPIC.outline(body, host="anthropic", tenant=None)
    ledger = Slots(outline, rules)

    assert (ledger.taken, ledger.automatic) == ({}, automatic)


@pytest.mark.parametrize(
    ("marks", "automatic", "placed", "kept"),
    [
        pytest.param([], None, (6, "5m"), {6: "5m"}, id="alone"),
        pytest.param([(6, "1h")], None, (6, "5m"), {6: "1h"}, id="there-already"),
        pytest.param(
            [(3, "5m")], None, (6, "1h"), {3: "5m", 6: "5m"}, id="after-a-shorter"
        ),
        pytest.param(
            [(6, "1h")], None, (3, "5m"), {3: "1h", 6: "1h"}, id="before-a-longer"
        ),
        pytest.param(
            [(1, "1h"), (8, "5m")],
            None,
            (6, "1h"),
            {1: "1h", 6: "1h", 8: "5m"},
            id="between-and-legal",
        ),
        pytest.param(
            [(4, "1h"), (5, "5m")],
            None,
            (3, "5m"),
            {3: "1h", 4: "1h", 5: "5m"},
            id="before-both",
        ),
        pytest.param([], "1h", (6, "5m"), {6: "1h"}, id="before-a-longer-automatic"),
        pytest.param([], "5m", (6, "1h"), {6: "1h"}, id="before-a-shorter-automatic"),
        pytest.param([], "5m", (8, "5m"), {}, id="where-automatic-is"),
        pytest.param(FOUR, None, (8, "5m"), dict(FOUR), id="no-slot"),
        pytest.param(
            FOUR[:3], "5m", (6, "5m"), dict(FOUR[:3]), id="no-slot-beside-automatic"
        ),
    ],
)
def test_ours_go_around_the_callers(marks, automatic, placed, kept):
    """A breakpoint of ours takes a free slot and the lifetime that may stand there."""
    ledger = slots(*marks, automatic=automatic)
    ledger.place(*placed, "tail")

    assert lives(ledger) == kept


def test_a_free_slot_is_filled_once():
    """Four breakpoints are placed, and the best reason for a place stays."""
    ledger = slots()
    for position, reason in ((8, "tail"), (3, "system"), (8, "stable"), (1, "tools")):
        ledger.place(position, "5m", reason)
    ledger.place(5, "5m", "stable")
    ledger.place(6, "5m", "spaced")

    assert {at: reason for at, (_, reason) in ledger.taken.items()} == {
        8: "tail",
        3: "system",
        1: "tools",
        5: "stable",
    }


def test_other_limits():
    """The limit is the provider's."""
    ledger = slots((3, "5m"), (7, "5m"), (8, "5m"), rules=Rules(max_breakpoints=2))

    assert lives(ledger) == {3: "5m", 8: "5m"}
