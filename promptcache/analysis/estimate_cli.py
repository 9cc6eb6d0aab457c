"""The command that reckons what a prefix costs, before anybody sends it."""

from typing import Annotated

import orjson
import typer

from promptcache.analysis.estimate import estimate as estimated
from promptcache.errors import OptionError
from promptcache.terminal import say

__all__ = ["estimate"]

_USAGE = 2


def estimate(
    model: Annotated[str, typer.Argument(help="As requests spell it.")],
    *,
    prefix: Annotated[int, typer.Option(help="Tokens that all requests begin with.")],
    tail: Annotated[int, typer.Option(help="Tokens of each request after that.")] = 0,
    output: Annotated[int, typer.Option(help="Tokens of each answer.")] = 0,
    requests: Annotated[int, typer.Option(help="How many there are.")] = 10,
    ttl: Annotated[
        str | None,
        typer.Option(help="How long it is kept, as 5m; else the provider's first."),
    ] = None,
    every: Annotated[
        str | None,
        typer.Option(
            help="From one request to the next, as 90, 90s or 10m; else they come in "
            "time."
        ),
    ] = None,
    provider: Annotated[
        str | None, typer.Option(help="anthropic, google or openai; else by the name.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON list of one row.")
    ] = False,
) -> None:
    """Reckon what a prompt prefix costs with caching and without."""
    try:
        found = estimated(
            model,
            prefix,
            tail,
            output,
            requests,
            ttl,
            every=_gap(every),
            provider=provider,
        )
    except OptionError as error:
        say(str(error), err=True)
        raise typer.Exit(_USAGE) from None
    if as_json:
        typer.echo(orjson.dumps([found.as_dict()], option=orjson.OPT_INDENT_2))
    else:
        say(str(found))


def _gap(every: str | None) -> str | float | None:
    """Return a time that may be seconds without a unit."""
    if every is None:
        return None
    try:
        return float(every)
    except ValueError:
        return every
