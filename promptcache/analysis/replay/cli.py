"""The command that plays recorded traffic through.

Rule 1: rows go to standard output, whatever else is to be said to standard error.
"""

from pathlib import Path
from typing import Annotated, Literal

import orjson
import typer
from rich.console import Console

from promptcache.analysis.replay.pacing import Pace, Slice
from promptcache.analysis.replay.replaying import Format, Reading, Replay
from promptcache.analysis.replay.scene import scene_of
from promptcache.analysis.replay.table import table
from promptcache.analysis.replay.traces import UnreadableTraceError
from promptcache.errors import OptionError
from promptcache.terminal import say

__all__ = ["replay"]

_USAGE = 2
_WIDTH = 100
"""Columns where the output is no terminal."""

Mix = Literal["recorded:machine"]


def replay(
    path: Annotated[
        Path,
        typer.Argument(help="A trace: a file or a folder.", show_default=False),
    ],
    *,
    form: Annotated[
        Format, typer.Option("--format", help="What it is.", show_default=False)
    ],
    policy: Annotated[
        list[str] | None,
        typer.Option(
            help="auto, none, head (system and tools only), 5m, 1h, keep-warm, "
            "hindsight (the best fixed one for each session) or optimum; may be said "
            "several times; else all.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Whose rules hold; as requests spell it.")
    ] = None,
    read_price: Annotated[
        float | None,
        typer.Option(help="Price of a token that is read, in input tokens."),
    ] = None,
    reading: Annotated[
        Reading,
        typer.Option(
            help="Whether a prefix dies with the first of its tokens that does (seg), "
            "or lives by its last breakpoint (ent)."
        ),
    ] = "seg",
    policy_knows_reading: Annotated[
        bool, typer.Option("--policy-knows-reading", help="auto need not find out.")
    ] = False,
    keep_warm: Annotated[
        bool, typer.Option("--keep-warm", help="auto and optimum may ping.")
    ] = False,
    warmup: Annotated[
        float,
        typer.Option(
            min=0, help="Seconds at the beginning that are learned from, not billed."
        ),
    ] = 0.0,
    pace: Annotated[
        Pace, typer.Option(help="machine cuts gaps over 240 s to 60 s.")
    ] = "recorded",
    mix: Annotated[
        Mix | None,
        typer.Option(help="Every second session at a machine's pace."),
    ] = None,
    tenant_key: Annotated[
        bool, typer.Option("--tenant-key", help="The two paces are two tenants.")
    ] = False,
    part: Annotated[
        Slice, typer.Option("--slice", help="Which sessions, counted from 0.")
    ] = "all",
    gaps: Annotated[
        Path | None,
        typer.Option(help="CSV of gap quantiles, for messages without times."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON list of rows.")
    ] = False,
) -> None:
    """Say what recorded traffic would have cost under one policy or another."""
    try:
        replayed = Replay(
            path=path,
            form=form,
            scene=scene_of(model, read_price),
            policies=policy or (),
            reading=reading,
            knows_reading=policy_knows_reading,
            keep_warm=keep_warm,
            warmup=warmup,
            pace=pace,
            mixed=mix is not None,
            by_tenant=tenant_key,
            part=part,
            gaps=gaps,
        )
        rows = replayed.rows()
    except OptionError as error:
        say(str(error), err=True)
        raise typer.Exit(_USAGE) from None
    except UnreadableTraceError as error:
        say(str(error), err=True)
        raise typer.Exit(1) from None
    if as_json:
        figures = [row.as_dict() for row in rows]
        typer.echo(orjson.dumps(figures, option=orjson.OPT_INDENT_2))
    else:
        console = Console()
        if not console.is_terminal:
            console = Console(width=_WIDTH)
        console.print(table(rows))
    for note in replayed.notes:
        say(note, err=True)
