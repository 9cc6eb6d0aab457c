"""Whatever the emulator is sent, it answers, and no answer is an error of its own."""

import json

import pytest
from fuzz_payloads import JUNK, mangled, mutated
from fuzz_talks import Exchange, Talk, tool
from fuzz_wires import WIRES
from fuzzing import fuzzed
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from promptcache.emulator import GeminiSettings, OpenAISettings, Settings
from promptcache.emulator.clock import EmulatorClock
from promptcache.emulator.http.app import build_app
from promptcache.emulator.machine import Machine, Pace

EXAMPLES = 25
KEYS = {"x-api-key": "any", "authorization": "Bearer any", "x-goog-api-key": "any"}
GEMINI = "/v1beta/models/gemini-3.8-flash"
PATHS = {
    "anthropic": ["/v1/messages", "/v1/messages/count_tokens"],
    "chat": ["/v1/chat/completions"],
    "responses": ["/v1/responses", "/v1/responses/input_tokens"],
    "gemini": [f"{GEMINI}:generateContent", f"{GEMINI}:streamGenerateContent"],
}
CONTROL = {
    "/_emulator/advance": {"seconds": 5},
    "/_emulator/faults": {"status": 500, "times": 1, "match": "nowhere at all"},
    "/_emulator/answers": {"answer": ["hi", {"tool": "f", "args": {}}, {"json": 1}]},
    "/v1beta/cachedContents": {
        "model": "models/gemini-3.8-flash",
        "ttl": "300s",
        "contents": [{"role": "user", "parts": [{"text": "word " * 6_000}]}],
    },
    "/v1/messages/batches": {
        "requests": [{"custom_id": "a", "params": {"model": "claude-sonnet-5-5"}}]
    },
}


def body_of(name):
    wire = WIRES[name]
    turns = [Exchange(["a"], answer="b", calls=["c"]), Exchange(["d"], has_image=True)]
    marks = [(at, form) for at, form in enumerate(wire.forms[:2])]
    talk = Talk(wire.models[0], None, None, [tool("f0", 9)], ["e"], turns, marks=marks)
    return wire.body(talk)


@pytest.fixture
def client():
    """Return a client in this process: an error in the server is one here."""
    machine = Machine(
        settings=Settings(),
        clock=EmulatorClock(),
        pace=Pace(first_byte_seconds=0.0),
        openai=OpenAISettings(),
        gemini=GeminiSettings(),
    )
    with TestClient(build_app(machine), headers=KEYS) as made:
        yield made


def post(client, path, content):
    answer = client.post(path, content=content)
    assert answer.status_code < 500, answer.text
    client.post("/_emulator/reset")


@pytest.mark.parametrize("name", PATHS)
def test_requests(name, client):
    """A request is answered or refused."""
    values = mutated(body_of(name)).map(json.dumps).map(str.encode)
    whole = json.dumps(body_of(name)).encode()

    @fuzzed(EXAMPLES)
    @given(path=st.sampled_from(PATHS[name]), content=values | values | mangled(whole))
    def check(path, content):
        post(client, path, content)

    check()


@pytest.mark.parametrize("path", CONTROL)
def test_control(path, client):
    """So is what steers it."""
    values = (mutated(CONTROL[path]) | JUNK).map(json.dumps).map(str.encode)

    @fuzzed(EXAMPLES)
    @given(content=values)
    def check(content):
        post(client, path, content)

    check()
