"""Ways to miss a cache: one function for each cause, whoever sends the requests.

Each takes `send(system, turns, **said)`, which sends a conversation and returns its
receipt, and the clock that both sides go by; it returns the receipt that has the miss.

* `system` is the system prompt;
* `turns` are the texts of the conversation, a user's first, the model's in between;
* `model="other"` asks another model than usual, and `enabled=False` plans nothing.

`SYSTEM` is longer than what any model needs, and says something else on every line.
"""

import unicodedata
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

__all__ = [
    "CAUSES",
    "CHANGED_LINE",
    "FORMS",
    "SYSTEM",
    "TALK",
    "changed_early",
    "evicted",
    "expired",
    "fan_out",
    "first_seen",
    "form_changed",
    "hit",
    "model_changed",
    "not_marked",
    "spoken",
    "system_changed",
    "too_short",
    "turn_changed",
]

Send = Callable[..., Any]

_LINES = [
    f"Rule {number} of 600: the café's order {number * 7919 % 1000} comes first.\n"
    for number in range(600)
]
SYSTEM = "".join(_LINES)
CHANGED_LINE = 300

TALK = (
    "What is the first rule of the house? " * 8,
    "That the order of the day comes first. " * 8,
    "And what is the second one of them all? " * 8,
    "That there is none before the first. " * 8,
    "Then what of the third? " * 8,
)


def first_seen(send: Send, clock: Any) -> Any:
    """Send what nobody has sent, after something else."""
    send("Another house. " * 3000, ["What is new?"])
    clock.advance(1)
    return send(SYSTEM, TALK[:1])


def hit(send: Send, clock: Any) -> Any:
    """Go on with a conversation in time: no miss."""
    _begun(send, clock)
    return send(SYSTEM, TALK[:5])


def fan_out(send: Send, clock: Any) -> list[Any]:
    """Send the same to begin with, four times at once: no request could read."""
    del clock
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda _: send(SYSTEM, TALK[:1]), range(4)))


def expired(send: Send, clock: Any, seconds: float = 7200.0) -> Any:
    """Go on later than what was sent is kept."""
    _begun(send, clock)
    clock.advance(seconds)
    return send(SYSTEM, TALK[:5])


def system_changed(send: Send, clock: Any) -> Any:
    """Go on with one word of the system prompt changed, in the middle."""
    _begun(send, clock)
    return send(changed_early(), TALK[:5])


def turn_changed(send: Send, clock: Any) -> Any:
    """Go on with the first turn changed, which was said long before."""
    _begun(send, clock)
    edited = TALK[0][:150] + "not " + TALK[0][150:]
    return send(SYSTEM, [edited, *TALK[1:5]])


def form_changed(send: Send, clock: Any, form: str) -> Any:
    """Go on with a system prompt that says the same in another form."""
    _begun(send, clock)
    return send(FORMS[form](SYSTEM), TALK[:5])


def too_short(send: Send, clock: Any) -> Any:
    """Repeat a prompt that is too short to be cached."""
    send("Be brief.", ["hello"])
    clock.advance(1)
    return send("Be brief.", ["hello"])


def model_changed(send: Send, clock: Any) -> Any:
    """Go on with another model."""
    _begun(send, clock)
    return send(SYSTEM, TALK[:5], model="other")


def not_marked(send: Send, clock: Any) -> Any:
    """Go on with what was sent without marks, where marks are needed."""
    send(SYSTEM, TALK[:3], enabled=False)
    clock.advance(1)
    return send(SYSTEM, TALK[:5])


def evicted(send: Send, clock: Any, forget: Callable[[], Any]) -> Any:
    """Go on in time, after the provider has forgotten everything."""
    _begun(send, clock)
    forget()
    return send(SYSTEM, TALK[:5])


def changed_early() -> str:
    """Return the system prompt with one word of one line changed."""
    lines = [*_LINES]
    lines[CHANGED_LINE] = lines[CHANGED_LINE].replace("comes first", "comes last")
    return "".join(lines)


def _begun(send: Send, clock: Any) -> None:
    send(SYSTEM, TALK[:1])
    clock.advance(1)
    send(SYSTEM, TALK[:3])
    clock.advance(1)


def _other_case(text: str) -> str:
    return text.replace("Rule", "rule")


FORMS: dict[str, Callable[[str], str]] = {
    "white space": lambda text: text.replace("\n", "\n  "),
    "line ends": lambda text: text.replace("\n", "\r\n"),
    "case": _other_case,
    "Unicode form": lambda text: unicodedata.normalize("NFD", text),
}
"""What spells a text anew, by the form that alone is different then."""

CAUSES: dict[str, tuple[Callable[[Send, Any], Any], str, str | None]] = {
    "first-seen": (first_seen, "first_seen", None),
    "expired": (expired, "expired", None),
    "system-changed": (system_changed, "prefix_changed", "system[0]"),
    "turn-changed": (turn_changed, "prefix_changed", "messages[{}].content[0]"),
    "too-short": (too_short, "below_minimum", None),
    "model-changed": (model_changed, "model_or_settings_changed", None),
    "not-marked": (not_marked, "not_marked", None),
}
"""Each way, the cause that it has, and the place that its miss names: a message's
number depends on whether the system prompt is one."""


def spoken(turns: Sequence[str]) -> list[tuple[bool, str]]:
    """Return each turn with whether it is the user's."""
    return [(number % 2 == 0, text) for number, text in enumerate(turns)]
