"""The report as one page that stands alone: no script, no font, no request.

Rule 1: all text is escaped; should that fail, a policy in the page lets nothing run.
Rule 2: unknown is called so; no number stands in for it.
"""

from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from typing import Any, NamedTuple

from promptcache.analysis.report import charts, figures, tables
from promptcache.analysis.report.course import BINS, Course, Span
from promptcache.analysis.report.figures import count, moment, money
from promptcache.analysis.report.markup import Html, element
from promptcache.receipts.advice import Advice

__all__ = ["Told", "page"]

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_SPANS = 45
_QUARTERS = [f"{BINS[len(BINS) // 4 * n + n - 1]:g} s" for n in (1, 2, 3)]
"""The waits at a quarter, a half and three quarters of their bars."""

_TITLE = "What prompt caching did"


class Told(NamedTuple):
    """What a page tells."""

    source: str
    """Where the receipts are from."""
    report: Mapping[str, Any]
    """The sums by model, as `Report.to_dict` returns them."""
    advice: Sequence[Advice]
    course: Course
    damaged: int
    """Lines that held no receipt."""


def page(told: Told) -> str:
    """Return a whole document."""
    style = resources.files(__package__).joinpath("page.css").read_text("utf-8")
    head = element(
        "head",
        element("meta", charset="utf-8"),
        _meta("viewport", "width=device-width, initial-scale=1"),
        _meta("color-scheme", "light dark"),
        _meta("referrer", "no-referrer"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("title", _TITLE),
        element("style", Html(style)),
    )
    total = told.report["total"]
    body = element(
        "body",
        _header(told),
        element("main", _headline(total), *_sections(told, total)),
        _footer(total),
    )
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def _sections(told: Told, total: Mapping[str, Any]) -> Iterator[Html]:
    yield _advice(told.advice)
    yield _costs(told.course.spans(_SPANS))
    yield _section(
        "models",
        "How much was read, by model",
        "The part of all prompt tokens that came from a cache.",
        tables.models(told.report["rows"]),
    )
    yield _section(
        "whose",
        "Whose doing it is",
        "Savings have the extra price of writing taken off. Requests that read nothing "
        "count for whoever had their prompt written.",
        tables.credits(total),
    )
    yield _ends(told.course)
    yield _waits(told.course)
    yield _misses(total)
    yield _dearest(told.course)


def _header(told: Told) -> Html:
    course = told.course
    period = ""
    if course.first is not None and course.last is not None:
        period = f"{moment(course.first)} to {moment(course.last)} UTC, from "
    damaged = ""
    if told.damaged:
        lines = "1 line" if told.damaged == 1 else f"{count(told.damaged)} lines"
        damaged = f", leaving out {lines} without a receipt"
    source = element("code", told.source)
    return element(
        "header",
        element("h1", _TITLE),
        element("p", period, source, f"{damaged}.", class_="soft"),
    )


def _headline(total: Mapping[str, Any]) -> Html:
    saved = total["saved_usd"]
    tone = "" if not saved else " gain" if saved > 0 else " loss"
    requests = total["requests"]
    values = (
        ("Spent", figures.figure(total, "cost_usd"), _left(total, "cost_usd"), ""),
        (
            "Without caching",
            figures.figure(total, "without_caching_usd"),
            _left(total, "without_caching_usd"),
            "",
        ),
        ("Saved", figures.figure(total, "saved_usd"), _saved_share(total), tone),
        (
            "Read from a cache",
            figures.percent(total["read_share"]),
            f"of {figures.figure(total, 'input_tokens')} prompt tokens",
            "",
        ),
        ("Requests", count(requests), _models(total), ""),
    )
    return element(
        "dl",
        *(
            element(
                "div",
                element("dt", name),
                element(
                    "dd",
                    element("span", value, class_=f"value{tone}"),
                    element("span", note, class_="note"),
                ),
            )
            for name, value, note, tone in values
        ),
        class_="figures",
    )


def _left(total: Mapping[str, Any], key: str) -> str:
    missing = total["unknown"].get(key)
    if not missing:
        return ""
    return f"{count(missing)} of {count(total['requests'])} requests unknown"


def _saved_share(total: Mapping[str, Any]) -> str:
    without, unknown = total["without_caching_usd"], total["unknown"]
    if not without or total["saved_usd"] is None or "saved_usd" in unknown:
        return _left(total, "saved_usd")
    return f"{total['saved_usd'] / without:.1%} of the price without caching"


def _models(total: Mapping[str, Any]) -> str:
    missed = sum(it["misses"] for it in total["misses"])
    return f"{count(missed)} with a miss" if missed else ""


def _advice(advice: Sequence[Advice]) -> Html:
    if not advice:
        said: Html = element("p", "No receipt tells of a miss.")
    else:
        said = element("ol", *map(_advised, advice), class_="advice")
    return _section("advice", "What to do", None, said)


def _advised(advice: Advice) -> Html:
    cost = money(advice.cost_usd)
    lost = f"{tables.CAUSES[advice.cause]}: {cost}, {figures.requests(advice.misses)}"
    where = (
        "" if advice.place_section is None else f", mostly in {advice.place_section}"
    )
    return element(
        "li",
        element("strong", f"{lost}{where}"),
        tables.with_code(advice.remedy),
    )


def _costs(spans: Sequence[Span]) -> Html:
    title = "Cost over time"
    known = [
        it
        for it in spans
        if it.cost_usd is not None or it.without_caching_usd is not None
    ]
    if not known:
        return _section("costs", title, None, element("p", "All costs are unknown."))
    drawing, highest = charts.costs(spans, named="costs")
    width = spans[0].seconds
    each = figures.stretch(width)
    partial = sum(it.is_partial for it in spans)
    doubt = f" In {partial} of them some costs are unknown." if partial else ""
    return _section(
        "costs",
        title,
        f"A bar for each {each}; the highest is {money(highest)}.{doubt}",
        element(
            "figure",
            _key((("with", "with caching"), ("without", "without caching"))),
            drawing,
            _axis(
                moment(spans[0].start, width=width),
                f"{moment(spans[-1].start + width, width=width)} UTC",
            ),
            element("details", element("summary", "The figures"), tables.spans(spans)),
        ),
    )


def _ends(course: Course) -> Html:
    ends = list(course.ends())
    said = tables.ends(ends) if ends else element("p", "No receipt tells of any.")
    return _section(
        "ends",
        "Where prefixes ended",
        "The longest prefix that a request marked, and how much of such requests was "
        "read.",
        said,
    )


def _waits(course: Course) -> Html:
    title = "Time to the first token"
    both = (("hits", course.hits, "with"), ("misses", course.misses, "without"))
    timed = [it for it in both if it[1].requests]
    if not timed:
        said = "No receipt has both a time and what was read; only streams are timed."
        return _section("waits", title, None, element("p", said))
    graphs = [
        element(
            "figure",
            element(
                "figcaption",
                f"{name}: half within {figures.seconds(waits.quantile(0.5))}, 95 % "
                f"within {figures.seconds(waits.quantile(0.95))} "
                f"({figures.requests(waits.requests)})",
            ),
            charts.waits(
                waits.bins,
                most=max(waits.bins),
                kind=kind,
                label=f"How long {name} took; the table below has the figures",
            ),
        )
        for name, waits, kind in timed
    ]
    return _section(
        "waits",
        title,
        "Hits read something from a cache, misses read nothing. Bars are the share of "
        "each kind.",
        *graphs,
        _axis("0 s", *_QUARTERS, f"over {BINS[-1]:g} s"),
        element(
            "details",
            element("summary", "The figures"),
            tables.waits(course.hits.bins, course.misses.bins),
        ),
    )


def _misses(total: Mapping[str, Any]) -> Html:
    rows = total["misses"]
    said = tables.misses(rows) if rows else element("p", "No receipt tells of a miss.")
    return _section(
        "misses",
        "Misses by reason",
        "What it cost that prompt tokens were not read.",
        said,
    )


def _dearest(course: Course) -> Html:
    dearest = course.dearest()
    if not dearest:
        return Html()
    return _section(
        "dearest", "The dearest misses", "Times are in UTC.", tables.dearest(dearest)
    )


def _footer(total: Mapping[str, Any]) -> Html:
    notes = [
        "A number with ? leaves out requests that did not report it.",
        "Receipts hold no text of any prompt.",
    ]
    if "storage_usd" not in total:
        notes.append(
            "What Gemini's cached contents cost to create and to store is not in files "
            "of receipts."
        )
    return element("footer", element("p", " ".join(notes), class_="soft"))


def _section(name: str, title: str, lead: str | None, *children: Html) -> Html:
    heading = element("h2", title, id=name)
    said = Html() if lead is None else element("p", lead, class_="soft")
    return element("section", heading, said, *children, aria_labelledby=name)


def _key(colors: Sequence[tuple[str, str]]) -> Html:
    return element(
        "p",
        *(
            element("span", text, style=f"--mark: var(--{name})")
            for name, text in colors
        ),
        class_="key",
    )


def _axis(*labels: str) -> Html:
    return element(
        "div",
        *(element("span", it) for it in labels),
        class_="axis",
        aria_hidden="true",
    )


def _meta(name: str, content: str) -> Html:
    return element("meta", name=name, content=content)
