"""Contexts for the chunks of documents, where one chunk of a document goes ahead."""

from typing import Any

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable

__all__ = ["chunk_context"]

_DOCUMENT = "<document>\n{document}\n</document>"
_CHUNK = "<chunk>\n{chunk}\n</chunk>\n\n{instructions}"
_INSTRUCTIONS = (
    "Say in one or two sentences where this chunk of the document stands in it and "
    "what it is about, so that a search finds it. Answer with these sentences only."
)


def chunk_context(
    model: Runnable[Any, Any], *, instructions: str = _INSTRUCTIONS
) -> Runnable[dict[str, str], str]:
    """Return what tells, given a document and a chunk, where the chunk stands.

    The document is the system prompt, so that a breakpoint follows it, and the chunk
    is the question. Called with `batch` or `abatch`, as far as possible with the chunks
    of a document one after another, each document is written once and then read.

    Args:
        model: A cached chat model.
        instructions: What is said after the chunk.

    Example:
        ```python
        contexts = chunk_context(model).batch(
            [{"document": text, "chunk": chunk} for chunk in chunks],
            {"max_concurrency": 8},
        )
        ```
    """
    prompt = ChatPromptTemplate([("system", _DOCUMENT), ("human", _CHUNK)])
    said = prompt.partial(instructions=instructions)
    chain: Runnable[dict[str, str], str] = said | model | StrOutputParser()
    return chain
