"""The command that runs the emulator until it is interrupted."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from promptcache.emulator import Emulator, OpenAISettings, Settings
from promptcache.errors import OptionError
from promptcache.providers.anthropic.facts import LOOKBACK
from promptcache.providers.openai.facts import LATEST_BREAKPOINTS, REQUESTS_PER_MINUTE
from promptcache.terminal import say

__all__ = ["emulate"]

STOPS = (signal.SIGINT, signal.SIGTERM)


def emulate(  # each is an option of the command
    *,
    port: Annotated[int, typer.Option(help="Port; 0 for any free one.")] = 8089,
    speed: Annotated[
        float, typer.Option(help="Emulated seconds per real second; 0 stands still.")
    ] = 1.0,
    ready_file: Annotated[
        Path | None, typer.Option(help="Write the URL here once requests are served.")
    ] = None,
    platform: Annotated[
        str, typer.Option(help="Platform whose limits apply.")
    ] = "anthropic",
    lookback: Annotated[
        int, typer.Option(help="Positions searched per breakpoint.")
    ] = LOOKBACK,
    reading: Annotated[
        str, typer.Option(help="ent: entries live by their own ttl; seg: by segment.")
    ] = "ent",
    parameters: Annotated[
        str, typer.Option(help="Invalidation table: documented or measured.")
    ] = "documented",
    latest_breakpoints: Annotated[
        int, typer.Option(help="OpenAI: latest explicit breakpoints looked up.")
    ] = LATEST_BREAKPOINTS,
    key_partitions: Annotated[
        bool, typer.Option(help="OpenAI: whether another key shares no cache.")
    ] = True,
    overflow: Annotated[
        str,
        typer.Option(help="OpenAI: models that overflow: matched, all or none."),
    ] = "matched",
    requests_per_minute: Annotated[
        int, typer.Option(help="OpenAI: requests that one machine takes.")
    ] = REQUESTS_PER_MINUTE,
) -> None:
    """Run a local server with the providers' APIs and caching rules."""
    try:
        settings = Settings(
            host=platform,
            lookback=lookback,
            reading=reading,  # type: ignore[arg-type]
            parameters=parameters,  # type: ignore[arg-type]
        )
        openai = OpenAISettings(
            latest_breakpoints=latest_breakpoints,
            key_partitions=key_partitions,
            overflow=overflow,  # type: ignore[arg-type]
            requests_per_minute=requests_per_minute,
        )
        emulator = Emulator(port=port, speed=speed, settings=settings, openai=openai)
    except OptionError as error:
        raise typer.BadParameter(str(error)) from error
    with _stop_signal() as stopped, emulator:
        say(f"The emulator listens on {emulator.url}; stop it with Ctrl+C.")
        say(f"ANTHROPIC_BASE_URL={emulator.url}")
        say(f"OPENAI_BASE_URL={emulator.url}/v1")
        say(f"GOOGLE_GEMINI_BASE_URL={emulator.url}")
        if ready_file is not None:
            ready_file.write_text(emulator.url, encoding="utf-8")
        stopped.wait()


@contextmanager
def _stop_signal() -> Iterator[threading.Event]:
    """Yield an event that is set by SIGINT or SIGTERM."""
    stopped = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: stopped.set()) for number in STOPS
    }
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
