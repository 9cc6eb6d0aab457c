"""What planning a request adds, as a multiple of the SDK's own encoding of it.

For conversations of several lengths, with 60 tools, this measures all that the seam
does before it sends (reading, looking up the past, planning, copying, recording) and,
in the same run, the SDK's encoding of the very same body. The ratio is what counts:
both sides slow down together on a slow machine.

Run: python benchmarks/overhead.py [--json] [--wire anthropic]
"""

import argparse
import gc
import json
import statistics
import time
import tracemalloc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from anthropic._models import FinalRequestOptions as AnthropicOptions
from anthropic._request import APIRequest
from anthropic._utils._json import openapi_dumps as anthropic_encode
from google import genai
from openai import OpenAI
from openai._models import FinalRequestOptions as OpenAIOptions
from openai._utils._json import openapi_dumps as openai_encode

from promptcache import MemoryStore, PromptCache
from promptcache.providers.anthropic.seam import Seam as AnthropicSeam
from promptcache.providers.gemini.seam import Seam as GeminiSeam
from promptcache.providers.openai.seam import Seam as OpenAISeam

SHAPES = ((10, 1000), (100, 1000), (400, 1000), (400, 50))
REPEATS = 15
TEXT = "the previous request wrote an entry that this one reads again "
SYSTEM = "You answer from the tools. " * 150
RESULT_TURN = 2
"""Of four turns, the one that holds what a tool returned; the one before calls it."""

Body = dict[str, Any]
Planner = Callable[[Body], None]
"""Takes a body through a seam up to the point where the SDK would send it."""


@dataclass(frozen=True)
class Wire:
    """An API: its bodies, the seam before it, and the SDK's encoding of them."""

    body: Callable[[int, int, int], Body]
    """Of so many turns of so many tokens; another number gives another text."""
    planner: Callable[[], Planner]
    encode: Callable[[Body], bytes]


class Sent(Exception):  # noqa: N818 - no error, it ends the measurement
    """The request has reached the point where the SDK would send it."""


def main() -> None:
    """Print a row for each wire and shape."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="rows for machines")
    parser.add_argument("--wire", choices=WIRES, help="only this one")
    given = parser.parse_args()
    wires = list(WIRES) if given.wire is None else [given.wire]
    rows = [measured(wire, *shape) for wire in wires for shape in SHAPES]
    if given.json:
        print(json.dumps(rows, indent=2))
        return
    print(
        f"{'wire':<17} {'turns':>6} {'tokens a turn':>14} {'ratio':>7} {'peak MB':>8}"
    )
    for row in rows:
        print(
            f"{row['wire']:<17} {row['turns']:>6} {row['turn_tokens']:>14} "
            f"{row['ratio']:>7.2f} {row['peak_mb']:>8.2f}"
        )


def measured(name: str, turns: int, turn_tokens: int) -> dict[str, Any]:
    """Return the row of one wire and shape."""
    wire, ratios = WIRES[name], []
    for number in range(REPEATS):
        # Fresh text each time, and one turn to come before: a conversation goes on.
        plan = wire.planner()
        plan(wire.body(turns - 2, turn_tokens, number))
        body = wire.body(turns, turn_tokens, number)
        theirs = seconds(lambda: wire.encode(body))  # noqa: B023
        ours = seconds(lambda: plan(body))  # noqa: B023
        ratios.append(ours / theirs)
    return {
        "wire": name,
        "turns": turns,
        "turn_tokens": turn_tokens,
        "ratio": round(statistics.median(ratios), 3),
        "peak_mb": round(peak_mb(wire, turns, turn_tokens), 3),
    }


def anthropic_planner() -> Planner:
    """Return what takes bodies through the Anthropic SDK's middleware."""
    seam = AnthropicSeam(PromptCache(), "anthropic")

    def plan(body: Body) -> None:
        options = AnthropicOptions.construct(
            method="post", url="/v1/messages", json_data=body
        )
        try:
            seam.handle(APIRequest(options=options, cast_to=object), sent)
        except Sent:
            return

    return plan


def openai_planner(url: str) -> Planner:
    """Return what takes bodies through the OpenAI SDK's `request`."""
    client: Any = OpenAI(api_key="none", base_url="https://api.openai.com/v1")
    client.request = sent
    seam = OpenAISeam(client, PromptCache())

    def plan(body: Body) -> None:
        options = OpenAIOptions.construct(method="post", url=url, json_data=body)
        try:
            seam.request(object, options)
        except Sent:
            return

    return plan


def gemini_planner() -> Planner:
    """Return what takes bodies through the `request` of google-genai."""
    client = genai.Client(api_key="none")
    seam = GeminiSeam(client, PromptCache(store=MemoryStore()))
    seam._sender.request = sent  # noqa: SLF001 - there is no public place

    def plan(body: Body) -> None:
        try:
            seam.request("post", "models/gemini-3.8-flash:generateContent", body)
        except Sent:
            return

    return plan


def gemini_encode(body: Body) -> bytes:
    """Encode a body as google-genai does."""
    return json.dumps(body).encode()


def sent(*request: Any, **streaming: Any) -> Any:
    """Stand where the SDK would send a request."""
    raise Sent(request, streaming)


def anthropic_body(turns: int, turn_tokens: int, seed: int) -> Body:
    """Return a conversation with a tool call in every fourth turn."""
    messages: list[Body] = []
    for turn, text in enumerate(texts(turns, turn_tokens, seed)):
        content: Any = text
        if turn % 4 == 1:
            call = {"type": "tool_use", "id": f"t{turn}", "name": "tool_1", "input": {}}
            content = [{"type": "text", "text": text}, call]
        elif turn % 4 == RESULT_TURN:
            content = [
                {"type": "tool_result", "tool_use_id": f"t{turn - 1}", "content": text}
            ]
        messages.append({"role": ("user", "assistant")[turn % 2], "content": content})
    return {
        "model": "claude-sonnet-5-5",
        "max_tokens": 100,
        "system": SYSTEM,
        "tools": [
            {"name": name, "description": about, "input_schema": schema}
            for name, about, schema in tools()
        ],
        "messages": messages,
    }


def chat_body(turns: int, turn_tokens: int, seed: int) -> Body:
    """Return the same conversation as Chat Completions has it."""
    messages: list[Body] = [{"role": "system", "content": SYSTEM}]
    for turn, text in enumerate(texts(turns, turn_tokens, seed)):
        if turn % 4 == 1:
            function = {"name": "tool_1", "arguments": "{}"}
            call = {"id": f"t{turn}", "type": "function", "function": function}
            message = {"role": "assistant", "content": text, "tool_calls": [call]}
        elif turn % 4 == RESULT_TURN:
            message = {"role": "tool", "tool_call_id": f"t{turn - 1}", "content": text}
        else:
            message = {"role": ("user", "assistant")[turn % 2], "content": text}
        messages.append(message)
    return {
        "model": "gpt-6.1-sol",
        "messages": messages,
        "tools": [
            {
                "type": "function",
                "function": {"name": name, "description": about, "parameters": schema},
            }
            for name, about, schema in tools()
        ],
    }


def responses_body(turns: int, turn_tokens: int, seed: int) -> Body:
    """Return the same conversation as the Responses API has it."""
    items: list[Body] = []
    for turn, text in enumerate(texts(turns, turn_tokens, seed)):
        if turn % 4 == RESULT_TURN:
            call_id = f"t{turn - 1}"
            items.append(
                {"type": "function_call_output", "call_id": call_id, "output": text}
            )
        elif turn % 2:
            part = {"type": "output_text", "text": text, "annotations": []}
            items.append({"type": "message", "role": "assistant", "content": [part]})
        else:
            items.append({"role": "user", "content": text})
        if turn % 4 == 1:
            call = {"call_id": f"t{turn}", "name": "tool_1", "arguments": "{}"}
            items.append({"type": "function_call", **call})
    return {
        "model": "gpt-6.1-sol",
        "input": [{"role": "developer", "content": SYSTEM}, *items],
        "tools": [
            {"type": "function", "name": name, "description": about, "parameters": it}
            for name, about, it in tools()
        ],
    }


def gemini_body(turns: int, turn_tokens: int, seed: int) -> Body:
    """Return the same conversation as Gemini has it."""
    contents: list[Body] = []
    for turn, text in enumerate(texts(turns, turn_tokens, seed)):
        parts: list[Body] = [{"text": text}]
        if turn % 4 == 1:
            parts.append({"functionCall": {"name": "tool_1", "args": {}}})
        elif turn % 4 == RESULT_TURN:
            answer = {"name": "tool_1", "response": {"output": text}}
            parts = [{"functionResponse": answer}]
        contents.append({"role": ("user", "model")[turn % 2], "parts": parts})
    declared = [
        {"name": name, "description": about, "parameters": schema}
        for name, about, schema in tools()
    ]
    return {
        "systemInstruction": {"role": "user", "parts": [{"text": SYSTEM}]},
        "tools": [{"functionDeclarations": declared}],
        "contents": contents,
        "generationConfig": {"maxOutputTokens": 100},
    }


def texts(turns: int, turn_tokens: int, seed: int) -> list[str]:
    """Return what is said in each turn."""
    text = (TEXT * turn_tokens)[: turn_tokens * 4]
    return [f"{seed}.{turn} {text}" for turn in range(turns)]


def tools() -> list[tuple[str, str, Body]]:
    """Return name, description and parameters of tools of the usual size."""
    field = {"type": "string", "description": "One of the things to look for."}
    about = "Looks something up in a place that holds such things. " * 5
    schema = {
        "type": "object",
        "properties": dict.fromkeys(("what", "where", "when", "limit"), field),
        "required": ["what"],
    }
    return [(f"tool_{number}", about, schema) for number in range(60)]


def seconds(action: Callable[[], object]) -> float:
    """Return how long an action takes."""
    gc.collect()
    gc.disable()
    try:
        start = time.perf_counter()
        action()
        return time.perf_counter() - start
    finally:
        gc.enable()


def peak_mb(wire: Wire, turns: int, turn_tokens: int) -> float:
    """Return the most memory that planning one request holds beside its body."""
    plan, body = wire.planner(), wire.body(turns, turn_tokens, 0)
    tracemalloc.start()
    plan(body)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


WIRES: Mapping[str, Wire] = {
    "anthropic": Wire(anthropic_body, anthropic_planner, anthropic_encode),
    "openai-chat": Wire(
        chat_body, lambda: openai_planner("/chat/completions"), openai_encode
    ),
    "openai-responses": Wire(
        responses_body, lambda: openai_planner("/responses"), openai_encode
    ),
    "gemini": Wire(gemini_body, gemini_planner, gemini_encode),
}


if __name__ == "__main__":
    main()
