"""What a changed request parameter invalidates, as a table.

A row says at which section a parameter enters the prompt: everything from there on
has another key when it changes. Rows with two levels differ between what is documented
and what was measured.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import orjson

from promptcache.emulator.rules.anthropic_blocks import as_blocks, nested
from promptcache.emulator.rules.settings import Settings

__all__ = ["SERVER_PROMPTED", "Section", "section_seeds"]

Section: TypeAlias = Literal["tools", "system", "messages"]
Level: TypeAlias = Section | None
Body: TypeAlias = Mapping[str, Any]

DOCS = "https://platform.claude.com/docs/en/build-with-claude/prompt-caching"
MEASURED = "github.com/mariogeiger/anthropic, live measurement of 2026-09-25"

SERVER_PROMPTED = ("web_search_", "web_fetch_")
"""Tools that change the system prompt instead of the tool definitions."""

BETAS = "anthropic-beta"
INERT_BETAS = frozenset(
    {
        "cache-diagnosis-2026-04-07",
        "extended-cache-ttl-2025-04-11",
        "prompt-caching-2024-07-31",
    }
)
"""Betas of what is generally available now; they activate nothing."""

_MEDIUM_EFFORT = ("claude-opus-5-5", "claude-haiku-5-5")
_AFTER_PROMPT = ("claude-opus-5-5", "claude-fable-5-1")
_BEFORE_MESSAGES = ("claude-haiku-4-5",)


@dataclass(frozen=True, slots=True)
class Row:
    """One parameter, and where it enters the prompt."""

    name: str
    level: Callable[[Body, Settings], Level]
    value: Callable[[Body], object]
    source: str = DOCS


def section_seeds(
    body: Body, settings: Settings, betas: Sequence[str] = ()
) -> Mapping[Section, bytes]:
    """Return what each section's keys start from, besides the blocks themselves.

    Follows the table "What invalidates the cache" of the documentation. What stands
    in no row changes nothing: `stream`, `max_tokens`, `metadata`, sampling, markers.
    """
    body = {**body, BETAS: sorted(set(betas) - INERT_BETAS)}
    values: dict[Section, dict[str, object]] = {
        "tools": {},
        "system": {},
        "messages": {},
    }
    for row in TABLE:
        level = row.level(body, settings)
        if level is not None:
            values[level][row.name] = row.value(body)
    return {section: orjson.dumps(rows) for section, rows in values.items()}


def _at(section: Section) -> Callable[[Body, Settings], Level]:
    return lambda _body, _settings: section


def _by_table(
    table: Literal["documented", "measured"],
) -> Callable[[Body, Settings], Level]:
    return lambda _body, settings: "messages" if settings.parameters == table else None


def _documented_or(
    measured: Section,
) -> Callable[[Body, Settings], Level]:
    return lambda _body, settings: (
        measured if settings.parameters == "measured" else "system"
    )


def _unplaced(_body: Body, settings: Settings) -> Level:
    return None if settings.unplaced == "none" else settings.unplaced


def _thinking_level(body: Body, settings: Settings) -> Level:
    """Messages always miss; tools and system miss on models that render it first.

    Models without a measurement start over, as the documentation advises to expect.
    """
    model = str(body.get("model"))
    if any(name in model for name in _AFTER_PROMPT):
        return "messages" if settings.parameters == "documented" else None
    if any(name in model for name in _BEFORE_MESSAGES):
        return "messages"
    return "tools"


def _thinking(body: Body) -> object:
    thinking = body.get("thinking")
    if not isinstance(thinking, Mapping) or thinking.get("type") == "disabled":
        return None
    # `display` was measured to change nothing.
    return {key: thinking[key] for key in sorted(thinking) if key != "display"}


def _output(body: Body, field: str) -> object:
    config = body.get("output_config")
    return config.get(field) if isinstance(config, Mapping) else None


def _effort(body: Body) -> object:
    model = str(body.get("model"))
    usual = "medium" if any(name in model for name in _MEDIUM_EFFORT) else "high"
    # "Setting effort explicitly to the model's default is equivalent to omitting it."
    return _output(body, "effort") or usual


def _format(body: Body) -> object:
    return _output(body, "format") or body.get("output_format")


def _server_tools(body: Body) -> object:
    return [
        {key: value for key, value in tool.items() if key != "cache_control"}
        for tool in body.get("tools") or ()
        if str(tool.get("type", "")).startswith(SERVER_PROMPTED)
    ]


def _choice(body: Body) -> Mapping[str, Any]:
    choice = body.get("tool_choice")
    return choice if isinstance(choice, Mapping) else {}


def _tool_choice(body: Body) -> object:
    kind = _choice(body).get("type", "auto")
    return [kind, _choice(body).get("name")]


def _forced(body: Body) -> object:
    return _choice(body).get("type") in ("any", "tool")


def _parallel(body: Body) -> object:
    return bool(_choice(body).get("disable_parallel_tool_use"))


def _forced_parallel(body: Body) -> object:
    return _forced(body) and _parallel(body)


def _content(body: Body) -> Sequence[Mapping[str, Any]]:
    blocks = [
        block
        for message in body.get("messages") or ()
        for block in as_blocks(message.get("content"))
    ]
    return [*blocks, *(part for block in blocks for part in nested(block))]


def _cites(body: Body) -> object:
    return any(
        isinstance(block.get("citations"), Mapping)
        and block["citations"].get("enabled")
        for block in _content(body)
    )


def _shows_images(body: Body) -> object:
    return any(block.get("type") == "image" for block in _content(body))


TABLE = (
    Row("model", _at("tools"), lambda body: body.get("model")),
    # Two documents disagree; the stricter says that speeds share no prefix at all.
    Row("speed", _at("tools"), lambda body: body.get("speed") or "standard"),
    Row("web tools", _at("system"), _server_tools),
    Row("citations", _at("system"), _cites),
    # It injects a system prompt; that tools miss too was measured only.
    Row("output format", _documented_or("tools"), _format),
    Row("task budget", _at("messages"), lambda body: _output(body, "task_budget")),
    Row("thinking", _thinking_level, _thinking),
    Row("effort", _thinking_level, _effort),
    Row("tool choice", _by_table("documented"), _tool_choice),
    Row("forced tool", _by_table("measured"), _forced, MEASURED),
    Row("parallel tools", _by_table("documented"), _parallel),
    Row("parallel under force", _by_table("measured"), _forced_parallel, MEASURED),
    # "Anywhere in the prompt" is read as whether there are any.
    Row("images", _by_table("documented"), _shows_images),
    Row("context management", _unplaced, lambda body: body.get("context_management")),
    Row("betas", _unplaced, lambda body: body.get(BETAS)),
)
