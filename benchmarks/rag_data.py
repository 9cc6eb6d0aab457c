"""Documents and the questions that are asked about them, read from a folder.

A folder holds one of these:

* `anthropic_docs.json.gz` and `docs_evaluation_dataset.json`: sections of a manual, and
  questions with answers. Sections are cut into passages.
* `documents.jsonl.gz`, `tasks.jsonl.gz`, `prompts.json`: a bank's rules, and which of
  them each customer's case needs.
"""

import gzip
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

__all__ = ["Chat", "Collection", "Passage", "Turn", "read_collection"]

TURNS = 10
CHATS = 6
EXAMPLES = 12
"""Questions that the manual's instructions answer; no chat has them."""

ANSWER_CHARACTERS = 600

PASSAGE_CHARACTERS = 2_000
"""Of a section that is cut, at most, unless one of its lines is longer."""


MANUAL = (
    "You answer questions on a software manual. Use only the sections that you are "
    "given, name the heading that an answer comes from, and say so if they do not "
    "answer the question. These answers are as they should be:"
)


@dataclass(frozen=True, slots=True)
class Passage:
    """One document."""

    key: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Turn:
    """A question, and what the assistant says to it."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Chat:
    """Questions that one person asks one after the other."""

    turns: tuple[Turn, ...]


class Collection:
    """Documents that can be searched, instructions, and chats about them."""

    def __init__(
        self, instructions: str, passages: Iterable[Passage], chats: Iterable[Chat]
    ) -> None:
        """Index the documents.

        Args:
            instructions: What a system prompt says, whoever asks.
            passages: The documents.
            chats: What people ask.
        """
        self.instructions = instructions
        self.passages = tuple(passages)
        self.chats = tuple(chats)
        self._words = [Counter(_words(f"{it.title} {it.text}")) for it in self.passages]
        seen = Counter(word for it in self._words for word in it)
        self._rarity = {
            word: math.log(1 + len(self.passages) / count)
            for word, count in seen.items()
        }
        lengths = [sum(it.values()) for it in self._words]
        mean = sum(lengths) / max(len(lengths), 1)
        self._long = [0.25 + 0.75 * length / (mean or 1) for length in lengths]

    def search(
        self, query: str, k: int, among: Sequence[Passage] | None = None
    ) -> list[Passage]:
        """Return the passages that fit a query best by their words (BM25).

        Args:
            query: What is asked.
            k: How many.
            among: Those to choose from; else all.
        """
        asked = [it for it in dict.fromkeys(_words(query)) if it in self._rarity]
        wanted = None if among is None else {it.key for it in among}
        scores = sorted(
            (-self._score(number, asked), number)
            for number, passage in enumerate(self.passages)
            if wanted is None or passage.key in wanted
        )
        return [self.passages[number] for _, number in scores[:k]]

    def _score(self, number: int, asked: Iterable[str]) -> float:
        counts, long = self._words[number], self._long[number]
        return sum(
            self._rarity[word] * counts[word] * 2.2 / (counts[word] + 1.2 * long)
            for word in asked
            if word in counts
        )


def read_collection(folder: Path) -> Collection:
    """Return what a folder holds.

    Raises:
        FileNotFoundError: It is neither kind of folder.
    """
    if (folder / "anthropic_docs.json.gz").exists():
        return _manual(folder)
    return _bank(folder)


def _manual(folder: Path) -> Collection:
    packed = (folder / "anthropic_docs.json.gz").read_bytes()
    sections = json.loads(gzip.decompress(packed))
    text = (folder / "docs_evaluation_dataset.json").read_text(encoding="utf-8")
    asked: list[Mapping[str, Any]] = json.loads(text)
    shown, rest = asked[:EXAMPLES], asked[EXAMPLES:]
    instructions = "\n\n".join(
        [
            MANUAL,
            *(f"Q: {it['question']}\nA: {it['correct_answer']}" for it in shown),
        ]
    )
    passages = [
        Passage(f"{it['chunk_link']}/{number}", it["chunk_heading"], text)
        for it in sections
        for number, text in enumerate(_cut(it["text"]))
    ]
    # Who asks on one page asks on.
    rest = sorted(rest, key=lambda it: (it["correct_chunks"][0], it["id"]))
    turns = [Turn(it["question"], it["correct_answer"]) for it in rest]
    return Collection(instructions, passages, _chats(turns))


def _cut(text: str) -> Iterator[str]:
    """Yield pieces of a text that end where lines do; none of them is blank."""
    piece = ""
    for line in text.splitlines(keepends=True):
        if piece.strip() and len(piece) + len(line) > PASSAGE_CHARACTERS:
            yield piece.strip()
            piece = ""
        piece += line
    if piece.strip():
        yield piece.strip()


def _bank(folder: Path) -> Collection:
    prompts = json.loads((folder / "prompts.json").read_text(encoding="utf-8"))
    instructions = "\n\n".join(
        prompts[f"components/{it}.md"]
        for it in ("policy_header", "additional_instructions")
    )
    passages = [
        Passage(it["id"], it["title"], it["content"])
        for it in _lines(folder / "documents.jsonl.gz")
    ]
    known = {it.key: it for it in passages}
    needed = [
        known[key]
        for task in _lines(folder / "tasks.jsonl.gz")
        for key in task["required_documents"]
        if key in known
    ]
    turns = [
        Turn(f"What are your rules on this: {it.title}?", it.text[:ANSWER_CHARACTERS])
        for it in dict.fromkeys(needed)
    ]
    return Collection(instructions, passages, _chats(turns))


def _chats(turns: Sequence[Turn]) -> Iterator[Chat]:
    numbered = enumerate(turns[: TURNS * CHATS])
    for _, group in groupby(numbered, key=lambda it: it[0] // TURNS):
        yield Chat(tuple(turn for _, turn in group))


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]{3,}", text.lower())
