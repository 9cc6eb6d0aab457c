"""What OpenAI reports, in the one meaning of receipts."""

import pytest

from promptcache.providers.openai.usage import metered, read_usage
from promptcache.receipts.usage import Usage

NO_HOURS = {"written_5m_tokens": 0, "written_1h_tokens": 0}
NOTHING_WRITTEN = {
    "written_tokens": 0,
    "written_30m_tokens": 0,
    "written_12h_tokens": 0,
    **NO_HOURS,
}


def chat(**details):
    return {
        "prompt_tokens": 2000,
        "completion_tokens": 30,
        "total_tokens": 2030,
        "completion_tokens_details": {"reasoning_tokens": 20},
        **({"prompt_tokens_details": details} if details else {}),
    }


def response(**details):
    return {
        "input_tokens": 2000,
        "input_tokens_details": details,
        "output_tokens": 30,
        "output_tokens_details": {"reasoning_tokens": 20},
    }


def used(**fields):
    return Usage(input_tokens=2000, output_tokens=30, **fields)


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        pytest.param(chat(), used(), id="no-details"),
        pytest.param({**chat(), "prompt_tokens_details": None}, used(), id="null"),
        pytest.param(
            {**chat(), "prompt_tokens_details": [1]}, used(), id="odd-details"
        ),
        pytest.param(chat(cached_tokens=0), used(read_tokens=0), id="earlier-model"),
        pytest.param(
            chat(cached_tokens=1500, cache_write_tokens=0),
            used(read_tokens=1500, **NOTHING_WRITTEN),
            id="nothing-written",
        ),
        pytest.param(
            chat(cached_tokens=1500, cache_write_tokens=400),
            used(read_tokens=1500, written_tokens=400, **NO_HOURS),
            id="chat-without-split",
        ),
        pytest.param(
            response(
                cached_tokens=0,
                cache_write_tokens=1900,
                cache_write_tokens_details={
                    "ttl_30m_tokens": 900,
                    "ttl_12h_tokens": 1000,
                },
            ),
            used(
                read_tokens=0,
                written_tokens=1900,
                written_30m_tokens=900,
                written_12h_tokens=1000,
                **NO_HOURS,
            ),
            id="split",
        ),
        pytest.param(
            response(cache_write_tokens=1, cache_write_tokens_details=None),
            used(written_tokens=1, **NO_HOURS),
            id="null-split",
        ),
        pytest.param(
            response(
                cache_write_tokens_details={"ttl_30m_tokens": 1, "ttl_12h_tokens": 2}
            ),
            used(
                written_tokens=3,
                written_30m_tokens=1,
                written_12h_tokens=2,
                **NO_HOURS,
            ),
            id="split-alone",
        ),
        pytest.param(
            response(cached_tokens=True, cache_write_tokens="7"),
            used(),
            id="no-numbers",
        ),
        pytest.param({}, Usage(), id="nothing"),
        pytest.param(
            {"prompt_tokens": None, "input_tokens": 5, "output_tokens": "x"},
            Usage(input_tokens=5),
            id="mixed",
        ),
    ],
)
def test_usage(reported, expected):
    """What is not reported is unknown, never zero."""
    assert read_usage(reported) == expected


def test_the_slices_do_not_overlap():
    """What is neither read nor written is the rest of the input."""
    usage = read_usage(chat(cached_tokens=1500, cache_write_tokens=400))

    assert usage.uncached_tokens == 100


@pytest.mark.parametrize(
    ("body", "options"),
    [
        pytest.param({"stream": True}, {"include_usage": True}, id="nothing-said"),
        pytest.param(
            {"stream": True, "stream_options": None}, {"include_usage": True}, id="null"
        ),
        pytest.param(
            {"stream": True, "stream_options": {"include_obfuscation": False}},
            {"include_obfuscation": False, "include_usage": True},
            id="other-options",
        ),
    ],
)
def test_a_stream_is_asked_for_its_usage(body, options):
    """Where it would tell none."""
    before = dict(body)

    assert metered(body) == {**body, "stream_options": options}
    assert body == before


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({}, id="no-stream"),
        pytest.param({"stream": False}, id="off"),
        pytest.param({"stream": None}, id="null"),
        pytest.param(
            {"stream": True, "stream_options": {"include_usage": False}}, id="refused"
        ),
        pytest.param(
            {"stream": True, "stream_options": {"include_usage": True}}, id="asked"
        ),
        pytest.param({"stream": True, "stream_options": 1}, id="odd"),
    ],
)
def test_what_the_caller_says_of_usage_stays(body):
    """The very same body."""
    assert metered(body) is body
