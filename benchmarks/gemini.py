"""Resident documents on Gemini: what each strategy pays in a week of questions.

A week is simulated: questions with the documents that each needs come at a rate, with
eight silent hours each night. The folder is one of a knowledge base:
`documents.jsonl.gz` (id, content), `tasks.jsonl.gz` (instructions, required_documents)
and `prompts.json`, and beside it `servegen_arrivals`, whose clients have rates that
change by the window.

Strategies:
* inline: every request carries its documents; implicit caching reads what it reads.
* corpus: all documents in one cached content, always.
* hot: those retrieved most within 16,384 tokens, always.
* auto: what pays, or nothing.

The decisions are those of live requests (`providers/gemini/residency.py`, `life.py`,
`implicit.py`); the provider is a model of its bill: input, reads, creations and storage
by the second. Answers cost the same everywhere and are left out. A creation takes five
seconds, and the request that asked for it goes out in full.

Run: python benchmarks/gemini.py --data DIR [--json]
"""

import argparse
import csv
import gzip
import json
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from promptcache.providers.gemini.facts import model_facts
from promptcache.providers.gemini.implicit import Implicit
from promptcache.providers.gemini.life import Books, next_expiry
from promptcache.providers.gemini.residency import Choice, Residency, Standing
from promptcache.providers.gemini.terms import Terms, terms_of
from promptcache.receipts.prices import GenaiPrices

MODEL = "gemini-3.8-flash"
AT = 1_795_392_000.0
"""The start of the week in UTC seconds: a Monday of November 2026."""

HOUR, DAY, WINDOW = 3600.0, 86_400.0, 600.0
DAYS = 7
NIGHT_HOURS = 8
RATES = ("1", "10", "100", "1000")
CLIENTS = ("24", "40")
LUCKS = (0.0, 0.5, 0.9)
STRATEGIES = ("inline", "corpus", "hot", "auto")
IMPLICIT_SECONDS = 300.0
CREATION_SECONDS = 5.0
REFERENCE_TOKENS = 12
"""What stands in place of a resident document."""
SEED = 20261122


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row for each rate, luck and strategy."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder")
    parser.add_argument("--json", action="store_true", help="rows for machines")
    parser.add_argument("--days", type=int, default=DAYS, help="simulated days")
    parser.add_argument("--rate", action="append", help="only these rates")
    chosen = parser.parse_args(arguments)
    rows = list(measured(chosen.data, chosen.rate, chosen.days))
    if chosen.json:
        print(json.dumps(rows, indent=2))
        return
    print(f"{'rate':<12} {'luck':>4} {'strategy':<8} {'week $':>9} {'first day $':>11}")
    for row in rows:
        print(
            f"{row['rate']:<12} {row['implicit_luck']:>4} {row['strategy']:<8} "
            f"{row['bill_usd']:>9.4f} {row['first_day_usd']:>11.4f}"
        )


def measured(
    data: Path, rates: Sequence[str] | None = None, days: int = DAYS
) -> Iterator[dict[str, Any]]:
    """Yield a row for each rate, luck and strategy."""
    names = rates or [*RATES, *(f"client-{client}" for client in CLIENTS)]
    cases = [
        (data, rate, luck, strategy, days)
        for rate in names
        for luck in LUCKS
        for strategy in STRATEGIES
    ]
    with ProcessPoolExecutor() as pool:
        yield from pool.map(_row, cases)


def _row(case: tuple[Path, str, float, str, int]) -> dict[str, Any]:
    data, rate, luck, strategy, days = case
    bill, first_day = Week(Knowledge.read(data), luck, strategy).run(
        arrivals(data, rate, days)
    )
    return {
        "rate": rate,
        "implicit_luck": luck,
        "strategy": strategy,
        "bill_usd": round(bill, 6),
        "first_day_usd": round(first_day, 6),
    }


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Documents and the questions that need them, in tokens."""

    head: int
    documents: dict[bytes, int]
    questions: tuple[tuple[int, tuple[bytes, ...]], ...]
    """Tokens of each question, and its documents."""

    @classmethod
    def read(cls, data: Path) -> "Knowledge":
        """Read a folder."""
        prompts = json.loads((data / "prompts.json").read_text())
        head = prompts["components/policy_header.md"]
        head += prompts["components/additional_instructions.md"]
        documents = {
            _digest(row["id"].encode()): _tokens(row["content"])
            for row in _lines(data / "documents.jsonl.gz")
        }
        questions = tuple(
            (
                _tokens(row["instructions"]),
                tuple(_digest(it.encode()) for it in row["required_documents"]),
            )
            for row in _lines(data / "tasks.jsonl.gz")
        )
        return cls(_tokens(head), documents, questions)


class Week:
    """One strategy, from the first question to the last."""

    def __init__(self, knowledge: Knowledge, luck: float, strategy: str) -> None:
        """Start with nothing known and nothing created."""
        self._knowledge = knowledge
        self._luck = luck
        self._random = random.Random(SEED)  # noqa: S311 - no secret
        self._terms = _terms()
        self._minimum = model_facts(MODEL).explicit_minimum
        mode: Any = "auto" if strategy == "inline" else strategy
        self._is_inline = strategy == "inline"
        self._residency = Residency(mode, corpus=knowledge.documents)
        self._implicit = Implicit()
        self._sent: dict[bytes, float] = {}
        self._books = Books()
        self._standing: Standing | None = None
        self._born = self._expires = self._billed_to = 0.0
        self._next: tuple[float, Choice] | None = None
        self._bill = 0.0

    def run(self, times: Sequence[float]) -> tuple[float, float]:
        """Return what all cost, and what those of the first day did, in US dollars.

        The first day begins with the first question.
        """
        first_day, is_first = 0.0, True
        end = times[0] + DAY
        for at in times:
            if is_first and at >= end:
                self._pass(end)
                first_day, is_first = self._bill, False
            self._ask(at)
        self._pass(times[-1] + DAY)
        return self._bill, self._bill if is_first else first_day

    def _ask(self, at: float) -> None:
        self._pass(at)
        tokens, documents = self._random.choice(self._knowledge.questions)
        sizes = [(it, self._knowledge.documents[it]) for it in documents]
        prefixes = _prefixes(self._knowledge.head, sizes)
        total = prefixes[-1][1] + tokens
        terms = self._terms
        expected = self._implicit.expect(
            prefixes, minimum=model_facts(MODEL).implicit_minimum, now=at
        )
        self._books.input += total * terms.input
        head = self._knowledge.head
        if not self._is_inline:
            self._residency.see(sizes, anyway=expected.tokens, now=at)
            self._choose(at, head)
        if self._standing is None:
            read = self._read(prefixes, at)
            self._implicit.measure(expected, read, now=at)
            self._pay(total * terms.input - read * (terms.input - terms.read))
            return
        held = self._standing
        fresh = tokens + sum(
            REFERENCE_TOKENS if it in held.documents else size for it, size in sizes
        )
        cost = held.tokens * terms.read + fresh * terms.input
        self._pay(cost)
        inline = total * terms.input - expected.tokens * (terms.input - terms.read)
        self._books.saved += inline - cost
        life = self._residency.life(held, terms, head=head)
        later = next_expiry(self._expires, life.seconds, now=at)
        if later is not None:
            self._expires = later
        # Longer lives are extended while nobody asks.
        if life.seconds > HOUR:
            self._expires = max(self._expires, at + life.seconds)

    def _choose(self, at: float, head: int) -> None:
        if self._standing is not None and not self._residency.pays(
            self._standing, self._terms, head=head
        ):
            self._standing = None
        if self._next is not None:
            return
        choice = self._residency.wanted(
            self._standing,
            self._terms,
            self._books,
            head=head,
            minimum=self._minimum,
            is_luck_known=self._implicit.is_known,
        )
        if choice is not None:
            cost = choice.tokens * self._terms.creation
            self._bill += cost
            self._books.spent += cost
            self._next = (at + CREATION_SECONDS, choice)

    def _pass(self, now: float) -> None:
        """Let time pass: storage is billed, creations end, lives end."""
        if self._next is not None and self._next[0] <= now:
            ready, choice = self._next
            self._store(ready)
            self._standing = Standing(choice.documents, choice.tokens)
            self._billed_to = ready
            self._expires = ready + min(choice.life.seconds, HOUR)
            self._next = None
        self._store(now)

    def _store(self, now: float) -> None:
        if self._standing is None:
            return
        until = min(now, self._expires)
        hours = max(until - self._billed_to, 0.0) / HOUR
        cost = hours * self._standing.tokens * self._terms.storage
        self._bill += cost
        self._books.spent += cost
        self._billed_to = max(until, self._billed_to)
        if now >= self._expires:
            self._standing = None

    def _read(self, prefixes: Sequence[tuple[bytes, int]], at: float) -> int:
        """Return what implicit caching reads of a request in full."""
        minimum = model_facts(MODEL).implicit_minimum
        lucky = self._random.random() < self._luck
        found = 0
        for digest, tokens in prefixes:
            sent = self._sent.get(digest)
            if sent is not None and at - sent <= IMPLICIT_SECONDS and tokens >= minimum:
                found = tokens
            self._sent[digest] = at
        return found if lucky else 0

    def _pay(self, usd: float) -> None:
        self._bill += usd


def arrivals(data: Path, rate: str, days: int) -> list[float]:
    """Return the times of the questions, in seconds from the start."""
    chance = random.Random(f"{SEED} {rate}")  # noqa: S311 - no secret
    if not rate.startswith("client-"):
        hourly = float(rate)
        return list(_within(_renewals(chance, lambda _: (hourly / HOUR, 1.0), days)))
    windows = _windows(data.parent / "servegen_arrivals", rate.partition("-")[2])

    def pace(at: float) -> tuple[float, float]:
        return windows.get(int(at // WINDOW), (0.0, 1.0))

    return list(_within(_renewals(chance, pace, days)))


def _renewals(chance: random.Random, pace: Any, days: int) -> Iterator[float]:
    """Yield times whose gaps are one on average, in units of what is expected."""
    at = 0.0
    while True:
        shape = 1 / max(pace(at)[1], 0.1) ** 2
        left = chance.gammavariate(shape, 1 / shape)
        while (ahead := (at // WINDOW + 1) * WINDOW - at) * pace(at)[0] < left:
            left -= ahead * pace(at)[0]
            at += ahead
            if at >= days * DAY:
                return
        at += left / pace(at)[0]
        yield at


def _within(times: Iterator[float]) -> Iterator[float]:
    """Leave out what comes at night."""
    return (at for at in times if at % DAY < (24 - NIGHT_HOURS) * HOUR)


def _windows(folder: Path, client: str) -> dict[int, tuple[float, float]]:
    with gzip.open(folder / "language_m-small.csv.gz", "rt") as lines:
        return {
            int(float(row["t_start_s"]) // WINDOW): (
                float(row["rate_rps"]),
                float(row["cv"] or 0) or 1.0,
            )
            for row in csv.DictReader(lines)
            if row["client"] == client
        }


def _prefixes(
    head: int, documents: Sequence[tuple[bytes, int]]
) -> list[tuple[bytes, int]]:
    digest, tokens = _digest(b"head"), head
    found = [(digest, tokens)]
    for document, size in documents:
        digest, tokens = _digest(digest + document), tokens + size
        found.append((digest, tokens))
    return found


def _terms() -> Terms:
    terms = terms_of(GenaiPrices(), MODEL, model_facts(MODEL), tokens=100_000, at=AT)
    if terms is None:
        raise SystemExit(f"the price of {MODEL} is not known")
    return replace(terms)


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=16).digest()


def _tokens(text: str) -> int:
    return -(-len(text) // 4)


def _lines(path: Path) -> Iterator[Any]:
    with gzip.open(path, "rt") as lines:
        yield from map(json.loads, lines)


if __name__ == "__main__":
    main()
