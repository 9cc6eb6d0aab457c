"""The page of the version matrix, made of what its legs found."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from typing import Any

from legs import PACKAGES

__all__ = ["page", "table"]

_SDKS = PACKAGES[:4]
_LANGCHAIN = PACKAGES[4:8]
_LLAMAINDEX = PACKAGES[8:]

_HEAD = """\
# Versions

*Made by `make matrix` on {day}; a test holds it to the table of the legs. Do not edit
it by hand.*

Each leg is a new environment with the built wheel, in which the call paths of its
frameworks are run against the [emulator](emulator.md), on one of them LangChain's
standard tests, too. `lowest` is the lower bound of all that promptcache names; `newest`
is what pip chooses without being told. LlamaIndex takes no anthropic from 1 on and no
openai from 3 on, so together with it LangChain runs on older ones. Legs with no upper
bound may fail: they tell of a version, not yet supported, that moves what the
[seam](glossary.md) sits on.
"""

_NO_PYTHON = "not run: {}"
_FAILED = re.compile(r"\d+ (failed|error).*(?= in )")


def page(results: Sequence[Any]) -> str:
    """Return the page."""
    day = datetime.now(timezone.utc).date().isoformat()
    parts = [
        _HEAD.format(day=day),
        "## What was run\n",
        table(("leg", "Python", "result", "s"), map(_ran, results)),
        *_reasons(results),
        "## SDKs\n",
        table(("leg", *_SDKS), (_found(it, _SDKS) for it in results)),
        "## LangChain\n",
        _partly(results, _LANGCHAIN),
        "## LlamaIndex\n",
        _partly(results, _LLAMAINDEX),
    ]
    return "\n".join(parts)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table in Markdown."""
    told = [tuple(head)]
    lines = [[*told[0]], ["---"] * len(told[0]), *map(list, rows)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _ran(result: Any) -> tuple[str, ...]:
    if result.skipped:
        return result.leg.name, "", _NO_PYTHON.format(result.skipped), ""
    counts = ", ".join(f"{count} {name}" for name, count in result.counts.items())
    said = f"**fails**, which it may: {_ended(result.failure)}"
    ended = said if result.failure else counts
    return result.leg.name, result.python, ended, f"{result.seconds:.0f}"


def _ended(failure: str) -> str:
    """Return how a leg failed; what an installer says is of this machine, too."""
    last = (failure.strip().splitlines() or [""])[-1]
    counts = _FAILED.search(last)
    return counts[0] if counts else "cannot be installed"


def _reasons(results: Iterable[Any]) -> list[str]:
    """Return why tests were skipped, and in which legs."""
    legs: dict[str, list[str]] = {}
    for result in results:
        for why in result.skips:
            legs.setdefault(why, []).append(result.leg.name)
    if not legs:
        return []
    rows = ((why, ", ".join(names)) for why, names in sorted(legs.items()))
    return ["## Why tests were skipped\n", table(("reason", "legs"), rows)]


def _partly(results: Iterable[Any], packages: Sequence[str]) -> str:
    """Return the versions of packages in those legs that have some of them."""
    having = (it for it in results if {*packages} & {*it.versions})
    return table(("leg", *packages), (_found(it, packages) for it in having))


def _found(result: Any, packages: Sequence[str]) -> tuple[str, ...]:
    return (result.leg.name, *(result.versions.get(it, "") for it in packages))
