"""Why requests missed and whose doing reads were, through the real SDKs."""

import gc
import threading

import pytest
from anthropic import Anthropic
from missing import (
    CAUSES,
    FORMS,
    SYSTEM,
    TALK,
    evicted,
    expired,
    fan_out,
    form_changed,
    hit,
    model_changed,
    system_changed,
)
from missing_sdks import WIRES, sender
from openai import OpenAI

from promptcache import MemoryStore, Policy, PromptCache, options
from promptcache.emulator import Emulator, GeminiSettings
from promptcache.providers import Request
from promptcache.providers.anthropic import ANTHROPIC
from promptcache.receipts.events import PlanningFailed

MARKLESS = ("openai-prefix", "google")
FIRST_TURN = {"openai-chat": 1, "openai-responses": 1, "openai-prefix": 1}
DAY = 90_000.0
FIXED = Policy.fixed(tools="30m", system="30m", history="30m", tail="30m")


@pytest.fixture(params=WIRES)
def wire(request):
    if request.param == "google":
        pytest.importorskip("google.genai")
    return request.param


@pytest.fixture
def send(wire, emulator):
    return sender(wire, emulator)


def only(receipt):
    """Return the one miss of a receipt."""
    [miss] = receipt.misses
    return miss


@pytest.mark.parametrize("name", sorted(set(CAUSES) - {"expired", "not-marked"}))
def test_causes(send, emulator, wire, name):
    """Each way to miss is told by its cause, its place and what it cost."""
    way, cause, place = CAUSES[name]
    receipt = way(send, emulator.clock)
    miss = only(receipt)

    named = place and place.format(FIRST_TURN.get(wire, 0))
    assert (miss.cause, miss.proof, miss.place) == (cause, "outline", named)
    is_short = cause in ("first_seen", "below_minimum")
    assert (miss.tokens == 0) == (miss.cost_usd == 0.0) == is_short
    assert is_short or 0 < miss.cost_usd < receipt.cost_usd


def test_a_hit_is_no_miss(send, emulator, wire):
    """Who goes on in time reads all, and it is told whose doing that is."""
    receipt = hit(send, emulator.clock)

    assert receipt.misses == ()
    assert receipt.credits == (("implicit" if wire in MARKLESS else "placed"),)


def test_expired(send, emulator, wire):
    """Too late is told by the clock; without a stated life, only after the longest."""
    miss = only(expired(send, emulator.clock, DAY if wire in MARKLESS else 7200.0))

    assert (miss.cause, miss.proof) == ("expired", "clock")
    assert miss.tokens > 7000


@pytest.mark.parametrize("wire", MARKLESS, indirect=True)
def test_perhaps_expired(send, emulator):
    """Between the usual life and the longest, nobody can tell."""
    assert only(expired(send, emulator.clock, 3000.0)).cause == "evicted_or_unknown"


def test_evicted(send, emulator):
    """What was alive and unchanged and is not there, is gone."""
    miss = only(evicted(send, emulator.clock, emulator.reset))

    assert (miss.cause, miss.proof) == ("evicted_or_unknown", "clock")


@pytest.mark.parametrize("form", FORMS)
def test_forms(send, emulator, form):
    """A system prompt that says the same in another form is named as such."""
    miss = only(form_changed(send, emulator.clock, form))

    assert (miss.cause, miss.place) == ("prefix_changed", "system[0]")
    assert miss.form == form


def test_the_byte_of_a_change(send, emulator):
    """The position in the block is exact to a step of its checksums."""
    miss = only(system_changed(send, emulator.clock))
    size = len(SYSTEM.encode())
    first = size // 2

    assert abs(miss.near - first) < size / 100
    assert miss.form is None


def test_fan_out(send, emulator):
    """Of requests that go out together, none could read what the others wrote."""
    receipts = fan_out(send, emulator.clock)
    missed = [it for it in receipts if not it.usage.read_tokens]

    assert missed
    assert {only(it).cause for it in missed} == {"first_seen"}


@pytest.mark.parametrize("wire", ["anthropic"], indirect=True)
def test_not_marked(send, emulator):
    """What was sent without marks comes again, and was not kept."""
    way, cause, _ = CAUSES["not-marked"]

    assert only(way(send, emulator.clock)).cause == cause


@pytest.mark.parametrize("wire", ["openai-chat", "openai-responses"], indirect=True)
def test_another_key(send, emulator):
    """Where a key parts caches, one that is sent with it reads nothing from before."""
    way, _, _ = CAUSES["not-marked"]

    assert only(way(send, emulator.clock)).cause == "model_or_settings_changed"


@pytest.mark.parametrize("policy", ["off", FIXED])
def test_reasons_do_not_depend_on_the_policy(emulator, policy):
    """A miss is told as well where nothing is planned, or by other rules."""
    send = sender("openai-prefix", emulator, policy=policy)

    assert only(system_changed(send, emulator.clock)).place == "system[0]"
    assert hit(send, emulator.clock).misses == ()


TOLD = [
    pytest.param("anthropic", model_changed, "model_changed", id="anthropic-model"),
    pytest.param("anthropic", system_changed, "system_changed", id="anthropic-system"),
    pytest.param("openai-responses", model_changed, "model_changed", id="openai-model"),
]


@pytest.mark.parametrize(("wire", "way", "word"), TOLD, indirect=["wire"])
def test_outline_before_provider(wire, emulator, way, word):
    """With `diagnose`, the provider's word is in the notes; what we see goes first."""
    send = sender(wire, emulator, diagnose=True)
    with options(conversation="c"):
        receipt = way(send, emulator.clock)

    assert any(note.startswith(f"missed: {word}") for note in receipt.notes)
    assert only(receipt).proof == "outline"


@pytest.mark.parametrize(
    ("change", "place", "cause"),
    [
        ({"system": "Else. " * 3000}, "system", "prefix_changed"),
        ({"model": "other"}, None, "model_or_settings_changed"),
    ],
)
def test_provider_where_nothing_else_is_known(emulator, change, place, cause):
    """What this process has forgotten, the provider may still tell."""
    send = sender("anthropic", emulator, diagnose=True)
    with options(conversation="c"):
        send(SYSTEM, TALK[:1])
        send.cache._settling.footprints._start()
        system = change.pop("system", SYSTEM)
        miss = only(send(system, TALK[:3], **change))

    assert (miss.cause, miss.proof, miss.place) == (cause, "provider", place)
    assert miss.tokens > 1000


def test_a_placed_content_is_a_hit():
    """Reading a cached content of ours is a hit, and our doing."""
    pytest.importorskip("google.genai")
    with Emulator(gemini=GeminiSettings(implicit_luck=0.0)) as emulator:
        send, receipts = sender("google", emulator), []
        for number in range(5):
            receipts.append(send(SYSTEM, [f"Why {number}?"], gemini_caches=True))
            assert send.cache.keeper.idle()
            emulator.clock.advance(5)
        send.cache.close()
    read = [it for it in receipts if it.usage.read_tokens]

    assert read
    assert {it.credits for it in read} == {("placed",)}
    assert {it.misses for it in read} == {()}


def test_the_callers_own_content_is_fixed(emulator):
    """What the caller names itself is the caller's doing."""
    pytest.importorskip("google.genai")
    from gemini_sdk import MODEL, client_of  # noqa: PLC0415 - it needs the SDK

    cache = PromptCache(clock=emulator.clock, store=MemoryStore())
    with client_of(emulator.url) as plain, cache.collect() as receipts:
        made = plain.caches.create(
            model=MODEL, config={"system_instruction": SYSTEM, "ttl": "600s"}
        )
        cache.attach(plain).models.generate_content(
            model=MODEL, contents="Why?", config={"cached_content": made.name}
        )

    assert receipts[0].usage.read_tokens > 5000
    assert (receipts[0].credits, receipts[0].misses) == (("fixed",), ())


@pytest.mark.parametrize("policy", ["off", "auto"])
def test_the_callers_markers_are_fixed(emulator, policy):
    """Reading up to a marker of the caller's is the caller's doing."""
    cache = PromptCache(policy, clock=emulator.clock)
    marked = {"type": "text", "text": SYSTEM, "cache_control": {"type": "ephemeral"}}
    with cache.collect() as receipts:
        client = cache.attach(Anthropic(api_key="any", base_url=emulator.url))
        for question in ("Why?", "How?"):
            client.messages.create(
                model="claude-sonnet-5-5",
                max_tokens=16,
                system=[marked],
                messages=[{"role": "user", "content": question}],
            )

    first, second = receipts
    assert (first.credits, second.credits) == ((), ("fixed",))
    assert second.misses == ()


@pytest.mark.parametrize("wire", ["openai-chat"], indirect=True)
def test_what_is_done_unasked(wire, emulator):
    """Without a plan, a model with breakpoints reads where it placed one itself."""
    send = sender(wire, emulator, policy="off")
    receipt = hit(send, emulator.clock)

    assert (receipt.credits, receipt.misses) == (("implicit",), ())


@pytest.mark.parametrize(
    ("seconds", "model", "cause"),
    [
        pytest.param(5.0, "gpt-6.1-sol", None, id="in time"),
        pytest.param(7200.0, "gpt-6.1-sol", "expired", id="too late"),
        pytest.param(5.0, "gpt-6-sol", "model_or_settings_changed", id="another model"),
    ],
)
def test_what_goes_on_from_an_answer(emulator, seconds, model, cause):
    """What the provider itself puts before a request is what it was sent with."""
    cache = PromptCache(clock=emulator.clock)
    client = cache.attach(OpenAI(api_key="any", base_url=f"{emulator.url}/v1"))
    head = {"role": "developer", "content": SYSTEM}
    with cache.collect() as receipts:
        first = client.responses.create(
            model="gpt-6.1-sol", input=[head, {"role": "user", "content": TALK[0]}]
        )
        emulator.clock.advance(seconds)
        client.responses.create(
            model=model, input=TALK[2], previous_response_id=first.id
        )

    assert [it.cause for it in receipts[1].misses] == ([cause] if cause else [])


CANARY = "the word that nobody may keep 7f3a"


def test_no_text_stays(send, emulator):
    """What was said is nowhere in the cache once it was answered."""
    system = f"{CANARY} {SYSTEM}"
    send(system, [f"{TALK[0]} {CANARY}"])
    send(f"{system} changed", [f"{TALK[0]} {CANARY}", *TALK[1:3]])
    gc.collect()

    assert texts_of(send.cache, CANARY) == []


def test_no_text_of_what_was_never_answered():
    """A request that is dropped takes its text along."""
    cache = PromptCache()
    body = {
        "model": "claude-sonnet-5-5",
        "system": CANARY,
        "messages": [{"role": "user", "content": CANARY}],
    }
    prepared = cache.prepare(Request(ANTHROPIC, body, "anthropic"))
    assert prepared.outline.blocks.contents == {}
    del prepared, body
    gc.collect()

    assert texts_of(cache, CANARY) == []


def texts_of(root, word):
    """Return all texts with a word that can be reached from an object's own values."""
    skipped = (type, type(gc), type(texts_of), threading.Thread)
    seen, found, waiting = set(), [], [root]
    while waiting:
        it = waiting.pop()
        if id(it) in seen or isinstance(it, skipped):
            continue
        seen.add(id(it))
        if isinstance(it, (str, bytes, bytearray)):
            text = it if isinstance(it, str) else bytes(it).decode("latin-1")
            found.extend([text] if word in text else [])
            continue
        waiting.extend(gc.get_referents(it))
    assert len(seen) > 500
    return found


def test_an_error_costs_the_reasons_and_no_more(emulator, monkeypatch):
    """A receipt is written whatever fails in telling why."""
    events = []
    send = sender("anthropic", emulator, listeners=[events.append])

    def fail(*_, **__):
        raise RuntimeError("broken")

    monkeypatch.setattr("promptcache.settling.why", fail)
    receipt = send(SYSTEM, TALK[:1])

    assert (receipt.misses, receipt.credits) == ((), ())
    assert receipt.usage.input_tokens > 7000
    assert [type(it) for it in events].count(PlanningFailed) == 1
