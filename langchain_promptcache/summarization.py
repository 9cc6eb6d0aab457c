"""Summarizing an agent's history when that costs least.

A summary takes the place of what is cached, so everything behind the instructions is
written anew. LangChain's middleware makes one as soon as a threshold is met, and asks
for it with a prompt of its own, none of which was seen before.

Rule 1: a history that is cached is summarized only when it has become too long.
Rule 2: a summary that is made then is asked for behind the very prompt that is cached.
Rule 3: where it is not known what is cached, everything is as in LangChain.
"""

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from langchain.agents.middleware import (
    ExtendedModelResponse,
    ModelRequest,
    ModelResponse,
    SummarizationMiddleware,
)
from langchain.agents.middleware.internal_call_transformer import internal_call_metadata
from langchain_core.exceptions import ContextOverflowError
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    HumanMessage,
    RemoveMessage,
)
from langchain_core.runnables.config import ensure_config, var_child_runnable_config
from langgraph.types import Command

from langchain_promptcache.usage import OPTION
from promptcache import Receipt, default_cache, noted

__all__ = ["PromptCachedSummarizationMiddleware"]

_AT_LEAST_SECONDS = 300.0
"""The life of what is cached where no breakpoint says another one."""

_SECONDS: Mapping[str, float] = {
    "5m": 300.0,
    "30m": 1_800.0,
    "1h": 3_600.0,
    "12h": 43_200.0,
    "24h": 86_400.0,
}
_LIFE = re.compile(r" (5m|30m|1h|12h|24h) ")
_MOST_OF_A_WINDOW = 0.95
_FREE_CHOICE = (None, "auto")

_ABOVE = (
    "They are the messages of this conversation, above this one{except_for}. "
    "Call no tools."
)
_KEPT = ", except for the last {kept}, which stay as they are"

Handler = Callable[[ModelRequest[Any]], ModelResponse[Any]]
AsyncHandler = Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]


@dataclass(frozen=True, slots=True)
class _Due:
    """A summary that is to be made now."""

    request: ModelRequest[Any]
    cutoff: int
    """How many messages it takes the place of."""
    is_live: bool
    """Whether they are cached, and can be asked about where they are."""

    @property
    def summarized(self) -> list[AnyMessage]:
        return self.request.messages[: self.cutoff]

    @property
    def kept(self) -> list[AnyMessage]:
        return self.request.messages[self.cutoff :]

    def asking(self, prompt: str) -> ModelRequest[Any]:
        """Return the request that goes on from what is cached, and asks for it."""
        messages = list(self.request.messages)
        # What the user asked last is no part of it, and is not to be answered yet.
        while len(messages) > self.cutoff and isinstance(messages[-1], HumanMessage):
            messages.pop()
        kept = len(messages) - self.cutoff
        except_for = _KEPT.format(kept=kept) if kept else ""
        said = prompt.format(messages=_ABOVE.format(except_for=except_for)).rstrip()
        noted("summary asked for behind what is cached", said)
        return self.request.override(messages=[*messages, HumanMessage(said)])


class PromptCachedSummarizationMiddleware(SummarizationMiddleware[Any, Any]):
    """Summarizes when the cache is cold anyway, or when the limit forces it.

    It takes the arguments of LangChain's `SummarizationMiddleware`. As long as what was
    sent last is cached, a summary that `trigger` asks for waits until `limit` is
    reached, and then extends what is cached: the same instructions, tools and messages,
    with the instruction to summarize behind them. When the cache has expired, the
    summary is made as LangChain makes it.

    When the last request was, and how long it lives, is read from the receipt on the
    last answer. Without one, and for a summary by another model than the agent's,
    everything is as in LangChain.
    """

    def __init__(
        self, model: str | BaseChatModel, *, limit: Any = None, **kwargs: Any
    ) -> None:
        """Set it up.

        Args:
            model: As in `SummarizationMiddleware`.
            limit: From where on a summary waits no longer, as `trigger` is given; else
                twice what triggers one, at most 95 % of the model's window.
            **kwargs: As in `SummarizationMiddleware`.
        """
        super().__init__(model, **kwargs)
        given = None if limit is None else self._normalize_trigger(limit)
        self.limit: Any = given or [_doubled(it) for it in self._trigger_clauses]
        forcing: Any = self.limit or None
        self._judge = SummarizationMiddleware[Any, Any](
            self.model, trigger=forcing, token_counter=self.token_counter
        )

    def before_model(self, state: Any, runtime: Any) -> None:
        """Do nothing: the instructions and the tools are not known here."""

    async def abefore_model(self, state: Any, runtime: Any) -> None:
        """Do nothing, as `before_model`."""

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Handler
    ) -> ModelResponse[Any] | ExtendedModelResponse[Any]:
        """Call the model, with a summary for its messages if one is due."""
        due = self._due(request)
        if due is None:
            return handler(request)
        summary = ""
        if due.is_live:
            try:
                with _internal():
                    summary = _text(handler(due.asking(self.summary_prompt)))
            except ContextOverflowError:
                summary = ""
        summary = summary or self._create_summary(due.summarized)
        said = self._summarizing(due, summary)
        answer = handler(request.override(messages=[*said, *due.kept]))
        return ExtendedModelResponse(answer, _replacing(due, said))

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: AsyncHandler
    ) -> ModelResponse[Any] | ExtendedModelResponse[Any]:
        """Do what `wrap_model_call` does."""
        due = self._due(request)
        if due is None:
            return await handler(request)
        summary = ""
        if due.is_live:
            try:
                with _internal():
                    summary = _text(await handler(due.asking(self.summary_prompt)))
            except ContextOverflowError:
                summary = ""
        summary = summary or await self._acreate_summary(due.summarized)
        said = self._summarizing(due, summary)
        answer = await handler(request.override(messages=[*said, *due.kept]))
        return ExtendedModelResponse(answer, _replacing(due, said))

    def _summarizing(self, due: _Due, summary: str) -> list[HumanMessage]:
        """Return the messages that stand for the summarized ones, and note that."""
        said = self._build_new_messages(summary)
        texts = [it.text for it in said]
        noted("history summarized", *texts, how=f"{due.cutoff} messages")
        return said

    def _due(self, request: ModelRequest[Any]) -> _Due | None:
        """Return the summary that is to be made before a request, if any is."""
        messages = request.messages
        total = self.token_counter(messages)
        if not self._should_summarize(messages, total):
            return None
        is_live = _is_live(messages, request.model)
        if is_live and not self._judge._should_summarize(messages, total):  # noqa: SLF001 - the parent's own
            return None
        cutoff = self._determine_cutoff_index(messages)
        known = {it.id for it in request.state["messages"]} - {None}
        if cutoff <= 0 or not all(it.id in known for it in messages[:cutoff]):
            return None
        return _Due(request, cutoff, is_live and self._can_extend(request))

    def _can_extend(self, request: ModelRequest[Any]) -> bool:
        """Tell whether the agent's own prompt may ask for the summary."""
        # Before 1.4.5, LangChain knows nothing that summarizes in the place of `model`.
        other = getattr(self, "summarizer", None)
        writer: BaseChatModel = getattr(self, "_summary_chat_model", self.model)
        return (
            other is None
            and _name(writer) == _name(request.model)
            # A form that is forced leaves no room for a summary.
            and request.response_format is None
            and request.tool_choice in _FREE_CHOICE
        )


def _doubled(clause: Mapping[str, Any]) -> dict[str, Any]:
    doubled = {kind: 2 * value for kind, value in clause.items()}
    if "fraction" in doubled:
        most = min(doubled["fraction"], _MOST_OF_A_WINDOW)
        doubled["fraction"] = max(clause["fraction"], most)
    return doubled


def _is_live(messages: Sequence[AnyMessage], model: BaseChatModel) -> bool:
    """Tell whether what led to the last answer is known to be cached still."""
    answers = (it for it in reversed(messages) if isinstance(it, AIMessage))
    last = next(answers, None)
    written = None if last is None else last.response_metadata.get(OPTION)
    if not isinstance(written, Mapping):
        return False
    receipt = Receipt.from_metadata(written)
    usage = receipt.usage
    if receipt.at is None or not (usage.read_tokens or usage.written_tokens):
        return False
    lives = [_SECONDS[life] for it in receipt.breakpoints for life in _LIFE.findall(it)]
    cache = getattr(model, "_cache", None) or default_cache()
    now: float = cache.clock.now()
    return now < receipt.at + min(lives, default=_AT_LEAST_SECONDS)


def _name(model: BaseChatModel) -> tuple[Any, Any]:
    said = model._get_ls_params()  # noqa: SLF001 - LangChain's classes call it so too
    return said.get("ls_provider"), said.get("ls_model_name")


def _text(response: ModelResponse[Any]) -> str:
    """Return what a model said; nothing if it called a tool instead."""
    last = response.result[-1] if response.result else None
    if not isinstance(last, AIMessage) or last.tool_calls:
        return ""
    return last.text.strip()


def _replacing(due: _Due, said: Sequence[HumanMessage]) -> Command[Any]:
    """Return the change of the state: the summary stands where the messages were."""
    first, *others = due.summarized
    # A message with a known id takes the place of the one that has it.
    for message in said[:1]:
        message.id = first.id
    gone = [RemoveMessage(id=str(it.id)) for it in others]
    return Command(update={"messages": [*said[:1], *gone]})


@contextmanager
def _internal() -> Iterator[None]:
    """Mark model calls inside as none of the agent's answers."""
    config = ensure_config()
    told = {"lc_source": "summarization", **internal_call_metadata()}
    metadata = {**config["metadata"], **told}
    token = var_child_runnable_config.set({**config, "metadata": metadata})
    try:
        yield
    finally:
        var_child_runnable_config.reset(token)
