"""`PromptCacheCallbackHandler`: receipts of any chat model, and plans for plain ones.

Rule 1: what the caller gave stays as it is; only the provider's answer is added to.
Rule 2: a request that was answered is counted once, whoever tells of it.
Rule 3: methods are synchronous and run inline, so that a run is open in the very
context in which the model sends its request.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final, Literal
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGenerationChunk, LLMResult
from langchain_core.runnables.config import var_child_runnable_config

from langchain_promptcache.answers import (
    Written,
    answers_in,
    complete_chunk,
    id_of,
    put_receipt,
)
from langchain_promptcache.calls import Calls, ModelCall, OpenCall
from langchain_promptcache.identity import identity_in, provider_of
from langchain_promptcache.places import Place, Places, name_of
from langchain_promptcache.usage import (
    OPTION,
    is_replayed,
    read_usage,
    usage_of_text,
    without_receipt,
)
from promptcache import (
    CallOptions,
    Receipt,
    Report,
    Run,
    instrument,
    observe,
    read_choice,
)

__all__ = ["PromptCacheCallbackHandler"]

By = Literal["model", "agent", "chain", "conversation", "tag"]

_BY: Final[tuple[By, ...]] = ("model", "agent", "chain", "conversation", "tag")
_STEP = re.compile(r"(seq|graph):step:\d+|map:key:.*")
"""Tags that LangChain gives to the steps of its own."""


class PromptCacheCallbackHandler(BaseCallbackHandler):
    """Sees what every model call reads, writes, costs and saves.

    Give it to a model, a chain, an agent or one call as one of its `callbacks`. Each
    answer then has a receipt in `response_metadata["prompt_cache"]`, if it has none
    already, and `report()` sums them up. One handler serves any number of calls, in
    threads and in tasks.

    With `insert=True` it also has plain models of Anthropic, OpenAI and Gemini planned,
    as if they were cached ones: their SDK's requests, and no others, are planned while
    they answer a call that the handler was told of. For Gemini that includes cached
    contents, which cost storage by the hour, within the `Limits` of the `PromptCache`;
    `{"gemini_caches": False}` leaves implicit caching. Cached models plan their own.
    """

    run_inline = True

    def __init__(self, prompt_cache: Any = None, *, insert: bool = False) -> None:
        """Set a handler up.

        Args:
            prompt_cache: A `PromptCache`, a `Policy` or its name, a dict of options,
                True, False or None, as the cached models take it. A lifetime among the
                options must be one that all providers in use have.
            insert: Whether requests of plain models are planned, too.

        Raises:
            OptionError: `prompt_cache` is not allowed.
        """
        self._cache, said = read_choice(prompt_cache)
        self._options = (
            said.over(CallOptions(stream_usage=True))
            if insert
            else replace(said, enabled=False)
        )
        self._calls = Calls()
        self._places = Places()
        self._written = Written()
        self._reports = {by: Report(by) for by in _BY}
        instrument()
        self._cache.load_prices()

    def __copy__(self) -> "PromptCacheCallbackHandler":
        """Return itself: what a copied model is told, its original is told too."""
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "PromptCacheCallbackHandler":
        """Return itself, as `__copy__` does."""
        return self

    def __str__(self) -> str:
        """Return the report by model."""
        return str(self.report())

    def report(self, by: By = "model") -> Report:
        """Return what was read, written and saved so far.

        Args:
            by: What the rows are: models, agents, outermost chains, conversations, or
                tags, of which a call may have several.

        Raises:
            ValueError: It is none of these.
        """
        if by not in self._reports:
            raise ValueError(f"by={by!r} is none of {', '.join(_BY)}")
        return self._reports[by]

    @property
    def calls(self) -> list[ModelCall]:
        """The last calls, at most 1,000 that have ended, oldest first."""
        return self._calls.records()

    def on_chat_model_start(
        self,
        serialized: dict[str, Any],
        messages: list[list[Any]],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Have the request that is sent next watched, or planned."""
        del messages
        if self._calls.get(run_id) is not None:
            return
        under = self._enter(serialized, run_id, parent_run_id, kwargs)
        self._mark_outer(under)
        told = {} if metadata is None else metadata
        asked = kwargs.get("invocation_params") or {}
        options = self._options_of(told, serialized or {}, asked)
        call = OpenCall(
            ModelCall(
                run_id=str(run_id),
                parent_run_id=None if parent_run_id is None else str(parent_run_id),
                name=name_of(serialized, kwargs.get("name")),
                tags=tuple(tags or ()),
                agent=None if under is None else under.agent(told),
                chain=None if under is None else under.chain,
                conversation=options.conversation,
            ),
            provider=provider_of(told),
            model=str(told.get("ls_model_name") or asked.get("model") or ""),
            at=self._cache.clock.now(),
        )
        call.run = Run(
            self._cache,
            options=options,
            told=partial(self._tell, call),
            run_id=call.said.run_id,
        )
        # SDKs may have been imported since.
        instrument()
        size = int(kwargs.get("batch_size") or 1)
        self._calls.begin(run_id, call, batch=(parent_run_id, id(asked)), size=size)

    def on_llm_start(
        self, serialized: dict[str, Any], prompts: list[str], **kwargs: Any
    ) -> None:
        """Have the request that is sent next watched, or planned."""
        del prompts
        self.on_chat_model_start(serialized, [], **kwargs)

    def on_llm_new_token(
        self, token: Any, *, chunk: Any = None, run_id: UUID, **kwargs: Any
    ) -> None:
        """Put the receipt on the chunk that has the usage, before it is handed on."""
        del token, kwargs
        call = self._calls.get(run_id)
        if call is None:
            return
        if call.first_token is None:
            call.first_token = self._cache.clock.now()
        # Which receipt is whose is known at the end only, where several began at once.
        if not call.fresh or call.batch is not None:
            return
        receipt = call.take()
        if isinstance(chunk, ChatGenerationChunk):
            complete_chunk(chunk.message, receipt)

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        """Count what was answered, and put the receipt on the answer."""
        del kwargs
        call = self._end(run_id)
        if call is None:
            return
        answers = list(answers_in(response))
        if call.batch is not None and answers:
            call.batch.settle(call, id_of(answers[0].message))
        if not call.receipts:
            self._read_off(call, response)
        for answer in answers[:1]:
            put_receipt(answer, call.take())
            self._written.add(answer.message.response_metadata.get(OPTION))

    def on_llm_error(
        self, error: BaseException, *, run_id: UUID, **kwargs: Any
    ) -> None:
        """Count what was answered before a call failed, or was left."""
        del error
        call = self._end(run_id)
        if call is None:
            return
        if call.batch is not None:
            # A batch ends with the first of its calls that fails.
            call.batch.close()
        response = kwargs.get("response")
        # The receipt of a stream that is left comes when it is closed.
        is_ours = call.run is not None and call.run.is_claimed
        if isinstance(response, LLMResult) and not call.receipts and not is_ours:
            self._read_off(call, response)

    def on_chain_start(
        self,
        serialized: dict[str, Any],
        inputs: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **kwargs: Any,
    ) -> None:
        """Take note of what is called inside."""
        del inputs
        self._enter(serialized, run_id, parent_run_id, kwargs)

    def on_tool_start(
        self,
        serialized: dict[str, Any],
        input_str: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **kwargs: Any,
    ) -> None:
        """Take note of what is called inside."""
        del input_str
        self._enter(serialized, run_id, parent_run_id, kwargs)

    def on_retriever_start(
        self,
        serialized: dict[str, Any],
        query: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **kwargs: Any,
    ) -> None:
        """Take note of what is called inside."""
        del query
        self._enter(serialized, run_id, parent_run_id, kwargs)

    def on_chain_end(self, outputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Forget what has ended."""
        del outputs, kwargs
        self._places.leave(run_id)

    on_chain_error: Any = on_chain_end
    on_tool_end: Any = on_chain_end
    on_tool_error: Any = on_chain_end
    on_retriever_end: Any = on_chain_end
    on_retriever_error: Any = on_chain_end

    def _enter(
        self,
        serialized: Mapping[str, Any] | None,
        run_id: UUID,
        parent: UUID | None,
        said: Mapping[str, Any],
    ) -> Place | None:
        return self._places.enter(run_id, parent, name_of(serialized, said.get("name")))

    def _options_of(
        self,
        told: Mapping[str, Any],
        serialized: Mapping[str, Any],
        asked: Mapping[str, Any],
    ) -> CallOptions:
        """Return what holds for a call.

        Args:
            told: Its metadata.
            serialized: Its model, as LangChain describes it.
            asked: The parameters of its request.
        """
        around = (var_child_runnable_config.get() or {}).get("configurable") or {}
        identity = identity_in({**around, **told})
        options = self._options
        if identity:
            options = options.over(CallOptions.read(identity))
        if options.stream_usage and _declines_usage(serialized, asked):
            return replace(options, stream_usage=False)
        return options

    def _mark_outer(self, under: Place | None) -> None:
        """Note of the models that a model is called by that theirs are its tokens."""
        for place in () if under is None else under.upward():
            outer = self._calls.get(place.run_id)
            if outer is not None:
                outer.has_inner = True

    def _end(self, run_id: UUID) -> OpenCall | None:
        self._places.leave(run_id)
        return self._calls.end(run_id)

    def _read_off(self, call: OpenCall, response: LLMResult) -> None:
        """Count what an answer says of itself, for want of a receipt."""
        if not call.has_inner:
            for receipt in self._said(call, response):
                self._tell(call, receipt)
        call.is_read_off = True

    def _said(self, call: OpenCall, response: LLMResult) -> Iterator[Receipt]:
        answers = list(answers_in(response))
        for answer in answers:
            message = answer.message
            written = message.response_metadata.get(OPTION)
            if is_replayed(message):
                answer.message = without_receipt(message)
            elif isinstance(written, Mapping):
                if self._written.knows(written):
                    continue
                options = CallOptions() if call.run is None else call.run.options
                yield replace(
                    Receipt.from_metadata(written),
                    tenant=options.tenant,
                    conversation=options.conversation,
                )
            elif message.usage_metadata:
                yield self._observed(call, message.usage_metadata, message)
        text = None if answers else usage_of_text(response.llm_output)
        if text is not None:
            yield self._observed(call, text, None)

    def _observed(
        self, call: OpenCall, said: Mapping[str, Any], message: AIMessage | None
    ) -> Receipt:
        usage, tier = read_usage(said)
        metadata = {} if message is None else message.response_metadata
        return observe(
            self._cache,
            usage,
            provider=call.provider,
            model=str(
                metadata.get("model_name") or metadata.get("model") or call.model
            ),
            at=call.at,
            tier=tier,
            first_token=call.first_token,
            options=None if call.run is None else call.run.options,
            message_id=None if message is None else id_of(message),
            run_id=call.said.run_id,
        )

    def _tell(self, call: OpenCall, receipt: Receipt) -> None:
        """Count a receipt, in whatever thread it comes."""
        if not call.add(receipt):
            return
        said = call.said
        tags = tuple(tag for tag in said.tags if not _STEP.fullmatch(tag))
        self._reports["model"].add(receipt)
        self._reports["agent"].add(receipt, row=said.agent)
        self._reports["chain"].add(receipt, row=said.chain)
        conversation = receipt.conversation or said.conversation
        self._reports["conversation"].add(receipt, row=conversation)
        self._reports["tag"].add(receipt, row=tags or None)


def _declines_usage(serialized: Mapping[str, Any], asked: Mapping[str, Any]) -> bool:
    """Tell whether LangChain was told not to ask for a stream's usage."""
    said = (
        asked.get("stream_usage"),
        (asked.get("stream_options") or {}).get("include_usage"),
        (serialized.get("kwargs") or {}).get("stream_usage"),
    )
    return next((one for one in said if isinstance(one, bool)), None) is False
