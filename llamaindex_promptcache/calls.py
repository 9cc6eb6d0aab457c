"""Calls of LLMs that a handler has seen, and what they used."""

import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from promptcache import Receipt, Run

__all__ = ["LlmCallRecord", "OpenCall"]


@dataclass(frozen=True, slots=True)
class LlmCallRecord:
    """One call of an LLM, as a handler has seen it."""

    span_id: str
    """LlamaIndex's id of it."""
    parent_span_id: str | None
    """That of the span that it was made in."""
    llm: str
    """The class of the LLM."""
    method: str
    """What was called, such as `chat`."""
    agent: str | None
    """The agent that made it, if one did."""
    step: str | None
    """The workflow's step that it was made in, as `Class.method`."""
    workflow: str | None
    """The class of the workflow, or else of the outermost engine, that it was made
    in."""
    tags: tuple[str, ...]
    """The caller's instrumentation tags, as `name=value`."""
    receipt: Receipt | None = None
    """What it used; the sum if it sent several requests."""


class OpenCall:
    """A call whose receipt may still come."""

    __slots__ = (
        "at",
        "conversation",
        "is_left",
        "is_over",
        "is_stream",
        "model",
        "provider",
        "receipts",
        "run",
        "said",
        "stream",
    )

    def __init__(self, said: LlmCallRecord, *, at: float) -> None:
        """Take note of a call that begins.

        Args:
            said: What is known of it.
            at: When it began, in UTC seconds.
        """
        self.said = said
        self.at = at
        self.run: Run | None = None
        """What has its requests; None if the LLM tells of them itself."""
        self.provider = ""
        self.model = ""
        self.conversation: str | None = None
        self.is_stream = False
        """Whether what it has returned is still to be read."""
        self.stream: weakref.ref[Any] | None = None
        self.is_left = False
        """Whether its stream was closed before its end."""
        self.is_over = False
        """Whether nothing of it counts any more."""
        self.receipts: list[Receipt] = []

    @property
    def is_dropped(self) -> bool:
        """Whether nobody reads its stream any more."""
        return self.is_left or (self.stream is not None and self.stream() is None)

    def follow(self, stream: object, gone: Callable[[], None]) -> None:
        """Wait for the end of a stream.

        Args:
            stream: What the call has returned.
            gone: Called when that is collected, in the middle of anything.
        """
        self.is_stream = True
        try:
            self.stream = weakref.ref(stream, lambda _: gone())
        except TypeError:
            # Its last event ends it, or the bound on calls that are open.
            self.stream = None
        if self.run is not None:
            self.run.detach(stream)

    def to_record(self) -> LlmCallRecord:
        """Return what is known of it now."""
        receipts = [*self.receipts]
        return replace(self.said, receipt=Receipt.sum(receipts) if receipts else None)
