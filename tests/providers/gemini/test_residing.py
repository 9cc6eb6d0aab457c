"""Requests with resident documents, through `google-genai`: many retrievers, threads.

What the frameworks build is tested with them.
"""

import asyncio
import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
from gemini_references import check_references, reference
from gemini_sdk import MODEL, client_of

from promptcache import Limits, MemoryStore, PromptCache, ResidentDocuments, options
from promptcache.providers.gemini import residents
from promptcache.providers.gemini.implicit import Implicit
from promptcache.receipts.events import CacheCreated

MODELS_TURN = {"role": "model", "parts": [{"text": "I see."}]}


def text_of(name, *, words=300):
    return f"Engine {name} of the museum. " + f"Wheel {name} turned well. " * words


class Desk:
    """A client, and documents to ask about."""

    def __init__(self, client, cache, emulator, *, mode="hot", names=10, prefix="e"):
        self.client, self.cache, self.emulator = client, cache, emulator
        self.texts = {f"{prefix}{it}": text_of(f"{prefix}{it}") for it in range(names)}
        self.known = ResidentDocuments(mode)
        self.seen = {}
        self._numbers = count()
        cache.keeper.know(self.known)

    def retrieved(self, names):
        found = {it: self.texts[it] for it in names}
        self.known.retrieved(found.items())
        question = f"What of {' '.join(names)}? ({next(self._numbers)})"
        self.seen[question] = found
        return "\n\n".join([*found.values(), question])

    def ask(self, *names, **config):
        config = {"system_instruction": "Answer.", **config}
        said = self.retrieved(names)
        return self.client.models.generate_content(
            model=MODEL, contents=said, config=config
        )

    def warm(self, *names, times=2):
        for _ in range(times):
            self.ask(*names)
            self.rest()

    def rest(self, seconds=20):
        assert self.cache.keeper.idle()
        self.emulator.clock.advance(seconds)

    @property
    def last(self):
        return [it for it in self.emulator.ledger if "enerate" in it.path][-1]

    def check(self, *others):
        seen = {**self.seen}
        for other in others:
            seen.update(other.seen)
        return check_references(self.emulator, seen)


@pytest.fixture
def cache(emulator, events):
    made = PromptCache(
        store=MemoryStore(),
        clock=emulator.clock,
        listeners=[events.append],
        limits=Limits(usd_per_hour=1),
        strict=True,
    )
    yield made
    made.close()


@pytest.fixture
def client(emulator, cache):
    with client_of(emulator.url) as plain:
        yield cache.attach(plain)


@pytest.fixture
def make_desk(client, cache, emulator):
    return lambda **fields: Desk(client, cache, emulator, **fields)


@pytest.fixture
def desk(make_desk):
    return make_desk()


NAMES = ("e1", "e2", "e3")


def test_by_reference(desk):
    """What is held is left out, and what the request says besides stays as it is."""
    desk.warm(*NAMES)
    desk.ask(*NAMES, temperature=0.5, response_mime_type="application/json")
    body = desk.last.body

    assert body["generationConfig"] == {
        "temperature": 0.5,
        "responseMimeType": "application/json",
    }
    assert "systemInstruction" not in body
    assert desk.check() == {"full": 3, "reference": 6}


def test_documents_of_earlier_turns(desk, client):
    """They are left out wherever the user's turns have them; the model's stay."""
    desk.warm(*NAMES)
    text = desk.texts["e1"]
    contents = [
        {"role": "user", "parts": [{"text": desk.retrieved(NAMES[:1])}]},
        {"role": "model", "parts": [{"text": text}]},
        {"role": "user", "parts": [{"text": "Sure?"}, {"text": text}]},
    ]
    config = {"system_instruction": "Answer."}
    client.models.generate_content(model=MODEL, contents=contents, config=config)
    sent = desk.last.body["contents"]

    assert sent[0]["parts"][0]["text"].startswith(reference("e1"))
    assert sent[1]["parts"] == [{"text": text}]
    assert sent[2]["parts"] == [{"text": "Sure?"}, {"text": f"{reference('e1')} "}]
    assert contents[2]["parts"][1]["text"] == text
    desk.check()


def test_nothing_is_found(desk, events):
    """A request without any of the documents is none of their business."""
    desk.warm(*NAMES)
    desk.client.models.generate_content(model=MODEL, contents="Hello.")

    assert "cachedContent" not in desk.last.body
    assert len([it for it in events if isinstance(it, CacheCreated)]) == 1


def test_a_text_that_looks_like_a_reference(desk):
    """What a document says of others is its own words, and is held with it."""
    desk.texts["e4"] = f"{reference('e1')} {text_of('e4')} {reference('e9')}"
    desk.warm(*NAMES, "e4")
    desk.ask("e4", "e1")

    assert desk.check()["reference"] == 6
    desk.ask("e4")
    assert reference("e9") not in str(desk.last.body)


def test_one_text_under_two_ids(desk):
    """What is named is the one that is held; the other one is sent."""
    desk.texts["e7"] = desk.texts["e1"]
    desk.warm(*NAMES)
    desk.ask("e7")

    assert "cachedContent" not in desk.last.body
    desk.ask("e1", "e2")
    assert "cachedContent" in desk.last.body
    desk.check()


def test_a_change_while_it_is_created(desk, monkeypatch):
    """What was changed meanwhile is never named."""
    held = residents.held

    def late(documents):
        desk.texts["e2"] = text_of("e2 (repaired)")
        desk.known.retrieved([("e2", desk.texts["e2"])])
        return held(documents)

    monkeypatch.setattr(residents, "held", late)
    desk.ask(*NAMES)
    desk.rest()
    monkeypatch.undo()
    old = desk.seen.popitem()
    desk.ask("e1", "e3")
    desk.rest()
    rows = desk.emulator.caches

    assert "cachedContent" not in desk.last.body
    assert text_of("e2").strip() in str(old)
    assert not rows[0].live
    desk.warm(*NAMES, times=3)
    assert desk.check()["reference"] >= 3


def test_documents_whose_text_is_gone(desk):
    """What nobody has retrieved for long is chosen no more; the others are kept."""
    desk.ask("e9", "e8")
    other = [(f"x{it}", f"{it} {'x' * 80}") for it in range(512)]
    desk.known.retrieved(other)
    for _ in range(4):
        desk.ask(*NAMES)
        desk.rest()

    assert desk.last.hit
    desk.ask("e9", "e1")
    assert desk.check()["reference"] >= 4


# Whose documents they are.


def test_two_retrievers(make_desk):
    """Each has its own cached content; one request names the one with more of it."""
    first, second = make_desk(), make_desk(prefix="f")
    for _ in range(2):
        first.warm("e1", "e2", "e3", times=1)
        second.warm("f1", "f2", "f3", times=1)
    first.ask("e1", "e2")
    assert first.last.hit
    named = first.last.hit
    second.ask("f1", "f2")
    assert second.last.hit not in (None, named)

    # Both in one request: those of the second are sent.
    both = first.retrieved(("e1", "e2")) + "\n\n" + second.retrieved(("f1",))
    first.client.models.generate_content(
        model=MODEL, contents=both, config={"system_instruction": "Answer."}
    )
    assert first.last.hit == named
    assert second.texts["f1"].strip() in str(first.last.body)
    assert first.check(second)["reference"] >= 10


def test_a_retriever_that_is_gone(desk, cache):
    """Its documents are looked for no longer, and held by nobody here."""
    desk.warm(*NAMES)
    alive = weakref.ref(desk.known)
    said = desk.retrieved(NAMES)
    desk.known = None
    desk.rest()
    gc.collect()
    desk.client.models.generate_content(
        model=MODEL, contents=said, config={"system_instruction": "Answer."}
    )

    assert alive() is None
    assert "cachedContent" not in desk.last.body
    assert desk.check()["full"] == 6


def test_tenants(desk):
    """What is created for one is not named for another, who gets one of their own."""
    desk.warm(*NAMES)
    for _ in range(2):
        with options(tenant="other"):
            desk.ask(*NAMES)
        desk.rest()
    first, second = desk.emulator.caches

    assert first.display_name != second.display_name
    assert desk.last.hit == second.name
    assert desk.check() == {"full": 6, "reference": 6}


def test_another_worker(desk, emulator, cache):
    """A second process with the same store uses what the first has created."""
    desk.warm(*NAMES)
    other = PromptCache(
        store=cache.store, clock=emulator.clock, limits=Limits(usd_per_hour=1)
    )
    with client_of(emulator.url) as plain:
        there = Desk(other.attach(plain), other, emulator)
        there.warm(*NAMES)
        there.ask(*NAMES)
        other.close()

    assert len(emulator.caches) == 1
    assert there.last.hit
    assert desk.check(there)["reference"] >= 6


# Many at once.


def test_many_threads(make_desk):
    """64 threads ask, change and delete documents: no text is ever lost."""
    desk = make_desk(names=24)
    desk.warm(*NAMES)
    barrier = threading.Barrier(64)
    changing = threading.Lock()

    def work(number):
        barrier.wait(20)
        for turn in range(3):
            # Those below 6 are never changed: what is asked with them is checked.
            desk.ask(f"e{number % 6}", f"e{(number + turn) % 6}")
            if number % 8 == 0:
                name = f"e{6 + number % 18}"
                with changing:
                    text = text_of(f"{name} ({number}.{turn})")
                    desk.known.retrieved([(name, text)])
                desk.known.forget([name])

    with ThreadPoolExecutor(64) as pool:
        list(pool.map(work, range(64)))
    desk.rest()
    counted = desk.check()

    # One document may have been asked for twice at a time.
    assert counted["reference"] + counted["full"] > 64 * 3
    assert counted["reference"] > 64
    # A cached content may be let go for a better one while it is being named.
    assert {it.status for it in desk.emulator.ledger} <= {200, 403}


async def test_many_tasks(desk, client):
    """Tasks of one event loop, too, and streams."""
    await asyncio.to_thread(desk.warm, *NAMES)

    async def ask(number):
        said = desk.retrieved((f"e{number % 4}", f"e{(number + 1) % 4}"))
        config = {"system_instruction": "Answer."}
        stream = await client.aio.models.generate_content_stream(
            model=MODEL, contents=said, config=config
        )
        return [it async for it in stream]

    answers = await asyncio.gather(*map(ask, range(32)))
    await client.aio.aclose()

    assert all(answers)
    assert desk.check()["reference"] >= 32


# What it says.


def test_notes(desk, cache):
    """A receipt tells how many were left out, or that none can be."""
    desk.warm(*NAMES)
    with cache.collect() as receipts:
        desk.ask("e1", "e9")
        desk.ask(system_instruction=desk.texts["e1"])
        desk.ask(system_instruction="Nothing of it.")
    named, in_system, without = [it.notes for it in receipts]

    assert named == ("1 of 2 documents sent by reference",)
    assert any("documents stand in the system instruction" in it for it in in_system)
    assert not any("documents" in it for it in without)
    assert receipts[0].breakpoints[0].startswith("1 documents in cachedContents/")


def test_luck_is_learned_from_requests_in_full(desk, monkeypatch):
    """What a named request reads says nothing of implicit caching."""
    measured = []
    plain = Implicit.measure

    def measure(self, expected, read, **more):
        measured.append(read)
        plain(self, expected, read, **more)

    desk.warm(*NAMES)
    monkeypatch.setattr(Implicit, "measure", measure)
    desk.ask(*NAMES)
    assert measured == []
    desk.ask("e8")
    assert len(measured) >= 1
