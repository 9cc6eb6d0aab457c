"""What a planner of OpenAI's caching needs to meet its judge without HTTP."""

from collections.abc import Iterable, Mapping
from typing import Any

from promptcache.emulator.rules.openai import (
    Accepted,
    Verdict,
    accepted,
    machine_for,
    route,
    verdict_on,
)
from promptcache.emulator.rules.openai_entries import Entry, InputUsage
from promptcache.emulator.rules.openai_rejection import OpenAIRejectedError
from promptcache.emulator.rules.openai_settings import OpenAISettings
from promptcache.emulator.rules.openai_turns import Api
from promptcache.providers.openai import CHAT, RESPONSES

__all__ = ["PROVIDERS", "FakeClock", "NoPrices", "Server", "bill", "refusal", "told"]

PROVIDERS = {"chat": CHAT, "responses": RESPONSES}

Where = tuple[bytes, int]
"""Route and machine."""


class FakeClock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        """Begin at any time."""
        self.time = 1_000.0

    def now(self) -> float:
        """Return the time."""
        return self.time

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.time += seconds


class NoPrices:
    """Knows no price."""

    def cost(self, *_: Any, **__: Any) -> None:
        """Return what a request cost."""


class Server:
    """The judge, with what it keeps."""

    def __init__(self, settings: OpenAISettings | None = None) -> None:
        """Keep nothing yet."""
        self.settings = settings or OpenAISettings()
        self.machines: dict[Where, dict[bytes, Entry]] = {}
        self._starts: dict[bytes, list[list[float]]] = {}

    def ask(
        self, api: Api, body: Mapping[str, Any], now: float
    ) -> tuple[Accepted, Verdict, Where]:
        """Return a request as it is rendered, the verdict, and who took it.

        Raises:
            OpenAIRejectedError: It is refused.
        """
        request = accepted(api, body, self.settings)
        taken = route(request, self.settings)
        starts = self._starts.setdefault(taken, [])
        number = machine_for(starts, request, now=now, settings=self.settings)
        starts.extend([] for _ in range(number + 1 - len(starts)))
        kept = self.settings.requests_per_minute - 1
        starts[number] = [*starts[number][-kept:], now]
        entries = self.machines.setdefault((taken, number), {})
        verdict = verdict_on(request, entries, now=now, settings=self.settings)
        for entry in (*verdict.refreshed, *verdict.written):
            entries[entry.key] = entry
        return request, verdict, (taken, number)

    def could_read(self, request: Accepted, left: Iterable[Entry], now: float) -> int:
        """Return the tokens of the longest prefix that was left, marked or not."""
        entries = {it.key: it for it in left if now < min(it.expires, it.dies)}
        if not request.facts.breakpoints:
            found = verdict_on(request, entries, now=now, settings=self.settings)
            return found.usage.read
        positions = request.prompt.positions
        return max((it.tokens for it in positions if it.key in entries), default=0)


def refusal(
    api: Api, body: Mapping[str, Any], settings: OpenAISettings
) -> OpenAIRejectedError | None:
    """Return how a request is refused, if it is."""
    try:
        accepted(api, body, settings)
    except OpenAIRejectedError as error:
        return error
    return None


def told(api: Api, used: InputUsage) -> dict[str, Any]:
    """Return the usage of a prompt as an answer tells it."""
    names = ("prompt_tokens", "prompt_tokens_details")
    if api == "responses":
        names = ("input_tokens", "input_tokens_details")
    details = {"cached_tokens": used.read, "cache_write_tokens": used.written}
    return dict(zip(names, (used.total, details), strict=True))


def bill(used: InputUsage, *, read: float = 0.1) -> float:
    """Return the price of a prompt, in the price of an input token."""
    return used.uncached + read * used.read + 1.25 * used.written
