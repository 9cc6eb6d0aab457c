"""A local server with the providers' APIs and caching rules, for tests and demos.

It follows the documentation and, where that is silent, measurements that others have
published; it has not been compared with the live APIs. Each rule names its source, and
what no source settles is a field of `Settings`, `OpenAISettings` or `GeminiSettings`.
"""

try:
    import starlette as _starlette
    import uvicorn as _uvicorn
except ImportError as error:
    msg = (
        "`promptcache.emulator` needs the `emulator` extra: "
        "pip install 'promptcache[emulator]'"
    )
    raise ImportError(msg) from error

from promptcache.emulator.answers import Json, ToolCall
from promptcache.emulator.faults import Fault
from promptcache.emulator.gemini_cache import CacheRow
from promptcache.emulator.http.server import Emulator
from promptcache.emulator.ledger import LedgerRow
from promptcache.emulator.rules.gemini_settings import GeminiSettings
from promptcache.emulator.rules.openai_settings import OpenAISettings
from promptcache.emulator.rules.settings import Settings

__all__ = [
    "CacheRow",
    "Emulator",
    "Fault",
    "GeminiSettings",
    "Json",
    "LedgerRow",
    "OpenAISettings",
    "Settings",
    "ToolCall",
]

del _starlette, _uvicorn
