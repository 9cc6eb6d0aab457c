"""Pay a fraction for prompts that a provider has already seen.

The names here know no framework: `langchain_promptcache` and `llamaindex_promptcache`
bring them into one. Importing this loads no provider's SDK, and no store that is not
touched.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from promptcache.cache import PromptCache
from promptcache.call import Call
from promptcache.clock import Clock, SystemClock
from promptcache.defaults import attach, default_cache, read_choice
from promptcache.errors import (
    AttachedError,
    HoldError,
    OptionError,
    PlanningError,
    PromptCacheError,
    StoreError,
    UnsupportedClientError,
)
from promptcache.limits import Limits
from promptcache.options import CallOptions, options
from promptcache.planning.policies import Policy
from promptcache.receipts.events import Event, Listener, Settled
from promptcache.receipts.jsonl import JsonlReceipts
from promptcache.receipts.receipt import Receipt
from promptcache.receipts.usage import Usage
from promptcache.state.memory import MemoryStore
from promptcache.state.opening import open_store
from promptcache.state.stores import Store
from promptcache.switch import is_switched_off

if TYPE_CHECKING:
    from promptcache.holding import GeminiCacheKeeper
    from promptcache.providers.gemini.residents import ResidentDocuments
    from promptcache.state.redis import RedisStore
    from promptcache.state.sqlite import SqliteStore

__all__ = [
    "AttachedError",
    "Call",
    "CallOptions",
    "Clock",
    "Event",
    "GeminiCacheKeeper",
    "HoldError",
    "JsonlReceipts",
    "Limits",
    "Listener",
    "MemoryStore",
    "OptionError",
    "PlanningError",
    "Policy",
    "PromptCache",
    "PromptCacheError",
    "Receipt",
    "RedisStore",
    "ResidentDocuments",
    "Settled",
    "SqliteStore",
    "Store",
    "StoreError",
    "SystemClock",
    "UnsupportedClientError",
    "Usage",
    "attach",
    "default_cache",
    "is_switched_off",
    "open_store",
    "options",
    "read_choice",
]

_LAZY = {
    "GeminiCacheKeeper": "promptcache.holding",
    "RedisStore": "promptcache.state.redis",
    "ResidentDocuments": "promptcache.providers.gemini.residents",
    "SqliteStore": "promptcache.state.sqlite",
}
"""Where a name is that is loaded when it is first touched: some need an extra."""


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
