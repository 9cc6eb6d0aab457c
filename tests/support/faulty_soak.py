"""Many requests with random faults, by several threads and tasks at once.

Each call is made by a stock class and by ours with the same script of faults. After
each, what ours sent is compared with what the stock class sent, and its receipts with
the ledger. All that is random comes from a seed, but for the order of threads.
"""

import asyncio
import gc
import random
import threading
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import count

from faulty_subjects import SUBJECTS, is_async
from faulty_tricks import AGAIN, HASTY, REFUSALS, SINGLE, WHOLE, tricks_of
from faulty_twins import ended

from promptcache import Usage, options

__all__ = ["SkewedClock", "Soak"]

SECONDS, HASTY_SECONDS = 60.0, 1.0
QUESTIONS = [f"What is known of the T {number}?" for number in range(9, 16)]
SAID = "It was built in 1911."
DAY = 86_400.0
COLLECTED_EVERY = 250
FIGURES = ("input_tokens", "read_tokens", "written_tokens")


class SkewedClock:
    """A clock that jumps forward and back beside the provider's own."""

    def __init__(self, clock):
        self._clock, self.skew = clock, 0.0

    def now(self):
        return self._clock.now() + self.skew

    def wait(self, seconds):
        self._clock.wait(seconds)


@dataclass
class Soak:
    """A run: what is asked, what is ordered, and what came of it."""

    faulty: object
    cache: object
    seed: int
    threads: int = 2
    tasks: int = 4
    clock: SkewedClock | None = None
    hasty_share: float = 0.01
    counts: Counter = field(default_factory=Counter)
    """Calls by subject, way, fault and end."""
    wrong: list = field(default_factory=list)
    """What did not hold: the call, and what of it."""
    receipts: list = field(default_factory=list)
    """All that calls have collected, each once."""

    def run(self, calls):
        """Make so many calls, half of them by threads and half by tasks of one loop."""
        numbers = count()
        lock = threading.Lock()

        def taken():
            with lock:
                number = next(numbers)
            return number if number < calls else None

        workers = [
            threading.Thread(target=self._by_thread, args=(f"t{number}", taken))
            for number in range(self.threads)
        ]
        workers.append(threading.Thread(target=self._by_tasks, args=(taken,)))
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    def _by_thread(self, name, taken):
        asyncio.run(self._worker(name, taken, wants_async=False))

    def _by_tasks(self, taken):
        async def main():
            await asyncio.gather(
                *(
                    self._worker(f"a{number}", taken, wants_async=True)
                    for number in range(self.tasks)
                )
            )
            left = asyncio.all_tasks() - {asyncio.current_task()}
            for _ in range(200):
                left = {task for task in left if not task.done()}
                if not left:
                    break
                await asyncio.sleep(0.01)
            self.wrong.extend(("a task is left", repr(task)) for task in left)

        asyncio.run(main())

    async def _worker(self, name, taken, *, wants_async):
        async with AsyncExitStack() as stack:
            worker = _Worker(self, name, stack, wants_async=wants_async)
            while (number := taken()) is not None:
                if number % COLLECTED_EVERY == 0:
                    # Here nobody holds a lock of httpcore's, which what is collected
                    # may take; see `collector_at_rest`.
                    gc.collect()
                try:
                    await worker.call(number)
                except Exception as error:  # noqa: BLE001 - else a thread ends unseen
                    self.wrong.append((number, "the test itself", repr(error)))


class _Worker:
    """One thread or task, with models and workspaces of its own."""

    def __init__(self, soak, name, stack, *, wants_async):
        self._soak, self._name, self._stack = soak, name, stack
        self._models = {}
        self._ways = [
            (subject, way)
            for subject in SUBJECTS
            for way in subject.ways
            if is_async(way) is wants_async
        ]

    async def call(self, number):
        """Make one call twice, and compare."""
        soak = self._soak
        chance = random.Random(f"{soak.seed}.{number}")
        subject, way = chance.choice(self._ways)
        retries = chance.choice((0, 1)) if "langchain" in subject.name else 0
        hasty = chance.random() < soak.hasty_share
        names = _script(chance, retries, hasty=hasty)
        known = tricks_of(subject.provider)
        script = [known[name] for name in names]
        talk = _talk(chance)
        self._move(chance)
        said = {"gemini_caches": chance.random() < 0.7}
        what = f"{number}: {subject.name}.{way} {names}"
        ends, met = [], []
        for kind in ("p", "c"):
            space = f"{kind}{self._name}"
            model = await self._model(subject, space, retries, hasty=hasty)
            soak.faulty.scripts[space].clear()
            soak.faulty.scripts[space].extend(script)
            seen = soak.faulty.met[space]
            seen.clear()
            with options(**said), soak.cache.collect() as receipts:
                ends.append(await ended(subject.ways[way], model, talk))
            met.append(list(seen))
        if hasty and not all(met):
            # Not even the connection was there in time: that tells nothing.
            soak.counts["calls that were too late to be sent"] += 1
        else:
            self._compare(what, ends, met, hasty=hasty)
        self._check(what, list(receipts), met[1], way=way, end=ends[1])
        soak.receipts.extend(receipts)
        soak.counts["calls"] += 1
        soak.counts["requests"] += len(met[0]) + len(met[1])
        soak.counts[f"subject {subject.name}"] += 1
        soak.counts[f"end {ends[0][0]}"] += 1
        for name in names or ["none"]:
            soak.counts[f"fault {name}"] += 1

    async def _model(self, subject, space, retries, *, hasty):
        key = subject.name, space, retries, hasty
        if key not in self._models:
            chosen = self._soak.cache if space.startswith("c") else None
            seconds = HASTY_SECONDS if hasty else SECONDS
            made = subject.make(self._soak.faulty.url, space, chosen, seconds, retries)
            self._stack.push_async_callback(subject.close, made)
            self._models[key] = made
        return self._models[key]

    def _move(self, chance):
        """Let time pass, and now and then let the cache's clock jump."""
        drawn, clock = chance.random(), self._soak.clock
        if drawn < 0.3:
            self._soak.faulty.clock.advance(chance.choice((1.0, 20.0, 200.0)))
        elif drawn < 0.32:
            # What was refused is tried again after a day.
            self._soak.faulty.clock.advance(DAY + 1)
        elif drawn < 0.34 and clock is not None:
            clock.skew = chance.choice((-DAY, -3600.0, -60.0, 0.0, 90.0, 3600.0, DAY))

    def _compare(self, what, ends, met, *, hasty):
        """Both end alike, after as many requests but for those that we repeat."""
        plain, cached = ends
        if _shown(plain, hasty=hasty) != _shown(cached, hasty=hasty):
            self._soak.wrong.append((what, "ends differ", plain, cached))
        refused = [it for it in met[1] if it.trick.refuses]
        gone = [
            it for it in met[1] if it.row and "achedContent" in (it.row.error or "")
        ]
        ours = len(met[1]) - len(refused) - len(gone)
        if len(refused) > 1 or not met[0] or ours != len(met[0]):
            told = [
                [(it.trick.name, it.row and it.row.status) for it in x] for x in met
            ]
            self._soak.wrong.append((what, "requests differ", *told))
        self._soak.counts["repeated without our fields"] += len(refused)
        self._soak.counts["repeated without a cached content"] += len(gone)

    def _check(self, what, receipts, met, *, way, end):
        """Each answer that came whole has one receipt that equals the ledger's row."""
        billed = [it for it in met if _status(it) == 200]
        wrong = self._soak.wrong
        if len(receipts) > len(billed):
            wrong.append((what, "too many receipts", len(receipts), len(billed)))
            return
        whole = [it for it in billed if it.trick.name in WHOLE]
        if len(receipts) < len(whole):
            wrong.append((what, "a receipt is lost", end, way))
            return
        if len(billed) != len(receipts):
            # Only an answer that nobody could read may have none.
            self._soak.counts["answers without a receipt"] += 1
            billed = whole[-len(receipts) :] if receipts and whole else billed
            billed = billed[-len(receipts) :] if receipts else []
        for receipt, one in zip(receipts, billed, strict=True):
            self._same(what, receipt, one)
        if whole and receipts:
            # Gemini's SDK opens a closed connection again where nobody sees it.
            unseen = sum(it.trick.closed for it in met) if "google" in what else 0
            sent = sum(it.attempts for it in receipts)
            if not len(met) - unseen <= sent <= len(met):
                wrong.append((what, "attempts", sent, len(met)))

    def _same(self, what, receipt, met):
        usage, row, is_whole = receipt.usage, met.row, met.trick.name in WHOLE
        if row is None:
            if usage != Usage():
                self._soak.wrong.append((what, "usage of nobody", usage))
            return
        billed = {
            "input_tokens": row.total_input_tokens,
            "read_tokens": row.cache_read_input_tokens,
            "written_tokens": row.cache_creation_input_tokens,
        }
        for name, value in billed.items():
            known = getattr(usage, name)
            is_missing = known is None and not is_whole
            # Chat streams say nothing of it unless they are asked to.
            is_unasked = known is None and usage.input_tokens is None and _silent(met)
            if known != value and not is_missing and not is_unasked:
                self._soak.wrong.append((what, name, known, value, met.trick.name))
        known = usage.output_tokens
        if is_whole and known != row.output_tokens and not _silent(met):
            self._soak.wrong.append((what, "output", known, row.output_tokens))
        if not is_whole and known is not None and known > row.output_tokens:
            self._soak.wrong.append((what, "output", known, row.output_tokens))


def _status(met):
    return met.trick.status if met.row is None else met.row.status


def _silent(met):
    return (
        met.path.endswith("chat/completions")
        and b'"stream":true' in met.body.replace(b" ", b"")
        and b"include_usage" not in met.body
    )


def _shown(end, *, hasty):
    """Return what is compared of an end; where time decides, not the words of it."""
    if end[0] == "answer" or not hasty:
        return end
    return end[0], end[1][0]


def _script(chance, retries, *, hasty):
    """Return the names of the faults that a call meets, attempt by attempt."""
    if hasty:
        return [chance.choice(HASTY)]
    names = []
    if chance.random() < 0.04:
        names.append(chance.choice(REFUSALS))
    drawn = chance.random()
    if drawn < 0.5:
        return names
    if retries and drawn < 0.65:
        names.append(chance.choice(AGAIN))
    names.append(chance.choice([*SINGLE, *AGAIN, "400"]))
    return names


def _talk(chance):
    """Return questions and answers, the last one a question."""
    turns = chance.choice((1, 1, 2, 3))
    said = []
    for number in range(turns):
        if number:
            said.append(SAID)
        said.append(chance.choice(QUESTIONS))
    return said
