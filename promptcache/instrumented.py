"""SDK classes that plan where a run is open, for models that know nothing of us.

Rule 1: outside an open run the classes do what they did.
Rule 2: an SDK that is not loaded is not loaded for this.
"""

import logging
import sys
from collections.abc import Mapping
from importlib import import_module

from promptcache.state.forks import ForkSafeLock
from promptcache.switch import is_switched_off

__all__ = ["instrument"]

_LOGGER = logging.getLogger("promptcache")

_INSTRUMENTED: Mapping[str, str] = {
    "anthropic": "promptcache.providers.anthropic.instrumented",
    "google.genai": "promptcache.providers.gemini.instrumented",
    "openai": "promptcache.providers.openai.instrumented",
}
_done: set[str] = set()
_LOCK = ForkSafeLock()


def instrument() -> None:
    """Instrument the classes of all SDKs that are loaded, each once a process.

    With `PROMPTCACHE=off` in the environment nothing is.
    """
    if len(_done) == len(_INSTRUMENTED) or is_switched_off():
        return
    for sdk, module in _INSTRUMENTED.items():
        if sdk not in _done and sdk in sys.modules:
            with _LOCK:
                _instrument(sdk, module)


def _instrument(sdk: str, module: str) -> None:
    if sdk in _done:
        return
    _done.add(sdk)
    try:
        import_module(module).instrument()
    except Exception as error:  # noqa: BLE001 - any version may be installed
        _LOGGER.warning(
            "The classes of %s cannot be instrumented (%r); its plain models are "
            "neither planned nor watched.",
            sdk,
            error,
        )
