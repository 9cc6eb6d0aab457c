"""Whether a conversation goes on with other tools than it had before.

Rule 1: only digests are compared; no tool is named.
Rule 2: a request goes on from an earlier one if all of that one's messages come again,
or if both have the name of one conversation and begin with the same message.

Tools stand first in a prompt: where they are not the same, or not in the same order,
nothing behind them is read, whatever else is.
"""

from collections.abc import Sequence

from promptcache.receipts.footprint import Footprint

__all__ = ["tools_note"]


def tools_note(asked: Footprint, earlier: Sequence[Footprint]) -> str | None:
    """Return how the tools differ from those of the request before, in words.

    None if they do not, or if there is no request before.

    Args:
        asked: The request.
        earlier: Those that it may go on from.
    """
    before = [
        it
        for it in earlier
        if it.root == asked.root and asked.could_read(it) and _continues(asked, it)
    ]
    if not before:
        return None
    latest = max(before, key=lambda it: it.numbers)
    had, has = _tools(latest), _tools(asked)
    if had == has:
        return None
    gone, new = set(had) - set(has), set(has) - set(had)
    if not gone and not new:
        return "tools in another order than before; stable_tools=True keeps one"
    return f"tools changed within the conversation: {len(new)} new, {len(gone)} gone"


def _tools(it: Footprint) -> list[bytes]:
    """Return the tools of a prompt; a deferred one is in none."""
    each = (it.content(position) for position in range(it.tools_end))
    return [content for content in each if content is not None]


def _continues(asked: Footprint, it: Footprint) -> bool:
    if asked.follows or it.follows or it.length == it.system_end:
        return False
    is_named = asked.conversation is not None and asked.conversation == it.conversation
    length = 1 if is_named else it.length - it.system_end
    return all(
        (content := asked.content(asked.system_end + number)) is not None
        and content == it.content(it.system_end + number)
        for number in range(length)
    )
