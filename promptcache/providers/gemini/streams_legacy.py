"""What the answers of `google-generativeai` say of themselves, and when they are over.

Source: `google-ai-generativelanguage` 0.6.15, types/generative_service.py: an answer
has no id there and no count of thoughts, which are in the total.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from google.ai import generativelanguage as glm

from promptcache.providers.gemini.streams import GenerateWatch

if TYPE_CHECKING:
    from promptcache.cache import PromptCache
    from promptcache.prepared import Prepared

__all__ = ["LegacyWatch"]

_FUNCTIONS = frozenset({"functionDeclarations"})


class LegacyWatch(GenerateWatch):
    """Reads an answer of `generateContent`, in one piece or in chunks."""

    def __init__(self, cache: "PromptCache", prepared: "Prepared") -> None:
        """Watch the answer to a request.

        Args:
            cache: What settles.
            prepared: The request.
        """
        super().__init__(cache, prepared)
        tools = prepared.request.body.get("tools") or ()
        self._may_use_tools = any(set(tool) - _FUNCTIONS for tool in tools)

    def read_whole(self, answer: Any) -> None:
        """Read an answer in one piece."""
        super().read_whole(self._said(answer))

    def read_event(self, event: Any) -> None:
        """Read a chunk."""
        super().read_event(self._said(event))

    def _said(self, answer: Any) -> Mapping[str, Any]:
        """Return the JSON of an answer, without its text."""
        message = glm.GenerateContentResponse.pb(answer)
        return {
            "modelVersion": message.model_version,
            "usageMetadata": self._usage(message.usage_metadata),
            "promptFeedback": {"blockReason": message.prompt_feedback.block_reason},
            "candidates": [
                {
                    "index": candidate.index,
                    "finishReason": candidate.finish_reason,
                    "content": {"parts": len(candidate.content.parts)},
                }
                for candidate in message.candidates
            ],
        }

    def _usage(self, reported: Any) -> Mapping[str, int]:
        prompt, total = reported.prompt_token_count, reported.total_token_count
        answer, uncounted = reported.candidates_token_count, 0
        if prompt and total:
            uncounted = max(total - prompt - answer, 0)
        if uncounted and self._may_use_tools:
            # Thoughts, or what a tool of the provider's own gave back: nobody knows.
            answer = uncounted = total = 0
        counts = {
            "promptTokenCount": prompt,
            "cachedContentTokenCount": reported.cached_content_token_count,
            "candidatesTokenCount": answer,
            "thoughtsTokenCount": uncounted,
            "totalTokenCount": total,
        }
        # A count that was not sent is 0 here.
        return {name: count for name, count in counts.items() if count}
