"""Drawings in SVG that stretch with the page.

Rule 1: a drawing holds no text, as that would shrink with it: words stand beside it, in
HTML, and each has a table that says the same.
"""

from collections.abc import Sequence

from promptcache.analysis.report.course import BINS, Span
from promptcache.analysis.report.figures import moment, money, requests
from promptcache.analysis.report.markup import Html, element

__all__ = ["bar", "costs", "waits"]

_HIGH = 100.0
_GAP = 0.16


def costs(spans: Sequence[Span], *, named: str) -> tuple[Html, float]:
    """Return bars of what was spent, before what it would have been, and the highest.

    Args:
        spans: Stretches of one length.
        named: The id of what names the drawing.
    """
    highest = max(
        max(span.cost_usd or 0, span.without_caching_usd or 0) for span in spans
    )
    scale = _HIGH / highest if highest else 0.0
    bars: list[Html] = []
    for number, span in enumerate(spans):
        if not span.requests:
            continue
        behind = _rise(number, span.without_caching_usd, scale, "without", _GAP)
        before = _rise(number, span.cost_usd, scale, "with", 2 * _GAP)
        title = element("title", _said(span))
        # A bar to point at, as high as the drawing, also where nothing was spent.
        area = element("rect", x=number, y=0, width=1, height=_HIGH, class_="area")
        bars.append(element("g", title, area, *behind, *before))
    return _drawing(bars, len(spans), named, "costs"), highest


def waits(bins: Sequence[int], *, most: int, kind: str, label: str) -> Html:
    """Return a bar for each of `BINS`.

    Args:
        bins: How many waits each has.
        most: What reaches the top.
        kind: The class of the bars.
        label: What the drawing shows, in words.
    """
    scale = _HIGH / most if most else 0.0
    bars = []
    for number, height in enumerate(bins):
        until = f"up to {BINS[number]:g} s" if number < len(BINS) else "longer"
        title = element("title", f"{until}: {height:,}")
        bars.append(element("g", title, *_rise(number, height, scale, kind, _GAP / 2)))
    return element(
        "svg",
        *bars,
        viewBox=f"0 0 {len(bins)} {_HIGH:g}",
        preserveAspectRatio="none",
        role="img",
        aria_label=label,
        class_="waits",
    )


def bar(share: float | None, *, kind: str = "with") -> Html:
    """Return a lying bar as long as a share; the number stands beside it."""
    length = min(max(share or 0.0, 0.0), 1.0) * _HIGH
    return element(
        "svg",
        element("rect", x=0, y=0, width=_HIGH, height=1, class_="rail"),
        element("rect", x=0, y=0, width=length, height=1, class_=kind),
        viewBox=f"0 0 {_HIGH:g} 1",
        preserveAspectRatio="none",
        aria_hidden="true",
        class_="bar",
    )


def _rise(
    number: int, value: float | None, scale: float, kind: str, gap: float
) -> tuple[Html, ...]:
    if not value:
        return ()
    height = max(value * scale, 0.4)
    return (
        element(
            "rect",
            x=number + gap,
            y=_HIGH - height,
            width=1 - 2 * gap,
            height=height,
            class_=kind,
        ),
    )


def _said(span: Span) -> str:
    mark = ", some unknown" if span.is_partial else ""
    return (
        f"{moment(span.start, width=span.seconds)}: {money(span.cost_usd)} spent, "
        f"{money(span.without_caching_usd)} without caching{mark}, "
        f"{requests(span.requests)}"
    )


def _drawing(bars: Sequence[Html], width: int, named: str, kind: str) -> Html:
    return element(
        "svg",
        *bars,
        viewBox=f"0 0 {width} {_HIGH:g}",
        preserveAspectRatio="none",
        role="img",
        aria_labelledby=named,
        class_=kind,
    )
