"""What a caller gives `google-generativeai`, spelled as that SDK sends it.

Rule 1: as in `spelling`: the SDK spells it itself, as it spells a request.
"""

from typing import Any

try:
    from google.generativeai.generative_models import GenerativeModel
    from google.generativeai.types import content_types
except ImportError as failure:
    raise ImportError(
        "`promptcache.providers.gemini.spelling_legacy` needs the "
        "`google-generativeai` extra: pip install 'promptcache[google-generativeai]'"
    ) from failure

from promptcache.errors import OptionError
from promptcache.providers.gemini import wire
from promptcache.providers.gemini.wire_legacy import body_of

__all__ = ["legacy_members"]

_QUESTION = {"role": "user", "parts": ["?"]}


def legacy_members(
    model: str, *, contents: Any, system: Any, tools: Any, tool_config: Any
) -> dict[str, Any]:
    """Return what a cached content is to hold, as the wire has it.

    Args:
        model: The model that is asked.
        contents: What contents begin with, in any form that the SDK takes.
        system: The system instruction.
        tools: The tools, functions of Python among them.
        tool_config: The choice of tools.

    Raises:
        OptionError: It holds numbers that JSON does not have.
    """
    before = content_types.to_contents(contents)
    if isinstance(tool_config, dict):
        # The SDK writes to it.
        tool_config = dict(tool_config)
    asking = GenerativeModel(
        model, tools=tools, tool_config=tool_config, system_instruction=system
    )
    request = asking._prepare_request(  # noqa: SLF001 - no public place
        contents=[*before, _QUESTION], tools=None, tool_config=None
    )
    body = body_of(request)
    if body is None:
        raise OptionError("hold", type(contents).__name__, "what JSON can say")
    return wire.members(body, len(before))
