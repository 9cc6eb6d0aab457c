"""Anthropic's usage, read into ours."""

import pytest
from anthropic.types import Usage as SdkUsage

from promptcache.providers.anthropic.usage import merge_usage, read_tier, read_usage
from promptcache.receipts.prices import GenaiPrices
from promptcache.receipts.usage import Usage

SPLIT = {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 10}
FULL = {
    "input_tokens": 5,
    "cache_read_input_tokens": 100,
    "cache_creation_input_tokens": 40,
    "cache_creation": SPLIT,
    "output_tokens": 7,
}


def test_all_tokens_of_the_prompt():
    """Ours are all tokens of the prompt; the wire's are those after the breakpoint."""
    assert read_usage(FULL) == Usage(
        input_tokens=145,
        read_tokens=100,
        written_tokens=40,
        written_5m_tokens=30,
        written_1h_tokens=10,
        output_tokens=7,
        written_30m_tokens=0,
        written_12h_tokens=0,
    )


@pytest.mark.parametrize(
    ("without", "expected"),
    [
        pytest.param(
            "cache_read_input_tokens",
            Usage(None, None, 40, 30, 10, 7, 0, 0),
            id="read-is-not-zero",
        ),
        pytest.param(
            "cache_creation_input_tokens",
            Usage(145, 100, 40, 30, 10, 7, 0, 0),
            id="written-from-its-parts",
        ),
        pytest.param(
            "cache_creation",
            Usage(145, 100, 40, None, None, 7, 0, 0),
            id="no-lifetimes",
        ),
        pytest.param("input_tokens", Usage(None, 100, 40, 30, 10, 7, 0, 0), id="input"),
        pytest.param(
            "output_tokens", Usage(145, 100, 40, 30, 10, None, 0, 0), id="output"
        ),
    ],
)
@pytest.mark.parametrize("how", ["missing", "null"])
def test_what_is_not_said_is_unknown(without, expected, how):
    """A field that is missing or null is unknown, and so is what it is needed for."""
    reported = {**FULL, without: None}
    if how == "missing":
        del reported[without]

    assert read_usage(reported) == expected


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        pytest.param({}, Usage(), id="nothing"),
        pytest.param({"input_tokens": "5"}, Usage(), id="a-string"),
        pytest.param({"output_tokens": True}, Usage(), id="a-flag"),
        pytest.param({"cache_creation": []}, Usage(), id="split-no-object"),
        pytest.param(
            {"cache_creation": {"ephemeral_5m_input_tokens": 3}},
            Usage(written_5m_tokens=3),
            id="half-a-split",
        ),
        pytest.param(
            {
                "input_tokens": 9,
                "cache_read_input_tokens": 0,
                "cache_creation_input_tokens": 0,
            },
            Usage(9, 0, 0, 0, 0, None, 0, 0),
            id="nothing-written",
        ),
    ],
)
def test_odd_reports(reported, expected):
    """What has another form than expected is unknown."""
    assert read_usage(reported) == expected


def test_the_sdks_own_object():
    """The usage object of the SDK reads as the body it came from."""
    dumped = SdkUsage.model_validate(FULL).model_dump(exclude_unset=True)

    assert read_usage(dumped) == read_usage(FULL)


def test_later_counts_replace_earlier_ones():
    """Counts of a stream are cumulative, and what is left out or null stays."""
    more = {"output_tokens": 50, "input_tokens": None, "cache_read_input_tokens": 120}
    merged = merge_usage(FULL, more)

    assert read_usage(merged) == Usage(165, 120, 40, 30, 10, 50, 0, 0)
    assert FULL["output_tokens"] == 7


def test_compaction():
    """What a compaction read and wrote is billed beside the message, so it counts."""
    message = {
        "input_tokens": 10,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 5,
        "output_tokens": 7,
    }
    compaction = {**message, "type": "compaction"}
    answer = {**message, "type": "message"}
    usage = read_usage({**message, "iterations": [compaction, answer]})

    assert usage.input_tokens == 230
    assert usage.read_tokens == 200
    assert usage.output_tokens == 14


def test_what_a_server_tool_writes_in_a_stream():
    """What is written beyond the split of the beginning lives for five minutes."""
    start = {
        "input_tokens": 1,
        "cache_read_input_tokens": 0,
        "cache_creation_input_tokens": 30,
        "cache_creation": {
            "ephemeral_5m_input_tokens": 10,
            "ephemeral_1h_input_tokens": 20,
        },
    }
    usage = read_usage(merge_usage(start, {"cache_creation_input_tokens": 45}))

    assert (usage.written_tokens, usage.written_5m_tokens) == (45, 25)
    assert usage.written_1h_tokens == 20


@pytest.mark.parametrize(
    ("reported", "tier"),
    [
        pytest.param({}, None, id="nothing"),
        pytest.param({"service_tier": "standard"}, "standard", id="standard"),
        pytest.param({"service_tier": "priority"}, "priority", id="priority"),
        pytest.param({"service_tier": "batch"}, "batch", id="batch"),
        pytest.param({"service_tier": "standard", "speed": "fast"}, "fast", id="fast"),
        pytest.param(
            {"service_tier": "standard", "speed": "standard"}, "standard", id="usual"
        ),
        pytest.param(
            {"service_tier": "standard", "inference_geo": "us"}, "us", id="place"
        ),
        pytest.param(
            {"service_tier": "standard", "inference_geo": "global"},
            "standard",
            id="anywhere",
        ),
        pytest.param(
            {"service_tier": "batch", "inference_geo": "us"}, "batch+us", id="both"
        ),
        pytest.param(
            {"service_tier": 1, "speed": [], "inference_geo": {}}, None, id="odd"
        ),
    ],
)
def test_tier(reported, tier):
    """The tier is all that prices depend on beside the tokens."""
    assert read_tier(reported) == tier


def test_a_place_with_a_price_of_its_own_has_no_known_cost():
    """The price list has no price for it, and the standard one would be too low."""
    usage = read_usage(FULL)
    model = "claude-sonnet-5-5"

    assert GenaiPrices().cost("anthropic", model, usage, tier="standard") is not None
    assert GenaiPrices().cost("anthropic", model, usage, tier="us") is None
    assert GenaiPrices().cost("anthropic", model, usage, tier="batch+us") is None
