"""The page that compares the providers is the one that the facts make."""

import importlib.util
from dataclasses import replace
from datetime import date
from importlib import metadata

import pytest
from docs_pages import DOCS, anchors, read

from promptcache import Usage
from promptcache.providers.anthropic import facts as anthropic
from promptcache.providers.gemini import facts as gemini
from promptcache.providers.openai import facts as openai
from promptcache.receipts.prices import GenaiPrices

PRICE_LIST = "0.2.3"
"""The version of genai-prices that the page names."""
PATH = DOCS / "generate" / "providers.py"
MODELS = {
    **dict.fromkeys(anthropic.MODELS, "anthropic"),
    **dict.fromkeys(openai.MODELS, "openai"),
    **dict.fromkeys(gemini.MODELS, "google"),
}
NAMED_IN_2024 = (
    "claude-3-haiku",
    "claude-3-opus",
    "claude-3-5-sonnet",
    "gemini-1.5-flash",
    "gemini-1.5-pro",
    "gpt-4o",
    "o1",
)


@pytest.fixture(scope="module")
def generator():
    spec = importlib.util.spec_from_file_location("providers_page", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def told(generator):
    return generator.read()


def test_page_is_made(generator, told):
    """What is committed is what would be written now."""
    assert read("providers.md") == generator.page(told)


def test_a_fact_reaches_the_page(generator, told, monkeypatch):
    """Another minimum, limit or storage price makes another page."""
    before = generator.page(told)
    changed = replace(anthropic.MODELS["claude-opus-5-5"], minimum_tokens=777)
    monkeypatch.setattr(
        anthropic, "MODELS", {**anthropic.MODELS, changed.name: changed}
    )
    monkeypatch.setattr(openai, "MAX_KEY_LENGTH", 65_000)
    dearer = replace(gemini.MODELS["gemini-3.5-flash"], storage_price=6.25)
    monkeypatch.setattr(gemini, "MODELS", {**gemini.MODELS, dearer.name: dearer})
    after = generator.page(told)

    assert [it in before for it in ("777", "65000", "6.25")] == [False] * 3
    assert [it in after for it in ("777", "65000", "6.25")] == [True] * 3


def test_every_family_in_every_topic(told):
    """Each topic says something of each family, with a source."""
    families = told["families"]

    assert [
        topic["title"]
        for topic in told["topics"]
        if not families.keys() <= topic.keys()
    ] == []
    assert [
        (topic["title"], family)
        for topic in told["topics"]
        for family in families
        if not (topic[family]["now"] and topic[family]["sources"])
        or bool(topic[family]["then"]) != bool(topic[family]["then_sources"])
    ] == []


def test_topics(told):
    """What one has to know to choose is compared."""
    assert [topic["title"] for topic in told["topics"]] == [
        "Activation",
        "Price of reading",
        "Price of writing",
        "Lifetime",
        "Minimum",
        "Steps",
        "Limits",
        "Privacy scope",
        "Rate limits",
        "Clearing",
        "Effect on output",
        "Where usage is reported",
    ]


def test_sources_are_used(told):
    """No source stands in the list for nothing."""
    rows = [topic[family] for topic in told["topics"] for family in told["families"]]
    used = {
        tag
        for row in [*rows, *told["ends"]]
        for tag in [*row["sources"], *row.get("then_sources", ())]
    }

    assert used == told["sources"].keys()


def test_a_source_that_there_is_not(generator, told):
    """A row cannot name a source that the page does not list."""
    told["ends"][0]["sources"].append("hearsay")

    with pytest.raises(KeyError, match="hearsay"):
        generator.page(told)


def test_models_are_known(told):
    """What is said of a model is said of one that has a row."""
    said = [*told["read"].values(), *told["unverified"].values()]

    assert [name for names in said for name in names if name not in MODELS] == []


def test_models_of_2024(told):
    """Models of old articles are named as retired, or with the day of their end."""
    ends = {model: said for said in told["ends"] for model in said["models"]}
    checked = told["checked"]

    assert [name for name in NAMED_IN_2024 if "named" not in ends[name]] == []
    assert ends["o1"]["on"] <= checked < ends["gpt-4o"]["on"]
    assert (
        "| `o1` | 1,024 tokens in steps of 128; reading 0.5 | **retired** 2026-10"
        in (read("providers.md"))
    )


def test_a_day_that_is_over(generator, told):
    """A model is retired from its day on, as of the day of the check."""
    said = {"on": date(2026, 11, 30)}

    assert generator._status(said, told["checked"]) == "answers until 2026-11-30"
    assert generator._status(said, date(2026, 11, 30)) == "**retired** 2026-11-30"


def test_anchors_are_single():
    """No heading has the name of a source: links would lead to the wrong one."""
    page = read("providers.md")

    assert {"claude", "openai", "gemini", "source-openai"} <= anchors(page)
    assert "openai_1" not in anchors(page)


@pytest.mark.skipif(
    metadata.version("genai-prices") != PRICE_LIST,
    reason=f"the page's prices are those of genai-prices {PRICE_LIST}",
)
@pytest.mark.parametrize("model", MODELS)
def test_price_of_reading(generator, told, model):
    """What the page says of reading is what the price list says."""
    price = generator.read_price(model, told)
    plain, read = (
        GenaiPrices().cost(
            MODELS[model],
            model,
            Usage(
                input_tokens=1000, read_tokens=tokens, written_tokens=0, output_tokens=0
            ),
            at=1_795_300_000.0,
        )
        for tokens in (0, 1000)
    )
    if plain is None:
        gaps = (gap for gap, of in told["unverified"].items() if model in of)
        assert "no price is known, the family's is taken" in gaps or model in UNPRICED
        return

    assert read.usd / plain.usd == pytest.approx(1.0 if price is None else price)


UNPRICED = ("claude-mythos-5", "claude-mythos-5-1", "claude-mythos-preview")
"""Of which the price list has nothing, and Anthropic's page has a row."""
