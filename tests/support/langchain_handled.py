"""Walks of one path: stock, watched and planned by a handler, and with our classes."""

from dataclasses import dataclass
from typing import Any

import pytest
from langchain_kit import Kit
from langchain_paths import ASYNC, SYNC
from langchain_results import bodies, receipted, shape

from langchain_promptcache import PromptCacheCallbackHandler, prompt_cached
from promptcache import PromptCache, Receipt
from promptcache.state.memory import MemoryStore

__all__ = ["ASYNC_SOME", "SYNC_SOME", "Walks"]

# On the paths that are walked with every provider and host.
SOME = {
    "abatch",
    "agenerate",
    "ainvoke",
    "astream",
    "astream_events_v2",
    "batch",
    "bind_tools.stream",
    "create_agent",
    "create_agent.ainvoke",
    "create_agent.astream_messages",
    "create_agent.stream_messages",
    "function_calling",
    "generate",
    "init_chat_model",
    "invoke",
    "json_schema",
    "json_schema.ainvoke",
    "json_schema.stream",
    "sequence.stream",
    "stream",
    "with_fallbacks.stream",
    "with_retry.ainvoke",
}
SYNC_SOME = [path for path in SYNC if path.id in SOME]
ASYNC_SOME = [path for path in ASYNC if path.id in SOME]

# What requests that are sent at once read of each other is a matter of luck.
AT_ONCE = {
    "RunnableParallel",
    "RunnableParallel.ainvoke",
    "abatch",
    "abatch_as_completed",
    "agenerate",
    "batch",
    "batch_as_completed",
}


@dataclass
class Walks:
    """One path, walked in four workspaces, each with a cache of its own."""

    make_theirs: Any
    make_ours: Any
    arguments: Any
    head: Any
    provider: str
    emulator: Any
    rows_of: Any
    strip: Any
    bare: Any
    """Makes bodies comparable without taking anything of ours off."""
    bill: Any
    said: dict[str, Any]
    """What stock models are told, so that they ask for what ours ask for."""

    def __post_init__(self) -> None:
        self.watching = PromptCacheCallbackHandler(self.cache())
        self.planning = PromptCacheCallbackHandler(self.cache(), insert=True)
        self.ours = self.cache()

    def cache(self):
        return PromptCache(strict=True, clock=self.emulator.clock, store=MemoryStore())

    def kits(self):
        """Return the kits of the stock class, of both handlers, and of ours."""
        cached = Kit(
            lambda **changes: self.make_ours(prompt_cache=self.ours, **changes),
            lambda part: prompt_cached(part, self.ours),
            self.arguments("cached"),
            self.head,
            self.provider,
        )
        return (
            self.kit("plain"),
            self.kit("watched", self.watching),
            self.kit("planned", self.planning),
            cached,
        )

    def kit(self, workspace, *handlers):
        given = {**self.said, **({"callbacks": [*handlers]} if handlers else {})}
        return Kit(
            lambda **changes: self.make_theirs(workspace, **given, **changes),
            lambda part: part,
            self.arguments(workspace, **given),
            self.head,
            self.provider,
        )

    def check(self, collected, results, name):
        """Compare what was sent, told and answered.

        Args:
            collected: The receipts of our classes.
            results: What each kit's walks have returned.
            name: The path.
        """
        stock, watched, planned, ours = results
        rows = {it: self.rows_of(it) for it in ("plain", "watched", "planned")}
        plain, cached = rows["plain"], self.rows_of("cached")

        assert plain
        assert {row.status for it in rows.values() for row in it} == {200}
        assert bodies(rows["watched"], self.bare) == bodies(plain, self.bare)
        assert bodies(rows["planned"], self.strip) == bodies(plain, self.strip)
        self.check_receipts(self.watching, rows["watched"])
        self.check_receipts(self.planning, rows["planned"])
        assert {it.receipt.policy for it in self.watching.calls} == {"off"}
        assert {it.receipt.policy for it in self.planning.calls} == {"auto"}
        assert self.bare(shape(watched)) == self.bare(shape(stock))
        assert self.bare(shape(planned)) == self.bare(shape(ours))
        assert len(receipted(planned)) == len(receipted(ours))
        assert len(cached) == len(rows["planned"])
        if name in AT_ONCE:
            return
        cost = Receipt.sum(it.receipt for it in self.planning.calls).cost_usd
        assert cost == pytest.approx(Receipt.sum(collected).cost_usd, rel=0.05)

    def check_receipts(self, handler, rows):
        """Compare what a handler was told of with the ledger."""
        receipts = [it.receipt for it in handler.calls]

        assert sorted(map(self.bill, receipts)) == sorted(map(self.bill, rows))
        total = handler.report().to_dict()["total"]
        assert total["requests"] == len(rows)
        assert total["read_tokens"] == sum(it.cache_read_input_tokens for it in rows)
