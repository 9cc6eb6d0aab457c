"""What the turns of a conversation must be like."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from promptcache.emulator.rules.anthropic_blocks import as_blocks, is_server_result
from promptcache.emulator.rules.rejection import RejectedError

__all__ = ["check_turns"]

Message: TypeAlias = Mapping[str, Any]

SYSTEM_PLACE = (
    "messages.{index}: role 'system' must follow a user turn or a server tool result, "
    "and be the last message or be followed by an assistant turn"
)


def check_turns(messages: Sequence[Message], *, mid_system: bool) -> None:
    """Refuse a conversation that the provider would not accept.

    Raises:
        RejectedError: A turn or a tool call is where it may not be.
    """
    if not messages:
        raise RejectedError("messages: at least one message is required")
    _check_system_turns(messages, mid_system=mid_system)
    if messages[0]["role"] != "user" and not _begins_anew(messages[0]):
        raise RejectedError('messages: first message must use the "user" role')
    for index, message in enumerate(messages):
        _check_content(index, message, final=index == len(messages) - 1)
    _check_tool_uses(messages)
    _check_tool_results(messages)


def _check_system_turns(messages: Sequence[Message], *, mid_system: bool) -> None:
    """Refuse `role: system` where the model or the place does not allow it.

    Source: anthropics/claude-code#61412 for the text, the mid-conversation system
    messages page for the places.
    """
    for index, message in enumerate(messages):
        if message["role"] != "system":
            continue
        if not mid_system:
            raise RejectedError("role 'system' is not supported on this model")
        before = messages[index - 1] if index else None
        after = messages[index + 1] if index + 1 < len(messages) else None
        follows = before is not None and _ends_a_user_turn(before)
        leads = after is None or after["role"] == "assistant"
        if not (follows and leads):
            raise RejectedError(SYSTEM_PLACE.format(index=index))


def _ends_a_user_turn(message: Message) -> bool:
    if message["role"] == "user":
        return True
    blocks = as_blocks(message["content"])
    ends = bool(blocks) and is_server_result(blocks[-1])
    return message["role"] == "assistant" and ends


def _begins_anew(message: Message) -> bool:
    """Whether a compaction stands for all that came before.

    Source: compaction page of the documentation.
    """
    return any(
        block.get("type") == "compaction" and block.get("content")
        for block in as_blocks(message["content"])
    )


def _check_content(index: int, message: Message, *, final: bool) -> None:
    """Refuse empty messages and empty text.

    Sources: the texts are quoted in many public repositories; the one for a marker on
    empty text is from anthropics/claude-code#50082.
    """
    blocks = as_blocks(message["content"])
    effort_only = message["role"] == "system" and message.get("output_config")
    prefill = final and message["role"] == "assistant"
    if not (blocks or effort_only or prefill):
        msg = (
            f"messages.{index}: all messages must have non-empty content except for "
            f"the optional final assistant message"
        )
        raise RejectedError(msg)
    check_texts(f"messages.{index}.content", blocks, "messages")
    if prefill and blocks:
        text = blocks[-1].get("text")
        if isinstance(text, str) and text != text.rstrip():
            msg = (
                "messages: final assistant content cannot end with trailing whitespace"
            )
            raise RejectedError(msg)


def check_texts(path: str, blocks: Sequence[Message], section: str) -> None:
    """Refuse text blocks without text.

    Raises:
        RejectedError: A text block is empty or blank.
    """
    for part, block in enumerate(blocks):
        if block.get("type") != "text" or str(block.get("text")).strip():
            continue
        if block.get("text"):
            msg = f"{section}: text content blocks must contain non-whitespace text"
            raise RejectedError(msg)
        if block.get("cache_control") is not None:
            place = f"{path}.{part}.text"
            msg = f"{place}: cache_control cannot be set for empty text blocks"
            raise RejectedError(msg)
        raise RejectedError(f"{section}: text content blocks must be non-empty")


def _turns(messages: Sequence[Message]) -> Iterator[tuple[str, list[int]]]:
    """Yield runs of messages of one role, which the provider takes as one turn."""
    role, run = "", list[int]()
    for index, message in enumerate(messages):
        if message["role"] == "system":
            continue
        if message["role"] != role and run:
            yield role, run
            run = []
        role = message["role"]
        run.append(index)
    yield role, run


def _ids(messages: Sequence[Message], run: Sequence[int], kind: str) -> list[str]:
    field = "id" if kind == "tool_use" else "tool_use_id"
    return [
        str(block.get(field))
        for index in run
        for block in as_blocks(messages[index]["content"])
        if block.get("type") == kind
    ]


def _check_tool_uses(messages: Sequence[Message]) -> None:
    """Refuse a call without its result. Source: anthropics/claude-code#5060."""
    turns = list(_turns(messages))
    seen: set[str] = set()
    for number, (_, run) in enumerate(turns):
        used = _ids(messages, run, "tool_use")
        if len(set(used)) < len(used) or seen & set(used):
            raise RejectedError(f"messages.{run[-1]}: `tool_use` ids must be unique")
        seen.update(used)
        following = turns[number + 1][1] if number + 1 < len(turns) else []
        results = set(_ids(messages, following, "tool_result"))
        missing = [name for name in used if name not in results]
        if missing:
            msg = (
                f"messages.{run[-1]}: `tool_use` ids were found without `tool_result` "
                f"blocks immediately after: {', '.join(missing)}. Each `tool_use` "
                f"block must have a corresponding `tool_result` block in the next "
                f"message."
            )
            raise RejectedError(msg)


def _check_tool_results(messages: Sequence[Message]) -> None:
    """Refuse a result without its call. Source: anthropics/claude-code#13460."""
    called: set[str] = set()
    for role, run in _turns(messages):
        if role == "user":
            _check_results_of(messages, run, called)
        called = set(_ids(messages, run, "tool_use"))


def _check_results_of(
    messages: Sequence[Message], run: Sequence[int], called: set[str]
) -> None:
    answered: set[str] = set()
    for index in run:
        for part, block in enumerate(as_blocks(messages[index]["content"])):
            if block.get("type") != "tool_result":
                continue
            name = str(block["tool_use_id"])
            path = f"messages.{index}.content.{part}"
            if name not in called:
                msg = (
                    f"{path}: unexpected `tool_use_id` found in `tool_result` blocks: "
                    f"{name}. Each `tool_result` block must have a corresponding "
                    f"`tool_use` block in the previous message."
                )
                raise RejectedError(msg)
            if name in answered:
                msg = (
                    f"{path}: each tool_use must have a single result. Found multiple "
                    f"`tool_result` blocks with id: {name}"
                )
                raise RejectedError(msg)
            answered.add(name)
