"""What is asked of a handler, whichever class of LlamaIndex's it watches."""

import gc
from collections import Counter

from llamaindex_kit import walked
from llamaindex_results import bodies, settled, shape

from llamaindex_promptcache import PromptCacheEvent

__all__ = ["Trial", "known", "walked_twice"]


class Trial:
    """One path, walked by plain LLMs, watched ones, planned ones, and our own."""

    def __init__(self, rows_of, told, opened, strip, assert_settled):
        self.rows_of = rows_of
        self.told = told
        self.opened = opened
        self.strip = strip
        self.assert_settled = assert_settled
        self.marks = []

    def mark(self):
        """Begin another walk."""
        self.marks.append((len(self.told), len(self.opened.names)))

    def assert_watched(self, handler, expected, result):
        """Nothing is changed on the wire, and every request has its receipt."""
        rows = self.rows_of("watched")
        assert rows
        assert plain(rows) == plain(self.rows_of("plain"))
        assert shape(result) == shape(expected)
        receipts = receipts_of(handler)
        assert sum(it.requests for it in receipts) == len(rows)
        assert {it.policy for it in receipts} == {"off"}
        if known(receipts):
            self.assert_settled(receipts, rows)
        self.assert_told(handler)

    def assert_planned(self, handler, expected, result):
        """What is sent and billed is what our own classes send."""
        rows, ours = self.rows_of("planned"), self.rows_of("cached")
        assert bodies(rows, self.strip) == bodies(self.rows_of("plain"), self.strip)
        assert plain(rows) == plain(ours)
        assert shape(result) == shape(expected)
        receipts = receipts_of(handler)
        assert {it.policy for it in receipts} == {"auto"}
        self.assert_settled(receipts, rows)
        self.assert_told(handler)

    def assert_told(self, handler):
        """Each receipt has one event, on the span of its call, and nothing is left."""
        mark = self.marks[-1]
        events = [it for it in self.told[mark[0] :] if isinstance(it, PromptCacheEvent)]
        spans = self.opened.names[mark[1] :]
        calls = {it.span_id: it.receipt for it in handler.calls}
        assert Counter(it.receipt["id"] for it in events) == Counter(
            it.id for it in calls.values()
        )
        assert {it.llm_span_id for it in events} == set(calls) <= set(spans)
        total = handler.report().to_dict()["total"]
        assert total["requests"] == len(events)
        if handler._watch._open:
            gc.collect()
        assert handler._watch._open == {}


async def walked_twice(walk, kit, answers, emulator, opened):
    """Walk a path two times, so that the second run reads what the first one wrote."""
    found = []
    for _ in range(2):
        result = walked(walk, kit, answers, emulator)
        found.append(await result if hasattr(result, "__await__") else result)
    await settled(opened)
    return found


def receipts_of(handler):
    return [it.receipt for it in handler.calls]


def known(receipts):
    """Tell whether all usage is known; OpenAI's streams are not asked for theirs."""
    return all(it.usage.input_tokens is not None for it in receipts)


def plain(rows):
    return sorted((row.body for row in rows), key=str)
