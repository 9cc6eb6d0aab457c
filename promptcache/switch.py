"""The switch that turns everything off: `PROMPTCACHE=off` in the environment."""

import os

__all__ = ["is_switched_off"]

_SWITCHED_OFF = os.environ.get("PROMPTCACHE", "").strip().lower() == "off"


def is_switched_off() -> bool:
    """Tell whether `PROMPTCACHE=off` stood in the environment at the start."""
    return _SWITCHED_OFF
