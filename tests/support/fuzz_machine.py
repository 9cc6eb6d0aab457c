"""A caller who does as he likes, a provider that refuses what it must, and us between.

The rules of the machine are what a caller can do; what must hold is checked at every
request that reaches the emulator, by what the emulator has written down.
"""

from copy import deepcopy
from math import inf
from typing import Any

from fuzz_checks import Checked, Said
from fuzz_talks import EMOJI, Exchange, Talk, tool
from fuzz_wires import WIRES
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)

from promptcache import Limits, PromptCache, options
from promptcache.emulator import Fault
from promptcache.receipts.events import (
    BodyUnreadable,
    PlanningFailed,
    StoreFailed,
    UsageMissing,
)
from promptcache.state.memory import MemoryStore

__all__ = ["Caller", "counts"]

OURS = (BodyUnreadable, PlanningFailed, StoreFailed, UsageMissing)
NAMES = ("f0", "f1", "f2", "f3")
SIZES = st.sampled_from([1, 1, 40, 1500])
MARKED = st.tuples(st.integers(0, 30), st.integers(0, 6))


@st.composite
def saying(draw: st.DrawFn) -> Said:
    """Return the options of a call; mostly none."""
    seldom = st.sampled_from([None, None, None, True])
    return Said(
        ttl=draw(st.sampled_from([None, None, None, "first", "last"])),
        enabled=draw(st.sampled_from([None, None, None, None, True, False])),
        stable_tools=draw(seldom),
        stream=draw(st.booleans()),
    )


class Caller(Checked, RuleBasedStateMachine):
    """Conversations with one API, through its SDK."""

    talks = Bundle("talks")
    client: Any
    """A client that nobody has attached."""
    counts: dict[str, int]

    def __init__(self) -> None:
        super().__init__()
        self.wire = WIRES[self.wire_name]
        self.emulator.reset()
        self.events: list[Any] = []
        self.receipts: list[Any] = []
        self.number = 0
        self.is_asking_now = False
        self.owners: dict[str, str | None] = {}
        self.unplanned: set[str | None] = set()

    @initialize(
        target=talks,
        policy=st.integers(0, 3),
        cap=st.sampled_from([inf, 0.1, 0.0]),
        size=SIZES,
    )
    def begin_process(self, policy: int, cap: float, size: int) -> Talk:
        """Start with a cache that knows nothing, and a first conversation."""
        names = self.wire.policies
        self.cache = PromptCache(
            names[policy % len(names)],
            strict=True,
            store=MemoryStore() if self.wire_name == "gemini" else None,
            clock=self.emulator.clock,
            limits=Limits(usd_per_hour=cap, live_caches=99),
            listeners=[self.events.append],
        )
        self.attached = self.cache.attach(self.client)
        first = self.wire.models[0]
        talk = Talk(first, None, None, [tool("f0", size)], ["You help. " * 1500])
        self.chat(talk, 40)
        if self.wire_name == "gemini":
            # Cached contents are made after a few requests, and aside.
            self.tend()
            self.chat(talk, 40)
            self.tend()
        return talk

    def teardown(self) -> None:
        """Compare the sums, and end what was begun."""
        if not hasattr(self, "cache"):
            return
        self.cache.close()
        if self.is_asking_now:
            # What has failed there is told already.
            return
        rows = self.rows()
        assert sum(it.usage.input_tokens for it in self.receipts) == sum(
            row.total_input_tokens for row in rows
        )
        self.counts["examples"] += 1

    # What a caller does.

    @rule(
        target=talks,
        model=st.integers(0, 9),
        tenant=st.sampled_from([None, "acme", "zoo"]),
        name=st.sampled_from([None, None, "c1"]),
        tools=st.lists(st.tuples(st.sampled_from(NAMES), SIZES), max_size=3),
        system=st.lists(SIZES, max_size=2),
        odd=st.booleans(),
    )
    def open(
        self,
        model: int,
        tenant: str | None,
        name: str | None,
        tools: list[tuple[str, int]],
        system: list[int],
        *,
        odd: bool,
    ) -> Talk:
        """Begin a conversation; heads are few, so that many share one."""
        return Talk(
            model=self.wire.models[model % len(self.wire.models)],
            tenant=tenant,
            name=name,
            tools=[tool(*it) for it in {name: (name, n) for name, n in tools}.values()],
            system=[("You help. " + EMOJI * odd) * size for size in system],
        )

    @rule(
        talk=talks,
        sizes=st.lists(SIZES, min_size=1, max_size=3),
        shape=st.tuples(st.booleans(), st.integers(0, 9)),
        calls=st.sampled_from([0, 0, 1, 3, 25]),
        said=saying(),
    )
    def go_on(
        self,
        talk: Talk,
        sizes: list[int],
        shape: tuple[bool, int],
        calls: int,
        said: Said,
    ) -> None:
        """Ask the next question, and take the answer into the conversation."""
        question = [self._words(size) for size in sizes]
        talk.exchanges.append(
            Exchange(question, is_list=shape[0], has_image=not shape[1])
        )
        if not self._ask(talk, said):
            talk.exchanges.pop()
            return
        last = talk.exchanges[-1]
        last.answer = self._words(3)
        if talk.tools and talk.tools[0]["name"] == "f0":
            self.number += 1
            last.calls = [f"call_{self.number}_{index}" for index in range(calls)]
        if last.calls:
            talk.forget()

    @rule(talk=talks, size=SIZES)
    def chat(self, talk: Talk, size: int) -> None:
        """Ask a few plain questions, soon one after the other."""
        for _ in range(3):
            self.go_on(talk, [size], (False, 1), 0, Said())
            self.emulator.clock.advance(5)

    @rule(talk=talks, said=saying())
    def ask_again(self, talk: Talk, said: Said) -> None:
        """Send the last question once more, as after an answer that did not please."""
        if not talk.exchanges:
            return
        again = talk.branch(len(talk.exchanges))
        again.exchanges[-1].answer, again.exchanges[-1].calls = None, []
        self._ask(again, said)

    @rule(target=talks, talk=talks, at=st.integers(0, 20))
    def branch(self, talk: Talk, at: int) -> Talk:
        """Go back to an earlier turn, and take another way from there."""
        return talk.branch(at % (len(talk.exchanges) + 1))

    @rule(talk=talks, at=st.integers(0, 20), size=SIZES)
    def edit(self, talk: Talk, at: int, size: int) -> None:
        """Change what was said."""
        if talk.exchanges:
            changed = talk.exchanges[at % len(talk.exchanges)]
            changed.question[0] = self._words(size)
            talk.forget()

    @rule(talk=talks, keep=st.integers(0, 2), size=SIZES)
    def compact(self, talk: Talk, keep: int, size: int) -> None:
        """Replace what was said by its summary."""
        kept = talk.exchanges[len(talk.exchanges) - keep :] if keep else []
        talk.exchanges = [Exchange([self._words(size)], answer="Noted."), *kept]
        talk.forget()

    @rule(talk=talks, how=st.sampled_from(["turn", "drop", "add", "none"]), size=SIZES)
    def switch_tools(self, talk: Talk, how: str, size: int) -> None:
        """Offer other tools, or the same in another order."""
        if how == "turn":
            talk.tools.reverse()
        elif how == "drop":
            del talk.tools[1:]
        elif how == "none":
            # What was called must still be declared, on some APIs.
            talk.tools = talk.tools if _called(talk) else []
        elif not any(it["name"] == "g" for it in talk.tools):
            talk.tools.append(tool("g", size))

    @rule(talk=talks, system=st.lists(SIZES, max_size=2))
    def change_system(self, talk: Talk, system: list[int]) -> None:
        """Say something else at the beginning."""
        talk.system = [self._words(size) for size in system]

    @rule(
        talk=talks,
        marks=st.lists(MARKED, max_size=6),
        automatic=st.one_of(st.none(), st.integers(0, 9)),
    )
    def mark(
        self, talk: Talk, marks: list[tuple[int, int]], automatic: int | None
    ) -> None:
        """Set markers of the caller's own on every request from now on, or none."""
        forms, whole = self.wire.forms, self.wire.automatics
        if forms:
            talk.marks = [(place, forms[it % len(forms)]) for place, it in marks]
            talk.automatic = None
            if automatic is not None:
                talk.automatic = whole[automatic % len(whole)]
            # A question of several parts, so that there are places to mark.
            self.go_on(talk, [40, 1, 40], (True, 1), 0, Said())

    @rule(talk=talks, form=st.integers(0, 2), count=st.integers(3, 9))
    def mark_many(self, talk: Talk, form: int, count: int) -> None:
        """Set the same legal marker on many blocks, more than are allowed."""
        if self.wire.forms:
            talk.marks = [(place, self.wire.forms[form]) for place in range(count)]
            talk.automatic = None
            self.go_on(talk, [40] * count, (True, 1), 0, Said())

    @rule(seconds=st.sampled_from([0.5, 4, 60, 299, 301, 1_900, 3_700, 90_000]))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.emulator.clock.advance(seconds)

    @rule(talk=talks, tenant=st.sampled_from([None, "acme", "zoo", "new"]))
    def hand_over(self, talk: Talk, tenant: str | None) -> None:
        """Go on as another tenant."""
        talk.tenant = tenant
        talk.forget()

    @rule(which=st.integers(0, 1))
    def refuse_once(self, which: int) -> None:
        """Have the provider refuse the next request that carries a field of ours."""
        match, message = self.wire.refusal
        status = self.wire.statuses[which]
        self.emulator.faults.clear()
        self.emulator.faults.push(Fault(status=status, message=message, match=match))

    @rule()
    def tend(self) -> None:
        """Let the keeper do what is due."""
        if self.wire_name == "gemini" and self.cache._holdings.has_keeper:
            assert self.cache.keeper.idle()
            self.cache.keeper.tend()

    # What must hold.

    @invariant()
    def nothing_of_ours_has_failed(self) -> None:
        """No error of ours, no answer without usage."""
        assert [it for it in self.events if isinstance(it, OURS)] == []

    def _ask(self, talk: Talk, said: Said) -> bool:
        """Send the next request; return whether it was answered."""
        self.is_asking_now = True
        is_answered = self._asked(talk, said)
        self.is_asking_now = False
        return is_answered

    def _asked(self, talk: Talk, said: Said) -> bool:
        built = self.wire.body(talk)
        given = deepcopy(built)
        if said.stream and self.wire_name == "chat":
            built["stream_options"] = {"include_usage": True}
        before, told = len(self.emulator.ledger), len(self.events)
        lives = {None: None, "first": 0, "last": -1}
        ttl = self.wire.ttls[lives[said.ttl]] if said.ttl and self.wire.ttls else None
        error = answer = None
        with (
            self.cache.collect() as receipts,
            options(
                tenant=talk.tenant,
                conversation=talk.name,
                ttl=ttl,
                enabled=said.enabled,
                stable_tools=said.stable_tools,
            ),
        ):
            try:
                answer = self.send(self.attached, built, stream=said.stream)
            except Exception as raised:  # noqa: BLE001 - which ones may come is checked
                error = raised
        built.pop("stream_options", None)
        assert built == given, "an object of the caller's was written to"
        rows = [row for row in self.emulator.ledger[before:] if self.is_asking(row)]
        assert rows, error
        is_off = said.enabled is False or self.cache.policy.name == "off"
        self.check_attempts(rows, given, is_off=is_off, events=self.events[told:])
        self.check_content(rows[-1], given, said)
        self.check_owner(rows[-1], given, talk)
        if rows[-1].status != 200:
            self.counts["refused"] += 1
            assert error is not None
            assert receipts == []
            return False
        assert error is None, error
        self.check_receipt(receipts, rows[-1])
        self.counts["answered"] += 1
        self.counts["read"] += rows[-1].cache_read_input_tokens > 0
        self.counts["named"] += "cachedContent" in rows[-1].body
        if self.wire_name == "responses" and isinstance(answer, str):
            talk.answered, talk.kept = answer, len(talk.exchanges)
        return True

    def send(self, client: Any, body: dict[str, Any], *, stream: bool) -> Any:
        """Send a request, and return its id if it can be gone on from."""
        raise NotImplementedError

    # What helps.

    def _words(self, size: int) -> str:
        self.number += 1
        return f"{self.number} " + "word " * size


def counts() -> dict[str, int]:
    """Return what machines count."""
    return dict.fromkeys(("examples", "answered", "refused", "read", "named"), 0)


def _called(talk: Talk) -> bool:
    return any(it.calls for it in talk.exchanges)
