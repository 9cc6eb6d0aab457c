"""Templates in which what comes again is a block of its own, before what does not.

Rule 1: the words are those of the template that was given; only blocks are ours.
Rule 2: a text that is said is no template: braces in a conversation, a document or a
question stay what they are.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from llama_index.core.base.llms.base import BaseLLM
from llama_index.core.base.llms.types import (
    CacheControl,
    CachePoint,
    ChatMessage,
    ContentBlock,
    MessageRole,
    TextBlock,
)
from llama_index.core.prompts import ChatPromptTemplate, PromptTemplate
from llama_index.core.prompts.chat_prompts import CHAT_TEXT_QA_PROMPT
from llama_index.core.prompts.utils import format_string, get_template_vars

from promptcache import OptionError, noted

__all__ = ["ContextTurn", "cacheable_qa_template", "copied"]

_CONTEXT = "{context_str}"
_QUESTION = "query_str"
_PLACED = "documents placed behind the history, before the question"


def cacheable_qa_template(
    template: ChatPromptTemplate | PromptTemplate | None = None, *, ttl: str = "5m"
) -> ChatPromptTemplate:
    """Return a template for query engines whose context ends at a `CachePoint`.

    System prompt, context, cache point, question: the same nodes, asked about again,
    are read from the cache. Give it as `text_qa_template`. Anthropic's stock class
    takes cache points; those of OpenAI and Gemini raise, which a query engine turns
    into "Empty Response", while the cached classes of this package take them.

    Args:
        template: Whose words to use; LlamaIndex's own question and answer prompt
            unless given. It is not changed.
        ttl: Lifetime that Anthropic is asked for, `5m` or `1h`. A provider that has no
            such lifetime takes its own.

    Raises:
        OptionError: There is no `{context_str}` in the template.
    """
    given = CHAT_TEXT_QA_PROMPT if template is None else template
    if isinstance(given, PromptTemplate):
        messages = [ChatMessage(given.template)]
    else:
        messages = given.message_templates
    point = CachePoint(cache_control=CacheControl(type="ephemeral", ttl=ttl))
    split = [
        copied(message, blocks=[*_split(message.blocks, point)]) for message in messages
    ]
    if split == messages:
        raise OptionError("template", given, f"one with {_CONTEXT} in it")
    return ChatPromptTemplate(
        split,
        output_parser=given.output_parser,
        metadata={**given.metadata},
        template_var_mappings=given.template_var_mappings,
        function_mappings=given.function_mappings,
        prompt_type=given.metadata.get("prompt_type", "custom"),
        **given.kwargs,
    )


class ContextTurn(ChatPromptTemplate):
    """What was said, as it is, and one turn of the user: context, then question.

    The two are blocks of one message. A provider that takes one string only gets
    them in this order, with white space between.
    """

    def __init__(self, said: Sequence[ChatMessage], context: PromptTemplate) -> None:
        """Make a template.

        Args:
            said: The messages before the turn; nothing in them is replaced.
            context: What the turn begins with: a template that has `{context_str}`,
                or `{context_msg}` and `{existing_answer}` where an answer is refined.
        """
        text = context.template
        blocks = [TextBlock(text=text), TextBlock(text=f"{{{_QUESTION}}}")]
        partial: dict[str, Any] = {**context.kwargs}
        super().__init__(
            [*said, ChatMessage(role=MessageRole.USER, blocks=blocks)],
            template_var_mappings=context.template_var_mappings,
            function_mappings=context.function_mappings,
            **partial,
        )
        self.template_vars = [*get_template_vars(text), _QUESTION]

    def format_messages(
        self,
        llm: BaseLLM | None = None,  # noqa: ARG002 - the parent's signature
        **kwargs: Any,
    ) -> list[ChatMessage]:
        """Return the prompt as messages; those that were given are copied."""
        *said, turn = self.message_templates
        given = {**self.kwargs, **kwargs}
        context = format_string(_text(turn.blocks[0]), **self._map_all_vars(given))
        question = format_string(_text(turn.blocks[1]), **given)
        blocks: list[ContentBlock] = [TextBlock(text=question)]
        if context.strip():
            noted(_PLACED, context.strip())
            blocks.insert(0, TextBlock(text=_apart(context)))
        return [*map(copied, said), copied(turn, blocks=blocks)]


def copied(message: ChatMessage, **changes: Any) -> ChatMessage:
    """Return a message that shares no list with another; some LLMs write into them."""
    fresh = {
        "blocks": [*message.blocks],
        "additional_kwargs": {**message.additional_kwargs},
    }
    return message.model_copy(update={**fresh, **changes})


def _split(blocks: Sequence[ContentBlock], point: CachePoint) -> Iterator[ContentBlock]:
    """Yield blocks with a cache point after each context."""
    for block in blocks:
        before, context, after = (
            block.text.partition(_CONTEXT)
            if isinstance(block, TextBlock)
            else ("", "", "")
        )
        if not context:
            yield block
            continue
        yield TextBlock(text=before + context)
        yield point
        if after:
            yield TextBlock(text=after)


def _apart(context: str) -> str:
    """Return a text after which another one may follow."""
    return context if context[-1].isspace() else f"{context}\n\n"


def _text(block: ContentBlock) -> str:
    return block.text if isinstance(block, TextBlock) else ""
