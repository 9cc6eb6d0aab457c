"""Chat engines that send what was retrieved next to the question, not before it all.

Rule 1: system prompt, documents, history and question are those of the stock engine;
where they stand is ours.
Rule 2: what was retrieved for one turn is in no later one, as in the stock engine.
Rule 3: nothing here marks or decides; the client's seam plans.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from llama_index.core.base.llms.generic_utils import messages_to_history_str
from llama_index.core.base.llms.types import ContentBlock, TextBlock
from llama_index.core.chat_engine import (
    CondensePlusContextChatEngine,
    ContextChatEngine,
)
from llama_index.core.llms import ChatMessage, MessageRole
from llama_index.core.prompts import PromptTemplate
from llama_index.core.response_synthesizers import CompactAndRefine
from typing_extensions import override

from llamaindex_promptcache.templates import ContextTurn, copied

__all__ = [
    "PromptCachedCondensePlusContextChatEngine",
    "PromptCachedContextChatEngine",
]

_HISTORY = "{chat_history}"
_QUESTION = "{question}"


class PromptCachedContextChatEngine(ContextChatEngine):
    """A `ContextChatEngine` whose turns begin like those before them.

    The stock engine puts the retrieved nodes into the system message, before the system
    prompt and the history, so that each turn begins with something else. This one sends
    the system prompt, the history, and then one turn of the user: `context_template`
    with the nodes, and the question. It takes what the stock engine takes.

    Instructions in `context_template` thereby come from the user; put into the system
    prompt what has to have its authority. Only the templates are templates: braces in
    the system prompt, the history and the nodes are sent as they are.
    """

    @override
    def _get_response_synthesizer(
        self, chat_history: list[ChatMessage], streaming: bool = False
    ) -> CompactAndRefine:
        prefix = [*self._prefix_messages]
        if prefix and prefix[0].role == MessageRole.SYSTEM:
            system = copied(prefix[0], role=self._llm.metadata.system_role)
            prefix[:1] = [system] if str(system.content or "").strip() else []
        return _synthesizer(
            self,
            [*prefix, *chat_history],
            self._context_template,
            self._context_refine_template,
            streaming=streaming,
        )


class PromptCachedCondensePlusContextChatEngine(CondensePlusContextChatEngine):
    """A `CondensePlusContextChatEngine` whose turns begin like those before them.

    The stock engine puts the retrieved nodes into the system message, before the system
    prompt and the history, so that each turn begins with something else. This one sends
    the system prompt, the history, and then one turn of the user: `context_prompt` with
    the nodes, and the question. It takes what the stock engine takes.

    The question is condensed with the same words; of a `condense_prompt` that has
    the history before the question, instructions, each message and the question are
    blocks of their own, so that the next turn can read what has not changed.

    Instructions in `context_prompt` thereby come from the user; put into the system
    prompt what has to have its authority. Only the templates are templates: braces in
    the system prompt, the history and the nodes are sent as they are.
    """

    def _condense_question(
        self, chat_history: list[ChatMessage], latest_message: str
    ) -> str:
        asked = self._condensing(chat_history, latest_message)
        if asked is None:
            return super()._condense_question(chat_history, latest_message)
        return self._llm.chat([asked]).message.content or ""

    async def _acondense_question(
        self, chat_history: list[ChatMessage], latest_message: str
    ) -> str:
        asked = self._condensing(chat_history, latest_message)
        if asked is None:
            return await super()._acondense_question(chat_history, latest_message)
        return (await self._llm.achat([asked])).message.content or ""

    def _condensing(
        self, chat_history: Sequence[ChatMessage], question: str
    ) -> ChatMessage | None:
        """Return the request to condense a question, in blocks.

        Returns:
            The message, or None where there is nothing to condense or the prompt has no
            parts that come again.
        """
        if self._skip_condense or not chat_history:
            return None
        prompt = self._condense_prompt_template
        before, history, after = prompt.template.partition(_HISTORY)
        is_plain = not (prompt.function_mappings or prompt.template_var_mappings)
        has_order = history and _QUESTION not in before and _HISTORY not in after
        if not (is_plain and has_order and self._llm.metadata.is_chat_model):
            return None
        if prompt.output_parser is not None:
            return None
        given: dict[str, Any] = {**prompt.kwargs, "question": question}
        ends = (PromptTemplate(part).format(**given) for part in (before, after))
        texts = [next(ends), *_lines(chat_history), next(ends)]
        blocks: list[ContentBlock] = [TextBlock(text=text) for text in _filled(texts)]
        return ChatMessage(role=MessageRole.USER, blocks=blocks)

    @override
    def _get_response_synthesizer(
        self, chat_history: list[ChatMessage], streaming: bool = False
    ) -> CompactAndRefine:
        system = (self._system_prompt or "").strip()
        role = self._llm.metadata.system_role
        prefix = [ChatMessage(system, role=role)] if system else []
        return _synthesizer(
            self,
            [*prefix, *chat_history],
            self._context_prompt_template,
            self._context_refine_prompt_template,
            streaming=streaming,
        )


def _synthesizer(
    engine: Any,
    said: Sequence[ChatMessage],
    context: PromptTemplate,
    refining: PromptTemplate,
    *,
    streaming: bool,
) -> CompactAndRefine:
    return CompactAndRefine(
        llm=engine._llm,  # noqa: SLF001 - the engine's own
        callback_manager=engine.callback_manager,
        text_qa_template=ContextTurn(said, context),
        refine_template=ContextTurn(said, refining),
        streaming=streaming,
    )


def _lines(messages: Sequence[ChatMessage]) -> Iterator[str]:
    """Yield each message as the history has it; together they are the history."""
    for number, message in enumerate(messages):
        line = messages_to_history_str([message])
        yield f"\n{line}" if number else line


def _filled(texts: Sequence[str]) -> Iterator[str]:
    """Yield texts, those that are blank as part of the next: no block may be that."""
    blank = ""
    for text in texts:
        if text.strip():
            yield blank + text
            blank = ""
        else:
            blank += text
