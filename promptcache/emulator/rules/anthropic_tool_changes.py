"""Tools that are added to a conversation, or taken from it, between its turns.

Such a change is a block of a system message, so that what stands before it is read as
ever; a change of `tools` is not.

Sources: of `anthropic` 0.125 `types/beta/beta_request_tool_addition_block_param.py`
and `types/beta/beta_request_tool_removal_block_param.py`; for the betas
`langchain-anthropic` 1.7.7. No source has the texts of the refusals.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from promptcache.emulator.rules.anthropic_blocks import Block, as_blocks
from promptcache.emulator.rules.rejection import RejectedError

__all__ = ["INLINE_TOOLS", "TOOL_CHANGES", "check_tool_changes"]

TOOL_CHANGES = "mid-conversation-tool-changes-2026-07-01"
INLINE_TOOLS = "inline-tools-2026-09-15"
"""Takes definitions as well as references, so it stands for the other one too."""

_KINDS = ("tool_addition", "tool_removal")
_SERVERS = ("mcp_tool_reference", "mcp_toolset_reference")


def check_tool_changes(body: Mapping[str, Any], betas: Sequence[str]) -> None:
    """Refuse changes of tools where the provider would.

    Raises:
        RejectedError: A change is in another message than one of the system's, names
            a tool that is not declared, or needs a beta that is not in use.
    """
    known = {tool.get("name") for tool in body.get("tools") or ()}
    for path, role, block in _changes(body["messages"]):
        kind = block["type"]
        if role != "system":
            msg = f"{path}: `{kind}` blocks may only be in messages of role 'system'"
            raise RejectedError(msg)
        tool = block.get("tool")
        if not isinstance(tool, Mapping):
            raise RejectedError(f"{path}.{kind}.tool: Field required")
        is_inline = tool.get("type") == "tool_definition"
        if INLINE_TOOLS not in betas and (is_inline or TOOL_CHANGES not in betas):
            needed = INLINE_TOOLS if is_inline else TOOL_CHANGES
            raise RejectedError(f"{path}: `{kind}` needs the beta {needed}")
        if is_inline and kind == "tool_addition":
            known.add(_defined(path, tool))
        elif tool.get("type") in _SERVERS:
            continue
        elif tool.get("type") != "tool_reference" or tool.get("name") not in known:
            msg = f"{path}.{kind}.tool: '{tool.get('name')}' is not in `tools`"
            raise RejectedError(msg)


def _changes(messages: Sequence[Block]) -> Iterator[tuple[str, str, Block]]:
    for index, message in enumerate(messages):
        for part, block in enumerate(as_blocks(message.get("content"))):
            if block.get("type") in _KINDS:
                path = f"messages.{index}.content.{part}"
                yield path, str(message.get("role")), block


def _defined(path: str, tool: Mapping[str, Any]) -> str:
    definition = tool.get("definition")
    name = definition.get("name") if isinstance(definition, Mapping) else None
    if not isinstance(name, str):
        raise RejectedError(
            f"{path}.tool_addition.tool.definition.name: Field required"
        )
    return name
