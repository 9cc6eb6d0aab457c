"""A retriever whose nodes Gemini may keep, so that requests need not send their text.

Rule 1: what the retriever around which this stands returns is what the caller gets.
Rule 2: nothing is left out here; that happens to a request, when it is sent and names
the very cached content that holds the text.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Literal

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.callbacks import CallbackManager
from llama_index.core.schema import BaseNode, MetadataMode, NodeWithScore, QueryBundle

from promptcache import ResidentDocuments, is_switched_off, read_choice

__all__ = ["GeminiResidentRetriever"]


class GeminiResidentRetriever(BaseRetriever):
    """Returns what another retriever does, and lets Gemini keep the text of the nodes.

    A `PromptCachedGoogleGenAI` with the same `prompt_cache` looks for the text of these
    nodes in the messages that it sends. Where a cached content holds that very text,
    the request names it and has their ids in place of the text; all else goes out in
    full: to any other LLM, after an expiry, for a node that was changed, in a retry
    without the cached content. Nodes in the system message, where context chat engines
    put them, are always sent, since a cached content would have to hold that, too. So
    is a node that a splitter cut, or a postprocessor has changed.

    This chooses cached contents: they cost storage, within the `Limits` of the
    `PromptCache`. A large corpus needs more than its $0.10 an hour.
    """

    def __init__(
        self,
        retriever: BaseRetriever,
        *,
        resident: Literal["auto", "corpus", "hot"] = "auto",
        hot_tokens: int = 16_384,
        documents: Any = None,
        prompt_cache: Any = None,
        callback_manager: CallbackManager | None = None,
        object_map: dict[str, Any] | None = None,
        verbose: bool = False,
    ) -> None:
        """Stand around a retriever.

        Args:
            retriever: Whose nodes are returned.
            resident: What is kept: what pays, which may be nothing; all; or the nodes
                retrieved most.
            hot_tokens: Tokens of nodes that `hot` keeps.
            documents: All nodes, or what returns them when called; None where that is
                not known. Without them, all that were retrieved stand for the corpus.
            prompt_cache: What the LLM is given: a `PromptCache`, a `Policy` or its
                name, a dict of options, True, False or None. None is the cache of this
                process.
            callback_manager: As every retriever has it.
            object_map: As every retriever has it.
            verbose: As every retriever has it.

        Raises:
            OptionError: `resident`, `hot_tokens` or `prompt_cache` is not allowed.
        """
        super().__init__(callback_manager, object_map, verbose=verbose)
        self._retriever = retriever
        is_iterator = hasattr(documents, "__next__")
        self._documents = list(documents) if is_iterator else documents
        self._cache, said = read_choice(prompt_cache, provider="google")
        self._kept = ResidentDocuments(resident, hot_tokens=hot_tokens)
        is_allowed = said.enabled is not False and said.gemini_caches is not False
        self._is_wanted = is_allowed and self._cache.policy.name != "off"
        self._is_begun = False

    def forget(self, ids: Iterable[str]) -> None:
        """Let nodes go that were deleted: what holds one of them is named no more.

        Args:
            ids: Ids of nodes.
        """
        self._kept.forget(ids)

    def replace(self, documents: Iterable[BaseNode | NodeWithScore]) -> None:
        """Know these nodes in place of all that `documents` returned before."""
        self._kept.replace(_pairs(documents))
        self._is_begun = True

    def refresh(self) -> None:
        """Look again at what `documents` has, or returns."""
        if self._documents is not None:
            self.replace(_all(self._documents))

    def _get_prompt_modules(self) -> dict[str, Any]:
        return {"retriever": self._retriever}

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        found: list[NodeWithScore] = self._retriever.retrieve(query_bundle)
        if self._is_looked_for:
            self._begin()
            self._note(found)
        return found

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        found: list[NodeWithScore] = await self._retriever.aretrieve(query_bundle)
        if self._is_looked_for:
            if not self._is_begun:
                # Reads all nodes, and opens the store.
                await asyncio.to_thread(self._begin)
            self._note(found)
        return found

    @property
    def _is_looked_for(self) -> bool:
        return self._is_wanted and not is_switched_off()

    def _begin(self) -> None:
        """Know all nodes, and have the keeper know of them."""
        if not self._is_begun and self._documents is not None:
            made = _all(self._documents)
            if not self._is_begun:
                self.replace(made)
        self._is_begun = True
        self._cache.keeper.know(self._kept)

    def _note(self, found: Iterable[NodeWithScore]) -> None:
        self._cache.keeper.know(self._kept)
        self._kept.retrieved(_pairs(found))


def _pairs(nodes: Iterable[BaseNode | NodeWithScore]) -> list[tuple[str, str]]:
    """Return id and text of each node; what a template adds of metadata is no text."""
    return [(it.node_id, it.get_content(MetadataMode.NONE)) for it in map(_bare, nodes)]


def _bare(node: BaseNode | NodeWithScore) -> BaseNode:
    return node.node if isinstance(node, NodeWithScore) else node


def _all(
    documents: Iterable[BaseNode | NodeWithScore] | Callable[[], Iterable[BaseNode]],
) -> Iterable[BaseNode | NodeWithScore]:
    return documents() if callable(documents) else documents
