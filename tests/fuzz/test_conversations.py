"""Whatever callers do, no request is refused, changed or billed otherwise than told.

Each provider's SDK talks to the emulator over HTTP. `FUZZ=100` makes a hundred times as
many conversations.
"""

import anthropic
import openai
import pytest
from fuzz_machine import Caller, counts
from fuzzing import fuzzed
from gemini_sdk import client_of
from hypothesis.stateful import run_state_machine_as_test

EXAMPLES = 10
STEPS = 24
FIELDS = {"stream", "stream_options"}

pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class Aiohttp")


class AnthropicCaller(Caller):
    """Asks by `anthropic`."""

    wire_name = "anthropic"

    def send(self, client, body, *, stream):
        known, extra = parted(body, "cache_control")
        answer = client.messages.create(**known, extra_body=extra, stream=stream)
        if stream:
            with answer as events:
                list(events)


class ChatCaller(Caller):
    """Asks by `openai`, Chat Completions."""

    wire_name = "chat"

    def send(self, client, body, *, stream):
        known, extra = parted(body, "prompt_cache_")
        send = client.chat.completions.create
        answer = send(**known, extra_body=extra, stream=stream)
        if stream:
            with answer as chunks:
                list(chunks)


class ResponsesCaller(Caller):
    """Asks by `openai`, Responses."""

    wire_name = "responses"

    def send(self, client, body, *, stream):
        known, extra = parted(body, "prompt_cache_")
        answer = client.responses.create(**known, extra_body=extra, stream=stream)
        if not stream:
            return answer.id
        with answer as events:
            seen = list(events)
        return next(it.response.id for it in seen if hasattr(it, "response"))


class GeminiCaller(Caller):
    """Asks by `google-genai`."""

    wire_name = "gemini"

    def send(self, client, body, *, stream):
        said = {}
        if "systemInstruction" in body:
            said["system_instruction"] = body["systemInstruction"]
        if "tools" in body:
            said["tools"] = body["tools"]
        models = client.models
        send = models.generate_content_stream if stream else models.generate_content
        answer = send(model=self.model, contents=body["contents"], config=said)
        if stream:
            list(answer)

    def _asked(self, talk, said):
        self.model = talk.model
        return super()._asked(talk, said)


def parted(body, beginning):
    """Return the fields that every version of an SDK knows, and the others."""
    extra = {name: it for name, it in body.items() if name.startswith(beginning)}
    return {name: it for name, it in body.items() if name not in extra}, extra


@pytest.fixture
def clients(server):
    with (
        anthropic.Anthropic(base_url=server.url, api_key="any", max_retries=0) as first,
        openai.OpenAI(
            base_url=f"{server.url}/v1", api_key="any", max_retries=0
        ) as second,
    ):
        third = client_of(server.url)
        yield {
            "anthropic": first,
            "chat": second,
            "responses": second,
            "gemini": third,
        }
        third.close()


CALLERS = [AnthropicCaller, ChatCaller, ResponsesCaller, GeminiCaller]


@pytest.mark.parametrize("kind", CALLERS, ids=lambda kind: kind.wire_name)
def test_callers(kind, server, clients, record_property):
    """Conversations of every kind go through, and are billed as receipts say."""
    counted = counts()
    fields = {"emulator": server, "client": clients[kind.wire_name]}
    machine = type(kind.__name__, (kind,), {**fields, "counts": counted})

    run_state_machine_as_test(machine, settings=fuzzed(EXAMPLES, steps=STEPS))
    print(kind.wire_name, counted)  # noqa: T201  # seen with `-s`

    record_property("counted", counted)
    assert counted["answered"] > EXAMPLES
