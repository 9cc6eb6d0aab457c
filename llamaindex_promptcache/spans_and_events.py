"""The two handlers of LlamaIndex's instrumentation in one.

Rule 1: nothing is kept of spans here; who derives from this decides what is.
"""

from inspect import BoundArguments
from typing import Any

from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.event_handlers import BaseEventHandler
from llama_index_instrumentation.span import BaseSpan
from llama_index_instrumentation.span_handlers import BaseSpanHandler

__all__ = ["SpansAndEvents"]


class SpansAndEvents(BaseSpanHandler[BaseSpan], BaseEventHandler):
    """Is told of spans and events, in the threads and tasks that these are of."""

    def opened(
        self,
        span_id: str,
        parent_id: str | None,
        *,
        instance: object,
        bound_args: BoundArguments,
        tags: dict[str, Any] | None,
    ) -> None:
        """Take note of a span that was opened."""
        raise NotImplementedError

    def closed(self, span_id: str, result: object) -> None:
        """Take note of a span that was closed; None is the result of an error."""
        raise NotImplementedError

    def join(self) -> None:
        """Be told by the root dispatcher, once of each."""
        root = get_dispatcher()
        if not any(it is self for it in root.span_handlers):
            root.add_span_handler(self)
        if not any(it is self for it in root.event_handlers):
            root.add_event_handler(self)

    def part(self) -> None:
        """Be told nothing any more."""
        root = get_dispatcher()
        # Lists of their own: other threads may go through the old ones.
        root.span_handlers = [it for it in root.span_handlers if it is not self]
        root.event_handlers = [it for it in root.event_handlers if it is not self]

    def span_enter(
        self,
        id_: str,
        bound_args: BoundArguments,
        instance: Any = None,
        parent_id: str | None = None,
        tags: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Pass on a span that was opened."""
        self.opened(id_, parent_id, instance=instance, bound_args=bound_args, tags=tags)

    def span_exit(
        self,
        id_: str,
        bound_args: BoundArguments,  # noqa: ARG002 - LlamaIndex's signature
        instance: Any = None,  # noqa: ARG002 - as above
        result: Any = None,
        **_: Any,
    ) -> None:
        """Pass on a span that was closed."""
        self.closed(id_, result)

    def span_drop(
        self,
        id_: str,
        bound_args: BoundArguments,  # noqa: ARG002 - LlamaIndex's signature
        instance: Any = None,  # noqa: ARG002 - as above
        err: BaseException | None = None,  # noqa: ARG002 - as above
        **_: Any,
    ) -> None:
        """Pass on a span that ended in an error."""
        self.closed(id_, None)

    def new_span(self, *_: Any, **__: Any) -> BaseSpan | None:
        """Return none, as nothing is kept of it here."""
        return None

    def prepare_to_exit_span(self, *_: Any, **__: Any) -> BaseSpan | None:
        """Return none, as `new_span` does."""
        return None

    def prepare_to_drop_span(self, *_: Any, **__: Any) -> BaseSpan | None:
        """Return none, as `new_span` does."""
        return None
