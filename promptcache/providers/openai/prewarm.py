"""Writing a head before the first request that reads it.

A request of the Responses API with `prompt_cache_options.prewarm` writes at its
breakpoints and generates nothing; it is billed as a write. Source:
https://developers.openai.com/api/docs/guides/prompt-caching
"""

from collections.abc import Mapping
from typing import Any

from promptcache.errors import OptionError
from promptcache.providers.openai.facts import model_facts

__all__ = ["warming"]


def warming(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request that writes what requests like this one begin with.

    Args:
        request: Arguments of `responses.create`; of `input`, give what every
            conversation begins with, or none.

    Raises:
        OptionError: It is for an API or a model that cannot do that, or holds nothing.
    """
    if "messages" in request:
        raise OptionError(
            "prewarm", "messages", "arguments of `responses.create`, such as `input`"
        )
    model = str(request.get("model"))
    row = model_facts(model)
    if not row.breakpoints and not row.assumed:
        raise OptionError("model", model, "models with breakpoints, from gpt-5.6 on")
    if not any(request.get(name) for name in ("input", "instructions", "prompt")):
        raise OptionError("prewarm", "nothing", "`instructions`, `input` or both")
    options = request.get("prompt_cache_options") or {}
    return {**request, "prompt_cache_options": {**options, "prewarm": True}}
