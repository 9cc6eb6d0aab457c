"""Where among LlamaIndex's spans a call is made: in which step, by which agent.

Rule 1: memory is bounded, also for spans whose end never comes.
Rule 2: of what a span is opened with only names are kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from inspect import BoundArguments
from typing import Any

__all__ = ["RUN", "Place", "Places", "named"]

RUN = "llamaindex.run_id"
"""The tag under which the workflow that runs here has its id."""

_AGENT = "current_agent_name"
_MAX_PLACES = 10_000
_ID_LENGTH = 37
"""Characters of the dash and the UUID that end a span's id."""


@dataclass(frozen=True, slots=True)
class Place:
    """What a span is part of."""

    agent: str | None = None
    """The agent that is at work."""
    step: str | None = None
    """The step of a workflow, as `Class.method`."""
    workflow: str | None = None
    """The class of the workflow, or of the outermost engine or component."""


_NOWHERE = Place()


class Places:
    """The spans that are open, as far as a handler was told of them."""

    def __init__(self) -> None:
        """Know of none."""
        self._open: dict[str, Place] = {}

    def enter(
        self,
        span_id: str,
        parent_id: str | None,
        *,
        instance: object,
        bound_args: BoundArguments,
        tags: Mapping[str, Any] | None,
    ) -> None:
        """Take note of a span that is no LLM's.

        Args:
            span_id: Its id.
            parent_id: That of the span that it was opened in, if it was in one.
            instance: Whose method it is of; a step of a workflow has none.
            bound_args: What the method was called with.
            tags: The tags that are active.
        """
        around = self.at(parent_id)
        owner, _, method = named(span_id)
        agent, step = around.agent, around.step
        if instance is None and tags and RUN in tags:
            step = f"{owner}.{method}"
            agent = _agent_in(bound_args) or agent
        place = Place(agent, step, around.workflow or owner or method)
        if len(self._open) < _MAX_PLACES:
            self._open[span_id] = place

    def stand_in(self, span_id: str, parent_id: str | None) -> Place:
        """Take note of a span that is part of what it was opened in; return that."""
        around = self.at(parent_id)
        if around is not _NOWHERE and len(self._open) < _MAX_PLACES:
            self._open[span_id] = around
        return around

    def at(self, span_id: str | None) -> Place:
        """Return what is known of an open span."""
        return _NOWHERE if span_id is None else self._open.get(span_id, _NOWHERE)

    def leave(self, span_id: str) -> None:
        """Forget a span that was closed."""
        self._open.pop(span_id, None)


def named(span_id: str) -> tuple[str, str, str]:
    """Return the class, a dot and the method that a span's id begins with."""
    return span_id[:-_ID_LENGTH].rpartition(".")


def _agent_in(bound_args: BoundArguments) -> str | None:
    for value in bound_args.arguments.values():
        name = getattr(value, _AGENT, None)
        if isinstance(name, str) and name:
            return name
    return None
