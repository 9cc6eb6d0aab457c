"""Chains that put documents where they leave most of the prompt to be cached.

LangChain's own put the documents, which change with every question, into the system
prompt, so before the history: nothing behind them is ever read from the cache. These
take the same arguments, and send the same documents, question and instructions.

Rule 1: what a model is handed is an ordinary prompt; a model that caches nothing
answers it as well.
"""

from collections.abc import Iterable, Mapping
from secrets import token_hex
from typing import Any

from langchain_core.documents import Document
from langchain_core.language_models import LanguageModelLike
from langchain_core.output_parsers import BaseOutputParser, StrOutputParser
from langchain_core.prompt_values import PromptValue
from langchain_core.prompts import (
    BasePromptTemplate,
    PromptTemplate,
)
from langchain_core.prompts import (
    format_document as formatted,
)
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable, RunnableLambda, RunnablePassthrough

from langchain_promptcache.arranging import BLANK_LINE, Filled, arranged
from langchain_promptcache.documents import RANKING_ID
from promptcache import document, noted, volatile

__all__ = [
    "create_prompt_cached_retrieval_chain",
    "create_prompt_cached_stuff_documents_chain",
    "format_documents",
]

_DOCUMENT = PromptTemplate.from_template("{page_content}")
_PLACED = "documents placed behind the history, before the question"


def format_documents(
    documents: Iterable[Document],
    separator: str = BLANK_LINE,
    *,
    document_prompt: BasePromptTemplate[str] | None = None,
) -> str:
    """Return documents as one text, for a prompt of your own.

    The text is what joining them gives: the same bytes for the same documents in the
    same order. A model that caches finds each of them again in the prompt and can let
    a block end with it; any other model sees a text.

    Args:
        documents: The documents, in the order to send them in.
        separator: What stands between two of them.
        document_prompt: How each is written; else its text alone.
    """
    return separator.join(_written(documents, document_prompt))


def create_prompt_cached_stuff_documents_chain(
    llm: LanguageModelLike,
    prompt: BasePromptTemplate[Any],
    *,
    output_parser: BaseOutputParser[Any] | None = None,
    document_prompt: BasePromptTemplate[str] | None = None,
    document_separator: str = BLANK_LINE,
    document_variable_name: str = "context",
    separator: str | None = None,
) -> Runnable[dict[str, Any], Any]:
    """Return a chain that passes documents to a model, and can be cached.

    It stands in for `create_stuff_documents_chain`, with the same arguments. Wherever
    the prompt has the documents, they go into the last turn of the user's, before the
    question. Instructions stay where they are, as the same text without
    the documents; a tag, a rule or a label that wraps the documents goes with them. In
    a prompt that is one string, documents go before the question. The receipt notes
    it where that is another place than the prompt's.

    Args:
        llm: The model.
        prompt: A template with a variable for the documents.
        output_parser: Reads the answer; else it is returned as a string.
        document_prompt: How each document is written; else its text alone.
        document_separator: What stands between two documents.
        document_variable_name: The variable for the documents.
        separator: What stands on a line of its own between documents and question, as
            `"###"`; else a blank line.

    Raises:
        ValueError: The prompt has no such variable.
    """
    if document_variable_name not in prompt.input_variables:
        raise ValueError(
            f"the prompt needs {document_variable_name!r} as an input variable, "
            f"and has {prompt.input_variables}"
        )

    def arrange(filled: Filled, inputs: Mapping[str, Any]) -> PromptValue:
        texts = _written(inputs[document_variable_name], document_prompt)
        made = arranged(filled, document_separator.join(texts), separator)
        noted(_PLACED, *texts, how="" if made.is_changed else None)
        return made.prompt

    def fill(inputs: dict[str, Any]) -> PromptValue:
        fields = _Fields(prompt, inputs, document_variable_name)
        marked, plain = (prompt.format_prompt(**it) for it in fields.both)
        return arrange(fields.filled(marked, plain), inputs)

    async def afill(inputs: dict[str, Any]) -> PromptValue:
        fields = _Fields(prompt, inputs, document_variable_name)
        marked, plain = [await prompt.aformat_prompt(**it) for it in fields.both]
        return arrange(fields.filled(marked, plain), inputs)

    arranging = RunnableLambda(fill, afill, name="arrange_prompt")
    chain = arranging | llm | (output_parser or StrOutputParser())
    return chain.with_config(run_name="stuff_documents_chain")


def create_prompt_cached_retrieval_chain(
    retriever: BaseRetriever | Runnable[dict[str, Any], Any],
    combine_docs_chain: Runnable[dict[str, Any], Any],
) -> Runnable[dict[str, Any], dict[str, Any]]:
    """Return a chain that retrieves documents and passes them on.

    It stands in for `create_retrieval_chain`, with the same arguments and results:
    `context`, the documents, and `answer`, beside what it was given.

    Args:
        retriever: A retriever, which is asked for `input`, or a runnable that takes all
            inputs and returns documents.
        combine_docs_chain: What `create_prompt_cached_stuff_documents_chain` returns.
    """
    found: Runnable[dict[str, Any], Any] = (
        RunnableLambda(_question) | retriever
        if isinstance(retriever, BaseRetriever)
        else retriever
    )
    retrieved = found.with_config(run_name="retrieve_documents")
    chain = RunnablePassthrough.assign(context=retrieved)
    answered = chain.assign(answer=combine_docs_chain)
    return answered.with_config(run_name="retrieval_chain")


def _written(
    documents: Iterable[Document], template: BasePromptTemplate[str] | None
) -> list[str]:
    """Return each document as it is written in a prompt."""
    return [
        (volatile if it.id == RANKING_ID else document)(
            formatted(it, template or _DOCUMENT)
        )
        for it in documents
    ]


class _Fields:
    """What a prompt is filled in with: once with marks for texts, once without."""

    def __init__(
        self, prompt: BasePromptTemplate[Any], inputs: Mapping[str, Any], documents: str
    ) -> None:
        missing = set(prompt.input_variables) - set(inputs)
        if missing:
            raise KeyError(f"the prompt needs {sorted(missing)}")
        names = {*prompt.input_variables, *prompt.optional_variables}
        given = {name: inputs[name] for name in names if name in inputs}
        seed = token_hex(8)
        self.mark = f"[{seed}]"
        self.values = {
            f"[{seed}.{number}]": value
            for number, value in enumerate(given.values())
            if isinstance(value, str)
        }
        marks = {value: mark for mark, value in self.values.items()}
        marked = {
            name: marks[it] if isinstance(it, str) else it for name, it in given.items()
        }
        self.both = (
            {**marked, documents: self.mark},
            {**given, documents: self.mark},
        )

    def filled(self, marked: PromptValue, plain: PromptValue) -> Filled:
        """Return the prompt with marks, if these only stand for the texts.

        A template may do more with a text than to put it somewhere.
        """
        # Ids and the like aside: what is compared is what a model is told.
        told = marked.to_string()
        for mark, value in self.values.items():
            told = told.replace(mark, value)
        if told == plain.to_string():
            return Filled(marked, self.mark, self.values)
        return Filled(plain, self.mark, {})


def _question(inputs: Mapping[str, Any]) -> Any:
    return inputs["input"]
