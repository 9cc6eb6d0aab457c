"""Writes `docs/providers.md`: how the providers cache, side by side.

Rule 1: what a plan is made by is read from `promptcache/providers/*/facts.py`.
Rule 2: what is no planning fact stands in `providers.toml` beside this file, each with
its source; what no source settles is marked UNVERIFIED.

    python docs/generate/providers.py           # writes the page
    python docs/generate/providers.py --check    # fails if it is another one
"""

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from promptcache.planning.terms import WRITE
from promptcache.providers.anthropic import facts as anthropic
from promptcache.providers.gemini import facts as gemini
from promptcache.providers.openai import facts as openai

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).parent
PAGE = HERE.parent / "providers.md"

HEAD = """\
# Providers side by side

*Made by `python docs/generate/providers.py`; a test holds it to the rows that plans
are made by. Do not edit it by hand.*

How each provider caches prompts, by family of models: now, and *then*, in articles of
2024, where these say something. No rule here was tried on a live API by this project:
each row names what it is taken from, and the day on which that was checked. UNVERIFIED
stands where no source settles a thing, or sources disagree. What promptcache makes of
it is on the pages of [Anthropic](anthropic.md), [OpenAI](openai.md) and
[Gemini](gemini.md).
"""

MODELS_NOTE = """\
Prices of reading are in input tokens; those of Gemini, and of OpenAI up to gpt-5.5, are
from genai-prices 0.2.3. A model that is not named here is planned by the most cautious
row of its provider, and its receipts say `facts: assumed`. Rows can be
[overridden](anthropic.md#models).
"""

ENDS_NOTE = """\
What an article of 2024 advises is often for a model that no longer answers. Days are
those that the provider announced; a model is called retired if its day was over when
this page was checked.
"""


def page(told: Mapping[str, Any]) -> str:
    """Return the page.

    Args:
        told: What `providers.toml` says.

    Raises:
        KeyError: A row names a source that there is not, or a model has no price.
    """
    names = _names(told)
    parts = [
        HEAD,
        "## At a glance\n",
        _glance(told, names),
        *(part for topic in told["topics"] for part in _topic(topic, told, names)),
        "## Models\n",
        MODELS_NOTE,
        *_models(told),
        "## Then and now\n",
        ENDS_NOTE,
        _ends(told),
        "## Sources\n",
        _sources(told),
    ]
    return "\n".join(parts)


def read() -> Mapping[str, Any]:
    """Read what stands beside this file."""
    return tomllib.loads((HERE / "providers.toml").read_text(encoding="utf-8"))


def read_price(model: str, told: Mapping[str, Any]) -> float | None:
    """Return what a token read costs in input tokens; None if there is no discount.

    Raises:
        KeyError: Neither the model's row nor `providers.toml` has it.
    """
    row = anthropic.MODELS.get(model) or openai.MODELS.get(model)
    if isinstance(row, anthropic.ModelFacts) or (row and row.breakpoints):
        return row.read
    for price, models in told["read"].items():
        if model in models:
            return None if price == "none" else float(price)
    raise KeyError(model)


def _names(told: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what stands in braces in `providers.toml`."""
    marked = [row for row in openai.MODELS.values() if row.breakpoints]
    matched = [row for row in openai.MODELS.values() if not row.breakpoints]
    rows = gemini.MODELS.values()
    prices = [row.storage_price for row in rows if row.storage_price is not None]
    vertex = gemini.HOSTS["vertex"].max_inline_bytes or 0
    return {
        "anthropic": anthropic,
        "openai": openai,
        "write": WRITE,
        "claude_ttls": " or ".join(_spoken(it) for it in anthropic.TTL_SECONDS),
        "claude_read": _listed(row.read for row in anthropic.MODELS.values()),
        "claude_minimums": _listed(
            row.minimum_tokens for row in anthropic.MODELS.values()
        ),
        "gpt_read": _listed(row.read for row in marked),
        "gpt_minimum": _listed(row.minimum_tokens for row in openai.MODELS.values()),
        "gpt_before_read": _listed(read_price(row.name, told) for row in matched),
        "gpt_interval": _listed(
            row.interval for row in matched if row.name.startswith("gpt-5.5")
        ),
        "gemini_read": _listed(read_price(row.name, told) for row in rows),
        "gemini_minimums": _listed(row.implicit_minimum for row in rows),
        "gemini_measured": _listed(row.measured_minimum for row in rows),
        "storage_low": min(prices),
        "storage_high": max(prices),
        "vertex_megabytes": vertex / 1e6,
    }


def _spoken(ttl: str) -> str:
    return {"5m": "5 minutes", "1h": "an hour"}[ttl]


def _listed(values: Iterable[float | None]) -> str:
    """Return the different numbers among values, least first."""
    found = sorted({value for value in values if value is not None})
    *most, last = [f"{value:,g}" if value < 1 else f"{value:,.0f}" for value in found]
    return f"{', '.join(most)} or {last}" if most else last


GLANCE = (
    ("reading", "{claude_read}", "{gpt_read}", "{gpt_before_read}")
    + ("{gemini_read}",) * 2,
    (
        "writing",
        "{write[5m]:g}; {write[1h]:g} for an hour",
        "{openai.WRITE_MULTIPLIER:g}",
        "free",
        "free",
        "as input, and storage",
    ),
    (
        "lives",
        "{claude_ttls}",
        "30 minutes or 12 hours",
        "5 minutes to a day",
        "not stated",
        "as long as you pay",
    ),
    (
        "minimum",
        "{claude_minimums}",
        "{gpt_minimum}",
        "{gpt_minimum}",
        "{gemini_minimums}",
        "{gemini_minimums}",
    ),
    (
        "breakpoints",
        "{anthropic.MAX_BREAKPOINTS}",
        "{openai.MAX_WRITES}",
        "none",
        "none",
        "none",
    ),
)


def _glance(told: Mapping[str, Any], names: Mapping[str, Any]) -> str:
    rows = [[first, *(it.format(**names) for it in rest)] for first, *rest in GLANCE]
    return _table(["", *told["families"].values()], rows)


def _topic(
    topic: Mapping[str, Any], told: Mapping[str, Any], names: Mapping[str, Any]
) -> list[str]:
    rows = []
    for family, title in told["families"].items():
        said = topic[family]
        now = said["now"] + (
            f" **UNVERIFIED**: {said['gap']}." if "gap" in said else ""
        )
        cited = _cited([*said["sources"], *said["then_sources"]], told)
        rows.append([title, now.format(**names), said["then"] or "-", cited])
    parts = [f"## {topic['title']}\n"]
    if "note" in topic:
        parts.append(f"{topic['note']}\n")
    return [*parts, _table(["", "now", "then, in 2024", "source, checked"], rows)]


def _models(told: Mapping[str, Any]) -> list[str]:
    tables: list[tuple[str, list[str], Mapping[str, Any], Callable[[Any], list[str]]]]
    tables = [
        (
            "Claude",
            ["minimum", "reading", "system turns between others"],
            anthropic.MODELS,
            lambda row: [
                f"{row.minimum_tokens:,}",
                _price(row.name, told),
                "yes" if row.mid_conversation_system else "no",
            ],
        ),
        (
            "OpenAI",
            ["breakpoints", "minimum", "reading", "interval", "retention"],
            openai.MODELS,
            lambda row: [
                "yes" if row.breakpoints else "no",
                f"{row.minimum_tokens:,}",
                _price(row.name, told),
                "-" if row.breakpoints else f"{row.interval:,}",
                "`ttl`" if row.breakpoints else ", ".join(row.retention),
            ],
        ),
        (
            "Gemini",
            ["minimum", "seen on the Gemini API", "reading", "storage, $ a million"],
            gemini.MODELS,
            lambda row: [
                f"{row.implicit_minimum:,}",
                "-" if row.measured_minimum is None else f"{row.measured_minimum:,}",
                _price(row.name, told),
                _storage(row),
            ],
        ),
    ]
    return [
        part
        for title, columns, models, cells in tables
        for part in (f"### {title}\n", _grouped(columns, models, cells, told))
    ]


def _grouped(
    columns: list[str],
    models: Mapping[str, Any],
    cells: Callable[[Any], list[str]],
    told: Mapping[str, Any],
) -> str:
    """Return a table with one row for the models that are alike in all of it."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for name, row in models.items():
        gaps = [gap for gap, of in told["unverified"].items() if name in of]
        noted = f"**UNVERIFIED**: {', '.join(gaps)}" if gaps else ""
        cited = f"{_linked(row.source)}; {row.checked}"
        alike.setdefault((*cells(row), noted, cited), []).append(f"`{name}`")
    rows = [[", ".join(names), *key] for key, names in alike.items()]
    return _table(["models", *columns, "", "source, checked"], rows)


def _price(model: str, told: Mapping[str, Any]) -> str:
    price = read_price(model, told)
    return "no discount" if price is None else f"{price:g}"


def _storage(row: gemini.ModelFacts) -> str:
    if not row.explicit:
        return "no cached contents"
    if row.storage_price is None:
        return "not known"
    later = (f", from {day} {price:g}" for day, price in row.storage_price_changes)
    return f"{row.storage_price:g}{''.join(later)}"


def _ends(told: Mapping[str, Any]) -> str:
    rows = [
        [
            ", ".join(f"`{model}`" for model in said["models"]),
            said.get("named", "-"),
            _status(said, told["checked"]),
            _cited(said["sources"], told),
        ]
        for said in sorted(told["ends"], key=lambda said: "named" not in said)
    ]
    return _table(["models", "then, in 2024", "now", "source, checked"], rows)


def _status(said: Mapping[str, Any], checked: date) -> str:
    if "on" not in said:
        return f"{said['state']}; **UNVERIFIED**: {said['gap']}"
    if said["on"] <= checked:
        return f"**retired** {said['on']}"
    return f"answers until {said['on']}"


def _sources(told: Mapping[str, Any]) -> str:
    rows = [
        [f'<a id="source-{tag}"></a>{tag}', f"[{text}]({link})" if link else text]
        for tag, (text, link) in told["sources"].items()
    ]
    return _table(["name", "what it is"], rows)


def _cited(tags: Iterable[str], told: Mapping[str, Any]) -> str:
    for tag in tags:
        told["sources"][tag]
    named = ", ".join(f"[{tag}](#source-{tag})" for tag in dict.fromkeys(tags))
    return f"{named}; {told['checked']}"


def _linked(source: str) -> str:
    """Return the source of a row with its addresses as links."""
    return re.sub(r"https?://[^\s;,]+", lambda found: f"<{found[0]}>", source)


def _table(columns: list[str], rows: Iterable[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> None:
    """Write the page, or say whether it is the one that would be written."""
    made = page(read())
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(made, encoding="utf-8")
    elif PAGE.read_text(encoding="utf-8") != made:
        sys.exit(f"{PAGE} is old: run python docs/generate/providers.py")


if __name__ == "__main__":
    main()
