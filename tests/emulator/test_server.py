"""The server around the rules: threads, life and the command."""

import builtins
import importlib
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import anthropic
import httpx
import pytest
import typer
from typer.testing import CliRunner

import promptcache.emulator
from promptcache.emulator import Emulator, OpenAISettings
from promptcache.emulator.cli import emulate
from promptcache.emulator.clock import EmulatorClock
from promptcache.errors import OptionError

MARK = {"type": "ephemeral"}


def test_it_starts_and_stops_quickly():
    """It serves within a second and leaves no thread and no socket."""
    before = threading.active_count()
    started = time.perf_counter()
    emulator = Emulator()
    emulator.start()
    emulator.start()
    ready = time.perf_counter() - started
    answer = httpx.get(f"{emulator.url}/_emulator/clock")
    emulator.stop()
    emulator.stop()

    assert answer.status_code == 200
    assert ready < 1
    assert threading.active_count() == before
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{emulator.url}/_emulator/clock")


def test_it_listens_on_loopback_only(emulator):
    """The address is that of this machine for itself."""
    assert emulator.settings.host == "anthropic"
    assert emulator.url.startswith("http://127.0.0.1:")


def test_a_clock_of_ones_own():
    """The server goes by it, and takes no speed beside it."""
    clock = EmulatorClock(speed=2)
    with Emulator(clock=clock) as emulator:
        found = httpx.get(f"{emulator.url}/_emulator/clock").json()

    assert emulator.clock is clock
    assert found["speed"] == 2
    with pytest.raises(OptionError, match="speed"):
        Emulator(clock=clock, speed=5)


def test_reset_in_process(emulator, client, make):
    """The cache and the ledger are forgotten."""
    client.messages.create(**make(10, [10]))
    emulator.reset()
    client.messages.create(**make(10, [10]))

    assert [row.cache_read_input_tokens for row in emulator.ledger] == [0]


def test_64_threads(emulator, make):
    """64 threads get their own answers, and each request has its row."""

    def ask(number):
        with anthropic.Anthropic(base_url=emulator.url, api_key="any") as client:
            body = make(10, [10])
            body["messages"].append({"role": "assistant", "content": f"I am {number}"})
            emulator.answers.push(f"{number}", conversation=f"{number}")
            answer = client.messages.create(**body, metadata={"user_id": f"{number}"})
            return answer.content[0].text

    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(ask, range(64)))

    assert answers == [f"{number}" for number in range(64)]
    rows = emulator.ledger
    assert len({row.id for row in rows}) == 64
    assert all(row.total_input_tokens == rows[0].total_input_tokens for row in rows)


def test_parallel_requests_all_write(make):
    """Until the first response has begun, no other request can read its write."""
    pace = {"first_byte_seconds": 5, "tokens_per_second": 1e9}
    with Emulator(speed=10, **pace) as emulator:

        def ask(_):
            with anthropic.Anthropic(base_url=emulator.url, api_key="any") as client:
                usage = client.messages.create(**make(10, [10])).usage
                return usage.cache_creation_input_tokens

        with ThreadPoolExecutor(4) as pool:
            written = list(pool.map(ask, range(4)))
        after = ask(None)

    assert written == [1011] * 4
    assert after == 0


def test_the_pauses_are_real(make):
    """At speed 10 an answer takes a tenth of its emulated time."""
    with (
        Emulator(speed=10, tokens_per_second=10) as emulator,
        anthropic.Anthropic(base_url=emulator.url, api_key="any") as client,
    ):
        emulator.answers.push("x" * 79)
        started = time.perf_counter()
        with client.messages.stream(**make(1)) as stream:
            next(iter(stream))
            first = time.perf_counter() - started
            stream.until_done()
        took = time.perf_counter() - started
        (row,) = emulator.ledger

    assert first >= row.first_token_seconds / 10
    assert took >= row.total_seconds / 10


def test_the_missing_extra_is_named(monkeypatch):
    """Without the server's packages the import says what to install."""
    real = builtins.__import__

    def without(name, *arguments, **named):
        if name == "uvicorn":
            raise ImportError(name)
        return real(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", without)

    with pytest.raises(ImportError, match=r"pip install 'promptcache\[emulator\]'"):
        importlib.reload(promptcache.emulator)


def test_a_taken_port(emulator):
    """A port that is in use is an error of the socket, and no thread stays."""
    before = threading.active_count()

    with pytest.raises(OSError, match="in use"):
        Emulator(port=int(emulator.url.rpartition(":")[2])).start()
    assert threading.active_count() == before


def test_a_failed_start(monkeypatch):
    """A server that does not come up is an error, and no thread stays."""

    async def give_up(server, sockets=None):
        server.should_exit = True

    monkeypatch.setattr("uvicorn.Server.startup", give_up)
    before = threading.active_count()

    with pytest.raises(RuntimeError, match="did not start"):
        Emulator().start()
    assert threading.active_count() == before


def awaited(ready):
    until = time.monotonic() + 20
    while not (ready.exists() and ready.read_text()) and time.monotonic() < until:
        time.sleep(0.02)
    return ready.read_text()


@pytest.fixture
def command():
    made = typer.Typer()
    made.command("emulate")(emulate)
    return made


def test_the_command(tmp_path, command):
    """It says where it listens, writes the ready file and stops on Ctrl+C."""
    ready = tmp_path / "url"
    seen = []

    def look_and_stop():
        seen.append(httpx.get(f"{awaited(ready)}/_emulator/clock").json())
        os.kill(os.getpid(), signal.SIGINT)

    looking = threading.Thread(target=look_and_stop)
    looking.start()
    result = CliRunner().invoke(command, ["--port", "0", "--ready-file", str(ready)])
    looking.join()

    assert seen[0]["speed"] == 1.0
    assert f"ANTHROPIC_BASE_URL={ready.read_text()}\n" in result.output
    assert f"OPENAI_BASE_URL={ready.read_text()}/v1\n" in result.output
    assert result.exit_code == 0


def test_the_command_has_options_of_openai(command, monkeypatch):
    """What sources leave open about OpenAI can be chosen where it matters most."""
    stopped, made = threading.Event(), []
    stopped.set()
    monkeypatch.setattr(
        "promptcache.emulator.cli._stop_signal", lambda: nullcontext(stopped)
    )
    monkeypatch.setattr(
        "promptcache.emulator.cli.Emulator",
        lambda **fields: made.append(fields["openai"]) or Emulator(**fields),
    )
    options = ["--latest-breakpoints", "80", "--no-key-partitions"]
    options += ["--overflow", "all", "--requests-per-minute", "4"]

    result = CliRunner().invoke(command, ["--port", "0", *options])

    assert result.exit_code == 0
    assert made == [
        OpenAISettings(
            latest_breakpoints=80,
            key_partitions=False,
            overflow="all",
            requests_per_minute=4,
        )
    ]


def test_the_command_without_a_ready_file(command, monkeypatch):
    """The ready file is optional."""
    stopped = threading.Event()
    stopped.set()
    monkeypatch.setattr(
        "promptcache.emulator.cli._stop_signal", lambda: nullcontext(stopped)
    )

    assert CliRunner().invoke(command, ["--port", "0"]).exit_code == 0


@pytest.mark.parametrize("wrong", [["--reading", "both"], ["--speed", "-1"]])
def test_the_command_refuses(command, wrong):
    """A value outside of its choices is refused, naming them."""
    result = CliRunner().invoke(command, wrong)

    assert result.exit_code == 2
    assert "allowed" in result.output


def test_the_command_ends_on_sigterm(tmp_path):
    """A process of its own ends with status 0."""
    ready = tmp_path / "url"
    code = "import typer; from promptcache.emulator.cli import emulate as run; "
    arguments = ["--port", "0", "--ready-file", str(ready)]
    with subprocess.Popen(
        [sys.executable, "-c", f"{code}typer.run(run)", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        awaited(ready)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=10)

    assert "The emulator listens on http://127.0.0.1:" in said
    assert process.returncode == 0
