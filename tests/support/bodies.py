"""Bodies of Anthropic's Messages API: made at random, stripped, and judged.

The judgment here is written from the provider's rules alone; it shares nothing with
the planner.
"""

from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

RANK = {"5m": 0, "1h": 1}

UNMARKABLE = {"thinking", "redacted_thinking", "fallback", "mcp_tool_listing"}

words = st.text(min_size=1, max_size=40).filter(lambda text: not text.isspace())
texts = st.one_of(words, words.map(lambda text: text * 300))

markers = st.one_of(
    st.just({"type": "ephemeral"}),
    st.just({"type": "ephemeral", "ttl": "5m"}),
    st.just({"type": "ephemeral", "ttl": "1h"}),
    st.just({"type": "ephemeral", "ttl": "2h"}),
    st.just({"type": "forever"}),
    st.none(),
)


def marked(blocks: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[Any]:
    """Return blocks, some with a marker of the caller's."""
    return st.tuples(blocks, st.one_of(st.none(), st.none(), markers)).map(
        lambda pair: {**pair[0], "cache_control": pair[1]} if pair[1] else pair[0]
    )


text_blocks = texts.map(lambda text: {"type": "text", "text": text})
odd_blocks = st.sampled_from(
    [
        {"type": "text", "text": ""},
        {"type": "text", "text": "  \n"},
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "redacted_thinking", "data": "x"},
        {"type": "some_new_block", "value": 1.5},
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"},
        },
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "d"},
        },
        {
            "type": "tool_use",
            "id": "code",
            "name": "f",
            "input": {},
            "caller": {"type": "code_execution_20250825", "tool_id": "s"},
        },
        {"type": "tool_result", "tool_use_id": "code", "content": "r"},
        {"type": "text", "text": "cited", "citations": []},
    ]
)
calls = st.integers(1, 60).map(
    lambda count: [
        {"type": "tool_use", "id": f"t{n}", "name": "f", "input": {"b": n, "a": [n]}}
        for n in range(count)
    ]
)


@st.composite
def results(draw: st.DrawFn) -> dict[str, Any]:
    """Return a tool result, perhaps with markers on its parts."""
    parts = draw(st.lists(marked(text_blocks), max_size=3))
    content = draw(st.sampled_from(["plain", parts]))
    return {"type": "tool_result", "tool_use_id": "t1", "content": content}


@st.composite
def messages(draw: st.DrawFn) -> dict[str, Any]:
    """Return one message of any role and shape."""
    role = draw(st.sampled_from(["user", "assistant", "user", "assistant", "system"]))
    block = marked(st.one_of(text_blocks, odd_blocks, results()))
    content = draw(
        st.one_of(
            texts,
            st.just(""),
            st.lists(block, max_size=6),
            calls,
            st.lists(text_blocks, min_size=60, max_size=60),
        )
    )
    message = {"role": role, "content": content}
    extra = draw(st.sampled_from(["", "", "", "", "clear", "marked"]))
    if extra == "clear":
        message["clear_at"] = "next_user_message"
    elif extra == "marked":
        message["cache_control"] = {"type": "ephemeral"}
    return message


@st.composite
def tools(draw: st.DrawFn) -> dict[str, Any]:
    """Return one tool definition."""
    tool = draw(
        marked(
            words.map(
                lambda text: {
                    "name": "f",
                    "description": text * draw(st.sampled_from([1, 200])),
                    "input_schema": {
                        "type": "object",
                        "properties": {"z": {}, "a": {}},
                    },
                }
            )
        )
    )
    if draw(st.integers(0, 5)) == 0:
        tool = {**tool, "defer_loading": True}
    return tool


@st.composite
def bodies(draw: st.DrawFn) -> dict[str, Any]:
    """Return a request body, legal or not, with the caller's markers anywhere."""
    body: dict[str, Any] = {"model": "claude-sonnet-5-5", "max_tokens": 9}
    if draw(st.booleans()):
        body["tools"] = draw(st.lists(tools(), max_size=5))
    system = draw(
        st.one_of(st.none(), texts, st.lists(marked(text_blocks), max_size=4))
    )
    if system is not None:
        body["system"] = system
    body["messages"] = draw(st.lists(messages(), max_size=8))
    automatic = draw(st.one_of(st.none(), st.none(), markers))
    if automatic is not None:
        body["cache_control"] = automatic
    return body


def unmarked(body: Any) -> Any:
    """Return a body without markers."""
    if isinstance(body, list):
        return [unmarked(item) for item in body]
    if isinstance(body, dict):
        return {key: unmarked(body[key]) for key in body if key != "cache_control"}
    return body


def strip(body: Any) -> Any:
    """Return a body without markers, a single plain text block as its string."""
    if isinstance(body, list):
        stripped = [strip(item) for item in body]
        is_text = len(stripped) == 1 and isinstance(stripped[0], dict)
        if is_text and set(stripped[0]) == {"type", "text"} and stripped[0]["text"]:
            return stripped[0]["text"]
        return stripped
    if isinstance(body, dict):
        return {key: strip(body[key]) for key in body if key != "cache_control"}
    return body


def blocks(body: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield where each block stands, and the block, in the order of the prompt."""
    for index, tool in enumerate(body.get("tools") or []):
        yield f"tools[{index}]", tool
    system = body.get("system") or []
    for index, block in enumerate([] if isinstance(system, str) else system):
        yield f"system[{index}]", block
    for index, message in enumerate(body.get("messages") or []):
        content = message["content"]
        for number, block in enumerate([] if isinstance(content, str) else content):
            yield f"messages[{index}].content[{number}]", block


def breakpoints(body: dict[str, Any]) -> dict[str, str]:
    """Return the lifetime of every breakpoint by its place."""
    found = {}
    for path, block in blocks(body):
        marker = block.get("cache_control")
        parts = block.get("content")
        if marker is None and isinstance(parts, list) and parts:
            last = parts[-1]
            marker = last.get("cache_control") if isinstance(last, dict) else None
        if marker is not None:
            found[path] = marker.get("ttl", "5m")
    return found


def faults(body: dict[str, Any], *, limit: int = 4) -> list[str]:
    """Return why the provider would refuse the markers of a body."""
    found = list(_misplaced(body))
    order = list(breakpoints(body).values())
    automatic = body.get("cache_control")
    if automatic is not None:
        if (
            automatic.get("type") != "ephemeral"
            or automatic.get("ttl", "5m") not in RANK
        ):
            found.append("automatic form")
        target = _automatic_target(body)
        if target is not None and target in breakpoints(body):
            found.append("automatic on a marked block")
        order.append(automatic.get("ttl", "5m"))
    if len(order) > limit:
        found.append(f"{len(order)} breakpoints")
    ranks = [RANK.get(ttl, -1) for ttl in order]
    if -1 in ranks:
        found.append("unknown lifetime")
    if ranks != sorted(ranks, reverse=True):
        found.append("longer after shorter")
    return found


def _misplaced(body: dict[str, Any]) -> Iterator[str]:  # noqa: C901 - a list of rules
    code = {
        block.get("id")
        for _, block in blocks(body)
        if str((block.get("caller") or {}).get("type", "")).startswith("code_execution")
    }
    cleared = {
        index for index, message in enumerate(body["messages"]) if "clear_at" in message
    }
    for index, message in enumerate(body["messages"]):
        if message.get("cache_control") is not None:
            yield f"messages[{index}] itself"
    for path, block in blocks(body):
        parts = block.get("content")
        for number, part in enumerate(parts if isinstance(parts, list) else []):
            is_last = number + 1 == len(parts)
            if part.get("cache_control") is not None and not is_last:
                yield f"{path} inside"
        if path not in breakpoints(body):
            continue
        marker = block.get("cache_control") or parts[-1]["cache_control"]
        if marker.get("type") != "ephemeral":
            yield f"{path} form"
        if block.get("type") in UNMARKABLE or block.get("defer_loading"):
            yield f"{path} {block.get('type', 'deferred tool')}"
        if block.get("type") == "text" and not block["text"]:
            yield f"{path} empty"
        if {block.get("id"), block.get("tool_use_id")} & (code - {None}):
            yield f"{path} called by code"
        if path.startswith("messages") and int(path[9:].split("]")[0]) in cleared:
            yield f"{path} clears"


def _automatic_target(body: dict[str, Any]) -> str | None:
    skipped = {"thinking", "redacted_thinking", "fallback", "mcp_tool_listing"}
    for path, block in reversed(list(blocks(body))):
        is_empty = block.get("type") == "text" and not block["text"]
        if block.get("type") in skipped or is_empty or block.get("defer_loading"):
            continue
        return path
    return None
