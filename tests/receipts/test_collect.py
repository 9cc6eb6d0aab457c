"""Collecting: the receipts of this context, and no other."""

import asyncio
import contextvars
import threading

import pytest

from promptcache.receipts.collect import (
    Collector,
    active_collectors,
    collecting,
    deliver,
)
from promptcache.receipts.receipt import Receipt


def receipt(name):
    return Receipt(provider="anthropic", model=name, at=0.0, policy="auto")


def models(receipts):
    return [receipt.model for receipt in receipts]


def test_nested_collectors_all_receive():
    """An outer block also gets the receipts of the blocks inside it."""
    with collecting() as outer:
        deliver(receipt("a"))
        with collecting() as inner:
            deliver(receipt("b"))
        deliver(receipt("c"))

    assert models(outer) == ["a", "b", "c"]
    assert models(inner) == ["b"]


def test_nobody_need_collect():
    """Delivering without a collector does nothing."""
    deliver(receipt("a"))


def test_collector_is_left_after_an_error():
    """A block that raises collects no longer."""
    collector = Collector()
    with pytest.raises(ZeroDivisionError), collector:
        _ = 1 / 0
    deliver(receipt("a"))

    assert collector.receipts == []


def test_collector_is_entered_around_each_step():
    """What happens between the steps of a stream is not collected."""
    collector = Collector()
    for step in ("a", "b"):
        with collector:
            deliver(receipt(step))
        deliver(receipt("between"))

    assert models(collector.receipts) == ["a", "b"]


def test_collector_entered_twice_receives_once():
    """Entering again inside itself does not double receipts, and leaving one stays."""
    collector = Collector()
    with collector:
        with collector:
            deliver(receipt("a"))
        deliver(receipt("b"))
    deliver(receipt("c"))

    assert models(collector.receipts) == ["a", "b"]


def test_thread_collects_if_its_context_was_copied():
    """A thread with a copied context delivers here, another one does not."""
    with collecting() as receipts:
        context = contextvars.copy_context()
        threads = [
            threading.Thread(target=context.run, args=(deliver, receipt("copied"))),
            threading.Thread(
                target=contextvars.Context().run, args=(deliver, receipt("fresh"))
            ),
        ]
        for thread in threads:
            thread.start()
            thread.join()

    assert models(receipts) == ["copied"]


def test_tasks_collect_their_own():
    """Tasks deliver to the block they were started in, and not to each other's."""

    async def task(name):
        with collecting() as own:
            await asyncio.sleep(0)
            deliver(receipt(name))
            await asyncio.sleep(0)
        return models(own)

    async def main():
        with collecting() as receipts:
            owns = await asyncio.gather(task("a"), task("b"))
        return owns, sorted(models(receipts))

    assert asyncio.run(main()) == ([["a"], ["b"]], ["a", "b"])


def test_one_collector_serves_overlapping_threads():
    """Threads may hold the same collector at once and leave in any order."""
    collector = Collector()
    entered, leave = threading.Barrier(2), threading.Event()

    def first():
        with collector:
            entered.wait()
            leave.wait()
            deliver(receipt("first"))

    thread = threading.Thread(target=first)
    thread.start()
    with collector:
        entered.wait()
    leave.set()
    thread.join()
    deliver(receipt("after"))

    assert models(collector.receipts) == ["first"]


def test_leaving_elsewhere_is_harmless():
    """A collector left in another context than it was entered in raises nothing."""
    collector = Collector()
    contextvars.copy_context().run(collector.__enter__)

    collector.__exit__(None, None, None)

    assert collector.receipts == []


def test_request_may_end_where_it_was_not_made():
    """A request delivers to the collectors it was made under, wherever it ends."""
    with collecting() as made:
        remembered = active_collectors()
    with collecting() as ended:
        deliver(receipt("a"), remembered)

    assert (models(made), models(ended)) == (["a"], [])
