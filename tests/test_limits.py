"""The limits on remote caches: what they may be."""

import math

import pytest

from promptcache.errors import OptionError
from promptcache.limits import Limits


def test_limits_without_a_word():
    """What is allowed unasked is little, and no request waits for a creation."""
    assert Limits() == Limits(
        usd_per_hour=0.10,
        live_caches=8,
        token_hours=None,
        wait_seconds=0.0,
        fan_out_seconds=10.0,
        ping_usd_per_hour=0.0,
    )


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"usd_per_hour": 0}, id="no money"),
        pytest.param({"usd_per_hour": math.inf}, id="any money"),
        pytest.param({"live_caches": 0}, id="no caches"),
        pytest.param({"token_hours": 0.5}, id="tokens"),
        pytest.param({"wait_seconds": 2.5}, id="wait"),
        pytest.param({"fan_out_seconds": 0}, id="no wait for another"),
        pytest.param({"ping_usd_per_hour": 0.5}, id="money for pings"),
        pytest.param({"ping_usd_per_hour": math.inf}, id="any money for pings"),
    ],
)
def test_allowed(fields):
    """From nothing at all to no bound."""
    (name,) = fields

    assert getattr(Limits(**fields), name) == fields[name]


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"usd_per_hour": -0.01}, id="negative money"),
        pytest.param({"usd_per_hour": math.nan}, id="no number"),
        pytest.param({"usd_per_hour": "1"}, id="text"),
        pytest.param({"usd_per_hour": None}, id="nothing"),
        pytest.param({"usd_per_hour": True}, id="flag"),
        pytest.param({"live_caches": -1}, id="negative count"),
        pytest.param({"live_caches": 1.5}, id="part of a cache"),
        pytest.param({"live_caches": False}, id="no count"),
        pytest.param({"token_hours": -1}, id="negative tokens"),
        pytest.param({"token_hours": math.nan}, id="unclear tokens"),
        pytest.param({"wait_seconds": -1}, id="negative wait"),
        pytest.param({"wait_seconds": math.inf}, id="endless wait"),
        pytest.param({"ping_usd_per_hour": -1}, id="negative money for pings"),
        pytest.param({"ping_usd_per_hour": math.nan}, id="unclear money for pings"),
        pytest.param({"ping_usd_per_hour": True}, id="flag for pings"),
        pytest.param({"fan_out_seconds": -1}, id="negative wait for another"),
        pytest.param({"fan_out_seconds": math.inf}, id="endless wait for another"),
    ],
)
def test_refused(fields):
    """A limit that means nothing is refused, and its name is told."""
    (name,) = fields
    with pytest.raises(OptionError) as raised:
        Limits(**fields)

    assert raised.value.option == name
