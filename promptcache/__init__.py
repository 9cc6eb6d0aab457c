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
from promptcache.instrumented import instrument
from promptcache.limits import Limits
from promptcache.observing import observe, read_usage
from promptcache.options import CallOptions, options
from promptcache.planning.policies import Policy
from promptcache.prompts.ordering import DocumentText, OrderMode, StableOrder
from promptcache.prompts.parts import document, noted, static, volatile
from promptcache.receipts.advice import Advice
from promptcache.receipts.events import Event, Listener, Settled
from promptcache.receipts.fixed_prices import FixedPrices
from promptcache.receipts.jsonl import JsonlReceipts
from promptcache.receipts.prices import Prices
from promptcache.receipts.rates import Cost
from promptcache.receipts.receipt import Receipt
from promptcache.receipts.report import Report
from promptcache.receipts.usage import Usage
from promptcache.runs import Run
from promptcache.state.memory import MemoryStore
from promptcache.state.opening import open_store
from promptcache.state.stores import Store
from promptcache.switch import is_switched_off
from promptcache.tracing import add_span_finder

if TYPE_CHECKING:
    from promptcache.analysis.estimate import estimate
    from promptcache.analysis.estimating import Estimate
    from promptcache.analysis.explain.explaining import explain
    from promptcache.analysis.explain.explanation import Explanation
    from promptcache.holding import GeminiCacheKeeper
    from promptcache.providers.gemini.residents import ResidentDocuments
    from promptcache.receipts.otel import OpenTelemetryListener
    from promptcache.state.redis import RedisStore
    from promptcache.state.sqlite import SqliteStore

__all__ = [
    "Advice",
    "AttachedError",
    "Call",
    "CallOptions",
    "Clock",
    "Cost",
    "DocumentText",
    "Estimate",
    "Event",
    "Explanation",
    "FixedPrices",
    "GeminiCacheKeeper",
    "HoldError",
    "JsonlReceipts",
    "Limits",
    "Listener",
    "MemoryStore",
    "OpenTelemetryListener",
    "OptionError",
    "OrderMode",
    "PlanningError",
    "Policy",
    "Prices",
    "PromptCache",
    "PromptCacheError",
    "Receipt",
    "RedisStore",
    "Report",
    "ResidentDocuments",
    "Run",
    "Settled",
    "SqliteStore",
    "StableOrder",
    "Store",
    "StoreError",
    "SystemClock",
    "UnsupportedClientError",
    "Usage",
    "add_span_finder",
    "attach",
    "default_cache",
    "document",
    "estimate",
    "explain",
    "instrument",
    "is_switched_off",
    "noted",
    "observe",
    "open_store",
    "options",
    "read_choice",
    "read_usage",
    "static",
    "volatile",
]

_LAZY = {
    "Estimate": "promptcache.analysis.estimating",
    "Explanation": "promptcache.analysis.explain.explanation",
    "GeminiCacheKeeper": "promptcache.holding",
    "OpenTelemetryListener": "promptcache.receipts.otel",
    "RedisStore": "promptcache.state.redis",
    "ResidentDocuments": "promptcache.providers.gemini.residents",
    "SqliteStore": "promptcache.state.sqlite",
    "estimate": "promptcache.analysis.estimate",
    "explain": "promptcache.analysis.explain.explaining",
}
"""Where a name is that is loaded when it is first touched: some need an extra."""


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
