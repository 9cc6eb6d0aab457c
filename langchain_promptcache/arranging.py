"""A prompt that was filled in, put into the order in which most of it is cached.

Instructions come first, then the history, then one turn of the user's with documents
and the question after them.

Rule 1: every text of the prompt is in what comes out, documents once; white space
between two of them may differ, and what wraps the documents goes with them.
Rule 2: what cannot be told apart stays where it is, and only the documents are filled
in there.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage
from langchain_core.prompt_values import (
    ChatPromptValue,
    PromptValue,
    StringPromptValue,
)

__all__ = ["BLANK_LINE", "Filled", "Moved", "arranged"]

BLANK_LINE = "\n\n"

_LABEL = re.compile(r"\s*(?:[\w'-]+[ \t]+){0,3}[\w'-]*[ \t]*[:=]?\s*")
"""A few words that say what follows; no sentence."""

_RULE = re.compile(r"\s*[^\w\s<>]{2,}\s*")
_OPENING = re.compile(r"\s*<[A-Za-z][^<>\n]*>\s*")
_CLOSING = re.compile(r"\s*</[A-Za-z][^<>\n]*>\s*")
_ENDING = re.compile(r"[ \t]*</[A-Za-z][^<>\n]*>|[^\w\n<]*(?=\n)")
"""What still belongs to a text that was put in: a tag, or the rest of its line."""


@dataclass(frozen=True, slots=True)
class Filled:
    """A prompt with marks for what is still to be filled in."""

    prompt: PromptValue
    mark: str
    """Stands where the documents go."""
    values: Mapping[str, str]
    """What else goes where, by its mark."""


@dataclass(frozen=True, slots=True)
class Moved:
    """A prompt in another order."""

    prompt: PromptValue
    is_changed: bool
    """Whether it says something elsewhere than the template does."""


def arranged(filled: Filled, documents: str, separator: str | None) -> Moved:
    """Return the prompt in the order in which most of it is cached.

    Args:
        filled: The prompt.
        documents: The documents, as one text.
        separator: What stands on a line of its own between documents and question; else
            a blank line.
    """
    between = f"\n\n{separator}\n\n" if separator else BLANK_LINE
    work = _Arranging(filled, documents, between)
    if isinstance(filled.prompt, StringPromptValue):
        text = work.whole(filled.prompt.text)
        as_written = work.completed(filled.prompt.text)
        return Moved(StringPromptValue(text=text), text != as_written)
    messages = filled.prompt.to_messages()
    made = work.messages(messages)
    said = [work.edited(it, work.completed).content for it in messages]
    is_changed = [it.content for it in made] != said
    return Moved(ChatPromptValue(messages=made), is_changed)


@dataclass(frozen=True, slots=True)
class _Arranging:
    filled: Filled
    documents: str
    between: str

    def messages(self, messages: Sequence[BaseMessage]) -> list[BaseMessage]:
        """Return the messages of a chat prompt, rearranged."""
        humans = [at for at, it in enumerate(messages) if isinstance(it, HumanMessage)]
        last = humans[-1] if humans else len(messages)
        is_there = last < len(messages) and self._is_in(messages[last])
        moved, kept = "", list[BaseMessage]()
        for at, message in enumerate(messages):
            if at == last or not self._is_in(message):
                kept.append(self.edited(message, self.whole))
            elif isinstance(message, SystemMessage):
                taken, left = self._parted(message, is_there=is_there or bool(moved))
                moved = moved or taken
                kept.extend(left)
            elif isinstance(message, HumanMessage) and isinstance(message.content, str):
                if is_there or moved:
                    kept.append(self.edited(message, self._without))
                else:
                    # A turn that brings the documents: it comes before the question.
                    moved = message.content
            else:
                kept.append(self.edited(message, self.completed))
        if not moved:
            return kept
        moved = self.completed(moved)
        if not humans:
            return [*kept, HumanMessage(moved)] if moved.strip() else kept
        at = max(n for n, it in enumerate(kept) if isinstance(it, HumanMessage))
        kept[at] = self._led(kept[at], moved)
        return kept

    def whole(self, text: str) -> str:
        """Return a text in which documents stand before what is asked of them.

        That is the text before them that was put in last. If one was put in behind
        them too, what stands before them may be instructions, and stays.
        """
        mark, values = self.filled.mark, self.filled.values
        before, found, after = text.partition(mark)
        asked = max(((before.rfind(it), it) for it in values), default=(-1, ""))
        if not found or asked[0] < 0 or any(it in after for it in values):
            return self.completed(text)
        start = before.rfind("\n", 0, asked[0]) + 1
        end = asked[0] + len(asked[1])
        ending = _ENDING.match(before, end)
        end = end if ending is None else ending.end()
        label = before[end:]
        opened = _OPENING.fullmatch(label) or _RULE.fullmatch(label)
        if not (opened or _LABEL.fullmatch(label)):
            return self.completed(text)
        closing = _closed(label, after)
        documents = f"{label.lstrip()}{mark}{after[:closing].rstrip()}"
        parts = (before[:start], documents, self.between, before[start:end].rstrip())
        return self.completed("".join(parts) + after[closing:])

    def _parted(
        self, message: BaseMessage, *, is_there: bool
    ) -> tuple[str, list[BaseMessage]]:
        """Return the documents with what wraps them, and the message without.

        Args:
            message: Has the documents in it.
            is_there: The documents are in another place already.
        """
        taken = ""

        def without(text: str) -> str:
            nonlocal taken
            if self.filled.mark not in text:
                return self.completed(text)
            if is_there or taken:
                return self._without(text)
            taken, left = _unwrapped(text, self.filled.mark)
            return self.completed(left)

        left = self.edited(message, without)
        return taken, [left] if left.content else []

    def edited(self, message: BaseMessage, edit: Any) -> BaseMessage:
        """Return a message with each of its texts edited; empty ones are left out."""
        content = message.content
        if isinstance(content, str):
            text = edit(content)
            return message if text == content else _with(message, text)
        items: list[Any] = []
        for item in content:
            said = item if isinstance(item, str) else item.get("text")
            text = edit(said) if isinstance(said, str) else said
            if text == said:
                items.append(item)
            elif text:
                items.append(text if isinstance(item, str) else {**item, "text": text})
        return message if items == content else _with(message, items)

    def _led(self, message: BaseMessage, moved: str) -> BaseMessage:
        """Return the last turn with the documents before its question."""
        if not moved.strip():
            return message
        if isinstance(message.content, str):
            return _with(message, f"{moved}{self.between}{message.content}")
        first = {"type": "text", "text": f"{moved}{self.between}"}
        return _with(message, [first, *message.content])

    def _without(self, text: str) -> str:
        """Return a text without the documents, which stand elsewhere."""
        return self.completed(text.replace(self.filled.mark, "")).strip()

    def completed(self, text: str) -> str:
        """Return a text with everything filled in."""
        for mark, value in self.filled.values.items():
            text = text.replace(mark, value)
        return text.replace(self.filled.mark, self.documents)

    def _is_in(self, message: BaseMessage) -> bool:
        """Tell whether the documents go into a message."""
        content = message.content
        items = [content] if isinstance(content, str) else content
        said = (it if isinstance(it, str) else it.get("text") for it in items)
        return any(isinstance(it, str) and self.filled.mark in it for it in said)


def _unwrapped(text: str, mark: str) -> tuple[str, str]:
    """Return the documents with what wraps them, and what is left of their text."""
    before, _, after = text.partition(mark)
    cut = before.rfind("\n") + 1
    if not before[cut:].strip() and cut:
        above = before.rfind("\n", 0, cut - 1) + 1
        opens = before[above:]
        cut = above if _OPENING.fullmatch(opens) or _RULE.fullmatch(opens) else cut
    elif not _is_wrapping(before[cut:]):
        cut = len(before)
    closing = _closed(before[cut:], after)
    wrapped = f"{before[cut:]}{mark}{after[:closing]}".strip()
    rest = (before[:cut].rstrip(), after[closing:].replace(mark, "").strip())
    return wrapped, BLANK_LINE.join(filter(None, rest))


def _is_wrapping(line: str) -> bool:
    return any(it.fullmatch(line) for it in (_LABEL, _RULE, _OPENING))


def _closed(opening: str, after: str) -> int:
    """Return how much of what follows the documents belongs to what opens them."""
    for opens, closes in ((_OPENING, _CLOSING), (_RULE, _RULE)):
        closing = closes.match(after)
        if closing is not None and opens.fullmatch(opening):
            return len(closing[0].rstrip())
    return 0


def _with(message: BaseMessage, content: Any) -> BaseMessage:
    return message.model_copy(update={"content": content})
