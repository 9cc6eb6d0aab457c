"""The command that says what would be decided on requests, and why."""

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from promptcache.analysis.explain.explaining import explain as explained
from promptcache.errors import OptionError
from promptcache.planning.policies import Policy
from promptcache.terminal import say

__all__ = ["explain"]

_USAGE = 2


def explain(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="A request body, or JSON lines of bodies or of OpenAI-style messages, "
            "each with its time in seconds as `at` if it has one.",
        ),
    ],
    *,
    model: Annotated[
        str | None, typer.Option(help="Instead of the one that bodies name.")
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="The platform; else the provider's own.")
    ] = None,
    ttl: Annotated[
        str | None, typer.Option(help="Of what is placed; else what pays.")
    ] = None,
    max_ttl: Annotated[
        str, typer.Option(help="The longest that is chosen: 5m or 1h.")
    ] = "1h",
    text: Annotated[
        bool, typer.Option("--text", help="Show how marked blocks begin.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON list of a row a request.")
    ] = False,
) -> None:
    """Say what would be decided on requests and why; nothing is sent.

    Requests in a file are planned one after the other, so that the later ones are
    planned by what the earlier ones have shown.
    """
    try:
        found = explained(
            _read(path),
            model=model,
            host=host,
            ttl=ttl,
            policy=Policy.auto(max_ttl),
            text=text,
        )
    except OptionError as error:
        say(str(error), err=True)
        raise typer.Exit(_USAGE) from None
    if as_json:
        typer.echo(orjson.dumps(found.as_dicts(), option=orjson.OPT_INDENT_2))
    else:
        say(str(found))


def _read(path: Path) -> Any:
    """Return what a file holds: one value, or a list of one a line.

    Raises:
        OptionError: It cannot be read, or is no JSON.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        allowed = "a file that can be read"
        raise OptionError("FILE", f"{path}: {error.strerror}", allowed) from error
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        pass
    rows = []
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip():
            continue
        try:
            rows.append(orjson.loads(line))
        except orjson.JSONDecodeError as error:
            where = f"{path}, line {number}"
            raise OptionError("FILE", where, "JSON, or JSON lines") from error
    return rows
