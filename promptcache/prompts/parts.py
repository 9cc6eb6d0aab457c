"""Texts that were given out as static, volatile or a document, found again in a prompt.

A template knows nothing of blocks: what it fills in becomes part of one string. So the
texts are remembered when they are given out, and looked for in the string that is sent.
So are notes: what was done to texts on their way stands in the receipt of a request
that has them.

Rule 1: what is given out is the very string: no mark is put into it.
Rule 2: nothing is done until the first text was given out.
Rule 3: what was given out for a tenant is found in the prompts of no other one, unless
these are made in the same context.
"""

from collections.abc import Iterable
from contextvars import ContextVar
from itertools import pairwise

from promptcache.errors import OptionError
from promptcache.options import current_options
from promptcache.planning.volatile import Kind, Span
from promptcache.prompts.remembered import (
    HEAD,
    Given,
    Notes,
    Reading,
    Readings,
    Text,
    Whose,
)

__all__ = [
    "MAX_NOTES",
    "MAX_SHARED",
    "MAX_TEXTS",
    "document",
    "found",
    "has_notes",
    "is_idle",
    "noted",
    "notes",
    "static",
    "volatile",
]

MAX_TEXTS = 256
"""Texts that one context remembers; the oldest go first."""

MAX_SHARED = 1_024
"""Texts that are remembered for steps which do not inherit the context."""

MAX_NOTES = 8
"""Notes that are told of one request at the most; the latest ones."""

_MAX_NOTE = 200
"""Characters of a note."""

_here: ContextVar[Given | None] = ContextVar("promptcache_parts", default=None)
_anywhere = Given(MAX_SHARED)
"""A chain runs each step in a copy of the context: what one step gives out, the step of
the model does not inherit. Short texts are not among these, as the same few characters
may stand in a prompt that has nothing to do with them."""
_readings = Readings()


def static(text: str) -> str:
    """Say that a text is the same on every call; return it as it is.

    Where it stands in a prompt, a block may end with it and be kept by the provider.

    Raises:
        OptionError: It is no string.
    """
    return _remembered(text, "static")


def volatile(text: str) -> str:
    """Say that a text is another one on every call; return it as it is.

    Where it stands in a system prompt, it is moved behind what does not change. Give
    whole sentences: what stands around the text stays where it is.

    Raises:
        OptionError: It is no string.
    """
    return _remembered(text, "volatile")


def document(text: str) -> str:
    """Say that a text is a document, one of several in a prompt; return it as it is.

    A text that is known to be volatile stays that.

    Raises:
        OptionError: It is no string.
    """
    return _remembered(text, "document")


def noted(what: str, *texts: str, how: str | None = "") -> None:
    """Say what was done to texts, for the receipt of each request that has them.

    A request has several texts if two that come one after the other here do so in it.

    Args:
        what: What was done, in a few words without any text of a prompt. A later note
            that says the same about the same texts takes the place of this one.
        *texts: The texts, in the order in which they are to stand.
        how: More about it; None says that it was not done this time.

    Raises:
        OptionError: It is longer than 200 characters.
    """
    note = f"{what}: {how}" if how else what
    if len(note) > _MAX_NOTE:
        raise OptionError("what", f"{len(note)} characters", f"at most {_MAX_NOTE}")
    said = tuple(Text.of(text) for text in texts if text.strip())
    long = tuple(it for it in said if it.length >= HEAD)
    # One of several that is left alone would be in prompts that have nothing to do
    # with the others.
    shared = long if len(long) > 1 or len(long) == len(said) else ()
    tenant = current_options().tenant
    for given, group, whose in ((_own(), said, None), (_anywhere, shared, tenant)):
        if group and (how is not None or given.has_notes):
            given.note(group, what, None if how is None else note, whose)


def is_idle() -> bool:
    """Tell whether there is no text that could be found."""
    return not (_anywhere or _here.get())


def has_notes() -> bool:
    """Tell whether there is anything that a receipt could have to tell."""
    return any(given.has_notes for given, _ in _known(None))


def found(
    text: str, *, lasting: bool = False, tenant: str | None = None
) -> tuple[Span, ...]:
    """Return where texts that were given out stand in a string, in its order.

    Args:
        text: The string.
        lasting: What was found in it before is found again, whatever was given out
            since then. So a turn keeps the form in which it was sent at first.
        tenant: Whose prompt it is.
    """
    return _reading(text, tenant, lasting=lasting).spans


def notes(
    texts: Iterable[tuple[str, bool]], *, tenant: str | None = None
) -> tuple[str, ...]:
    """Return what is to be told of the texts that stand in a prompt, each note once.

    Args:
        texts: The strings of the prompt in their order, each with whether it was sent
            before: then what was found in it is found again.
        tenant: Whose prompt it is.
    """
    has: list[Text] = []
    for text, lasting in texts:
        has += _reading(text, tenant, lasting=lasting).noted
    if not has:
        return ()
    every: Notes = {}
    for given, whose in _known(tenant):
        every.update(given.notes(whose))
    alone, pairs = set(has), set(pairwise(has))
    told = [
        note
        for (group, _), note in every.items()
        if (group[0] in alone if len(group) == 1 else pairs & {*pairwise(group)})
    ]
    return tuple(dict.fromkeys(told))[-MAX_NOTES:]


def _forget() -> None:
    """Forget everything, as if the process had just begun; for tests."""
    _anywhere.clear()
    _readings.clear()
    _here.set(None)


def _remembered(text: str, kind: Kind) -> str:
    if not isinstance(text, str):
        raise OptionError(kind, type(text).__name__, "a string")
    if not text.strip():
        return text
    here, tenant, it = _own(), current_options().tenant, Text.of(text)
    # A line about the documents may come as one more of them.
    is_volatile = here.is_volatile(it, None) or _anywhere.is_volatile(it, tenant)
    if kind == "document" and is_volatile:
        kind = "volatile"
    here.add(it, kind, None)
    if it.length >= HEAD:
        _anywhere.add(it, kind, tenant)
    return text


def _own() -> Given:
    """Return what the context remembers."""
    here = _here.get()
    if here is None:
        here = Given(MAX_TEXTS)
        _here.set(here)
    return here


def _known(tenant: str | None) -> list[Whose]:
    """Return where to look, and as whom; the context has the last word."""
    here = _here.get()
    return [(_anywhere, tenant), *([] if here is None else [(here, None)])]


def _reading(text: str, tenant: str | None, *, lasting: bool) -> Reading:
    known = [it for it in _known(tenant) if it[0] or it[0].has_notes]
    if not known or not text:
        return Reading()
    return _readings.reading(text, known, tenant=tenant, lasting=lasting)
