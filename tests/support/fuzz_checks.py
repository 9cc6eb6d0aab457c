"""What must hold of every request that a random caller sends.

It is checked by what the emulator has written down, never by what the planner says.
"""

import json
from dataclasses import dataclass
from typing import Any

from fuzz_talks import Talk
from fuzz_wires import Wire

from promptcache.emulator import Emulator
from promptcache.receipts.events import RetriedUnplanned

__all__ = ["Checked", "Said"]

CONTENT = ("systemInstruction", "tools", "toolConfig", "contents")
DECLARED = "functionDeclarations"
KEPT = ("prompt_cache_key", "prompt_cache_retention")


@dataclass(frozen=True)
class Said:
    """What a caller says with one call."""

    ttl: str | None = None
    enabled: bool | None = None
    stable_tools: bool | None = None
    stream: bool = False


class Checked:
    """Holds what a caller is told and has sent, and checks it."""

    emulator: Emulator
    wire: Wire
    wire_name: str
    owners: dict[str, str | None]
    """Whose a key or a handle was first."""
    unplanned: set[str | None]
    """Models whose provider has refused our fields, and gets none for a day."""
    receipts: list[Any]

    def check_attempts(
        self, rows: list[Any], given: Any, *, is_off: bool, events: list[Any]
    ) -> None:
        """Only a fault that was ordered, or what the caller did himself, is refused."""
        retried = (it for it in events if isinstance(it, RetriedUnplanned))
        self.unplanned |= {it.model for it in retried}
        last = rows[-1]
        if is_off:
            assert len(rows) == 1
            assert self.shown(last) == self.shown_of(given)
        field, message = self.wire.refusal
        # What was sent once more was refused as ordered, and not for its own sake.
        for row in rows[:-1]:
            assert row.error == message, (row.error, row.body, given)
        if last.status == 200:
            return
        if last.error == message:
            # The fault that was ordered meets the caller's own request likewise.
            assert is_off or f'"{field}"' in json.dumps(given), last.body
            return
        for name in KEPT:
            value = given.get(name)
            if value is not None and (name in last.error or value in last.error):
                # It is no marker: what the caller gave is the caller's.
                assert last.body[name] == value
                return
        assert self.shown(last) == self.shown_of(given), (last.error, last.body, given)
        is_plain = is_off or given.get("model") in self.unplanned
        assert is_plain, (last.error, last.body)

    def check_content(self, row: Any, given: Any, said: Said) -> None:
        """What is sent says what was built."""
        sent = self.content(whole_of(self.emulator, row))
        built = self.content(given)
        if self.wire_name == "gemini":
            sent.pop("model", None)
        if said.stable_tools:
            sent, built = _in_order(sent), _in_order(built)
        assert sent == built

    def check_owner(self, row: Any, given: Any, talk: Talk) -> None:
        """Keys and handles are one tenant's; what the caller gave is his own."""
        for name in ("prompt_cache_key", "cachedContent"):
            value = row.body.get(name)
            if value is not None and value != given.get(name):
                assert self.owners.setdefault(value, talk.tenant) == talk.tenant

    def check_receipt(self, receipts: list[Any], row: Any) -> None:
        """The receipt says what was billed, and is kept."""
        assert len(receipts) == 1
        usage = receipts[0].usage
        written = row.cache_creation_input_tokens
        assert (usage.input_tokens, usage.read_tokens) == (
            row.total_input_tokens,
            row.cache_read_input_tokens,
        )
        assert (usage.written_tokens or 0) == written
        assert usage.output_tokens == row.output_tokens
        self.receipts.append(receipts[0])

    def is_asking(self, row: Any) -> bool:
        """Tell whether a row is a request for an answer."""
        return row.method == "POST" and "cachedContents" not in row.path

    def content(self, body: Any) -> Any:
        """Return what a body says beside what it says of caching."""
        left = ("stream", "stream_options")
        bare = self.wire.bare(body)
        return {name: it for name, it in bare.items() if name not in left}

    def shown(self, row: Any) -> Any:
        """Return a body as it was sent, comparable with what was built."""
        return self.shown_of(row.body)

    def shown_of(self, body: Any) -> Any:
        """Return what was built, as it would be sent."""
        left = ("stream", "stream_options")
        told = {name: it for name, it in body.items() if name not in left}
        return self.wire.bare(told) if self.wire_name == "gemini" else told

    def rows(self) -> list[Any]:
        """Return what was answered."""
        rows = self.emulator.ledger
        return [row for row in rows if self.is_asking(row) and row.status == 200]


def whole_of(emulator: Emulator, row: Any) -> dict[str, Any]:
    """Return a request with what the cached content holds that it names."""
    name = row.body.get("cachedContent")
    if name is None:
        return dict(row.body)
    kept = emulator._machine.gemini._contents
    found = next(it[name] for it in kept.values() if name in it).body
    rest = {key: it for key, it in row.body.items() if key != "cachedContent"}
    held = {key: found[key] for key in CONTENT if key in found}
    contents = [*held.get("contents", ()), *rest.get("contents", ())]
    return {**rest, **held, "contents": contents}


def _in_order(body: dict[str, Any]) -> dict[str, Any]:
    """Return a body whose tools stand in one order."""
    if "tools" not in body:
        return body
    tools = [it for one in body["tools"] for it in one.get(DECLARED, [one])]
    return {**body, "tools": sorted(tools, key=_sorted)}


def _sorted(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
