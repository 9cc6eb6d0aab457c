"""What a provider says of a request, without what it quotes from it.

Gateways answer with the whole request that they could not use, and validators with the
value that they did not like; what is told to listeners must hold neither.
"""

import re
from collections.abc import Iterator, Mapping

__all__ = ["without_quotes"]

_LOOKED_AT = 400
"""Characters of a message that are read; of these, events show the first."""

_LONG = 8
"""A word as long as this is a quote by itself, if a text of the request has it."""

_RUN = 3
"""So many words that follow each other are a quote, however short they are."""

_GAP = "\u2026"

_WORD = re.compile(r"\w(?:[\w@.-]*\w)?")
_ESCAPED = re.compile(r"\\+[nrt]")
"""Line ends as JSON has them, which would be the beginning of a word."""


def without_quotes(message: str, said: object) -> str:
    """Return the beginning of a message with what it quotes left out.

    Args:
        message: What the provider answered.
        said: The request, or a part of it. The names of its fields are no quotes.
    """
    message = _ESCAPED.sub(" ", message[:_LOOKED_AT])
    found = list(_WORD.finditer(message))
    words = [it[0] for it in found]
    texts = "\n".join(" ".join(_WORD.findall(it)) for it in _texts(said))
    quoted = [len(word) >= _LONG and word in texts for word in words]
    for start in range(len(words) - _RUN + 1):
        if " ".join(words[start : start + _RUN]) in texts:
            quoted[start : start + _RUN] = [True] * _RUN
    shown, at, is_open = [], 0, False
    for it, is_quote in zip(found, quoted, strict=True):
        if not (is_quote and is_open):
            shown += [message[at : it.start()], _GAP if is_quote else it[0]]
        at, is_open = it.end(), is_quote
    return "".join([*shown, message[at:]])


def _texts(value: object) -> Iterator[str]:
    """Yield every text of a value; names of fields are none."""
    waiting = [value]
    while waiting:
        it = waiting.pop()
        if isinstance(it, str):
            yield it
        elif isinstance(it, Mapping):
            waiting.extend(it.values())
        elif isinstance(it, (list, tuple)):
            waiting.extend(it)
