"""What to do about misses, in sentences.

Rule 1: a remedy names something that a user can do, with what is there.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from promptcache.receipts.entry import Section
from promptcache.receipts.miss import Cause, Form
from promptcache.receipts.sums import Kind, Tally

__all__ = ["Advice", "advised", "remedy"]

_MOST = 3
_TOKENS, _COST = 0, 1
_REMEDIES: Mapping[Cause, str] = {
    "first_seen": (
        "Nothing failed: a prompt must be written once before it is read. If many "
        "conversations start at once, let `cache.prewarm(...)` write what they begin "
        "with before they come."
    ),
    "expired": (
        "The next request came after the prefix had ended. Ask for a longer life with "
        '`prompt_cache={"ttl": "1h"}` on the model or the call, or with '
        '`Policy.fixed(tools="1h", system="1h")`; requests that share a prompt are '
        "best sent close together."
    ),
    "prefix_changed": (
        "What stands in front was not the same as before. Put what varies (dates, "
        "names, ids, retrieved documents) at the end, into the last user message."
    ),
    "below_minimum": (
        "The prompt is shorter than what this model caches. Leave it so, or put "
        "instructions, examples and tools that always go together into one prompt, or "
        "take a model with a lower minimum."
    ),
    "model_or_settings_changed": (
        "The same prompt went to another model or with other settings, which share no "
        "cache. Keep one model, one thinking and effort setting and one output format "
        "within a conversation; let routers and fallbacks switch between "
        "conversations."
    ),
    "not_marked": (
        "It came again, but the request before had not cached it. Send both through "
        "`prompt_cached(model)`, leave no `enabled=False` or `Policy.off()` between "
        'them, and name conversations with `prompt_cache={"conversation": ...}`; '
        "`Policy.fixed()` marks every request."
    ),
    "evicted_or_unknown": (
        "The provider did not read what it should still have. Let the first request of "
        "a burst begin its answer before the others are sent, keep to one API key and "
        "region, and on Gemini let cached contents do what implicit caching does not "
        "promise."
    ),
}
_SECTIONS: Mapping[Section, str] = {
    "tools": (
        "The tools were not the same. Bind the same tools in the same order on every "
        "call (sort by name what comes from a server or a set), and keep dates and "
        "counts out of their descriptions and schemas."
    ),
    "system": (
        "The system prompt was not the same. Give dates, times, user names and ids out "
        "with `volatile(...)`, which sends them behind what stays, or allow moving a "
        'block that changes with `prompt_cache={"move_volatile": True}`; put retrieved '
        "documents into the last user message."
    ),
    "messages": (
        "Earlier messages were not the same. Only append to a conversation: trim or "
        "summarize it seldom and by large steps, leave answers and tool results as "
        "they were, and put retrieved documents into the last message, in a fixed "
        "order."
    ),
}
_FORMS: Mapping[Form, str] = {
    "white space": (
        "Only white space differs: build the text in one place, and strip its parts "
        "before they are joined."
    ),
    "line ends": (
        "Only line ends differ: read prompt files with `Path.read_text()`, which makes "
        "all of them alike."
    ),
    "case": (
        "Only upper and lower case differ: take such names from one constant, or "
        "lower them before they go into the prompt."
    ),
    "Unicode form": (
        "Only the Unicode form differs: pass text through "
        '`unicodedata.normalize("NFC", text)` before it goes into the prompt.'
    ),
}


@dataclass(frozen=True, slots=True)
class Advice:
    """What one cause of misses lost, and what to do about it."""

    cause: Cause
    place_section: Section | None
    """Where most of it was lost; None where no block differs, or it is not known."""
    misses: int
    """How many requests missed for this cause."""
    tokens: int | None
    """Prompt tokens that were not read, as far as that is known."""
    cost_usd: float | None
    """What it cost that they were not, as far as that is known."""
    remedy: str
    """What to do, in one or two sentences."""

    @property
    def is_failure(self) -> bool:
        """Whether something could have been read; what is new could not."""
        return self.cause != "first_seen"


Found: TypeAlias = list[tuple[Kind, Tally]]


def advised(misses: Iterable[tuple[Kind, Tally]]) -> tuple[Advice, ...]:
    """Return advice on the three costliest causes, the costliest first.

    Costs that are not known count as nothing, so that tokens decide among them. What
    was sent for the first time comes last, as that is no failure.
    """
    causes: dict[Cause, Found] = {}
    for kind, tally in misses:
        causes.setdefault(kind.cause, []).append((kind, tally))
    ranked = sorted(causes.items(), key=lambda it: _rank(*it), reverse=True)
    return tuple(_advice(cause, found) for cause, found in ranked[:_MOST])


def remedy(kind: Kind) -> str:
    """Return what to do about misses of a kind."""
    if kind.cause != "prefix_changed":
        return _REMEDIES[kind.cause]
    if kind.form is not None:
        return _FORMS[kind.form]
    if kind.section is not None:
        return _SECTIONS[kind.section]
    return _REMEDIES[kind.cause]


def _advice(cause: Cause, found: Found) -> Advice:
    most, _ = max(found, key=lambda it: _weight(it[1]))
    tokens = _sum(tally.value(_TOKENS) for _, tally in found)
    return Advice(
        cause=cause,
        place_section=most.section,
        misses=sum(tally.count for _, tally in found),
        tokens=None if tokens is None else int(tokens),
        cost_usd=_sum(tally.value(_COST) for _, tally in found),
        remedy=remedy(most),
    )


def _rank(cause: Cause, found: Found) -> tuple[bool, float, float, int]:
    weights = [_weight(tally) for _, tally in found]
    cost, tokens, count = (sum(column) for column in zip(*weights, strict=True))
    return cause != "first_seen", cost, tokens, int(count)


def _weight(tally: Tally) -> tuple[float, float, int]:
    return tally.sums[_COST], tally.sums[_TOKENS], tally.count


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
