"""What the answers of Anthropic's Messages API say of themselves."""

from typing import Any

from promptcache.providers.anthropic.usage import merge_usage, read_tier
from promptcache.providers.streams import Watch

__all__ = ["MessageWatch"]


class MessageWatch(Watch):
    """Reads a message, in one piece or in events."""

    def read_event(self, event: Any) -> None:
        """Read an event; the usage comes in two of them, the first one with the id."""
        kind = getattr(event, "type", None)
        if kind in ("content_block_start", "content_block_delta"):
            self.begin()
        elif kind == "message_start":
            self.told.id = _text(getattr(event.message, "id", None))
            self.told.model = _text(getattr(event.message, "model", None))
            told = getattr(event.message, "diagnostics", None)
            self.told.diagnosis = getattr(told, "model_dump", lambda: told)()
            self._note_usage(event.message)
        elif kind == "message_delta":
            self._note_usage(event)
            if getattr(event.delta, "stop_reason", None) is not None:
                self.end()

    def read_whole(self, answer: Any) -> None:
        """Read a message as it came; anything but an object says nothing."""
        if not isinstance(answer, dict):
            return
        self.told.model = _text(answer.get("model"))
        self.told.id = _text(answer.get("id"))
        self.told.diagnosis = answer.get("diagnostics")
        usage = answer.get("usage")
        if isinstance(usage, dict):
            self.told.usage = usage
            self.told.tier = read_tier(usage)

    def _note_usage(self, holder: Any) -> None:
        usage = getattr(holder, "usage", None)
        if usage is not None:
            reported = usage.model_dump(exclude_unset=True)
            merged = merge_usage(self.told.usage or {}, reported)
            self.told.usage = merged or None
            self.told.tier = read_tier(merged)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
