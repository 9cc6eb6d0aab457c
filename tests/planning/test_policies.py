"""The policies a caller may choose from."""

from datetime import timedelta

import pytest

from promptcache.errors import OptionError
from promptcache.planning.policies import Policy
from promptcache.ttl import read_ttl


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        pytest.param("auto", Policy.auto(), id="auto"),
        pytest.param("fixed", Policy.fixed(), id="fixed"),
        pytest.param("off", Policy.off(), id="off"),
        pytest.param(Policy.fixed(tail=None), Policy.fixed(tail=None), id="itself"),
    ],
)
def test_names(name, policy):
    """A policy has a name, and a policy is its own."""
    assert Policy.named(name) == policy


@pytest.mark.parametrize("name", ["", "Auto", "always", None, 1, Policy, b"auto"])
def test_unknown_names(name):
    """What is no policy is refused, with the choices there are."""
    with pytest.raises(OptionError, match="'auto', 'fixed', 'off'"):
        Policy.named(name)


def test_fixed():
    """The head lives an hour by default, and the rest five minutes."""
    policy = Policy.fixed()

    assert policy.ttls == ("1h", "1h", "5m", "5m")


def test_fixed_with_timedeltas_and_gaps():
    """A lifetime may be a timedelta, and None leaves its place out."""
    policy = Policy.fixed(
        tools=None, system=timedelta(hours=1), history=None, tail=timedelta(minutes=5)
    )

    assert policy.ttls == ("1h", "5m")
    assert (policy.tools, policy.history) == (None, None)


@pytest.mark.parametrize(
    "lives",
    [
        pytest.param({"tools": "5m"}, id="system-longer"),
        pytest.param({"tail": "1h"}, id="tail-longer"),
        pytest.param(
            {"system": None, "tools": "5m", "history": "1h"}, id="across-a-gap"
        ),
    ],
)
def test_fixed_never_grows(lives):
    """A longer lifetime after a shorter one is refused at construction."""
    with pytest.raises(OptionError, match="do not grow"):
        Policy.fixed(**lives)


@pytest.mark.parametrize(
    "value", ["2h", "", 300, timedelta(minutes=7), timedelta(days=2), True]
)
def test_lifetimes_that_are_none(value):
    """A lifetime is one of the few that providers offer."""
    with pytest.raises(OptionError, match="5m, 30m, 1h, 12h"):
        read_ttl(value)


def test_policies_are_values():
    """Equal policies are one key."""
    assert len({Policy.auto(), Policy.auto(), Policy.fixed(), Policy.off()}) == 3
