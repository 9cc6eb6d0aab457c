"""Requests that are sent at once: what holds their answers back, what they came to."""

from promptcache.emulator import Fault


def answer_late(emulator, requests, seconds=20.0):
    """Hold answers back, so that all are asked before the first one begins."""
    for _ in range(requests):
        emulator.faults.push(Fault(delay_seconds=seconds))


def billed(emulator):
    """Return how many requests wrote a head, and how many read."""
    rows = list(emulator.ledger)
    writing = sum(row.cache_creation_input_tokens > 1_000 for row in rows)
    return writing, sum(row.cache_read_input_tokens > 0 for row in rows)


def waits(receipts):
    """Return the notes of those that waited for another one."""
    return [note for it in receipts for note in it.notes if note.startswith("waited")]
