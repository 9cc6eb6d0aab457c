"""The rows of Gemini's caching rules."""

from datetime import date

import pytest

from promptcache.errors import OptionError
from promptcache.providers.gemini import facts


@pytest.mark.parametrize(
    ("model", "name"),
    [
        pytest.param("gemini-3.8-flash", "gemini-3.8-flash", id="as-it-is"),
        pytest.param("models/gemini-2.5-pro", "gemini-2.5-pro", id="developer"),
        pytest.param(
            "publishers/google/models/gemini-2.5-flash", "gemini-2.5-flash", id="short"
        ),
        pytest.param(
            "projects/p/locations/l/publishers/google/models/gemini-3.5-flash",
            "gemini-3.5-flash",
            id="vertex",
        ),
        pytest.param("gemini-2.5-flash-001", "gemini-2.5-flash", id="version"),
        pytest.param(
            "gemini-2.5-flash-preview-09-2025", "gemini-2.5-flash", id="preview"
        ),
        pytest.param("gemini-2.5-flash-latest", "gemini-2.5-flash", id="latest"),
        pytest.param("gemini-2.5-flash-lite", "gemini-2.5-flash-lite", id="longest"),
        pytest.param(
            "gemini-3.1-pro-preview", "gemini-3.1-pro-preview", id="only-a-preview"
        ),
        pytest.param("gemini-flash-latest", "gemini-3.8-flash", id="moving-name"),
    ],
)
def test_spellings(model, name):
    """A model is found however requests spell it."""
    row = facts.model_facts(model)

    assert (row.name, row.assumed) == (name, False)


@pytest.mark.parametrize(
    "model", ["gemini-9-neon", "gemini-2.5-flash-preview-tts", "gemini-3.8-flashy"]
)
def test_an_unknown_model_is_assumed(model):
    """It has the highest minimum and no cached contents."""
    row = facts.model_facts(model)

    assert (row.implicit_minimum, row.explicit_minimum) == (4096, 4096)
    assert (row.explicit, row.storage_price, row.assumed) == (False, None, True)


def test_minimums_by_generation():
    """The documents have 2,048 for Gemini 2.5 and 4,096 for all that came later."""
    older = {
        name
        for name, row in facts.MODELS.items()
        if (row.implicit_minimum, row.explicit_minimum) == (2048, 2048)
    }

    assert older == {name for name in facts.MODELS if name.startswith("gemini-2.5")}
    assert facts.model_facts("gemini-3.6-flash").measured_minimum == 1024


def test_what_no_source_confirms():
    """Argon has no cached contents, and a price that is not known is none."""
    unpriced = {name for name, row in facts.MODELS.items() if row.storage_price is None}

    assert not facts.model_facts("gemini-4-argon").explicit
    assert unpriced == {
        "gemini-4-argon",
        "gemini-3.7-flash",
        "gemini-3.5-flash-lite",
        "gemini-3.1-flash-lite",
    }
    assert facts.HOSTS["developer"].creation_billed is None


@pytest.mark.parametrize(
    ("model", "day", "price"),
    [
        pytest.param("gemini-3.8-flash", date(2026, 12, 31), 0.5, id="before"),
        pytest.param("gemini-3.8-flash", date(2027, 1, 1), 1.0, id="doubled"),
        pytest.param("gemini-2.5-pro", date(2027, 1, 1), 4.5, id="unchanged"),
        pytest.param("gemini-4-argon", date(2027, 1, 1), None, id="unknown"),
    ],
)
def test_storage_prices(model, day, price):
    """The price of storage depends on the day."""
    assert facts.model_facts(model).storage_price_on(day) == price


def test_overrides():
    """Fields are laid over a row, or make one; a price holds from any day on."""
    later = [[date(2028, 1, 1), 0.9]]
    laid = {
        "gemini-9": {"explicit": True, "explicit_minimum": 512},
        "gemini-3.8-flash": {"storage_price": 0.7},
        "gemini-2.5-pro": {"storage_price_changes": later},
        "gateway.example": {"host": "developer"},
    }
    unknown = facts.model_facts("models/gemini-9-001", laid)
    moved = facts.model_facts("gemini-flash-latest", laid)

    assert (unknown.explicit, unknown.explicit_minimum, unknown.assumed) == (
        True,
        512,
        False,
    )
    assert moved.storage_price_on(date(2027, 6, 1)) == 0.7
    pro = facts.model_facts("gemini-2.5-pro", laid)
    assert pro.storage_price_on(date(2028, 6, 1)) == 0.9
    assert facts.model_facts("gemini-2.5-flash", laid).storage_price == 1.0


@pytest.mark.parametrize(
    "fields",
    [{"minimum": 1}, {"storage_price_changes": 3}, {"storage_price_changes": ["x"]}],
)
def test_overrides_that_no_row_has(fields):
    """A field that there is not, or of another form, is refused by name."""
    with pytest.raises(OptionError, match="explicit_minimum"):
        facts.model_facts("gemini-2.5-pro", {"gemini-2.5-pro": fields})


def test_each_row_has_a_source():
    """A fact says where it is from and when that was read."""
    rows = [*facts.MODELS.values(), *facts.HOSTS.values()]

    assert all(row.source.startswith("https://") and row.checked.year for row in rows)
    assert set(facts.ALIASES.values()) <= set(facts.MODELS)
