"""The tokens of one request, in one meaning for all providers.

Rule 1: `None` is not reported, and never counts as zero.
Rule 2: a field added to `Usage` is summed without further code.
"""

from dataclasses import dataclass, fields

__all__ = ["Usage", "read_count"]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that a provider reported; `None` where it reported nothing."""

    input_tokens: int | None = None
    """All tokens of the prompt: read, written and uncached."""
    read_tokens: int | None = None
    """Prompt tokens read from the cache."""
    written_tokens: int | None = None
    """Prompt tokens written to the cache, for all lifetimes."""
    written_5m_tokens: int | None = None
    """Those of `written_tokens` that live for five minutes."""
    written_1h_tokens: int | None = None
    """Those of `written_tokens` that live for one hour."""
    output_tokens: int | None = None
    """Tokens of the answer, reasoning included."""
    written_30m_tokens: int | None = None
    """Those of `written_tokens` that live for 30 minutes."""
    written_12h_tokens: int | None = None
    """Those of `written_tokens` that live for 12 hours."""

    @classmethod
    def zero(cls) -> "Usage":
        """Return the usage of no request at all, the start of a sum."""
        return cls(**dict.fromkeys(_NAMES, 0))

    @property
    def uncached_tokens(self) -> int | None:
        """Prompt tokens neither read nor written."""
        if (
            self.input_tokens is None
            or self.read_tokens is None
            or self.written_tokens is None
        ):
            return None
        return self.input_tokens - self.read_tokens - self.written_tokens

    def __add__(self, other: object) -> "Usage":
        """Return the tokens of both; what one of them does not know stays unknown."""
        if not isinstance(other, Usage):
            return NotImplemented
        return Usage(
            **{
                name: _total(getattr(self, name), getattr(other, name))
                for name in _NAMES
            }
        )


def read_count(value: object) -> int | None:
    """Return a count as a provider reported it, or None if it is no count at all.

    A count is a whole number from zero. What is text, a fraction or negative is of a
    server that counts in its own way, and what it means is not guessed.
    """
    is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return value if is_count else None  # type: ignore[return-value]


_NAMES = tuple(field.name for field in fields(Usage))


def _total(left: int | None, right: int | None) -> int | None:
    return None if left is None or right is None else left + right
