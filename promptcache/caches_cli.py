"""The commands about Gemini's cached contents: what lives, for how long, and whose.

Rule 1: what this tool did not make is left alone, unless that is asked for.
Rule 2: rows go to standard output, whatever fails to standard error.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, NoReturn

import orjson
import typer
from rich.console import Console

from promptcache.caches_table import Shown, moment, money, short
from promptcache.clock import SystemClock
from promptcache.errors import OptionError, StoreError
from promptcache.factsfile import read_facts
from promptcache.holdings import read_secret
from promptcache.providers.gemini.own_client import own_client
from promptcache.providers.gemini.remote import GenaiRemote, Remote, RemoteError
from promptcache.providers.gemini.standing import Deed, Row, compared
from promptcache.providers.gemini.sweep import Sweeper
from promptcache.state.opening import open_store
from promptcache.state.stores import Store
from promptcache.terminal import say
from promptcache.ttl import read_seconds

__all__ = ["caches"]

_INDENT = orjson.OPT_INDENT_2
_WIDTH = 100
"""Columns where the output is no terminal."""

_UNSIGNED = "DefaultCredentialsError"
"""What `google-auth` raises, which need not be there."""

_USAGE = 2
_KEY_REFUSED = frozenset({401, 403})
_NO_PACKAGE = (
    "`google-genai` is not installed: pip install 'promptcache[langchain-google]' or "
    "'promptcache[llamaindex-google]'."
)
_NO_KEY = (
    "No key for Gemini: set GEMINI_API_KEY, or GOOGLE_GENAI_USE_VERTEXAI=true with "
    "GOOGLE_CLOUD_PROJECT and GOOGLE_CLOUD_LOCATION."
)
_DEEDS: Mapping[str, str] = {
    "adopted": "adopt",
    "deleted": "delete",
    "dropped": "forget",
    "left": "leave",
}

StoreUrl = Annotated[
    str,
    typer.Option(
        "--store",
        help="URL of the store; else the file in the user's cache directory.",
    ),
]
Name = Annotated[str, typer.Argument(help="Its name, or the last part of that.")]
Force = Annotated[
    bool, typer.Option("--force", help="Even if this tool has not made it.")
]

caches = typer.Typer(
    help="Show, extend and delete Gemini's cached contents, and sweep orphans.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class _NoProviderError(Exception):
    """The provider cannot be asked; says why, and what to exit with."""

    def __init__(self, why: str, *, code: int) -> None:
        super().__init__(why)
        self.code = code


@dataclass(frozen=True, slots=True)
class _Desk:
    """What a command works with."""

    store: Store
    secret: bytes | None
    clock: SystemClock
    facts: Mapping[str, Mapping[str, Any]]

    def sweeper(self, remote: Remote) -> Sweeper:
        return Sweeper(self.store, remote, clock=self.clock, secret=self.secret)

    def shown(self, rows: Sequence[Row]) -> Shown:
        return Shown(rows, at=self.clock.now(), facts=self.facts)


@caches.command("ls")
def show(
    *,
    store: StoreUrl = "sqlite://",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON list of rows.")
    ] = False,
) -> None:
    """Show what lives, since when, until when, what it costs and what it saved."""
    with _desk(store) as desk:
        failure = None
        try:
            with _remote() as remote:
                rows = desk.sweeper(remote).standing()
        except _NoProviderError as error:
            failure = error
            stored = desk.store.handles(now=desk.clock.now())
            rows = compared(None, stored, fleet="", scope=None)
        if as_json:
            typer.echo(orjson.dumps(desk.shown(rows).as_dicts(), option=_INDENT))
        else:
            _print_table(rows, desk)
        if failure is not None:
            say(f"Only what the store has is shown. {failure}", err=True)
            raise typer.Exit(failure.code)


@caches.command()
def extend(
    name: Name,
    *,
    ttl: Annotated[
        str, typer.Option(help="How long it is to live from now, such as 90s, 30m, 1h.")
    ],
    force: Force = False,
    store: StoreUrl = "sqlite://",
) -> None:
    """Let a cached content live longer."""
    try:
        seconds = read_seconds(ttl)
    except OptionError as error:
        raise typer.BadParameter(str(error), param_hint="--ttl") from error
    with _desk(store) as desk, _provider() as remote:
        sweeper = desk.sweeper(remote)
        row = _found(sweeper.standing(), name)
        if not (force or row.state == "known"):
            _check_made_here(row)
        if row.state == "known":
            _check_is_here(row)
        elif row.held is None:
            _stop(f"{row.name} is not at the provider; `sweep` settles that.")
        now = desk.clock.now()
        if row.expires_at >= now + seconds:
            until = moment(row.expires_at, at=now)
            say(f"{row.name} lives until {until} anyway.")
            return
        held = sweeper.extend(row, seconds=seconds)
        if held is None:
            _stop(f"A worker is at {row.name}; try again.")
        usd = money(row.usd_per_hour(at=now, facts=desk.facts))
        until = moment(held.expires_at, at=now)
        say(f"{row.name} lives until {until} and costs {usd} an hour.")


@caches.command()
def delete(name: Name, *, force: Force = False, store: StoreUrl = "sqlite://") -> None:
    """Delete a cached content."""
    with _desk(store) as desk, _provider() as remote:
        sweeper = desk.sweeper(remote)
        row = _found(sweeper.standing(), name)
        if not force:
            _check_made_here(row)
        if row.state == "known":
            _check_is_here(row)
        if not sweeper.delete(row):
            _stop(f"A worker is at {row.name}; try again.")
        was = "was gone already" if row.held is None else "is deleted"
        say(f"{row.name} {was}.")


@caches.command()
def sweep(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Delete what other fleets made, too.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask about --all.")] = False,
    store: StoreUrl = "sqlite://",
) -> None:
    """Adopt or delete what a crash has left, and forget what is gone."""
    with _desk(store) as desk, _provider() as remote:
        sweeper = desk.sweeper(remote)
        strange = _foreign(sweeper.standing()) if everything else []
        names = [row.name for row in strange]
        if dry_run:
            for deed in sweeper.planned(foreign=names):
                say(f"would {_DEEDS[deed.what]} {deed.name}: {deed.why}")
            return
        if strange and not yes:
            _confirm(strange)
        # Not what has come since that was confirmed.
        deeds = sweeper.sweep(foreign=names)
        desk.store.sweep(now=desk.clock.now())
    _print_deeds(deeds)


@contextmanager
def _desk(url: str) -> Iterator[_Desk]:
    """Open a store, and say in a sentence what is wrong with it."""
    try:
        facts = read_facts(os.environ.get("PROMPTCACHE_FACTS"))
        secret, store = read_secret(None), open_store(url)
    except OptionError as error:
        raise typer.BadParameter(str(error)) from error
    except ImportError as error:
        _stop(str(error))
    try:
        yield _Desk(store, secret, SystemClock(), facts)
    except StoreError as error:
        _stop(str(error))
    finally:
        store.close()


@contextmanager
def _provider() -> Iterator[Remote]:
    """Reach the provider, or say in a sentence why that fails."""
    try:
        with _remote() as remote:
            yield remote
    except _NoProviderError as error:
        _stop(str(error), code=error.code)


@contextmanager
def _remote() -> Iterator[Remote]:
    """Reach the provider as `google.genai.Client()` does.

    Raises:
        _NoProviderError: It cannot be asked, or refuses.
    """
    try:
        client = own_client({})
    except ImportError as error:
        raise _NoProviderError(_NO_PACKAGE, code=1) from error
    except Exception as error:
        is_unsigned = type(error).__name__ == _UNSIGNED
        if not is_unsigned and not isinstance(error, ValueError):
            raise
        raise _NoProviderError(_NO_KEY, code=_USAGE) from error
    remote = GenaiRemote(client._api_client)  # noqa: SLF001 - it has no public name
    client.close()
    try:
        yield remote
    except RemoteError as error:
        raise _failed(error, remote) from error
    finally:
        remote.close()


def _failed(error: RemoteError, remote: Remote) -> _NoProviderError:
    said = f"({error.status}): {error.message}"
    if error.status is None:
        is_unsigned = _UNSIGNED in error.message
        why = f"Gemini cannot be reached as {remote.scope}: {error.message}."
        return _NoProviderError(
            _NO_KEY if is_unsigned else why, code=_USAGE if is_unsigned else 1
        )
    if error.kind == "gone":
        return _NoProviderError(f"Gemini has it no more {said}", code=1)
    # A wrong key is an invalid argument on the Developer API.
    if error.status in _KEY_REFUSED or "api key" in error.message.lower():
        return _NoProviderError(f"Gemini refuses the key {said}", code=1)
    return _NoProviderError(f"Gemini refuses {said}", code=1)


def _found(rows: Sequence[Row], name: str) -> Row:
    found = [row for row in rows if name in (row.name, short(row.name))]
    if not found:
        _stop(f"There is no cached content {name}.")
    return found[0]


def _check_made_here(row: Row) -> None:
    if row.state == "pending":
        _stop(f"{row.name} is being created; `sweep` settles it if its maker is dead.")
    if not row.is_ours:
        _stop(f"{row.name} was not made here; --force takes it all the same.")


def _check_is_here(row: Row) -> None:
    if row.held is None:
        _stop(f"{row.name} is of another key or server.")


def _foreign(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if row.state == "foreign"]


def _confirm(foreign: Sequence[Row]) -> None:
    for row in foreign:
        say(f"{row.name} was made by {row.owner} of another fleet.")
    typer.confirm(f"Delete {len(foreign)} of other fleets?", abort=True)


def _print_deeds(deeds: Sequence[Deed]) -> None:
    for deed in deeds:
        say(f"{deed.what} {deed.name}: {deed.why}", err=deed.what == "failed")
    if not deeds:
        say("Nothing to sweep.")
    if any(deed.what == "failed" for deed in deeds):
        raise typer.Exit(1)


def _print_table(rows: Sequence[Row], desk: _Desk) -> None:
    if not rows:
        say("There are no cached contents.")
        return
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    console.print(desk.shown(rows).table())
    orphans = sum(row.state == "orphan" for row in rows)
    if orphans:
        say(f"Orphans: {orphans}; `promptcache caches sweep` settles them.")


def _stop(sentence: str, *, code: int = 1) -> NoReturn:
    say(sentence, err=True)
    raise typer.Exit(code)
