"""What the sources leave open about Gemini, as choices.

Where a document speaks, its word is the default; where only others' measurements or
reports speak, the default is what they saw; where both speak and differ, the document
wins.
"""

from dataclasses import dataclass
from typing import Literal

from promptcache.errors import OptionError
from promptcache.providers.gemini.facts import HOSTS, Host, ModelFacts

__all__ = ["GeminiSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GeminiSettings:
    """How the emulator answers where Gemini's rules are not settled."""

    minimums: Literal["documented", "measured"] = "documented"
    """Fewest tokens of a cached content on the Developer API: the documents' table, or
    what others have seen where they have looked."""
    minimum_tokens: int | None = None
    """Fewest tokens of a cached content for every model, instead of each model's
    own."""
    implicit_minimum_tokens: int | None = None
    """Shortest prefix of implicit caching for every model, instead of each model's
    own."""
    explicit_models: tuple[str, ...] = ()
    """Models that have cached contents though no source confirms it, such as
    `gemini-4-argon`."""
    free_tier: bool = False
    """Whether the key is of the free tier, whose quota of cached tokens was seen to be
    0; the price list says that caching is free of charge there."""
    contents_required: bool = False
    """Whether a cached content needs `contents` beside a system instruction or tools.
    One client relies on it not being so, the comments of another say that it is."""
    creation_billed: bool = True
    """Whether the Developer API bills a creation as input. Vertex AI's document says
    so of Vertex AI; no source says it of the other."""
    storage_until: Literal["delete", "expiry"] = "delete"
    """How long storage is billed after an early delete: a maintainer of an SDK says for
    the actual life, an answer in a forum says for the life that was asked for."""
    implicit_luck: float = 1.0
    """Share of requests that find a prefix which an earlier one has sent. The documents
    promise nothing; reports go from always to 1 in 138."""
    implicit_seconds: float = 300.0
    """How long a prefix can be found by implicit caching after it was last sent; no
    source gives a figure."""
    implicit_step: int = 128
    """Tokens between two ends of prefixes that implicit caching finds; no source gives
    a figure."""
    implicit_beside_explicit: bool = False
    """Whether implicit caching reads on behind a cached content. Others have seen
    that only the cached content is reported."""
    early_usage: Literal["host", "cumulative", "cached"] = "host"
    """What all but the last chunk of a stream say of usage: what was used so far, or
    the cached tokens alone, which was seen on Vertex AI."""
    page_size: int = 100
    """Cached contents on a page of a list that does not say; no source gives a
    figure."""

    def __post_init__(self) -> None:
        """Refuse values outside of the closed sets.

        Raises:
            OptionError: A setting has a value that is not one of the allowed ones.
        """
        for name, allowed in (
            ("minimums", ("documented", "measured")),
            ("storage_until", ("delete", "expiry")),
            ("early_usage", ("host", "cumulative", "cached")),
        ):
            if getattr(self, name) not in allowed:
                raise OptionError(name, getattr(self, name), ", ".join(allowed))
        if not 0.0 <= self.implicit_luck <= 1.0:
            luck = self.implicit_luck
            raise OptionError("implicit_luck", luck, "a share from 0 to 1")
        for name in ("implicit_step", "page_size"):
            if getattr(self, name) < 1:
                raise OptionError(name, getattr(self, name), "a number above 0")

    def explicit(self, facts: ModelFacts) -> bool:
        """Whether a model has cached contents."""
        return facts.explicit or facts.name in self.explicit_models

    def explicit_minimum(self, facts: ModelFacts, host: Host) -> int:
        """Return the fewest tokens of a cached content."""
        if self.minimum_tokens is not None:
            return self.minimum_tokens
        measured = facts.measured_minimum
        if self.minimums == "measured" and host == "developer" and measured is not None:
            return measured
        return facts.explicit_minimum

    def implicit_minimum(self, facts: ModelFacts) -> int:
        """Return the shortest prefix of implicit caching."""
        chosen = self.implicit_minimum_tokens
        return facts.implicit_minimum if chosen is None else chosen

    def bills_creation(self, host: Host) -> bool:
        """Whether creating a cached content costs its tokens as input."""
        stated = HOSTS[host].creation_billed
        return self.creation_billed if stated is None else stated

    def early_usage_on(self, host: Host) -> Literal["cumulative", "cached"]:
        """Return what all but the last chunk of a stream say of usage."""
        if self.early_usage == "host":
            return "cached" if host == "vertex" else "cumulative"
        return self.early_usage
