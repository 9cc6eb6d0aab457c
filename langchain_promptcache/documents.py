"""Retrieved documents in an order in which cached prefixes are read again.

Rule 1: documents of the caller are never written to; what is returned are copies.
Rule 2: the text of a document stays what it was, so that its prefix does. What changes
with the question, which is how well each document fits it, stands behind them all.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.callbacks import (
    AsyncCallbackManagerForRetrieverRun,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import BaseDocumentTransformer, Document
from langchain_core.retrievers import BaseRetriever, RetrieverLike
from langchain_core.runnables import RunnableConfig, ensure_config
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator
from typing_extensions import Self

from langchain_promptcache.identity import identity_in
from promptcache import DocumentText, OrderMode, StableOrder

__all__ = ["RANKING_ID", "OrderedRetriever", "StableDocumentOrder"]

RANKING_ID = "retrieval-ranking"
"""Of the document that says which ones matter most."""

_RANK = "retrieval_rank"
_SOURCE = "source"


class StableDocumentOrder(BaseDocumentTransformer, BaseModel):
    """Puts documents into an order in which cached prefixes are read again.

    A retriever returns documents by score, so in another order for each question, and
    nothing of them is read from the cache. Put this around a retriever,

        retriever = StableDocumentOrder().around(retriever)

    or wherever LangChain takes a document transformer, behind any reranker. Each
    document has the place that it was retrieved at in `metadata["retrieval_rank"]`,
    from 1 on. A document whose text another one before it has is left out.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    mode: OrderMode = "live"
    """`live`: the longest prefix of documents that was handed out and is still alive
    comes first, then what was shared most of late, then what is new. `id`: documents
    are sorted by `id`, else `metadata["source"]`, else text, the same everywhere."""

    live_seconds: float | None = None
    """How long a prefix is taken to be alive after it was handed out; else the option
    `ttl`, else five minutes."""

    name: str = ""
    """Of the prompt that the documents are for, if others have the same documents."""

    restate_rank: bool = False
    """Append one more document that says which ones matter most. Documents are not
    labelled with that themselves: their text would be another one in each prompt."""

    prompt_cache: Any = Field(default=None, exclude=True, repr=False)
    """What the model is given: a `PromptCache`, a `Policy` or its name, a dict of
    options, True, False or None. None is the cache of this process."""

    _order: StableOrder = PrivateAttr()

    @model_validator(mode="after")
    def _make_order(self) -> Self:
        self._order = StableOrder(
            self.mode,
            live_seconds=self.live_seconds,
            name=self.name,
            prompt_cache=self.prompt_cache,
        )
        return self

    def around(self, retriever: RetrieverLike) -> "OrderedRetriever":
        """Return a retriever that returns what another one does, in this order."""
        return OrderedRetriever(retriever=retriever, order=self)

    def transform_documents(
        self,
        documents: Sequence[Document],
        *,
        metadata: Mapping[str, Any] | None = None,
        **kwargs: Any,  # noqa: ARG002 - LangChain's own transformers take them
    ) -> list[Document]:
        """Return copies of documents in this order.

        Args:
            documents: The most relevant first.
            metadata: Of the run that they are for; else of the runnable that calls
                this. It may name a tenant.
            **kwargs: Nothing that is used.
        """
        told = ensure_config().get("metadata") if metadata is None else metadata
        positions = self._order.arranged(
            [DocumentText(it.page_content, _id(it)) for it in documents],
            tenant=identity_in(told or {}).get("tenant"),
        )
        arranged = [_ranked(documents[it], it + 1) for it in positions]
        if self.restate_rank and (line := self.ranking(arranged)):
            # A template for documents may name any of their metadata.
            blank = dict.fromkeys(arranged[0].metadata, "")
            arranged.append(Document(line, id=RANKING_ID, metadata=blank))
        return arranged

    async def atransform_documents(
        self, documents: Sequence[Document], **kwargs: Any
    ) -> list[Document]:
        """Do what `transform_documents` does; nothing of it waits."""
        return self.transform_documents(documents, **kwargs)

    @staticmethod
    def ranking(documents: Sequence[Document]) -> str:
        """Return a line that says which documents matter most, to put behind them.

        It names places, so documents need no labels, and is remembered as `volatile`.

        Args:
            documents: In the order in which they stand in the prompt.
        """
        return StableOrder.ranking(
            [
                it.metadata.get(_RANK, place)
                for place, it in enumerate(documents, start=1)
            ]
        )


class OrderedRetriever(BaseRetriever):
    """Returns what another retriever does, in an order that keeps prefixes."""

    retriever: RetrieverLike
    """Whose documents are returned."""

    order: StableDocumentOrder
    """What puts them in order."""

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        config: RunnableConfig = {"callbacks": run_manager.get_child()}
        found = self.retriever.invoke(query, config, **kwargs)
        return self.order.transform_documents(found, metadata=run_manager.metadata)

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,
        **kwargs: Any,
    ) -> list[Document]:
        config: RunnableConfig = {"callbacks": run_manager.get_child()}
        found = await self.retriever.ainvoke(query, config, **kwargs)
        return self.order.transform_documents(found, metadata=run_manager.metadata)


def _id(document: Document) -> str:
    return document.id or str(document.metadata.get(_SOURCE) or "")


def _ranked(document: Document, rank: int) -> Document:
    return document.model_copy(update={"metadata": {**document.metadata, _RANK: rank}})
