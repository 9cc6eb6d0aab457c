"""LlamaIndex's extractor of contexts, where one chunk of a document goes ahead."""

from collections.abc import Sequence
from typing import Any

from llama_index.core.extractors import DocumentContextExtractor
from llama_index.core.schema import BaseNode

from promptcache import OptionError, options

__all__ = ["PromptCachedDocumentContextExtractor"]

_NO_MAX_TOKENS = "OpenAIResponses"
"""Takes no `max_tokens` in a call; the parent would log that for each chunk, and find
nothing. Source: llama-index-llms-openai 0.8, responses.py."""


class PromptCachedDocumentContextExtractor(DocumentContextExtractor):
    """Describes each chunk within its document, which is written once and then read.

    It takes all that `DocumentContextExtractor` takes. Of the chunks of a document that
    are asked for at once, one is sent; the others follow when its answer begins. That
    waiting is in their receipts, and never longer than `Limits.fan_out_seconds`.

    Raises:
        OptionError: The LLM cannot be asked as the parent asks.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Without this, type checkers take the fields for the arguments.
        super().__init__(*args, **kwargs)
        kinds = {kind.__name__ for kind in type(self.llm).__mro__}
        if _NO_MAX_TOKENS in kinds:
            allowed = "an LLM whose calls take `max_tokens`, as `PromptCachedOpenAI`"
            raise OptionError("llm", type(self.llm).__name__, allowed)

    @classmethod
    def class_name(cls) -> str:
        """Return the name that LlamaIndex serializes it by."""
        return "PromptCachedDocumentContextExtractor"

    async def aextract(self, nodes: Sequence[BaseNode]) -> list[dict[str, Any]]:
        """Return what the parent returns."""
        with options(fan_out=True):
            return await super().aextract(nodes)
