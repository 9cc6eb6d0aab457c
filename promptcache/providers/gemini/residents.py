"""Documents that retrievers have returned, and where they stand in a request.

Rule 1: a document is told by its id and its whole text, so one that was changed is
another one, and what stands in its place can only mean this one.
Rule 2: what is not found is left as it is: the full text is always right.
Rule 3: nothing here is written anywhere; texts stay in this process.
"""

import json
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, get_args

from promptcache.errors import OptionError
from promptcache.interrupts import undisturbed
from promptcache.outline import BYTES_PER_TOKEN, DIGEST_BYTES
from promptcache.providers.gemini.residency import HOT_TOKENS, Residents
from promptcache.state.forks import ForkSafeLock

__all__ = [
    "Document",
    "Found",
    "ResidentDocuments",
    "document",
    "find",
    "held",
    "is_instruction",
    "reference",
    "referring",
    "texts_of",
]

_MAX_RECENT = 512
_LEAST_CHARACTERS = 64
"""Length below which a document is left where it stands, however short its id is."""

_USERS = (None, "", "user")
"""Roles of the user: a content without one is the user's, too."""


@dataclass(frozen=True, slots=True)
class Document:
    """A text that retrievers return, under the id that they know it by."""

    id: str
    text: str
    """All of it but whitespace at its ends, which frameworks strip."""
    digest: bytes
    """Of the id and the text."""
    tokens: int
    """Its estimated size."""


def document(name: str, text: str) -> Document:
    """Return a document.

    Args:
        name: Its id.
        text: All of it.
    """
    whole = text.strip()
    content = whole.encode("utf-8", "surrogatepass")
    digest = blake2b(digest_size=DIGEST_BYTES)
    for piece in (name.encode("utf-8", "surrogatepass"), content):
        digest.update(b"%d\0" % len(piece) + piece)
    tokens = -(-len(content) // BYTES_PER_TOKEN)
    return Document(name, whole, digest.digest(), tokens)


class ResidentDocuments:
    """The documents of one retriever; safe from many threads."""

    def __init__(
        self,
        mode: Residents = "auto",
        *,
        hot_tokens: int = HOT_TOKENS,
        documents: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Know the documents that are given.

        Args:
            mode: What is to be resident: what pays, all, or those retrieved most.
            hot_tokens: Tokens of documents that `hot` keeps.
            documents: Id and text of every document, where that is known.

        Raises:
            OptionError: There is no such mode, or there are no tokens to keep.
        """
        if mode not in get_args(Residents):
            raise OptionError("resident", mode, ", ".join(get_args(Residents)))
        if hot_tokens < 1:
            raise OptionError("hot_tokens", hot_tokens, "tokens, 1 or more")
        self.mode = mode
        self.hot_tokens = hot_tokens
        self._lock = ForkSafeLock()
        self._texts: dict[bytes, Document] = {}
        self._digests: dict[str, bytes] = {}
        self._recent: OrderedDict[bytes, None] = OrderedDict()
        self._stale: set[bytes] = set()
        self.corpus: Mapping[bytes, int] = {}
        self.replace(documents)

    def __deepcopy__(self, memo: dict[int, Any]) -> "ResidentDocuments":
        """Return itself: what a copied retriever learns, its original learns too."""
        return self

    def replace(self, documents: Iterable[tuple[str, str]]) -> None:
        """Know these documents in place of all that were given before.

        Of two with one id the later one counts.
        """
        made = list({name: document(name, text) for name, text in documents}.values())
        with undisturbed(), self._lock:
            gone = set(self.corpus) - {each.digest for each in made}
            for each in made:
                self._know(each)
            self.corpus = {each.digest: each.tokens for each in made}
            self._forget(gone)

    def retrieved(self, documents: Iterable[tuple[str, str]]) -> None:
        """Note what a retriever has returned just now: id and text of each."""
        made = [document(*each) for each in documents]
        with undisturbed(), self._lock:
            for each in made:
                self._know(each)
                self._recent[each.digest] = None
                self._recent.move_to_end(each.digest)
            while len(self._recent) > _MAX_RECENT:
                old, _ = self._recent.popitem(last=False)
                if old not in self.corpus:
                    self._texts.pop(old, None)

    def forget(self, ids: Iterable[str]) -> None:
        """Let documents go that were deleted, at the provider, too."""
        with undisturbed(), self._lock:
            self._forget({self._digests[it] for it in ids if it in self._digests})

    def recent(self) -> list[Document]:
        """Return what was retrieved of late, the latest first."""
        with undisturbed(), self._lock:
            found = [self._texts.get(digest) for digest in reversed(self._recent)]
        return [each for each in found if each is not None]

    def texts(self, digests: Iterable[bytes]) -> list[Document]:
        """Return those of the documents that are known here, always in one order."""
        with undisturbed(), self._lock:
            found = [self._texts.get(digest) for digest in sorted(digests)]
        return [each for each in found if each is not None]

    def is_stale(self, digests: Iterable[bytes]) -> bool:
        """Tell whether one of these was changed or deleted since."""
        return not self._stale.isdisjoint(digests)

    def _know(self, each: Document) -> None:
        before = self._digests.get(each.id)
        if before is not None and before != each.digest:
            self._forget({before})
        self._texts[each.digest] = each
        self._digests[each.id] = each.digest
        self._stale.discard(each.digest)

    def _forget(self, digests: set[bytes]) -> None:
        for digest in digests:
            gone = self._texts.pop(digest, None)
            self._recent.pop(digest, None)
            if gone is not None and self._digests.get(gone.id) == digest:
                del self._digests[gone.id]
        self._stale |= digests
        self.corpus = {
            digest: tokens
            for digest, tokens in self.corpus.items()
            if digest not in digests
        }


@dataclass(frozen=True, slots=True)
class Found:
    """A document in a request."""

    document: Document
    content: int
    part: int
    start: int
    """Where it begins in the text of the part."""

    @property
    def end(self) -> int:
        """Where it ends there."""
        return self.start + len(self.document.text)


def find(body: Mapping[str, Any], documents: Sequence[Document]) -> list[Found]:
    """Return where documents stand in a request, in its order, without overlaps.

    What the model has said stays as it is, whatever it has repeated.
    """
    found = []
    worth = [it for it in documents if len(it.text) >= _least_characters(it)]
    for content, part, text in texts_of(body):
        if body["contents"][content].get("role") not in _USERS:
            continue
        spans: list[Found] = []
        for each in worth:
            start = text.find(each.text)
            while start >= 0:
                spans.append(Found(each, content, part, start))
                start = text.find(each.text, start + len(each.text))
        end = 0
        # Of two that overlap, the one that begins first, then the longer one.
        for span in sorted(spans, key=lambda it: (it.start, -it.end)):
            if span.start >= end:
                found.append(span)
                end = span.end
    return found


def referring(body: Mapping[str, Any], found: Sequence[Found]) -> list[Any]:
    """Return the contents of a request with references in place of documents.

    Args:
        body: The request; it is not written to.
        found: The documents that are to be left out, in the order of the request.
    """
    contents = list(body["contents"])
    for content, part in dict.fromkeys((it.content, it.part) for it in found):
        whole = contents[content]["parts"][part]["text"]
        pieces, end = [], 0
        for it in found:
            if (it.content, it.part) == (content, part):
                pieces += [whole[end : it.start], reference(it.document)]
                end = it.end
        pieces.append(whole[end:])
        parts = list(contents[content]["parts"])
        parts[part] = {**parts[part], "text": "".join(pieces)}
        contents[content] = {**contents[content], "parts": parts}
    return contents


def reference(each: Document) -> str:
    """Return what stands in place of a document that is in the cached content."""
    return f"[The text of document {_quoted(each)} is given above.]"


def held(documents: Iterable[Document]) -> dict[str, Any]:
    """Return the content that holds documents in a cached content."""
    parts = [
        {"text": f"<document id={_quoted(it)}>\n{it.text}\n</document>"}
        for it in documents
    ]
    return {"role": "user", "parts": parts}


def is_instruction(body: Mapping[str, Any], documents: Sequence[Document]) -> bool:
    """Tell whether one of the documents stands in a request's system instruction."""
    said = body.get("systemInstruction") or body.get("system_instruction")
    parts = said.get("parts") if isinstance(said, Mapping) else None
    texts = [it.get("text") for it in parts or () if isinstance(it, Mapping)]
    return any(
        isinstance(text, str) and each.text in text
        for each in documents
        if len(each.text) >= _LEAST_CHARACTERS
        for text in texts
    )


def texts_of(body: Mapping[str, Any]) -> Iterator[tuple[int, int, str]]:
    """Yield each text of a request with the numbers of its content and part."""
    for content, said in enumerate(body.get("contents") or ()):
        for part, it in enumerate(said.get("parts") or ()):
            text = it.get("text") if isinstance(it, Mapping) else None
            if isinstance(text, str):
                yield content, part, text


def _least_characters(each: Document) -> int:
    """Return from which length on it is worth to leave a document out."""
    return max(_LEAST_CHARACTERS, len(reference(each)) + 1)


def _quoted(each: Document) -> str:
    """Return an id such that no two ids are quoted alike."""
    return json.dumps(each.id, ensure_ascii=False)
