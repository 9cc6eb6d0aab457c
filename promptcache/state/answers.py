"""Which answer came last in a conversation, for providers that compare with it.

Rule 1: it holds digests and the provider's own ids, and a bounded number of them.
"""

from collections import OrderedDict

from promptcache.outline import Outline
from promptcache.state.forks import ForkSafeLock

__all__ = ["Answers"]

_MAX_ANSWERS = 10_000


class Answers:
    """Ids of answers, by the prompt that they answered and by named conversation."""

    def __init__(self) -> None:
        """Start with none."""
        self._lock = ForkSafeLock()
        self._ids: OrderedDict[bytes | tuple[str | None, str], str] = OrderedDict()

    def note(
        self, outline: Outline, conversation: tuple[str | None, str] | None, answer: str
    ) -> None:
        """Remember the answer to a request.

        Args:
            outline: The request.
            conversation: Tenant and name of its conversation, if the caller gave one.
            answer: The provider's id of the answer.
        """
        with self._lock:
            for key in (_end(outline), conversation):
                if key is not None:
                    self._ids[key] = answer
                    self._ids.move_to_end(key)
            while len(self._ids) > _MAX_ANSWERS:
                self._ids.popitem(last=False)

    def before(
        self, outline: Outline, conversation: tuple[str | None, str] | None
    ) -> str | None:
        """Return the answer that came before a request, or None if none is known."""
        with self._lock:
            if conversation is not None and conversation in self._ids:
                return self._ids[conversation]
            digests = outline.blocks.digests
            for position in range(outline.length - 1, outline.system_end - 1, -1):
                answer = self._ids.get(digests[position])
                if answer is not None:
                    return answer
        return None


def _end(outline: Outline) -> bytes | None:
    return outline.blocks.digests[outline.length - 1] if outline.length else None
