"""LlamaIndex's `Anthropic`, with its prompts cached."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

try:
    from llama_index.llms.anthropic import Anthropic
except ImportError as error:
    msg = (
        "`PromptCachedAnthropic` needs the `llamaindex-anthropic` extra: "
        "pip install 'promptcache[llamaindex-anthropic]'"
    )
    raise ImportError(msg) from error

import anthropic
from llama_index.core.llms import ChatMessage

from llamaindex_promptcache.errors import UnsupportedSdkError
from llamaindex_promptcache.instrumentation import LlmCall, current_call
from llamaindex_promptcache.llms.base import PromptCachedLLM
from llamaindex_promptcache.llms.marked_system import marked_system
from promptcache import Receipt, is_switched_off

__all__ = ["TWINS", "PromptCachedAnthropic"]

SUPPORTED = "anthropic>=0.120,<1"
FIRST_UNSUPPORTED = 1
"""The major version of the SDK from which on LlamaIndex's own class fails."""

_USAGE = "usage"


class PromptCachedAnthropic(PromptCachedLLM, Anthropic):
    """An `Anthropic` that pays a fraction for prompts that were sent before.

    It takes all that `Anthropic` takes, and `prompt_cache=`. Each answer has a receipt
    in `additional_kwargs["prompt_cache"]`, which `promptcache.Receipt.from_metadata`
    reads.
    """

    provider_name: ClassVar[Any] = "anthropic"

    def __init__(self, *args: Any, prompt_cache: Any = None, **kwargs: Any) -> None:
        """Make an LLM.

        Args:
            *args: What `Anthropic` takes.
            prompt_cache: A `PromptCache`, a `Policy` or its name, a dict of options,
                True, False or None. None is the cache of this process, which all such
                LLMs learn from together.
            **kwargs: What `Anthropic` takes.

        Raises:
            OptionError: `prompt_cache` is not allowed.
            UnsupportedSdkError: LlamaIndex fails with the installed `anthropic`.
        """
        super().__init__(*args, prompt_cache=prompt_cache, **kwargs)

    def _check(self) -> None:
        installed = anthropic.__version__
        if int(installed.partition(".")[0]) >= FIRST_UNSUPPORTED:
            raise UnsupportedSdkError(
                sdk="anthropic",
                installed=installed,
                supported=SUPPORTED,
                extra="llamaindex-anthropic",
            )

    def _get_all_kwargs(self, **kwargs: Any) -> dict[str, Any]:
        # The parent asks inside its span, right before it sends.
        given: dict[str, Any] = super()._get_all_kwargs(**kwargs)
        call = current_call()
        if call is None:
            return given
        call.note_span()
        if call.system is None:
            return given
        extra = {"system": call.system, **(given.get("extra_body") or {})}
        return {**given, "extra_body": extra}

    def _call(
        self, kwargs: dict[str, Any], messages: Sequence[ChatMessage] = ()
    ) -> LlmCall:
        call = super()._call(kwargs, messages)
        call.complete_usage = _complete_usage
        if not is_switched_off():
            call.system = marked_system(messages)
        return call


TWINS = {Anthropic: PromptCachedAnthropic}
"""The cached class of each stock class."""


def _complete_usage(response: Any, receipt: Receipt) -> None:
    """Add the cache's tokens to the usage of a stream, which LlamaIndex leaves out.

    It keeps two fields of the event that opens a stream; the one that ends it need
    not repeat the others.
    """
    usage = receipt.usage
    counts = {
        "cache_creation_input_tokens": usage.written_tokens,
        "cache_read_input_tokens": usage.read_tokens,
    }
    known = {name: count for name, count in counts.items() if count is not None}
    message = getattr(response, "message", None)
    shown = None if message is None else message.additional_kwargs.get(_USAGE)
    if not isinstance(shown, Mapping):
        return
    response.message.additional_kwargs[_USAGE] = {**known, **shown}
    raw = response.raw if isinstance(response.raw, dict) else {}
    reported: Any = raw.get(_USAGE)
    missing = {name: known[name] for name in known if _lacks(reported, name)}
    if missing:
        # A copy: the event that it came with belongs to the SDK.
        raw[_USAGE] = reported.model_copy(update=missing)


def _lacks(reported: Any, name: str) -> bool:
    return hasattr(reported, name) and getattr(reported, name) is None
