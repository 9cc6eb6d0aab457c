"""A talk that is held on any surface: one conversation, asked at recorded times."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel

from promptcache import PromptCache, Receipt
from promptcache.emulator import Emulator, Json, ToolCall

__all__ = ["MODELS", "How", "Path", "Talk", "Verdict"]

Path = Literal["invoke", "stream", "async", "structured", "agent"]
How = Literal["class", "handler"]

MODELS = {
    "anthropic": "claude-sonnet-5-5",
    "openai": "gpt-6.1-sol",
    "google": "gemini-3.8-flash",
}
SYSTEM = "You answer questions on a handbook. " + "Rule: be brief and kind. " * 1_000
TURNS = 6
PAUSE_S, LONG_PAUSE_S = 60, 7_200


class Verdict(BaseModel):
    """What a structured answer holds."""

    verdict: str


@dataclass
class Talk:
    """One talk on one surface."""

    provider: str
    path: Path
    how: How
    emulator: Emulator
    cache: PromptCache
    receipts: list[Receipt] = field(default_factory=list)
    """What the cache has settled so far."""

    @property
    def model(self) -> str:
        """The model to ask."""
        return MODELS[self.provider]

    @property
    def url(self) -> str:
        """The emulator's address."""
        return self.emulator.url

    @property
    def system(self) -> str:
        """What every prompt begins with."""
        return SYSTEM

    async def questions(self) -> AsyncIterator[str]:
        """Yield each question when its time has come."""
        for turn in range(TURNS + 1):
            if turn:
                # What is created at the provider is created beside the requests.
                await asyncio.to_thread(self._settle_down)
                last = turn == TURNS
                self.emulator.clock.advance(LONG_PAUSE_S if last else PAUSE_S)
            self._script(turn)
            yield f"What does rule {turn} say of guests who stay for {turn} nights?"

    async def in_thread(self, call: Callable[..., Any], *args: Any) -> Any:
        """Make a call that no loop may be running around."""
        return await asyncio.to_thread(call, *args)

    def _settle_down(self) -> None:
        if self.provider == "google":
            self.cache.keeper.idle()

    def _script(self, turn: int) -> None:
        answers = self.emulator.answers
        if self.path == "structured":
            answers.push(Json({"verdict": f"Rule {turn} says nothing."}))
            return
        if self.path == "agent":
            answers.push(ToolCall("search", {"query": f"guests {turn}"}))
        answers.push(f"Rule {turn} says nothing of that.")
