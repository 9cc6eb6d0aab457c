"""Pay a fraction for prompts that a provider has already seen.

The names here know no framework: `langchain_promptcache` and `llamaindex_promptcache`
bring them into one. Importing this loads no provider's SDK.
"""

from promptcache.cache import PromptCache
from promptcache.call import Call
from promptcache.clock import Clock, SystemClock
from promptcache.defaults import attach, default_cache, read_choice
from promptcache.errors import (
    AttachedError,
    OptionError,
    PlanningError,
    PromptCacheError,
    UnsupportedClientError,
)
from promptcache.options import CallOptions, options
from promptcache.planning.policies import Policy
from promptcache.receipts.events import Event, Listener, Settled
from promptcache.receipts.jsonl import JsonlReceipts
from promptcache.receipts.receipt import Receipt
from promptcache.receipts.usage import Usage
from promptcache.switch import is_switched_off

__all__ = [
    "AttachedError",
    "Call",
    "CallOptions",
    "Clock",
    "Event",
    "JsonlReceipts",
    "Listener",
    "OptionError",
    "PlanningError",
    "Policy",
    "PromptCache",
    "PromptCacheError",
    "Receipt",
    "Settled",
    "SystemClock",
    "UnsupportedClientError",
    "Usage",
    "attach",
    "default_cache",
    "is_switched_off",
    "options",
    "read_choice",
]
