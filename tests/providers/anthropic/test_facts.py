"""Anthropic's rules by model and host."""

import subprocess
import sys

import pytest

from promptcache import PromptCache
from promptcache.errors import OptionError
from promptcache.factsfile import read_facts
from promptcache.providers.anthropic import ANTHROPIC
from promptcache.providers.anthropic.facts import HOSTS, MODELS, model_facts


@pytest.mark.parametrize(
    ("model", "row"),
    [
        pytest.param("claude-sonnet-5-5", "claude-sonnet-5-5", id="plain"),
        pytest.param("claude-opus-4-5-20251101", "claude-opus-4-5", id="dated"),
        pytest.param("claude-opus-4-20250514", "claude-opus-4", id="short-dated"),
        pytest.param("claude-opus-4-1-20250805", "claude-opus-4-1", id="longer-row"),
        pytest.param("claude-sonnet-4-5@20250929", "claude-sonnet-4-5", id="vertex"),
        pytest.param("anthropic.claude-opus-4-6-v1:0", "claude-opus-4-6", id="bedrock"),
        pytest.param(
            "us.anthropic.claude-haiku-4-5-20251001-v1:0",
            "claude-haiku-4-5",
            id="bedrock-region",
        ),
        pytest.param(
            "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-opus-4-6-v1",
            "claude-opus-4-6",
            id="bedrock-arn",
        ),
        pytest.param("anthropic/claude-sonnet-5", "claude-sonnet-5", id="router"),
        pytest.param(
            "publishers/anthropic/models/claude-fable-5-2",
            "claude-fable-5-2",
            id="path",
        ),
        pytest.param("claude-3-5-haiku-20241022", "claude-3-5-haiku", id="old-order"),
    ],
)
def test_spellings(model, row):
    """A model is found under every name that platforms give it."""
    assert model_facts(model) is MODELS[row]


@pytest.mark.parametrize(
    "model",
    [
        pytest.param("", id="empty"),
        pytest.param("gpt-5", id="other-provider"),
        pytest.param("claude-sonnet-9", id="future"),
        pytest.param("claude-opus-5-2", id="minor-version-that-begins-like-a-date"),
        pytest.param("claude-opus-5-6", id="minor-version"),
        pytest.param("claude-sonnet-5-5-preview", id="suffix"),
        pytest.param("my-claude-sonnet-5-5", id="prefix"),
        pytest.param("arn:aws:bedrock:us-east-1:1:inference-profile/x1y2", id="arn"),
    ],
)
def test_unknown_models(model):
    """An unknown model gets the highest minimum there is and no optional field."""
    row = model_facts(model)

    assert row.assumed is True
    assert row.minimum_tokens == max(known.minimum_tokens for known in MODELS.values())
    assert row.mid_conversation_system is False


@pytest.mark.parametrize(
    ("model", "overrides", "minimum", "assumed"),
    [
        pytest.param(
            "claude-haiku-4-5-20251001",
            {"claude-haiku-4-5": {"minimum_tokens": 2048}},
            2048,
            False,
            id="known",
        ),
        pytest.param(
            "claude-next-1-20270101",
            {"claude-next-1": {"minimum_tokens": 256}},
            256,
            False,
            id="new",
        ),
        pytest.param(
            "claude-next-1", {"claude-next-1": {}}, 4096, False, id="empty-row"
        ),
        pytest.param(
            "claude-opus-5",
            {"other": {"minimum_tokens": 1}},
            512,
            False,
            id="other-row",
        ),
        pytest.param("claude-opus-5", None, 512, False, id="none"),
    ],
)
def test_overrides(model, overrides, minimum, assumed):
    """A caller's row is laid over the one that ships, and makes a model known."""
    row = model_facts(model, overrides)

    assert (row.minimum_tokens, row.assumed) == (minimum, assumed)


def test_override_of_one_version():
    """A row for one dated version wins over that of all versions."""
    overrides = {"claude-opus-5-20260101": {"minimum_tokens": 7}}

    assert model_facts("claude-opus-5-20260101", overrides).minimum_tokens == 7
    assert model_facts("claude-opus-5-20260202", overrides).minimum_tokens == 512


def test_override_of_no_field():
    """A field that no row has is refused by name."""
    with pytest.raises(OptionError, match="minimum_tokens"):
        model_facts("claude-opus-5", {"claude-opus-5": {"minimum": 1}})


@pytest.mark.parametrize(
    ("host", "automatic", "collapses"),
    [
        pytest.param("anthropic", True, True, id="direct"),
        pytest.param("aws", True, False, id="aws"),
        pytest.param("bedrock", False, False, id="bedrock"),
        pytest.param("bedrock-mantle", True, False, id="bedrock-mantle"),
        pytest.param("foundry", True, False, id="foundry"),
        pytest.param("vertex", True, False, id="vertex"),
    ],
)
def test_hosts(host, automatic, collapses):
    """Each platform says what it takes and how it counts."""
    rules, _ = ANTHROPIC.rules("claude-opus-5", host, None)

    assert rules.automatic is automatic
    assert HOSTS[host].collapses_tool_runs is collapses


def test_rules():
    """The rules of a model are those of its row, and known if that is."""
    rules, known = ANTHROPIC.rules("claude-opus-4-7", "anthropic", None)

    assert known is True
    assert (rules.max_breakpoints, rules.lookback) == (4, 20)
    assert (rules.minimum_tokens, rules.ttls) == (2048, ("5m", "1h"))
    assert ANTHROPIC.rules("new", "anthropic", None)[1] is False


@pytest.mark.parametrize(
    ("status", "message", "ours"),
    [
        pytest.param(
            400, "cache_control: Extra inputs are not permitted", True, id="us"
        ),
        pytest.param(400, "messages: at least one is required", False, id="other"),
        pytest.param(429, "cache_control", False, id="too-many"),
        pytest.param(500, "cache_control", False, id="server"),
    ],
)
def test_whose_fault_a_refusal_is(status, message, ours):
    """Only a bad request that names our field is ours."""
    assert ANTHROPIC.is_our_fault(status, message, built={}, sent={}) is ours


FILE = (
    '["claude-next"]\nminimum_tokens = 300\n\n[claude-opus-5]\nminimum_tokens = 600\n'
)


def test_a_file_of_facts(tmp_path):
    """A table of the file is a row."""
    path = tmp_path / "facts.toml"
    path.write_text(FILE, encoding="utf-8")

    assert read_facts(str(path)) == {
        "claude-next": {"minimum_tokens": 300},
        "claude-opus-5": {"minimum_tokens": 600},
    }


@pytest.mark.parametrize(
    "path", [pytest.param(None, id="none"), pytest.param("", id="empty")]
)
def test_no_file_of_facts(path):
    """No path is no row."""
    assert read_facts(path) == {}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"minimum_tokens = 5", id="no-table"),
        pytest.param(b"[claude", id="no-toml"),
        pytest.param(b"\xff\xfe", id="no-text"),
        pytest.param(None, id="missing"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path, content):
    """A file without rows is refused by the name of the variable."""
    path = tmp_path / "facts.toml"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(OptionError, match="PROMPTCACHE_FACTS"):
        read_facts(str(path))


def test_the_argument_goes_before_the_file(tmp_path, monkeypatch):
    """Rows given as an argument are laid over those of the file."""
    path = tmp_path / "facts.toml"
    path.write_text(FILE, encoding="utf-8")
    monkeypatch.setenv("PROMPTCACHE_FACTS", str(path))
    facts = {"claude-opus-5": {"minimum_tokens": 700}}
    laid = PromptCache(facts=facts).facts

    assert ANTHROPIC.rules("claude-opus-5", "anthropic", laid)[0].minimum_tokens == 700
    assert ANTHROPIC.rules("claude-next", "anthropic", laid)[0].minimum_tokens == 300


def test_a_bad_file_is_told_at_the_start(tmp_path):
    """A process that names a file that is not there learns so when it makes a cache."""
    code = "import promptcache; promptcache.PromptCache()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PROMPTCACHE_FACTS": str(tmp_path / "none.toml"), "PYTHONPATH": "."},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "PROMPTCACHE_FACTS" in done.stderr
