"""The command that reports on files of receipts.

Rule 1: rows go to standard output, whatever else is to be said to standard error.
"""

import os
from pathlib import Path
from typing import Annotated, NoReturn

import orjson
import typer
from rich.console import Console

from promptcache.analysis.report.course import Course
from promptcache.analysis.report.files import ReceiptFiles, UnreadableError
from promptcache.analysis.report.page import Told, page
from promptcache.receipts import table
from promptcache.receipts.rows import Rows
from promptcache.terminal import say

__all__ = ["report"]

_INDENT = orjson.OPT_INDENT_2
_WIDTH = 100
"""Columns where the output is no terminal."""


def report(
    path: Annotated[
        Path,
        typer.Argument(
            help="A file that JsonlReceipts wrote, or a folder of them.",
            show_default=False,
        ),
    ],
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON list of rows.")
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", help="Write a page that stands alone to this file."),
    ] = None,
) -> None:
    """Show what receipts say was read, spent, saved and missed, and what to do."""
    files, rows = ReceiptFiles(path), Rows()
    course = None if html is None else Course()
    try:
        for entry in files:
            rows.add(entry)
            if course is not None:
                course.add(entry)
    except UnreadableError as error:
        _stop(str(error))
    if not files.read:
        _stop(_why_nothing(files))
    sums, advice = rows.to_dict(), rows.advice()
    if as_json:
        typer.echo(orjson.dumps(sums["rows"], option=_INDENT))
    else:
        _print_table(table.rich_view(sums, advice))
    if files.damaged:
        say(f"{_lines(files.damaged)} no receipt and left out.", err=True)
    if course is not None and html is not None:
        told = Told(path.name, sums, advice, course, files.damaged)
        _write(html, page(told))


def _print_table(view: object) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    console.print(view)


def _write(path: Path, text: str) -> None:
    try:
        # A page that is new is its writer's alone, as the receipts are.
        descriptor = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        _stop(f"{path} cannot be written: {error.strerror}.")
    say(f"The page is in {path}.", err=True)


def _why_nothing(files: ReceiptFiles) -> str:
    if files.damaged:
        return f"No line of {files.path} is a receipt."
    return f"There is no receipt in {files.path}."


def _lines(number: int) -> str:
    return "1 line was" if number == 1 else f"{number:,} lines were"


def _stop(sentence: str) -> NoReturn:
    say(sentence, err=True)
    raise typer.Exit(1)
