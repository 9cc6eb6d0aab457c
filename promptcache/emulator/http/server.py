"""The emulator as a server in a thread of its own."""

import asyncio
import socket
import threading
from types import TracebackType
from typing import Any

import uvicorn

from promptcache.emulator.answers import Answers
from promptcache.emulator.clock import EmulatorClock
from promptcache.emulator.faults import Faults
from promptcache.emulator.gemini_cache import CacheRow
from promptcache.emulator.http.app import build_app
from promptcache.emulator.ledger import LedgerRow
from promptcache.emulator.machine import Machine, Pace
from promptcache.emulator.rules.gemini_settings import GeminiSettings
from promptcache.emulator.rules.openai_settings import OpenAISettings
from promptcache.emulator.rules.settings import Settings
from promptcache.errors import OptionError

__all__ = ["Emulator"]

HOST = "127.0.0.1"
START_SECONDS = 10.0
DRAIN_SECONDS = 1


class Emulator:
    """A local server that speaks a provider's API with its caching rules.

    It listens on the loopback interface only. Nothing leaves the machine and no key is
    needed: any non-empty one is accepted, and a key `ws-NAME-...` belongs to the
    workspace NAME.

    Example:
        ```python
        with Emulator() as emulator:
            client = anthropic.Anthropic(base_url=emulator.url, api_key="any")
            ...
            emulator.clock.advance(301)
            print(emulator.ledger)
        ```
    """

    def __init__(  # each is a plain number with a default
        self,
        *,
        port: int = 0,
        speed: float = 0.0,
        clock: EmulatorClock | None = None,
        settings: Settings | None = None,
        openai: OpenAISettings | None = None,
        gemini: GeminiSettings | None = None,
        first_byte_seconds: float = 0.4,
        prefill_tokens_per_second: float = 8000.0,
        tokens_per_second: float = 80.0,
    ) -> None:
        """Prepare a server; it listens once started.

        Args:
            port: Where to listen; 0 for any free port.
            speed: 0 for a clock that stands still until it is advanced, 1 for real
                time, 5 for five times real time.
            clock: One of your own, which has its own speed; None makes one.
            settings: The choices where sources leave a rule of Anthropic open.
            openai: The choices where they leave one of OpenAI open.
            gemini: The choices where they leave one of Gemini open.
            first_byte_seconds: Time to the first byte of an answer, prefill aside.
            prefill_tokens_per_second: Pace of the input that is not read from cache.
            tokens_per_second: Pace of the output.

        Raises:
            OptionError: A speed is given beside a clock, or is negative.
        """
        if clock is not None and speed:
            raise OptionError("speed", speed, "none where a clock is given")
        pace = Pace(
            first_byte_seconds=first_byte_seconds,
            prefill_tokens_per_second=prefill_tokens_per_second,
            tokens_per_second=tokens_per_second,
        )
        self._machine = Machine(
            settings=settings or Settings(),
            clock=clock or EmulatorClock(speed=speed),
            pace=pace,
            openai=openai,
            gemini=gemini,
        )
        self._port = port
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> "Emulator":  # noqa: PYI034  # Python 3.10 has no `Self`
        """Start the server."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the server."""
        self.stop()

    @property
    def url(self) -> str:
        """Where the server listens, to be used as a client's base URL."""
        return f"http://{HOST}:{self._port}"

    @property
    def clock(self) -> EmulatorClock:
        """The emulator's time, to be advanced or passed on as a `Clock`."""
        return self._machine.clock

    @property
    def settings(self) -> Settings:
        """The choices this emulator was made with, for Anthropic."""
        return self._machine.settings

    @property
    def openai_settings(self) -> OpenAISettings:
        """The choices this emulator was made with, for OpenAI."""
        return self._machine.openai.settings

    @property
    def gemini_settings(self) -> GeminiSettings:
        """The choices this emulator was made with, for Gemini."""
        return self._machine.gemini.settings

    @property
    def caches(self) -> list[CacheRow]:
        """Gemini's cached contents so far, as their storage would be billed."""
        return self._machine.gemini.rows(self._machine.clock.now())

    @property
    def storage_token_hours(self) -> float:
        """Tokens of all of them, each times the hours that are billed for it."""
        return sum(row.token_hours for row in self.caches)

    @property
    def ledger(self) -> list[LedgerRow]:
        """The requests so far, as the provider would bill them."""
        return self._machine.ledger.rows()

    @property
    def answers(self) -> Answers:
        """What the model is to say next."""
        return self._machine.answers

    @property
    def faults(self) -> Faults:
        """What is to go wrong next."""
        return self._machine.faults

    def reset(self) -> None:
        """Forget the cache, the ledger, answers and faults; the clock goes on."""
        self._machine.reset()

    def start(self) -> None:
        """Listen, and return once requests are served; a second call does nothing.

        Raises:
            OSError: The port is taken.
            RuntimeError: The server did not come up.
        """
        if self._server is not None:
            return
        listener = socket.create_server((HOST, self._port), backlog=1024)
        # Else each answer waits some 40 ms for the client's delayed acknowledgment.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._port = listener.getsockname()[1]
        server = _Server(_config(build_app(self._machine)))
        thread = threading.Thread(
            target=_serve, args=(server, listener), name="emulator", daemon=True
        )
        thread.start()
        self._server, self._thread = server, thread
        if not server.settled.wait(START_SECONDS) or not server.started:
            self.stop()
            msg = "The emulator did not start."
            raise RuntimeError(msg)

    def stop(self) -> None:
        """Close all connections and end the thread; a second call does nothing."""
        server, thread = self._server, self._thread
        self._server = self._thread = None
        if server is not None and thread is not None:
            server.should_exit = True
            thread.join()


def _config(app: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="h11",
        loop="asyncio",
        lifespan="off",
        ws="none",
        log_config=None,
        log_level="critical",
        access_log=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )


class _Server(uvicorn.Server):
    """A server that says when it has come up, or has failed to."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.settled = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.settled.set()


def _serve(server: _Server, listener: socket.socket) -> None:
    try:
        with listener:
            asyncio.run(server.serve(sockets=[listener]))
    finally:
        server.settled.set()
