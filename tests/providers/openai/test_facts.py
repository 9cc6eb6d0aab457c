"""Who a server is, and what it accepts for a model."""

import pytest

from promptcache.errors import OptionError
from promptcache.providers.openai import CHAT, RESPONSES, facts

OWN = {"gateway.example": {"host": "openai"}, "ptu.example": {"host": "azure-ptu"}}


@pytest.mark.parametrize(
    ("server", "host"),
    [
        pytest.param("api.openai.com", "openai", id="openai"),
        pytest.param("eu.api.openai.com", "openai", id="region"),
        pytest.param("API.OpenAI.com:443", "openai", id="case-and-port"),
        pytest.param("acme.openai.azure.com", "azure", id="azure"),
        pytest.param("acme.cognitiveservices.azure.com", "azure", id="azure-services"),
        pytest.param("acme.services.ai.azure.com", "azure", id="azure-foundry"),
        pytest.param("chatgpt.com", "chatgpt", id="chatgpt"),
        pytest.param(
            "bedrock-mantle.us-east-1.api.aws", "bedrock", id="bedrock-mantle"
        ),
        pytest.param(
            "bedrock-runtime.us-west-2.amazonaws.com", "bedrock", id="bedrock"
        ),
        pytest.param("localhost:8000", "local", id="localhost"),
        pytest.param("127.0.0.1:8000", "local", id="loopback"),
        pytest.param("[::1]:8000", "local", id="loopback-6"),
        pytest.param("[::1]", "local", id="loopback-6-bare"),
        pytest.param("openrouter.ai", "openrouter.ai", id="another"),
        pytest.param("api.openai.com.evil", "api.openai.com.evil", id="not-a-suffix"),
        pytest.param("notopenai.azure.com", "notopenai.azure.com", id="not-a-part"),
    ],
)
def test_hosts_by_name(server, host):
    """A server is known by its name, else goes by it."""
    assert facts.host_named(server) == host


@pytest.mark.parametrize(
    ("host", "name"),
    [
        pytest.param("openai", "openai", id="known"),
        pytest.param("gateway.example", "openai", id="said"),
        pytest.param("ptu.example", "azure-ptu", id="provisioned"),
        pytest.param("openrouter.ai", "compatible", id="unknown"),
    ],
)
def test_host_rows(host, name):
    """An override says what a server is; an unknown one gets no optional field."""
    assert facts.host_facts(host, OWN).name == name


def test_a_host_that_there_is_not():
    """The error lists those that there are."""
    with pytest.raises(OptionError, match="azure-ptu"):
        facts.host_facts("gateway.example", {"gateway.example": {"host": "cloud"}})


def test_each_host_row_has_a_source():
    """A fact says where it is from and when that was read."""
    assert all(row.source and row.checked.year for row in facts.HOSTS.values())


@pytest.mark.parametrize(
    ("api", "model", "host", "matching", "ttls", "refuses", "retains"),
    [
        pytest.param(
            CHAT, "gpt-6.1-sol", "openai", "marked", ("30m",), False, False, id="chat"
        ),
        pytest.param(
            RESPONSES,
            "gpt-5.6-luna",
            "azure",
            "marked",
            ("30m", "12h"),
            False,
            False,
            id="responses",
        ),
        pytest.param(
            CHAT,
            "openai.gpt-5.6-terra",
            "bedrock",
            "marked",
            ("30m",),
            False,
            False,
            id="bedrock",
        ),
        pytest.param(
            CHAT, "gpt-6.1-sol", "local", "marked", ("30m",), False, False, id="local"
        ),
        pytest.param(
            CHAT, "gpt-5.2", "openai", "prefix", ("24h",), True, True, id="earlier"
        ),
        pytest.param(
            CHAT, "gpt-4o", "openai", "prefix", ("24h",), True, False, id="no-retention"
        ),
        pytest.param(
            CHAT,
            "gpt-5.2",
            "bedrock",
            "prefix",
            ("24h",),
            True,
            False,
            id="host-without-retention",
        ),
        pytest.param(
            CHAT, "gpt-6.1-sol", "azure-ptu", "prefix", ("24h",), True, False, id="ptu"
        ),
        pytest.param(
            CHAT,
            "gpt-6.1-sol",
            "chatgpt",
            "prefix",
            ("24h",),
            True,
            False,
            id="chatgpt",
        ),
        pytest.param(
            CHAT,
            "gpt-6.1-sol",
            "a.example",
            "prefix",
            ("24h",),
            False,
            False,
            id="compatible",
        ),
        pytest.param(
            CHAT,
            "gpt-5.2",
            "a.example",
            "prefix",
            ("24h",),
            False,
            False,
            id="compatible-earlier",
        ),
        pytest.param(
            CHAT,
            "gpt-6.1-sol",
            "gateway.example",
            "marked",
            ("30m",),
            False,
            False,
            id="said-to-be-openai",
        ),
        pytest.param(
            CHAT,
            "llama",
            "openai",
            "prefix",
            ("24h",),
            False,
            False,
            id="unknown-model",
        ),
    ],
)
def test_rules(api, model, host, matching, ttls, refuses, retains):
    """What is accepted is a matter of model and host together."""
    rules, known = api.rules(model, host, OWN)

    assert (rules.matching, rules.ttls) == (matching, ttls)
    assert (rules.refuses_breakpoints, rules.retains) == (refuses, retains)
    assert rules.takes_key
    assert known is (model != "llama")


def test_busy_heads_are_split_only_where_keys_route():
    """With breakpoints a key parts caches, and machines are not chosen by it."""
    routed, _ = CHAT.rules("gpt-5.2", "openai", None)
    parted, _ = CHAT.rules("gpt-6.1-sol", "openai", None)

    assert (routed.requests_per_minute, routed.tenant_key) == (15, False)
    assert (parted.requests_per_minute, parted.tenant_key) == (None, True)
