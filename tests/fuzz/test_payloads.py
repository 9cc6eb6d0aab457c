"""Malformed payloads raise what is documented, and nothing else, in every reader."""

import json
import logging

import orjson
import pytest
from fuzz_payloads import JUNK, mangled, mutated
from fuzz_talks import Exchange, Talk, tool
from fuzz_wires import WIRES
from fuzzing import fuzzed
from hypothesis import given
from hypothesis import strategies as st

from promptcache import PromptCache
from promptcache.analysis.explain.explaining import explain
from promptcache.analysis.replay.replaying import FORMATS, Replay
from promptcache.analysis.replay.scene import scene_of
from promptcache.analysis.replay.traces import UnreadableTraceError
from promptcache.analysis.report.files import ReceiptFiles, UnreadableError
from promptcache.errors import OptionError, PlanningError
from promptcache.factsfile import read_facts
from promptcache.providers import Request
from promptcache.providers.anthropic import ANTHROPIC
from promptcache.providers.gemini import GEMINI
from promptcache.providers.openai import CHAT, RESPONSES
from promptcache.receipts.events import PlanningFailed
from promptcache.receipts.lines import to_line
from promptcache.receipts.miss import Miss
from promptcache.receipts.receipt import Receipt
from promptcache.receipts.usage import Usage

EXAMPLES = 60

PROVIDERS = {
    "anthropic": (ANTHROPIC, "anthropic", "claude-sonnet-5-5"),
    "chat": (CHAT, "openai", "gpt-6.1-sol"),
    "responses": (RESPONSES, "openai", "gpt-6.1-sol"),
    "gemini": (GEMINI, "developer", "gemini-3.8-flash"),
}
USAGES = {
    "anthropic": {
        "input_tokens": 5,
        "output_tokens": 1,
        "cache_read_input_tokens": 7,
        "cache_creation_input_tokens": 11,
        "cache_creation": {
            "ephemeral_5m_input_tokens": 11,
            "ephemeral_1h_input_tokens": 0,
        },
        "iterations": [{"type": "message", "input_tokens": 5, "output_tokens": 1}],
    },
    "chat": {
        "prompt_tokens": 23,
        "completion_tokens": 5,
        "total_tokens": 28,
        "prompt_tokens_details": {"cached_tokens": 7, "cache_write_tokens": 11},
    },
    "responses": {
        "input_tokens": 23,
        "output_tokens": 5,
        "input_tokens_details": {"cached_tokens": 7, "cache_write_tokens": 11},
    },
    "gemini": {
        "promptTokenCount": 23,
        "candidatesTokenCount": 5,
        "thoughtsTokenCount": 2,
        "totalTokenCount": 30,
        "cachedContentTokenCount": 7,
        "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 7}],
    },
}


def encoded(value):
    """Return a value as JSON, however deep it is."""
    return json.dumps(value).encode()


def body_of(name):
    """Return a body that has a bit of everything."""
    wire = WIRES[name]
    talk = Talk(
        wire.models[0],
        None,
        None,
        [tool("f0", 900), tool("f1", 1)],
        ["You help. " * 900, "Now."],
        [
            Exchange(["a", "b"], has_image=True, answer="Fine.", calls=["c1", "c2"]),
            Exchange(["What then?"], is_list=True, answer="Good."),
            Exchange(["And?"]),
        ],
        marks=[(at, form) for at, form in enumerate(wire.forms[:3])],
        automatic=wire.automatics[0] if wire.automatics else None,
    )
    return wire.body(talk)


@pytest.mark.parametrize("name", PROVIDERS)
def test_bodies_and_usage(name):
    """A body is planned, or goes out as it is; usage is told, or unknown."""
    provider, host, model = PROVIDERS[name]
    events = []
    made = {
        strict: PromptCache(strict=strict, listeners=[events.append])
        for strict in (False, True)
    }
    bodies = mutated(body_of(name)) | JUNK

    @fuzzed(EXAMPLES)
    @given(body=bodies, usage=mutated(USAGES[name]), strict=st.booleans())
    def check(body, usage, strict):
        cache = made[strict]
        request = Request(provider, body, host, deployment=model)
        before = encoded(body)
        try:
            prepared = cache.prepare(request)
        except PlanningError:
            assert strict
            return
        finally:
            failed = [it for it in events if isinstance(it, PlanningFailed)]
            events.clear()
            assert failed == []
        assert encoded(body) == before
        given_usage = usage if isinstance(usage, dict) else {}
        cache.settle(prepared, given_usage, message_id="m")
        failed = [it for it in events if isinstance(it, PlanningFailed)]
        events.clear()
        assert failed == []
        used = prepared.receipt.usage
        counts = (used.input_tokens, used.read_tokens, used.written_tokens)
        assert all(it is None or it >= 0 for it in counts)

    check()


RECEIPT = Receipt(
    provider="anthropic",
    model="claude-sonnet-5-5",
    at=1_764_000_000.0,
    policy="fixed",
    usage=Usage(input_tokens=100, read_tokens=60, written_tokens=30, output_tokens=5),
    cost_usd=0.1,
    without_caching_usd=0.2,
    first_token_s=0.5,
    total_s=1.5,
    breakpoints=("tools[0] 5m tools",),
    tenant="acme",
    conversation="c1",
    notes=("note",),
    id="m1",
    credits=("placed",),
    misses=(Miss("prefix_changed", "outline", "system[0]", None, "case", 5, 1e-6),),
)


def test_receipts_as_json_lines(tmp_path):
    """A damaged line costs itself."""
    path = tmp_path / "receipts.jsonl"
    line = to_line(RECEIPT)
    values = mutated(orjson.loads(line)).map(encoded)

    @fuzzed(2 * EXAMPLES)
    @given(content=mangled(line * 3) | values | st.binary(max_size=40))
    def check(content):
        path.write_bytes(content)
        files = ReceiptFiles(path)
        try:
            read = list(files)
        except UnreadableError:
            return
        assert len(read) == files.read
        assert all(it.requests >= 1 for it in read)

    check()


CODING = {
    "id": "s1",
    "block_size": 64,
    "requests": [
        {"t": 0.0, "model": "claude", "in": 130, "out": 5, "hash_ids": [1, 2]},
        {"t": 9.0, "model": "claude", "in": 200, "out": 5, "hash_ids": [1, 2, 3]},
    ],
}
MESSAGES = {
    "session": "s",
    "messages": [
        {"role": "system", "content": "You help. " * 900},
        {"role": "user", "content": [{"type": "text", "text": "hello"}], "at": 0},
        {
            "role": "assistant",
            "content": "hi",
            "tool_calls": [
                {
                    "id": "c",
                    "type": "function",
                    "function": {"name": "f0", "arguments": "{}"},
                }
            ],
            "at": 2,
        },
        {"role": "tool", "tool_call_id": "c", "content": "done"},
        {"role": "assistant", "content": "there", "at": 5},
    ],
    "tools": [{"type": "function", "function": {"name": "f0", "parameters": {}}}],
}
TRACES = {
    "claude-code": CODING,
    "mooncake": {"timestamp": 5, "input_length": 1_100, "hash_ids": [1, 2, 3]},
    "messages": MESSAGES,
    "receipts": orjson.loads(to_line(RECEIPT)),
}


@pytest.mark.parametrize("form", FORMATS)
def test_traces(form, tmp_path):
    """A file is replayed, or it is said what is wrong with it."""
    line = orjson.dumps(TRACES[form])
    values = mutated(TRACES[form]).map(encoded)
    model = "claude-sonnet-5-5"
    ending = st.sampled_from([".jsonl", ".jsonl.gz"])

    @fuzzed(EXAMPLES)
    @given(content=values | values | mangled(line * 2), ending=ending)
    def check(content, ending):
        path = tmp_path / f"trace{ending}"
        path.write_bytes(content)
        try:
            played(path)
        except (OptionError, UnreadableTraceError):
            return

    def played(path):
        policies = () if form == "receipts" else ("none", "auto")
        scene = scene_of(model, None)
        return Replay(path=path, form=form, scene=scene, policies=policies).rows()

    whole = tmp_path / "whole.jsonl"
    whole.write_bytes(line)
    assert played(whole)[0].requests >= 1
    check()


@pytest.mark.parametrize("name", PROVIDERS)
def test_explanations(name):
    """Requests are explained, or refused as an option would be."""
    body = {"model": PROVIDERS[name][2], **body_of(name)}

    @fuzzed(EXAMPLES // 2)
    @given(given_=mutated(body) | mutated([body, body]) | JUNK, text=st.booleans())
    def check(given_, text):
        try:
            found = explain(given_, text=text)
            str(found)
            orjson.dumps(found.as_dicts())
        except (OptionError, PlanningError):
            return

    check()


FACTS = b"""
[claude-sonnet-5-5]
minimum_tokens = 1024
read = 0.1
mid_conversation_system = true

["gateway.example"]
host = "openai"

["gpt-6.1-sol"]
minimum_tokens = 2048

["gemini-3.8-flash"]
explicit = false
"""
FIELDS = st.sampled_from(
    [
        *("minimum_tokens", "read", "host", "explicit", "breakpoints", "x"),
        *("interval", "retention", "requests_per_minute", "storage_price"),
        *("implicit_minimum", "measured_minimum", "storage_price_changes"),
    ]
)
NAMES = st.sampled_from([it[2] for it in PROVIDERS.values()] + ["any", "h.example"])
VALUES = JUNK | st.floats() | st.lists(st.sampled_from(["24h", "in_memory"]))


def test_facts(tmp_path):
    """Rules that are laid over are taken or refused, and what is taken plans."""
    path = tmp_path / "facts.toml"

    @fuzzed(EXAMPLES)
    @given(content=mangled(FACTS))
    def check_file(content):
        path.write_bytes(content)
        try:
            PromptCache(facts=read_facts(str(path)))
        except OptionError:
            return

    check_file()
    bodies = {name: body_of(name) for name in PROVIDERS}

    @fuzzed(2 * EXAMPLES)
    @given(rows=st.dictionaries(NAMES, st.dictionaries(FIELDS, VALUES, max_size=2)))
    def check_rows(rows):
        events = []
        try:
            cache = PromptCache(facts=rows, listeners=[events.append])
        except OptionError:
            return
        for name, (provider, host, model) in PROVIDERS.items():
            request = Request(provider, bodies[name], host, deployment=model)
            cache.settle(cache.prepare(request), USAGES[name])
        assert [it for it in events if isinstance(it, PlanningFailed)] == []

    check_rows()


@pytest.fixture(autouse=True)
def quiet():
    """Log nothing: each example would add lines to what a failure shows."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
