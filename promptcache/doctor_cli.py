"""The command that shows what is installed, what is active, and why not."""

from typing import Annotated

import orjson
import typer

from promptcache.doctor import Finding, findings
from promptcache.terminal import say

__all__ = ["doctor"]

_INDENT = orjson.OPT_INDENT_2

_SIGNS = {"active": "ok", "inactive": "NOT ACTIVE", "missing": "-", "info": ""}


def doctor(
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON list of rows.")
    ] = False,
) -> None:
    """Show what is installed, what is active, and why not; nothing is created.

    The exit code is 0 if all that is installed is active, and 1 otherwise.
    """
    rows = findings()
    if as_json:
        found = orjson.dumps([row.as_dict() for row in rows], option=_INDENT)
        typer.echo(found)
    else:
        say("\n".join(_lines(rows)))
    if any(row.state == "inactive" for row in rows):
        raise typer.Exit(1)


def _lines(rows: list[Finding]) -> list[str]:
    width = max(len(_title(row)) for row in rows)
    lines = []
    for row in rows:
        parts = [_SIGNS[row.state], row.why or ""]
        if row.fix is not None:
            parts.append(row.fix)
        text = ": ".join(part for part in parts if part)
        lines.append(f"{_title(row):<{width}}  {text}".rstrip())
    return lines


def _title(row: Finding) -> str:
    return row.name if row.version is None else f"{row.name} {row.version}"
