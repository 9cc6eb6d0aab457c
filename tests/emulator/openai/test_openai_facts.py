"""The rows of OpenAI's caching rules."""

import pytest

from promptcache.errors import OptionError
from promptcache.providers.openai import facts


@pytest.mark.parametrize(
    ("model", "name"),
    [
        pytest.param("gpt-6.1-sol", "gpt-6.1-sol", id="as-it-is"),
        pytest.param("gpt-6.2-astra-law", "gpt-6.2-astra-law", id="longest-name"),
        pytest.param("gpt-5.5-2026-04-23", "gpt-5.5", id="dated"),
        pytest.param("gpt-5.5-pro-2026-04-23", "gpt-5.5-pro", id="dated-pro"),
        pytest.param("openai.gpt-5.6-terra", "gpt-5.6-terra", id="bedrock"),
        pytest.param("openai/gpt-4o", "gpt-4o", id="router"),
        pytest.param("ft:gpt-4.1-mini:acme::id", "gpt-4.1-mini", id="fine-tuned"),
    ],
)
def test_spellings(model, name):
    """A model is found however requests spell it."""
    row = facts.model_facts(model)

    assert (row.name, row.assumed) == (name, False)


def test_generations():
    """Only gpt-5.6 and later have breakpoints, and only gpt-6 updates of effort."""
    marked = {name for name, row in facts.MODELS.items() if row.breakpoints}
    updated = {name for name, row in facts.MODELS.items() if row.effort_updates}

    assert marked == {
        name for name in facts.MODELS if name.startswith(("gpt-5.6", "gpt-6"))
    }
    assert updated == {name for name in marked if name.startswith("gpt-6")}
    assert facts.model_facts("gpt-5.5").interval == 2048


def test_an_unknown_model_is_assumed():
    """It gets no optional field."""
    row = facts.model_facts("gpt-9")

    assert (row.breakpoints, row.retention, row.assumed) == (
        False,
        ("in_memory",),
        True,
    )


def test_overrides():
    """Fields are laid over a row, or make one."""
    laid = {"gpt-9": {"breakpoints": True}, "gpt-4o": {"minimum_tokens": 2048}}
    unknown = facts.model_facts("gpt-9", laid)

    assert (unknown.breakpoints, unknown.assumed) == (True, False)
    assert facts.model_facts("gpt-4o", laid).minimum_tokens == 2048
    with pytest.raises(OptionError, match="interval"):
        facts.model_facts("gpt-4o", {"gpt-4o": {"lookback": 1}})


def test_each_row_has_a_source():
    """A fact says where it is from and when that was read."""
    rows = facts.MODELS.values()

    assert all(row.source.startswith("https://") and row.checked.year for row in rows)
