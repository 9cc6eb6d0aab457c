"""Draw what each way to write a conversation costs, against the time between requests.

    python benchmarks/gap_plot.py docs/images/bill-by-gap.svg

Nothing is drawn by eye: every point is the bill of one conversation by
`promptcache.planning.ways.bills`, which the books of live traffic are kept with.
"""

import argparse
from collections.abc import Iterator, Sequence
from math import exp, log
from pathlib import Path

from promptcache.planning.terms import Terms
from promptcache.planning.warming import price_of_silence
from promptcache.planning.ways import WAYS, Sizes, Way, bills

TERMS = Terms(read=0.1)
REQUESTS = 200
FIRST_TOKENS, ADDED_TOKENS = 20_000, 500
SHORTEST, LONGEST, POINTS = 15.0, 14_400.0, 90
GOLDEN = 0.618033988749895
"""Its multiples spread evenly, so that gaps are drawn alike each time."""

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 62, 178, 34, 52
MOST = 1.7
TICKS = ((15, "15 s"), (60, "1 min"), (300, "5 min"), (1200, "20 min"), (3600, "1 h"))
DRAWN: dict[Way, tuple[str, str]] = {
    "none": ("#57606a", "no caching"),
    "short": ("#bc4c00", "5m"),
    "long": ("#0969da", "1h"),
    "pings": ("#8250df", "5m with pings"),
    "promote": ("#1a7f37", "promote (if kept)"),
}
# A panel of its own, so that it reads on any page.
_OPENING = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" \
font-family="system-ui, sans-serif" font-size="13" aria-label="{label}">
<rect width="{width}" height="{height}" rx="8" fill="#fdfdfe" stroke="#d0d7de"/>"""


def gaps(mean: float) -> Iterator[float]:
    """Yield the times between requests: exponential, with a mean in seconds."""
    for number in range(1, REQUESTS):
        yield -mean * log(1 - number * GOLDEN % 1)


def shares(mean: float) -> dict[Way, float]:
    """Return the bill of each way relative to no caching, by the mean gap."""
    totals, size = dict.fromkeys(WAYS, 0.0), 0.0
    promoted, pauses, count, gap = 0.0, 0, 0, 0.0
    for gap in (0.0, *gaps(mean)):
        pinged, warm = 0.0, TERMS.short_seconds
        if size:
            count += 1
            pauses += TERMS.short_seconds < gap <= TERMS.long_seconds
            pinged, warm = price_of_silence(gap, size, stop="end_turn", terms=TERMS)
        total = size + ADDED_TOKENS if size else FIRST_TOKENS
        costs, promoted = bills(
            Sizes(
                total,
                live_short=size if gap <= TERMS.short_seconds else 0.0,
                live_long=size if gap <= TERMS.long_seconds else 0.0,
                live_pinged=size if gap <= warm else 0.0,
                pinged=pinged,
            ),
            promoted,
            pauses=pauses,
            gaps=count,
            terms=TERMS,
        )
        for way, cost in zip(WAYS, costs, strict=True):
            totals[way] += cost
        size = total
    return {way: cost / totals["none"] for way, cost in totals.items()}


def means() -> list[float]:
    """Return the mean gaps that are drawn, in seconds."""
    step = log(LONGEST / SHORTEST) / (POINTS - 1)
    return [SHORTEST * exp(step * number) for number in range(POINTS)]


def plot() -> str:
    """Return the plot as SVG."""
    found = [shares(mean) for mean in means()]
    label = "Bill relative to no caching, against the mean time between requests"
    lines = [
        _OPENING.format(width=WIDTH, height=HEIGHT, label=label),
        *_axes(),
    ]
    ends: list[tuple[float, Way]] = []
    for way in DRAWN:
        points = [
            (_x(mean), _y(row[way])) for mean, row in zip(means(), found, strict=True)
        ]
        lines.append(_curve(points, DRAWN[way][0]))
        ends.append((points[-1][1], way))
    lines += _labels(ends)
    return "\n".join([*lines, "</svg>", ""])


def _axes() -> Iterator[str]:
    yield (
        f'<text x="{LEFT}" y="22" fill="#24292f" font-weight="600">'
        "Bill relative to no caching</text>"
    )
    for tenths in range(0, 17, 2):
        y, value = _y(tenths / 10), f"{tenths / 10:.1f}"
        yield _line(LEFT, y, WIDTH - RIGHT, y, "#e6e9ed")
        yield _text(LEFT - 8, y + 4, value, "#57606a", anchor="end")
    for seconds, name in (*TICKS, (LONGEST, "4 h")):
        x = _x(seconds)
        yield _line(x, TOP, x, HEIGHT - BOTTOM, "#eff1f4")
        yield _text(x, HEIGHT - BOTTOM + 18, name, "#57606a", anchor="middle")
    middle = (LEFT + WIDTH - RIGHT) / 2
    text = "Mean time between requests"
    yield _text(middle, HEIGHT - 12, text, "#24292f", anchor="middle")


def _labels(ends: Sequence[tuple[float, Way]]) -> Iterator[str]:
    """Yield the names of the curves where these end, none over another."""
    at = 0.0
    for y, way in sorted(ends):
        at = max(y + 4, at + 16)
        color, name = DRAWN[way]
        yield _text(WIDTH - RIGHT + 8, at, name, color, anchor="start")


def _curve(points: Sequence[tuple[float, float]], color: str) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return (
        f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2.2" '
        'stroke-linejoin="round"/>'
    )


def _line(x: float, y: float, to_x: float, to_y: float, color: str) -> str:
    return (
        f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}" '
        f'stroke="{color}"/>'
    )


def _text(x: float, y: float, text: str, color: str, *, anchor: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{color}" text-anchor="{anchor}">'
        f"{text}</text>"
    )


def _x(seconds: float) -> float:
    share = log(seconds / SHORTEST) / log(LONGEST / SHORTEST)
    return LEFT + share * (WIDTH - RIGHT - LEFT)


def _y(share: float) -> float:
    return HEIGHT - BOTTOM - share / MOST * (HEIGHT - BOTTOM - TOP)


def main() -> None:
    """Write the plot to the file that is named."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("path", type=Path)
    parser.parse_args().path.write_text(plot(), encoding="utf-8")


if __name__ == "__main__":
    main()
