"""The corpus that is on every machine: the docstrings of Python's standard library.

Rule 1: sources are parsed, never imported or run.
Rule 2: the same sources give the same handbook and the same search results.
"""

import ast
import math
import re
import sysconfig
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path

from promptcache.demo.errors import DemoError

__all__ = ["Library", "Passage", "stdlib"]

# Each is there, in Python, from 3.10 to 3.13.
MODULES = (
    "argparse",
    "bisect",
    "calendar",
    "collections",
    "concurrent.futures._base",
    "concurrent.futures.process",
    "concurrent.futures.thread",
    "configparser",
    "contextlib",
    "csv",
    "dataclasses",
    "difflib",
    "enum",
    "fractions",
    "functools",
    "heapq",
    "hmac",
    "json.decoder",
    "json.encoder",
    "logging.handlers",
    "pprint",
    "queue",
    "random",
    "sched",
    "secrets",
    "selectors",
    "shelve",
    "shutil",
    "socketserver",
    "statistics",
    "string",
    "subprocess",
    "tempfile",
    "textwrap",
    "threading",
    "timeit",
    "traceback",
    "typing",
    "urllib.parse",
    "weakref",
    "zipfile",
)
PASSAGE_CHARS = 600
LINE_CHARS = 160
FEWEST_PASSAGES = 200
# The constants that BM25 is usually run with.
SATURATION = 1.5
LENGTH_WEIGHT = 0.75

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_STOPWORDS = frozenset(
    word
    for words in (
        "a an and are as at be by for from",
        "if in is it of on or the to with",
    )
    for word in words.split()
)


@dataclass(frozen=True, slots=True)
class Passage:
    """The documentation of one module, class or function."""

    module: str
    name: str
    text: str
    words: tuple[str, ...]

    @classmethod
    def of(cls, module: str, name: str, docstring: str) -> "Passage":
        """Return the passage for a docstring."""
        # A byte a character, so that sizes do not depend on who counts.
        plain = docstring.encode("ascii", "replace").decode()
        words = _words(f"{name} {name} {plain}")
        return cls(module, name, plain[:PASSAGE_CHARS].rstrip(), words)

    @property
    def line(self) -> str:
        """The first paragraph, on one line."""
        text = " ".join(self.text.partition("\n\n")[0].split())
        return f"{self.name}: {text[:LINE_CHARS]}"


class Library:
    """Passages that can be searched by words."""

    def __init__(self, passages: tuple[Passage, ...]) -> None:
        self.passages = passages
        self._counts = [Counter(passage.words) for passage in passages]
        self._spread = Counter(word for counts in self._counts for word in counts)
        self._mean = sum(len(it.words) for it in passages) / max(len(passages), 1)

    def best(self, query: str, *, count: int) -> list[Passage]:
        """Return the passages that fit best, by BM25; ties in the library's order."""
        wanted = dict.fromkeys(_words(query))
        scores = [self._score(index, wanted) for index in range(len(self.passages))]
        order = sorted(range(len(scores)), key=lambda index: -scores[index])
        return [self.passages[index] for index in order[:count] if scores[index] > 0]

    def search(self, query: str, *, chars: int = 2400) -> str:
        """Return the best passages as text of at most that many characters."""
        found = self.best(query, count=40)
        text = "\n\n".join(f"## {it.name}\n{it.text}" for it in found)
        return text[:chars] or "Nothing fits; try other words."

    def handbook(self, *, chars: int, each: int) -> str:
        """Return a digest: what each module is and what it has.

        Args:
            chars: The most characters in all.
            each: The most characters for one module.
        """
        sections: dict[str, list[str]] = {}
        for passage in self.passages:
            sections.setdefault(passage.module, []).append(passage.line)
        digest = "\n\n".join(_fitting(lines, each) for lines in sections.values())
        return digest[:chars]

    def _score(self, index: int, wanted: dict[str, None]) -> float:
        counts = self._counts[index]
        length = len(self.passages[index].words) / self._mean
        norm = SATURATION * (1 - LENGTH_WEIGHT + LENGTH_WEIGHT * length)
        return sum(
            self._rarity(word) * counts[word] * (SATURATION + 1) / (counts[word] + norm)
            for word in wanted
            if word in counts
        )

    def _rarity(self, word: str) -> float:
        having, total = self._spread[word], len(self.passages)
        return math.log(1 + (total - having + 0.5) / (having + 0.5))


@lru_cache(maxsize=1)
def stdlib() -> Library:
    """Return the library of this Python's own documentation.

    Raises:
        DemoError: The sources are not on this machine.
    """
    root = Path(sysconfig.get_paths()["stdlib"])
    passages = tuple(passage for name in MODULES for passage in _read(root, name))
    if len(passages) < FEWEST_PASSAGES:
        raise DemoError(
            f"The demo reads the standard library's sources, and {root} lacks them."
        )
    return Library(passages)


def _read(root: Path, module: str) -> Iterator[Passage]:
    path = root.joinpath(*module.split("."))
    for source in (path.with_suffix(".py"), path / "__init__.py"):
        if source.is_file():
            yield from _passages(module, module, ast.parse(source.read_bytes()))
            return


def _passages(module: str, name: str, node: ast.AST) -> Iterator[Passage]:
    if isinstance(node, (ast.Module, *_DEFINITIONS)):
        docstring = ast.get_docstring(node)
        if docstring:
            yield Passage.of(module, name, docstring)
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _DEFINITIONS) and not child.name.startswith("_"):
            yield from _passages(module, f"{name}.{child.name}", child)


def _words(text: str) -> tuple[str, ...]:
    found = (word.lower() for word in _WORD.findall(text))
    return tuple(word for word in found if word not in _STOPWORDS)


def _fitting(lines: list[str], chars: int) -> str:
    """Return the first lines that have at most that many characters together."""
    sizes = accumulate(len(line) + 1 for line in lines)
    return "\n".join(it for it, size in zip(lines, sizes, strict=True) if size <= chars)
