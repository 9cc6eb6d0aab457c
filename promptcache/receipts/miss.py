"""Why a request did not read what it could have read.

Rule 1: a miss names where, when and how much, never what stood there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

__all__ = ["Cause", "Form", "Miss", "Proof"]

Cause = Literal[
    "first_seen",  # nothing like it had been sent before
    "expired",  # the same prefix was sent, longer ago than it was kept
    "prefix_changed",  # what stands before the first mark is no longer the same
    "below_minimum",  # the prompt is shorter than what this model caches
    "model_or_settings_changed",  # the same prompt went to another model or settings
    "not_marked",  # it came again, but the earlier request did not have it cached
    "evicted_or_unknown",  # it was written, is unchanged and alive, and was not read
]
"""What a miss comes from."""

Proof = Literal["outline", "clock", "provider"]
"""What shows it: digests of the two prompts, the time between them, or the provider's
own diagnostics."""

Form = Literal["white space", "line ends", "case", "Unicode form"]
"""What alone differs, where two texts say the same."""

_UNKNOWN = "-"
_CAUSES: Mapping[str | None, Cause] = {it: it for it in get_args(Cause)}
_PROOFS: Mapping[str | None, Proof] = {it: it for it in get_args(Proof)}
_FORMS: Mapping[str | None, Form] = {it.replace(" ", "_"): it for it in get_args(Form)}
_FIELDS = 7
_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Miss:
    """Why one request read less than was, or could have been, written before it."""

    cause: Cause
    proof: Proof
    place: str | None = None
    """The first block that differs from the earlier request, such as `system[0]` or
    `messages[4].content[1]`; None where no block does."""
    near: int | None = None
    """Bytes of that block that are still the same, rounded down; its form is JSON, so
    escaped characters count as they are spelled there."""
    form: Form | None = None
    """What the difference is, if the texts are otherwise equal."""
    tokens: int | None = None
    """Prompt tokens that would have been read, as far as that is known."""
    cost_usd: float | None = None
    """What it cost that they were not."""

    def __str__(self) -> str:
        """Return it in words, without the figures."""
        text: str = self.cause
        if self.place is not None:
            text += f" at {self.place}"
        if self.near:
            text += f" after {self.near} bytes"
        if self.form is not None:
            text += f", only in {self.form}"
        return f"{text} (by {self.proof})"

    def to_text(self) -> str:
        """Return the form that messages carry: seven words, `-` for the unknown."""
        nanousd = None if self.cost_usd is None else round(self.cost_usd * 10**9)
        form = None if self.form is None else self.form.replace(" ", "_")
        words = (self.cause, self.proof, self.place, self.near, form, self.tokens)
        return " ".join(
            _UNKNOWN if it is None else str(it).replace(" ", "_")
            for it in (*words, nanousd)
        )

    @classmethod
    def from_text(cls, text: str) -> "Miss | None":
        """Return what a text was made from, or None if that is no miss."""
        words = [None if it == _UNKNOWN else it for it in text.split()]
        if len(words) < _FIELDS:
            return None
        _, _, place, near, form, tokens, nanousd = words[:_FIELDS]
        cause, proof = _CAUSES.get(words[0]), _PROOFS.get(words[1])
        if cause is None or proof is None:
            return None
        nanos = _integer(nanousd)
        return cls(
            cause=cause,
            proof=proof,
            place=place,
            near=_integer(near),
            form=_FORMS.get(form),
            tokens=_integer(tokens),
            cost_usd=None if nanos is None else nanos / 10**9,
        )


def _integer(word: str | None) -> int | None:
    if word is None or len(word) > _DIGITS or not word.isdecimal():
        return None
    return int(word)
