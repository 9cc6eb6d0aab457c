"""LiteLLM with points at which it is to inject cache control."""

import logging
import os
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from peers_work import Ask
from sessions import MODEL

from promptcache.emulator import Emulator

# Else it fetches a table of prices from the network, which no request here needs.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm  # it reads the line above

__all__ = ["inject"]

POINTS = (
    {"location": "tool_config"},
    {"location": "message", "role": "system"},
    {"location": "message", "index": -1},
)
"""The end of the tools, of the system prompt, and of the request."""


def inject(emulator: Emulator) -> Callable[[Ask], object]:
    """Return what sends a request with cache control at all points."""
    litellm.telemetry = False
    litellm.suppress_debug_info = True
    # It warns of each point that it leaves out.
    logging.getLogger("LiteLLM").setLevel(logging.ERROR)

    def send(ask: Ask) -> object:
        tools: Mapping[str, Any] = {"tools": deepcopy(ask.tools)} if ask.tools else {}
        return litellm.completion(
            model=f"anthropic/{MODEL}",
            api_base=emulator.url,
            api_key="any",
            max_retries=0,
            messages=deepcopy(ask.messages),
            cache_control_injection_points=[dict(point) for point in POINTS],
            **tools,
        )

    return send
