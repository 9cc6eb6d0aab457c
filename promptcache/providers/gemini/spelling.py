"""What a caller gives the SDK, spelled as the SDK sends it.

Rule 1: the SDK spells it itself, so that what is held is what its requests send.
"""

from collections.abc import Mapping
from typing import Any

__all__ = ["members"]


class _CaughtError(Exception):
    """Carries a body out of the SDK, in place of sending it."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        super().__init__()
        self.body = body


class _Catching:
    """Stands for an API client and catches what it would send."""

    def __init__(self, api_client: Any) -> None:
        self._api_client = api_client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._api_client, name)

    def request(self, _method: str, _path: str, body: Any, *_: Any) -> Any:
        raise _CaughtError(body)


def members(
    client: Any,
    model: str,
    *,
    contents: Any,
    system: Any,
    tools: Any,
    tool_config: Any,
) -> dict[str, Any]:
    """Return what a cached content is to hold, as the wire has it.

    Args:
        client: A `google.genai.Client`, or None for `google.generativeai`.
        model: The model that is asked.
        contents: What contents begin with.
        system: The system instruction.
        tools: The tools.
        tool_config: The choice of tools.
    """
    if client is None:
        from promptcache.providers.gemini.spelling_legacy import (  # noqa: PLC0415
            legacy_members,
        )

        legacy: dict[str, Any] = legacy_members(
            model,
            contents=contents,
            system=system,
            tools=tools,
            tool_config=tool_config,
        )
        return legacy
    # Who has a client has the SDK.
    from google.genai.models import Models  # noqa: PLC0415
    from google.genai.types import Content, Part  # noqa: PLC0415

    # As a request, since that is what has to begin alike; its question is left out.
    question = Content(role="user", parts=[Part(text="?")])
    asked = [*_listed(contents), question]
    catching: Any = _Catching(client._api_client)  # noqa: SLF001 - no public place
    config: Any = {
        "system_instruction": system,
        "tools": None if tools is None else list(tools),
        "tool_config": tool_config,
        "automatic_function_calling": {"disable": True},
    }
    try:
        Models(catching).generate_content(model=model, contents=asked, config=config)
    except _CaughtError as caught:
        body = caught.body
    else:
        raise RuntimeError("the SDK sent nothing")
    held = {
        name: body[name]
        for name in ("systemInstruction", "tools", "toolConfig")
        if body.get(name)
    }
    before = list(body["contents"])[:-1]
    return {**held, "contents": before} if before else held


def _listed(contents: Any) -> list[Any]:
    if contents is None:
        return []
    return list(contents) if isinstance(contents, list | tuple) else [contents]
