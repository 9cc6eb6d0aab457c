"""Conversations that a test steers, whatever the provider."""

from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

__all__ = ["EMOJI", "Exchange", "Talk", "tool"]

EMOJI = "\u202eGrüße \U0001f9ea\t\\\"'</script>"


@dataclass
class Exchange:
    """A question, and what the model answered to it."""

    question: list[str]
    is_list: bool = False
    has_image: bool = False
    answer: str | None = None
    calls: list[str] = field(default_factory=list)
    """Ids of the tools that were called; their results come with the next question."""
    result: str = "done"


@dataclass
class Talk:
    """A conversation and whose it is."""

    model: str
    tenant: str | None
    name: str | None
    tools: list[dict[str, Any]]
    system: list[str]
    exchanges: list[Exchange] = field(default_factory=list)
    answered: str | None = None
    """The id of the last answer, where the provider keeps it."""
    kept: int = 0
    """Exchanges that the provider keeps with it."""
    marks: list[tuple[int, Any]] = field(default_factory=list)
    """Where the caller sets markers, counted from any place, and what they say."""
    automatic: Any = None
    """What the caller says of caching for the whole request."""

    def branch(self, length: int) -> "Talk":
        """Return another conversation that begins as this one does."""
        made = deepcopy(self)
        made.exchanges = made.exchanges[:length]
        made.forget()
        return made

    def forget(self) -> None:
        """Let go of what the provider keeps: the past is another one now."""
        self.answered, self.kept = None, 0


def tool(name: str, size: int) -> dict[str, Any]:
    """Return a tool with a description of so many words."""
    schema = {
        "type": "object",
        "properties": {"z": {"type": "string"}, "a": {"type": "integer"}},
    }
    words = f"{name} " + "look " * size
    return {"name": name, "description": words, "schema": schema}
