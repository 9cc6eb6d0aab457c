"""A retriever whose documents Gemini may keep, so that requests need not send them.

Rule 1: what the retriever around which this stands returns is what the caller gets.
Rule 2: nothing is left out here; that happens to a request, when it is sent and names
the very cached content that holds the text.
"""

from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from typing import Any, Literal

from langchain_core.callbacks import (
    AsyncCallbackManagerForRetrieverRun,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever, RetrieverLike
from langchain_core.runnables import RunnableConfig, run_in_executor
from pydantic import Field, PrivateAttr, field_validator, model_validator
from typing_extensions import Self

from langchain_promptcache.locks import ForkSafeLock
from promptcache import PromptCache, ResidentDocuments, is_switched_off, read_choice

__all__ = ["GeminiResidentRetriever"]

_SOURCE = "source"
_NAME_BYTES = 8


class GeminiResidentRetriever(BaseRetriever):
    """Returns what another retriever does, and lets Gemini keep the documents.

    A `PromptCachedChatGoogleGenerativeAI` with the same `prompt_cache` looks for these
    documents in the messages that it sends. Where a cached content holds their very
    text, the request names it and has their ids in place of the text; all else goes out
    in full: to any other model, after an expiry, for a document that was changed, in a
    retry without the cached content. Documents in the system message are always sent,
    since a cached content would have to hold that, too.

    This chooses cached contents: they cost storage, within the `Limits` of the
    `PromptCache`. A large corpus needs more than its $0.10 an hour.

    Documents are told apart by their `id`, else by `metadata["source"]` until two texts
    of one source are seen, else by their text.
    """

    retriever: RetrieverLike
    """Whose documents are returned."""

    resident: Literal["auto", "corpus", "hot"] = "auto"
    """What is kept: what pays, which may be nothing; all; or those retrieved most."""

    hot_tokens: int = 16_384
    """Tokens of documents that `hot` keeps."""

    documents: Any = Field(default=None, exclude=True, repr=False)
    """All documents, or what returns them when called; None where that is not known.
    Without them, all those that were retrieved stand for the corpus."""

    prompt_cache: Any = Field(default=None, exclude=True, repr=False)
    """What the model is given: a `PromptCache`, a `Policy` or its name, a dict of
    options, True, False or None. None is the cache of this process."""

    _cache: PromptCache = PrivateAttr()
    _kept: ResidentDocuments = PrivateAttr()
    _names: "_Names" = PrivateAttr()
    _is_wanted: bool = PrivateAttr()
    _is_begun: bool = PrivateAttr(default=False)

    @field_validator("documents")
    @classmethod
    def _repeatable(cls, documents: Any) -> Any:
        return _repeatable(documents)

    @model_validator(mode="after")
    def _read_choice(self) -> Self:
        self._cache, said = read_choice(self.prompt_cache, provider="google")
        self._kept = ResidentDocuments(self.resident, hot_tokens=self.hot_tokens)
        self._names = _Names()
        is_allowed = said.enabled is not False and said.gemini_caches is not False
        self._is_wanted = is_allowed and self._cache.policy.name != "off"
        return self

    def forget(self, ids: Iterable[str]) -> None:
        """Let documents go that were deleted: what holds one of them is named no more.

        Args:
            ids: Their ids, or their sources where they have none.
        """
        self._kept.forget(self._names.known_as(ids))

    def replace(self, documents: Iterable[Document]) -> None:
        """Know these documents in place of all that `documents` returned before."""
        pairs, _ = self._names.of(list(documents))
        self._kept.replace(pairs)
        self._is_begun = True

    def refresh(self) -> None:
        """Look again at what `documents` has, or returns."""
        if self.documents is not None:
            self.replace(_all(self.documents))

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        config: RunnableConfig = {"callbacks": run_manager.get_child()}
        found = self.retriever.invoke(query, config, **kwargs)
        if self._is_looked_for:
            self._begin()
            self._note(found)
        return found

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,
        **kwargs: Any,
    ) -> list[Document]:
        config: RunnableConfig = {"callbacks": run_manager.get_child()}
        found = await self.retriever.ainvoke(query, config, **kwargs)
        if self._is_looked_for:
            if not self._is_begun:
                # Reads all documents, and opens the store.
                await run_in_executor(None, self._begin)
            self._note(found)
        return found

    @property
    def _is_looked_for(self) -> bool:
        return self._is_wanted and not is_switched_off()

    def _begin(self) -> None:
        """Know all documents, and have the keeper know of them."""
        if not self._is_begun and self.documents is not None:
            made = _all(self.documents)
            if not self._is_begun:
                self.replace(made)
        self._is_begun = True
        self._cache.keeper.know(self._kept)

    def _note(self, found: Iterable[Document]) -> None:
        self._cache.keeper.know(self._kept)
        pairs, gone = self._names.of(list(found))
        self._kept.forget(gone)
        self._kept.retrieved(pairs)


class _Names:
    """Names of documents, which need not have an id; safe from many threads."""

    def __init__(self) -> None:
        self._lock = ForkSafeLock()
        self._texts: dict[str, list[str]] = {}
        """Digests of the texts of each source, that which came last at the end."""
        self._shared: set[str] = set()
        """Sources of which several texts are there at a time."""

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Names":
        """Return itself, as the documents do that go by these names."""
        return self

    def of(self, documents: list[Document]) -> tuple[list[tuple[str, str]], list[str]]:
        """Return name and text of each document, and names that mean nothing now.

        One text of a source after another is one document that was changed. Two that
        come together, or a text that comes back, are several documents.
        """
        with self._lock:
            sources = [_source(it) for it in documents]
            together: dict[str, set[str]] = {}
            for it, source in zip(documents, sources, strict=True):
                if source is not None:
                    together.setdefault(source, set()).add(_digest(it.page_content))
            gone = [name for name in together if self._is_shared_now(name, together)]
            pairs = [
                (self._name(it, source), it.page_content)
                for it, source in zip(documents, sources, strict=True)
            ]
        return pairs, gone

    def known_as(self, ids: Iterable[str]) -> list[str]:
        """Return the names under which documents with these ids or sources went."""
        names = []
        with self._lock:
            for name in ids:
                texts = self._texts.get(name, ())
                names += [name, *(f"{name}#{digest}" for digest in texts)]
        return names

    def _is_shared_now(self, source: str, together: Mapping[str, set[str]]) -> bool:
        """Note the texts of a source; tell whether it names no document any more."""
        texts, new = self._texts.setdefault(source, []), together[source]
        is_back = any(digest in texts[:-1] for digest in new)
        texts += [digest for digest in sorted(new) if digest not in texts]
        if source in self._shared or not (is_back or len(new) > 1):
            return False
        self._shared.add(source)
        return True

    def _name(self, document: Document, source: str | None) -> str:
        if document.id:
            return document.id
        digest = _digest(document.page_content)
        if source is None:
            return digest
        return f"{source}#{digest}" if source in self._shared else source


def _source(document: Document) -> str | None:
    """Return what names a document that has no id."""
    source = None if document.id else document.metadata.get(_SOURCE)
    return str(source) if source else None


def _digest(text: str) -> str:
    content = text.strip().encode("utf-8", "surrogatepass")
    return blake2b(content, digest_size=_NAME_BYTES).hexdigest()


def _repeatable(documents: Any) -> Any:
    """Return documents such that they can be looked at more than once."""
    return list(documents) if hasattr(documents, "__next__") else documents


def _all(documents: Iterable[Document] | Callable[[], Iterable[Document]]) -> Any:
    return documents() if callable(documents) else documents
