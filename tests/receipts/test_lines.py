"""A receipt as a line, and what is read from one."""

import json
import math
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcache.receipts.entry import Entry
from promptcache.receipts.lines import beginning_of_last, from_line, to_line
from promptcache.receipts.miss import Cause, Form, Miss, Proof
from promptcache.receipts.receipt import Credit, Receipt
from promptcache.receipts.usage import Usage

counts = st.none() | st.integers(0, 10**12)
amounts = st.none() | st.integers(0, 10**15).map(lambda nanos: nanos / 10**9)
waits = st.none() | st.integers(0, 10**7).map(lambda millis: millis / 1000)
places = st.none() | st.sampled_from(
    ["tools[0]", "system[1]", "messages[4].content[1]"]
)
misses = st.builds(
    Miss,
    cause=st.sampled_from(get_args(Cause)),
    proof=st.sampled_from(get_args(Proof)),
    place=places,
    near=counts,
    form=st.sampled_from([None, *get_args(Form)]),
    tokens=counts,
    cost_usd=amounts,
)
receipts = st.builds(
    Receipt,
    provider=st.text(),
    model=st.text(),
    at=st.integers(0, 4 * 10**12).map(lambda millis: millis / 1000),
    policy=st.sampled_from(["auto", "fixed", "off"]),
    usage=st.builds(Usage, *[counts] * 8),
    cost_usd=amounts,
    without_caching_usd=amounts,
    first_token_s=waits,
    breakpoints=st.lists(st.text(), max_size=4).map(tuple),
    requests=st.integers(1, 9),
    tenant=st.none() | st.text(),
    notes=st.lists(st.text(), max_size=2).map(tuple),
    credits=st.lists(st.sampled_from(get_args(Credit)), unique=True).map(tuple),
    misses=st.lists(misses, max_size=2).map(tuple),
)
USUAL = Receipt(
    provider="anthropic",
    model="claude-sonnet-5-5",
    at=1_764_000_000.123456,
    policy="auto",
    usage=Usage(24_310, 20_034, 3_222, 3_222, 0, 512),
    cost_usd=0.1123232323,
    without_caching_usd=0.2131231231,
    first_token_s=0.5123123,
    total_s=3.1231,
    breakpoints=(
        "tools[11] 1h tools",
        "system[0] 5m system",
        "messages[8].content[0] 5m tail",
    ),
    conversation="0f8fad5b-d9cb-469f-a165-70867728950e",
    id="msg_01XFDUDYJgAACzvnptvVoYEL",
    credits=("placed",),
    misses=(Miss("prefix_changed", "outline", "system[0]", 4096, None, 12_034, 0.03),),
)


@given(receipts)
def test_round_trip(receipt):
    """What is summed of a receipt is summed of its line."""
    read, made = from_line(to_line(receipt)), Entry.of(receipt)

    assert read._replace(at=0, numbers=()) == made._replace(at=0, numbers=())
    assert read.at == pytest.approx(made.at, abs=0.001)
    assert read.numbers == pytest.approx(made.numbers, abs=1e-6)


@given(receipts)
def test_line_is_one_line_of_json(receipt):
    """Whatever names hold, a receipt is one line, and unknown is left out."""
    line = to_line(receipt)
    values = json.loads(line)

    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert [it for it in values.values() if it is None or it in ([], {})] == []


def test_usual_receipt_is_short():
    """With a miss and three breakpoints it takes at most 600 bytes."""
    assert len(to_line(USUAL)) <= 600


def test_numbers_are_short():
    """Money has nine decimals at most, time three; zero is written."""
    values = json.loads(to_line(USUAL))

    assert (values["cost_usd"], values["first_token_s"]) == (0.112323232, 0.512)
    assert values["written_1h_tokens"] == 0
    assert "written_30m_tokens" not in values


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_no_number_is_unknown(value):
    """What JSON cannot hold is left out."""
    receipt = Receipt(
        provider="a", model="b", at=0.0, policy="auto", first_token_s=value
    )

    assert "first_token_s" not in json.loads(to_line(receipt))


def test_line_with_nulls():
    """Lines of earlier versions have `null` where nothing was known."""
    values = json.loads(to_line(USUAL))
    nulls = dict.fromkeys(("written_30m_tokens", "tenant", "first_token_s", "requests"))
    entry = from_line(json.dumps({**values, **nulls, "notes": []}).encode())

    assert (entry.first_token_s, entry.requests) == (None, 1)


DAMAGE = {
    "no JSON": b"{'time'",
    "half a line": to_line(USUAL)[:300],
    "no object": b"[1, 2]",
    "a number": b"7",
    "no UTF-8": b'{"model": "\xff"}',
    "NaN": b'{"cost_usd": NaN}',
    "deep": b"[" * 100_000,
}
WRONG = {
    "text for tokens": {"input_tokens": "12"},
    "a fraction of a token": {"input_tokens": 1.5},
    "fewer than no tokens": {"read_tokens": -1},
    "true for tokens": {"read_tokens": True},
    "tokens beyond all reason": {"output_tokens": 2**60},
    "text for money": {"cost_usd": "0.1"},
    "less than no money": {"cost_usd": -0.1},
    "too much money": {"without_caching_usd": 1e300},
    "a list for a wait": {"first_token_s": [1]},
    "no provider": {"provider": None},
    "a number for a model": {"model": 5},
    "no time": {"time": None},
    "a number for a time": {"time": 1_764_000_000},
    "no moment": {"time": "yesterday"},
    "a moment without a zone": {"time": "2025-11-24T16:00:00"},
    "a moment before all": {"time": "0001-01-01T00:00:00+00:00"},
    "no requests": {"requests": 0},
    "text for breakpoints": {"breakpoints": "system[0]"},
    "numbers for breakpoints": {"breakpoints": [1]},
    "text for misses": {"misses": "expired"},
    "a miss of fewer than no tokens": {"misses": ["expired clock - - - -5 -"]},
    "a miss of too much money": {"misses": ["expired clock - - - 5 " + "9" * 90]},
    "a miss of endless digits": {
        "misses": ["expired clock - - - " + "9" * 9000 + " 5"]
    },
    "objects for credits": {"credits": [{}]},
}


@pytest.mark.parametrize("line", DAMAGE.values(), ids=DAMAGE)
def test_damaged_lines(line):
    """What is no receipt at all is None, and never an error."""
    assert from_line(line) is None


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_wrong_values(wrong):
    """A value that is not what belongs there spoils its line."""
    values = json.loads(to_line(USUAL))

    assert from_line(json.dumps({**values, **wrong}).encode()) is None


def test_names_of_a_later_version():
    """A cause or a credit that is not known here is left out, and the rest counts."""
    values = json.loads(to_line(USUAL))
    later = {
        "misses": ["moon_phase outline - - - - -", *values["misses"]],
        "credits": ["somebody", "placed"],
        "new_field": {"any": 1},
    }
    entry = from_line(json.dumps({**values, **later}).encode())

    assert (entry.misses, entry.whose) == (USUAL.misses, "placed")


def test_a_whole_line_behind_half_of_one():
    """Where a receipt begins is found behind what a killed process left."""
    whole = to_line(USUAL)
    glued = whole[:200] + whole

    assert from_line(glued) is None
    assert from_line(glued[beginning_of_last(glued) :]) == from_line(whole)
