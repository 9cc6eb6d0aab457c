"""What planning a request adds, as a multiple of the SDK's own encoding of it.

For conversations of several lengths, with 60 tools, this measures all that the seam
does before it sends (reading, looking up the past, planning, copying, recording) and,
in the same run, the SDK's encoding of the very same body. The ratio is what counts:
both sides slow down together on a slow machine.

Run: python benchmarks/overhead.py [--json]
"""

import argparse
import gc
import json
import statistics
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

from anthropic._models import FinalRequestOptions
from anthropic._request import APIRequest
from anthropic._utils._json import openapi_dumps

from promptcache import PromptCache
from promptcache.providers.anthropic.seam import Seam

SHAPES = ((10, 1000), (100, 1000), (400, 1000), (400, 50))
REPEATS = 15
TEXT = "the previous request wrote an entry that this one reads again "
RESULT_TURN = 2


def main() -> None:
    """Print a row a shape."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="rows for machines")
    as_json = parser.parse_args().json
    rows = [measured(turns, tokens) for turns, tokens in SHAPES]
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    print(f"{'turns':>6} {'tokens a turn':>14} {'ratio':>7} {'peak MB':>8}")
    for row in rows:
        print(
            f"{row['turns']:>6} {row['turn_tokens']:>14} "
            f"{row['ratio']:>7.2f} {row['peak_mb']:>8.2f}"
        )


def measured(turns: int, turn_tokens: int) -> dict[str, Any]:
    """Return the row of one shape."""
    ratios = []
    for number in range(REPEATS):
        # Fresh text each time, and one turn to come before: a conversation goes on.
        seam = Seam(PromptCache(), "anthropic")
        planned(seam, attempt(body(turns - 2, turn_tokens, number)))
        request = attempt(body(turns, turn_tokens, number))
        theirs = seconds(lambda: openapi_dumps(request.json))  # noqa: B023
        ours = seconds(lambda: planned(seam, request))  # noqa: B023
        ratios.append(ours / theirs)
    return {
        "wire": "anthropic",
        "turns": turns,
        "turn_tokens": turn_tokens,
        "ratio": round(statistics.median(ratios), 3),
        "peak_mb": round(peak_mb(turns, turn_tokens), 3),
    }


def attempt(request: dict[str, Any]) -> APIRequest:
    """Return a request as the SDK hands it to its middleware."""
    options = FinalRequestOptions.construct(
        method="post", url="/v1/messages", json_data=request
    )
    return APIRequest(options=options, cast_to=object)


def planned(seam: Seam, request: APIRequest) -> None:
    """Take a request through the seam up to the point where the SDK would send it."""
    try:
        seam.handle(request, send)
    except Sent:
        return


def send(request: APIRequest) -> Any:
    """Stand where the SDK would send a request."""
    raise Sent(request)


class Sent(Exception):  # noqa: N818 - no error, it ends the measurement
    """The request has reached the point where the SDK would send it."""


def body(turns: int, turn_tokens: int, seed: int) -> dict[str, Any]:
    """Return a conversation with a tool call in every other turn."""
    text = (TEXT * turn_tokens)[: turn_tokens * 4]
    messages: list[dict[str, Any]] = []
    for turn in range(turns):
        said = f"{seed}.{turn} {text}"
        if turn % 4 == 1:
            call = {"type": "tool_use", "id": f"t{turn}", "name": "tool_1", "input": {}}
            content: Any = [{"type": "text", "text": said}, call]
        elif turn % 4 == RESULT_TURN:
            content = [
                {"type": "tool_result", "tool_use_id": f"t{turn - 1}", "content": said}
            ]
        else:
            content = said
        messages.append({"role": ("user", "assistant")[turn % 2], "content": content})
    return {
        "model": "claude-sonnet-5-5",
        "max_tokens": 100,
        "system": "You answer from the tools. " * 150,
        "tools": [tool(number) for number in range(60)],
        "messages": messages,
    }


def tool(number: int) -> dict[str, Any]:
    """Return a tool of the usual size."""
    field = {"type": "string", "description": "One of the things to look for."}
    return {
        "name": f"tool_{number}",
        "description": "Looks something up in a place that holds such things. " * 5,
        "input_schema": {
            "type": "object",
            "properties": dict.fromkeys(("what", "where", "when", "limit"), field),
            "required": ["what"],
        },
    }


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


def peak_mb(turns: int, turn_tokens: int) -> float:
    """Return the most memory that planning one request holds beside its body."""
    seam, request = (
        Seam(PromptCache(), "anthropic"),
        attempt(body(turns, turn_tokens, 0)),
    )
    tracemalloc.start()
    planned(seam, request)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


if __name__ == "__main__":
    main()
