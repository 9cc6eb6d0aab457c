"""The policies a caller may choose from."""

from datetime import timedelta
from math import nan

import pytest

from promptcache.errors import OptionError
from promptcache.planning.lifetimes import terms_of
from promptcache.planning.policies import Policy
from promptcache.planning.slots import Rules
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


def test_auto():
    """What `auto` may do is in it, as is what it may do unasked."""
    usual, other = Policy.auto(), Policy.auto("5m", keep_warm=True, allowance=5)

    assert (usual.max_ttl, usual.keep_warm, usual.allowance) == ("1h", False, 200_000)
    assert (other.max_ttl, other.keep_warm, other.allowance) == ("5m", True, 5.0)
    assert usual != other
    assert repr(other) == (
        "Policy(name='auto', tools=None, system=None, history=None, tail=None, "
        "max_ttl='5m', keep_warm=True, allowance=5.0)"
    )
    assert Policy.auto(timedelta(minutes=5)).max_ttl == "5m"


@pytest.mark.parametrize(
    ("said", "allowed"),
    [
        pytest.param({"max_ttl": "2h"}, "'5m' or '1h'", id="no lifetime"),
        pytest.param({"max_ttl": "30m"}, "'5m' or '1h'", id="another's lifetime"),
        pytest.param({"max_ttl": None}, "'5m' or '1h'", id="no longest"),
        pytest.param({"max_ttl": timedelta(2)}, "'5m' or '1h'", id="two days"),
        pytest.param({"keep_warm": "yes"}, "True or False", id="text"),
        pytest.param({"keep_warm": 1}, "True or False", id="number"),
        pytest.param({"allowance": -1}, "0 or more input tokens", id="negative"),
        pytest.param({"allowance": nan}, "0 or more input tokens", id="unclear"),
        pytest.param({"allowance": True}, "0 or more input tokens", id="flag"),
        pytest.param({"allowance": "1"}, "0 or more input tokens", id="text amount"),
    ],
)
def test_auto_refuses(said, allowed):
    """What means nothing is refused at construction, with the choices there are."""
    with pytest.raises(OptionError, match=allowed) as raised:
        Policy.auto(**said)

    assert raised.value.option == next(iter(said))


@pytest.mark.parametrize(
    ("policy", "ttls", "long"),
    [
        pytest.param(Policy.auto(), ("5m", "1h"), "1h", id="as usual"),
        pytest.param(Policy.auto("5m"), ("5m", "1h"), None, id="short ones only"),
        pytest.param(None, ("5m", "1h"), "1h", id="nothing said"),
        pytest.param(Policy.auto(), ("30m",), None, id="no other"),
    ],
)
def test_the_longest_lifetime(policy, ttls, long):
    """What is chosen from is what the provider has and the policy allows."""
    terms = terms_of(Rules(ttls=ttls), None, policy)

    assert (terms.short, terms.long) == (ttls[0], long)
