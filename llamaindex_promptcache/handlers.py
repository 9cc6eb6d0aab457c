"""What is registered with LlamaIndex, so that plain LLMs are watched or planned for."""

from inspect import BoundArguments
from types import TracebackType
from typing import Any

from llama_index_instrumentation.base import BaseEvent
from pydantic import PrivateAttr
from typing_extensions import Self

from llamaindex_promptcache.calls import LlmCallRecord
from llamaindex_promptcache.places import Places
from llamaindex_promptcache.spans_and_events import SpansAndEvents
from llamaindex_promptcache.watching import Watch, is_llm
from promptcache import Report

__all__ = ["PromptCacheHandler"]


class PromptCacheHandler(SpansAndEvents):
    """Has a receipt for every call of every LLM; with `insert=True` plans for them.

    It is both of LlamaIndex's handlers, so it goes where these go:

        handler = PromptCacheHandler().install()

    adds it to the root dispatcher, as do `with PromptCacheHandler() as handler:` for a
    while, and by hand `get_dispatcher().add_span_handler(handler)` together with
    `get_dispatcher().add_event_handler(handler)`. LLMs and messages stay as they are.

    Without `insert` requests are sent as LlamaIndex makes them. With it the LLMs that
    send through the SDKs of Anthropic, OpenAI and Google get what our own classes do:
    breakpoints, cache keys, the usage of streams, and for Gemini cached contents,
    whose storage Google bills, within the `Limits` of the cache;
    `prompt_cache={"gemini_caches": False}` has none. LLMs that are cached already, by
    our classes or an attached client, are only watched. Other LLMs have a receipt of
    the usage that their answers show, if they show any.
    """

    _watch: Watch = PrivateAttr()
    _places: Places = PrivateAttr()

    def __init__(self, prompt_cache: Any = None, *, insert: bool = False) -> None:
        """Make a handler, which does nothing until it is added to a dispatcher.

        Args:
            prompt_cache: A `PromptCache`, a `Policy` or its name, a dict of options,
                True, False or None. None is the cache of this process, which our own
                LLMs use, too.
            insert: Whether plain LLMs are planned for.

        Raises:
            OptionError: `prompt_cache` is not allowed.
        """
        super().__init__()
        self._watch = Watch(prompt_cache, insert=insert)
        self._places = Places()

    @classmethod
    def class_name(cls) -> str:
        """Return the handler's name."""
        return "PromptCacheHandler"

    @property
    def calls(self) -> tuple[LlmCallRecord, ...]:
        """The last 1,000 calls that have a receipt, oldest first."""
        return self._watch.calls

    def report(self, by: str = "model") -> Report:
        """Return what was read, written and saved by the calls so far.

        Args:
            by: What is told apart: `model`, `agent` (the step where there is none),
                `workflow` (the outermost engine where there is none), `conversation`
                or `tag`.

        Raises:
            OptionError: It is none of these.
        """
        return self._watch.report(by)

    def install(self) -> Self:
        """Add this to the root dispatcher, once, and return it."""
        self.join()
        return self

    def uninstall(self) -> None:
        """Take this off the root dispatcher; what is going on is not counted."""
        self.part()
        self.close()

    def close(self) -> None:
        """Have nothing more of the calls that are going on."""
        self._watch.stop()

    def __enter__(self) -> Self:
        return self.install()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.uninstall()

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
        if is_llm(instance):
            place = self._places.stand_in(span_id, parent_id)
            self._watch.begin(
                span_id, instance, parent_id=parent_id, place=place, tags=tags
            )
        else:
            self._places.enter(
                span_id,
                parent_id,
                instance=instance,
                bound_args=bound_args,
                tags=tags,
            )

    def closed(self, span_id: str, result: object) -> None:
        """Take note of a span that was closed."""
        self._places.leave(span_id)
        self._watch.end(span_id, result)

    def handle(self, event: BaseEvent, **_: Any) -> None:
        """Take note of the end of a stream, or of a receipt."""
        self._watch.hear(event)
