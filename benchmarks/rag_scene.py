"""One case of the benchmark on the embedded emulator: what is asked, and of whom."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from rag_data import Chat, Collection, Passage

from promptcache import PromptCache
from promptcache.emulator import Emulator, ToolCall

__all__ = ["MODELS", "How", "Scene"]

How = Literal["plain", "stock", "remedied"]

MODELS = {
    "anthropic": "claude-sonnet-5-5",
    "openai": "gpt-6.1-sol",
    "google": "gemini-3.8-flash",
}
PAUSE_S = 30
BETWEEN_CHATS_S = 60


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a case is played."""

    collection: Collection
    provider: str
    how: How
    emulator: Emulator
    cache: PromptCache
    """What the model is given as `prompt_cache`; it is off where `how` is `plain`."""

    @property
    def is_remedied(self) -> bool:
        """Tell whether the case is to use what this project offers against it."""
        return self.how == "remedied"

    @property
    def model(self) -> str:
        """The model to ask."""
        return MODELS[self.provider]

    @property
    def options(self) -> Mapping[str, Any]:
        """What either framework's class for the provider takes to ask the emulator."""
        return {"model": self.model, "prompt_cache": self.cache}

    def chats(self) -> Iterator[Chat]:
        """Yield the chats, one after the other."""
        for chat in self.collection.chats:
            yield chat
            self.pass_time(BETWEEN_CHATS_S)

    def questions(self, chat: Chat, *, tool: str | None = None) -> Iterator[str]:
        """Yield the questions of a chat, each when its time has come.

        Args:
            chat: The chat.
            tool: The tool that the model searches with before it answers.
        """
        for turn in chat.turns:
            if tool is not None:
                self.emulator.answers.push(_call(tool, turn.question))
            self.emulator.answers.push(turn.answer)
            yield turn.question
            self.pass_time(PAUSE_S)

    def search(
        self, query: str, k: int, among: tuple[Passage, ...] | None = None
    ) -> list[Passage]:
        """Return the passages that fit best, the best one first."""
        return self.collection.search(query, k, among)

    def pass_time(self, seconds: float) -> None:
        """Let time pass; what is created beside the requests is created before."""
        if self.provider == "google":
            self.cache.keeper.idle()
        self.emulator.clock.advance(seconds)


def _call(tool: str, question: str) -> ToolCall:
    return ToolCall(tool, {"query": question})
