"""What the emulator's operator sees: one row per request."""

import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Ledger", "LedgerRow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRow:
    """One request as the provider would bill it."""

    id: str
    at: float
    """Start of the request, in the emulator's time."""
    status: int
    workspace: str = "default"
    """Who shares a cache with it."""
    model: str = ""
    path: str = ""
    method: str = "POST"
    stream: bool = False
    input_tokens: int = 0
    """Tokens after the last breakpoint, as the wire has it."""
    cache_read_input_tokens: int = 0
    cache_creation_5m_input_tokens: int = 0
    cache_creation_1h_input_tokens: int = 0
    cache_creation_30m_input_tokens: int = 0
    cache_creation_12h_input_tokens: int = 0
    output_tokens: int = 0
    first_token_seconds: float = 0.0
    total_seconds: float = 0.0
    breakpoints: tuple[str, ...] = ()
    """Where the request asked to cache, in prompt order."""
    hit: str | None = None
    """Where the prefix that was read ends."""
    error: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    """The request headers that may matter to caching."""
    body: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def cache_creation_input_tokens(self) -> int:
        """Tokens written, whatever their lifetime."""
        return (
            self.cache_creation_5m_input_tokens
            + self.cache_creation_1h_input_tokens
            + self.cache_creation_30m_input_tokens
            + self.cache_creation_12h_input_tokens
        )

    @property
    def total_input_tokens(self) -> int:
        """All tokens the request sent."""
        return (
            self.input_tokens
            + self.cache_read_input_tokens
            + self.cache_creation_input_tokens
        )

    def as_dict(self, *, with_body: bool = False) -> dict[str, Any]:
        """Return the row as it is served over HTTP."""
        row = asdict(self)
        if not with_body:
            del row["body"]
        return {
            **row,
            "cache_creation_input_tokens": self.cache_creation_input_tokens,
            "total_input_tokens": self.total_input_tokens,
        }


class Ledger:
    """The rows so far, for many threads."""

    def __init__(self) -> None:
        self._rows: list[LedgerRow] = []
        self._lock = threading.Lock()

    def add(self, row: LedgerRow) -> None:
        """Append a row."""
        with self._lock:
            self._rows.append(row)

    def rows(self) -> list[LedgerRow]:
        """Return the rows so far, oldest first."""
        with self._lock:
            return list(self._rows)

    def clear(self) -> None:
        """Forget all rows."""
        with self._lock:
            self._rows.clear()
