"""What the answers of Anthropic's Messages API say of themselves."""

from typing import TYPE_CHECKING, Any

from promptcache.providers.anthropic.usage import merge_usage, read_tier
from promptcache.providers.streams import Watch

if TYPE_CHECKING:
    from promptcache.cache import PromptCache
    from promptcache.prepared import Prepared
    from promptcache.warming import Repeats

__all__ = ["MessageWatch"]


class MessageWatch(Watch):
    """Reads a message, in one piece or in events."""

    def __init__(
        self,
        cache: "PromptCache",
        prepared: "Prepared",
        repeat: "Repeats | None" = None,
    ) -> None:
        """Watch the answer to a request.

        Args:
            cache: What settles.
            prepared: The request.
            repeat: What can send it again; None if nothing can.
        """
        super().__init__(cache, prepared)
        self._repeat = repeat
        self._stop: str | None = None

    def end(self) -> None:
        """Settle, and have the conversation kept warm from now on, if that is on."""
        is_first = not self._prepared.settled
        super().end()
        if is_first:
            self._cache.warming.answered(
                self._prepared, stop=self._stop, repeat=self._repeat
            )

    def read_event(self, event: Any) -> None:
        """Read an event; the usage comes in two of them, the first one with the id."""
        kind = getattr(event, "type", None)
        if kind in ("content_block_start", "content_block_delta"):
            self.begin()
        elif kind == "message_start":
            self.told.id = _text(getattr(event.message, "id", None))
            self.told.model = _text(getattr(event.message, "model", None))
            told = getattr(event.message, "diagnostics", None)
            self.told.diagnosis = _plain(told)
            self._note_usage(event.message)
        elif kind == "message_delta":
            self._note_usage(event)
            self._stop = _text(getattr(event.delta, "stop_reason", None))
            if self._stop is not None:
                self.end()

    def read_whole(self, answer: Any) -> None:
        """Read a message as it came; anything but an object says nothing."""
        if not isinstance(answer, dict):
            return
        self.told.model = _text(answer.get("model"))
        self.told.id = _text(answer.get("id"))
        self.told.diagnosis = answer.get("diagnostics")
        self._stop = _text(answer.get("stop_reason"))
        usage = answer.get("usage")
        if isinstance(usage, dict):
            self.told.usage = usage
            self.told.tier = read_tier(usage)

    def _note_usage(self, holder: Any) -> None:
        reported = _plain(getattr(holder, "usage", None))
        if isinstance(reported, dict):
            merged = merge_usage(self.told.usage or {}, reported)
            self.told.usage = merged or None
            self.told.tier = read_tier(merged)


def _plain(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)
    # What an odd server sent is no matter to warn the caller of.
    return value if dump is None else dump(exclude_unset=True, warnings=False)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
