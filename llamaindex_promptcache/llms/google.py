"""LlamaIndex's `GoogleGenAI`, with its prompts cached."""

from collections.abc import Sequence
from typing import Any, ClassVar

try:
    from llama_index.llms.google_genai import GoogleGenAI
except ImportError as error:
    msg = (
        "`PromptCachedGoogleGenAI` needs the `llamaindex-google` extra: "
        "pip install 'promptcache[llamaindex-google]'"
    )
    raise ImportError(msg) from error

from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import BasePromptTemplate, PromptTemplate
from llama_index.core.tools.types import BaseTool
from llama_index.core.types import Model, PydanticProgramMode
from typing_extensions import override

from llamaindex_promptcache.instrumentation import current_call
from llamaindex_promptcache.llms.base import PromptCachedLLM, passing_through
from llamaindex_promptcache.llms.choice import Choice
from llamaindex_promptcache.llms.lent_messages import LentMessages, LentPrompt
from promptcache import CallOptions

__all__ = ["TWINS", "PromptCachedGoogleGenAI"]


class PromptCachedGoogleGenAI(PromptCachedLLM, GoogleGenAI):
    """A `GoogleGenAI` that pays a fraction for prompts that were sent before.

    It takes all that `GoogleGenAI` takes, `prompt_cache=` and `gemini_caches=`. Each
    answer has a receipt in `additional_kwargs["prompt_cache"]`, which
    `promptcache.Receipt.from_metadata` reads.

    Choosing this class chooses cached contents: what requests begin with again and
    again (system instruction, tools, earlier turns) is put into one where that is
    expected to pay, and requests name it and send only the rest. Google bills its
    storage by the hour. `Limits` of the cache bound that: 8 alive at a time, $0.10 in
    any hour, none kept for more than an hour ahead. `gemini_caches=False` creates
    nothing and leaves Gemini's implicit caching, which costs nothing.

    A `cached_content` of your own is sent as `GoogleGenAI` sends it. Cache points in
    messages are left out: Gemini has nothing that they could become.
    """

    provider_name: ClassVar[Any] = "google"
    client_names: ClassVar[tuple[str, ...]] = ("_client",)

    def __init__(
        self,
        *args: Any,
        prompt_cache: Any = None,
        gemini_caches: bool = True,
        **kwargs: Any,
    ) -> None:
        """Make an LLM.

        Args:
            *args: What `GoogleGenAI` takes.
            prompt_cache: A `PromptCache`, a `Policy` or its name, a dict of options,
                True, False or None. None is the cache of this process, which all such
                LLMs learn from together.
            gemini_caches: False creates no cached contents and uses none, whatever
                `prompt_cache` says of it.
            **kwargs: What `GoogleGenAI` takes.

        Raises:
            OptionError: `prompt_cache` is not allowed.
        """
        # Read before the parent asks its server about the model.
        choice = Choice.read(prompt_cache, provider=self.provider_name)
        if not gemini_caches:
            choice = choice.saying(CallOptions(gemini_caches=False))
        super().__init__(*args, prompt_cache=choice, **kwargs)

    @passing_through
    def structured_predict_without_function_calling(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Model:
        """Return what the parent returns; `llm_kwargs` may hold `prompt_cache`."""
        given = dict(llm_kwargs or {})
        with self._call(given):
            found: Model = self._stock.structured_predict_without_function_calling(
                output_cls, _lent(prompt), given, **prompt_args
            )
        return found

    def _handed(self, prompt: Any, llm_kwargs: Any = None) -> Any:  # noqa: ARG002
        # With a function to call, the messages go through `_chat` and its like.
        if self.pydantic_program_mode == PydanticProgramMode.DEFAULT:
            return _lent(prompt)
        return prompt

    # The parent writes into the messages that it gets.

    def _chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Any:
        return self._stock._chat(LentMessages(messages), **kwargs)  # noqa: SLF001

    async def _achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Any:
        lent = LentMessages(messages)
        return await self._stock._achat(lent, **kwargs)  # noqa: SLF001

    # A stream is sent when it is first read, and the span of its call is closed by
    # then; it is open when the parent asks for the stream.

    def _stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Any:
        _note_span()
        lent = LentMessages(messages)
        return self._stock._stream_chat(lent, **kwargs)  # noqa: SLF001

    async def _astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> Any:
        _note_span()
        lent = LentMessages(messages)
        return await self._stock._astream_chat(lent, **kwargs)  # noqa: SLF001

    # LlamaIndex looks for the name `tool_required` here, before it asks for a call.
    @passing_through
    @override
    def _prepare_chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        *args: Any,
        **kwargs: Any,
    ) -> dict[str, Any]:
        # The parent appends the message to the list that it gets.
        history = None if chat_history is None else [*chat_history]
        given: dict[str, Any] = self._stock._prepare_chat_with_tools(  # noqa: SLF001
            tools,
            user_msg,
            history,
            verbose,
            allow_parallel_tool_calls,
            tool_required,
            *args,
            **kwargs,
        )
        return given


TWINS = {GoogleGenAI: PromptCachedGoogleGenAI}
"""The cached class of each stock class."""


def _lent(prompt: Any) -> Any:
    return LentPrompt.of(prompt) if isinstance(prompt, BasePromptTemplate) else prompt


def _note_span() -> None:
    call = current_call()
    if call is not None:
        call.note_span()
