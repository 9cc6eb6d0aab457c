"""Hosts by the names of servers, and minimums by host."""

import pytest

from promptcache.errors import OptionError
from promptcache.providers.gemini.facts import host_facts, host_named, model_facts


@pytest.mark.parametrize(
    ("server", "host"),
    [
        ("generativelanguage.googleapis.com", "developer"),
        ("GenerativeLanguage.googleapis.com:443", "developer"),
        ("generativelanguage.mtls.googleapis.com", "developer"),
        ("aiplatform.googleapis.com", "vertex"),
        ("us-central1-aiplatform.googleapis.com", "vertex"),
        ("aiplatform.eu.rep.googleapis.com", "vertex"),
        ("us-central1-aiplatform.mtls.googleapis.com", "vertex"),
        ("generativelanguage.googleapis.com.example", None),
        ("notgenerativelanguage.googleapis.com", None),
        ("aiplatform.googleapis.com.example", None),
        ("storage.googleapis.com", None),
        ("127.0.0.1:8089", None),
        ("localhost", None),
        ("[::1]:80", None),
        ("", None),
    ],
)
def test_servers(server, host):
    """The provider's own servers tell their host; no other server does."""
    assert host_named(server) == host


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("developer", "developer"),
        ("vertex", "vertex"),
        ("gateway.example", "vertex"),
        ("other.example", "developer"),
    ],
)
def test_hosts(host, name):
    """A server is what the caller's facts say, else as the Developer API."""
    facts = {"gateway.example": {"host": "vertex"}}

    assert host_facts(host, facts).name == name


def test_a_host_that_there_is_not():
    """A caller's facts may name only hosts that there are."""
    with pytest.raises(OptionError, match="developer, vertex"):
        host_facts("a.example", {"a.example": {"host": "azure"}})


@pytest.mark.parametrize(
    ("model", "developer", "vertex"),
    [
        ("gemini-3.6-flash", 1024, 4096),
        ("gemini-3.8-flash", 4096, 4096),
        ("gemini-2.5-pro", 2048, 2048),
    ],
)
def test_minimums(model, developer, vertex):
    """What was measured holds where it was measured; elsewhere the documents do."""
    row = model_facts(model)

    assert row.explicit_minimum_on("developer") == developer
    assert row.explicit_minimum_on("vertex") == vertex
