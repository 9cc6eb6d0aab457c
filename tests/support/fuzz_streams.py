"""Answers that are almost what they should be, and what calls make of them.

The bytes that the emulator answers with are recorded, spoiled, and served to two
clients of one SDK: the stock one, and the same attached.
"""

import asyncio
import json
import warnings
from dataclasses import dataclass, field
from functools import partial

import anthropic
import anthropic_sdk
import gemini_sdk
import openai
import openai_sdk
from fuzz_payloads import JUNK, mangled, mutated
from fuzz_talks import Exchange, Talk, tool
from fuzz_wires import WIRES
from gemini_sdk import client_of
from hypothesis import strategies as st

__all__ = [
    "MODES",
    "Served",
    "body_of",
    "clients",
    "outcome",
    "recorded",
    "spoiled",
    "spoiled_answers",
]

URL = "http://stand-in"
HEADERS = {
    "x-api-key": "any",
    "anthropic-version": "2023-06-01",
    "authorization": "Bearer any",
    "x-goog-api-key": "any",
}
MODES = {
    "anthropic": ("events", "helper", "async"),
    "chat": ("events", "helper", "async"),
    "responses": ("events", "async"),
    "gemini": ("events",),
}
"""Ways to read a stream; Gemini's asynchronous one has another HTTP library."""

_KINDS = st.sampled_from(
    ["ping", "error", "message_start", "response.completed", "no.such.event", ""]
)


def body_of(name, *, stream):
    """Return a request that is worth a plan."""
    wire = WIRES[name]
    said = [Exchange(["What then?"])]
    body = wire.body(Talk(wire.models[0], None, None, [tool("f0", 9)], ["a"], said))
    if stream and name == "chat":
        body["stream_options"] = {"include_usage": True}
    return body


@dataclass
class Served:
    """A server of one answer, as a transport of the HTTP library of each SDK."""

    content: bytes = b""
    cuts: tuple[int, ...] = ()
    """Where the bytes are cut into pieces."""
    kind: str = "application/json"
    asked: int = field(default=0)

    def pieces(self):
        """Return the content as it arrives."""
        ends = sorted({min(it, len(self.content)) for it in self.cuts})
        begins = [0, *ends]
        pairs = zip(begins, [*ends, len(self.content)], strict=True)
        return [self.content[begin:end] for begin, end in pairs]

    def answer(self, http, request):
        """Answer a request."""
        del request
        self.asked += 1
        headers = {"content-type": self.kind}
        if "json" in self.kind:
            return http.Response(200, headers=headers, content=self.content)
        return http.Response(200, headers=headers, content=self._streamed())

    async def aanswer(self, http, request):
        """Answer a request of an asynchronous client."""
        made = self.answer(http, request)
        if "json" in self.kind:
            return made
        return http.Response(200, headers=made.headers, content=self._astreamed())

    def _streamed(self):
        yield from self.pieces()

    async def _astreamed(self):
        for piece in self.pieces():
            yield piece


def clients(name, served):
    """Return a synchronous client of an SDK, and an asynchronous one or None."""
    if name == "gemini":
        http = gemini_sdk.http_of(client_of(URL))
        transport = http.MockTransport(partial(served.answer, http))
        arguments = {**gemini_sdk.TRUST, "transport": transport}
        return client_of(URL, client_args=arguments), None
    sdk = anthropic if name == "anthropic" else openai
    http = (anthropic_sdk if sdk is anthropic else openai_sdk).http
    made = []
    for kind, client, answer in (
        ("", http.Client, served.answer),
        ("Async", http.AsyncClient, served.aanswer),
    ):
        transport = http.MockTransport(partial(answer, http))
        make = getattr(sdk, f"{kind}{'Anthropic' if sdk is anthropic else 'OpenAI'}")
        pool = client(transport=transport)
        made.append(make(api_key="any", base_url=URL, http_client=pool, max_retries=0))
    return tuple(made)


def outcome(name, mode, client, body):
    """Return all that a caller sees of a call: events, warnings and the error."""
    seen = []
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            if mode == "async":
                asyncio.run(_areceived(name, client, body, seen))
            else:
                _received(name, mode, client, body, seen)
        except Exception as error:  # noqa: BLE001 - which one is compared
            seen.append(f"{type(error).__qualname__}: {error}")
    said = sorted({str(it.message) for it in warned if _is_told(it)})
    return seen, said


def _is_told(warning):
    # Of what is left open the collector tells, whenever it comes.
    return not issubclass(warning.category, ResourceWarning)


def _received(name, mode, client, body, seen):
    if name == "gemini":
        known = {"contents": body["contents"], "model": WIRES[name].models[0]}
        if mode == "whole":
            seen.append(repr(client.models.generate_content(**known)))
            return
        for chunk in client.models.generate_content_stream(**known):
            seen.append(repr(chunk))
        return
    send = _sender(name, client)
    if mode == "whole":
        seen.append(repr(send.create(**body)))
        return
    if mode == "helper":
        with send.stream(**body) as events:
            seen.extend(repr(event) for event in events)
        return
    with send.create(**body, stream=True) as events:
        # One by one: what came before an error counts.
        for event in events:
            seen.append(repr(event))


async def _areceived(name, client, body, seen):
    async with await _sender(name, client).create(**body, stream=True) as events:
        async for event in events:
            seen.append(repr(event))


def _sender(name, client):
    if name == "anthropic":
        return client.messages
    return client.chat.completions if name == "chat" else client.responses


def recorded(name, emulator):
    """Return the events of a stream, and an answer in one piece, as the emulator's."""
    http = anthropic_sdk.http
    model = WIRES[name].models[0]
    paths = {
        "anthropic": "/v1/messages",
        "chat": "/v1/chat/completions",
        "responses": "/v1/responses",
        "gemini": f"/v1beta/models/{model}:generateContent",
    }
    streams = {"gemini": f"/v1beta/models/{model}:streamGenerateContent?alt=sse"}
    with http.Client(base_url=emulator.url, headers=HEADERS) as client:
        whole = client.post(paths[name], json=body_of(name, stream=False))
        body = body_of(name, stream=True)
        if name != "gemini":
            body["stream"] = True
        streamed = client.post(streams.get(name, paths[name]), json=body)
    assert whole.status_code == streamed.status_code == 200, streamed.text
    text = streamed.text.replace("\r\n", "\n")
    return [it for it in text.split("\n\n") if it.strip()], whole.json()


@st.composite
def spoiled(draw, events):
    """Return the bytes of a stream with some events spoiled, and where they are cut."""
    order = list(range(len(events)))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(order) - 1))
        how = draw(st.sampled_from(["drop", "twice", "move", "end"]))
        if how == "twice":
            order.insert(at, order[at])
        elif how == "move":
            order.insert(draw(st.integers(0, len(order) - 1)), order.pop(at))
        elif how == "end":
            del order[at + 1 :]
        elif len(order) > 1:
            del order[at]
    chosen = draw(st.sets(st.integers(0, len(order) - 1), max_size=2))
    blocks = [
        draw(_event(events[it])) if at in chosen else events[it]
        for at, it in enumerate(order)
    ]
    content = "".join(f"{it}\n\n" for it in blocks).encode()
    if draw(st.integers(0, 3)) == 0:
        content = draw(mangled(content))
    cuts = draw(st.lists(st.integers(0, max(len(content), 1)), max_size=4))
    return content, tuple(cuts)


@st.composite
def _event(draw, block):
    """Return an event with another type, or with other things in it."""
    name, separator, data = block.rpartition("data: ")
    try:
        value = json.loads(data)
    except ValueError:
        return f"data: {json.dumps(draw(JUNK))}"
    if draw(st.booleans()):
        value = draw(mutated(value))
    elif isinstance(value, dict) and "type" in value:
        kind = draw(_KINDS)
        value, name = {**value, "type": kind}, f"event: {kind}\n"
    else:
        value = draw(JUNK)
    return f"{name}{separator}{json.dumps(value)}"


def spoiled_answers(whole):
    """Return what makes the bytes of an answer in one piece, most of them JSON."""
    values = mutated(whole).map(json.dumps).map(str.encode)
    return values | values | mangled(json.dumps(whole).encode())
