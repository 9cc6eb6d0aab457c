"""The `promptcache` command.

Rule 1: a subcommand is one row of `COMMANDS`.
Rule 2: what a subcommand needs is imported when it runs, and a missing extra is one
sentence with the command that installs it.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from importlib import import_module, metadata
from types import FunctionType
from typing import Annotated, Any

__all__ = ["COMMANDS", "Command", "main"]


@dataclass(frozen=True, slots=True)
class Command:
    """A subcommand, known by where its function stands."""

    function: str
    """`module:name` of the function whose signature typer reads, or of a `Typer` with
    subcommands of its own."""
    extra: str
    """The extra that installs all that the function needs."""
    summary: str
    """Its line in `promptcache --help`."""


COMMANDS: Mapping[str, Command] = {
    "demo": Command(
        "promptcache.demo.cli:demo",
        extra="all",
        summary="Compare the bill and the waiting time with and without the plugin.",
    ),
    "emulate": Command(
        "promptcache.emulator.cli:emulate",
        extra="emulator",
        summary="Serve the provider's API and its caching rules on this machine.",
    ),
    "estimate": Command(
        "promptcache.analysis.estimate_cli:estimate",
        extra="cli",
        summary="Reckon what a prompt prefix costs with caching and without.",
    ),
    "explain": Command(
        "promptcache.analysis.explain.cli:explain",
        extra="cli",
        summary="Say what would be decided on requests and why, and what that costs.",
    ),
    "probe": Command(
        "promptcache.analysis.probe.cli:probe",
        extra="langchain-anthropic",
        summary="Ask a provider with a real key what its documents leave open.",
    ),
    "replay": Command(
        "promptcache.analysis.replay.cli:replay",
        extra="cli",
        summary="Say what recorded traffic would have cost under each policy.",
    ),
    "doctor": Command(
        "promptcache.doctor_cli:doctor",
        extra="cli",
        summary="Show what is installed, what is active, and why not.",
    ),
    "report": Command(
        "promptcache.analysis.report.cli:report",
        extra="cli",
        summary="Show what receipts in files say, as a table, as JSON or as a page.",
    ),
    "caches": Command(
        "promptcache.caches_cli:caches",
        extra="cli",
        summary="Show, extend and delete Gemini's cached contents, and sweep orphans.",
    ),
}


def main() -> None:
    """Run the command line."""
    with _needs("cli", "promptcache"):
        app = _app()
    app(prog_name="promptcache")


def _app() -> Callable[..., Any]:
    # Imported here so that `main` can say what to install when it is missing.
    import typer  # noqa: PLC0415
    from typer.core import TyperCommand  # noqa: PLC0415

    class Deferred(TyperCommand):
        """A subcommand that becomes the real one when it is invoked."""

        def make_context(self, *args: Any, **kwargs: Any) -> Any:
            found = _load(str(self.name))
            if not isinstance(found, typer.Typer):
                alone = typer.Typer(add_completion=False)
                alone.command(self.name)(found)
                found = alone
            return typer.main.get_command(found).make_context(*args, **kwargs)

    def show_version(wanted: bool) -> None:  # noqa: FBT001  typer passes the value
        if wanted:
            typer.echo(f"promptcache {metadata.version('promptcache')}")
            raise typer.Exit

    app = typer.Typer(
        help="Plan, watch and rehearse prompt caching.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )

    @app.callback()
    def options(
        *,
        version: Annotated[
            bool,
            typer.Option(
                "--version",
                callback=show_version,
                is_eager=True,
                help="Show the version and exit.",
            ),
        ] = False,
    ) -> None: ...

    for name, command in COMMANDS.items():
        app.command(name, help=command.summary, cls=Deferred)(lambda: None)
    return app


def _load(name: str) -> Callable[..., Any]:
    command = COMMANDS[name]
    module, _, attribute = command.function.partition(":")
    with _needs(command.extra, f"promptcache {name}"):
        function: Callable[..., Any] = getattr(import_module(module), attribute)
    if not isinstance(function, FunctionType):
        return function

    @wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        with _needs(command.extra, f"promptcache {name}"):
            return function(*args, **kwargs)

    return guarded


@contextmanager
def _needs(extra: str, what: str) -> Iterator[None]:
    """Turn a missing dependency into a sentence and exit code 1."""
    try:
        yield
    except ImportError as error:
        missing = error.__cause__ if error.name is None else error
        if not isinstance(missing, ModuleNotFoundError) or _is_ours(missing):
            raise
        raise SystemExit(
            f"`{what}` needs the `{extra}` extra, as `{missing.name}` is not "
            f"installed: pip install 'promptcache[{extra}]'"
        ) from None


def _is_ours(error: ModuleNotFoundError) -> bool:
    root = (error.name or "").partition(".")[0]
    return root == "promptcache" or root.endswith("_promptcache")
