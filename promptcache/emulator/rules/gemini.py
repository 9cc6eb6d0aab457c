"""The judgment on one request: what it reads and pays, or why it is refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TypeAlias

from promptcache.emulator.rules.gemini_contents import CachedContent, Contents, found
from promptcache.emulator.rules.gemini_prompt import (
    End,
    Segment,
    ends,
    modalities,
    rendered,
    total_tokens,
)
from promptcache.emulator.rules.gemini_rejection import other_model
from promptcache.emulator.rules.gemini_requests import bare, check_request
from promptcache.emulator.rules.gemini_settings import GeminiSettings
from promptcache.emulator.rules.gemini_spelling import Body
from promptcache.providers.gemini.facts import Host, model_facts

__all__ = [
    "Accepted",
    "Asked",
    "InputUsage",
    "Prefixes",
    "Verdict",
    "accepted",
    "lucky",
    "verdict_on",
]

LUCK_BYTES = 8

Prefixes: TypeAlias = Mapping[bytes, float]
"""Until when each prefix can be found that some request has sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request for an answer, freed from how it was sent."""

    body: Body
    """The request in one spelling."""
    model: str
    """The model as the path names it."""
    host: Host
    version: str = "v1beta"
    method: str = "generateContent"


@dataclass(frozen=True, slots=True)
class Accepted:
    """A request that is not refused."""

    asked: Asked
    cached: CachedContent | None
    segments: tuple[Segment, ...]
    """The whole prompt: what is cached, then what the request adds."""


@dataclass(frozen=True, slots=True)
class InputUsage:
    """Input tokens: all, those read from cache, and what both are made of."""

    total: int
    read: int = 0
    total_by_modality: Mapping[str, int] = field(default_factory=dict)
    read_by_modality: Mapping[str, int] = field(default_factory=dict)

    @property
    def uncached(self) -> int:
        """Tokens that cost the price of plain input."""
        return self.total - self.read


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one request reads and leaves behind."""

    usage: InputUsage
    hit: str | None = None
    """The name of the cached content, or the path where an implicit read ends."""
    tried: bool = False
    """Whether luck decided on an implicit read."""
    left: tuple[bytes, ...] = ()
    """Prefixes that implicit caching can find from now on."""


def accepted(asked: Asked, contents: Contents, *, now: float) -> Accepted:
    """Return the request as it is rendered.

    Args:
        asked: The request.
        contents: The cached contents of the place that was called.
        now: The start of the request.

    Raises:
        GeminiRejectedError: The provider would refuse the request.
    """
    body, host = asked.body, asked.host
    check_request(
        body, asked.model, host=host, version=asked.version, method=asked.method
    )
    name, own = body.get("cachedContent"), rendered(body)
    if not name:
        return Accepted(asked, None, own)
    cached = found(name, contents, host=host, now=now)
    if bare(cached.model) != bare(asked.model):
        raise other_model(asked.model, cached.model)
    return Accepted(asked, cached, (*cached.segments, *own))


def verdict_on(
    request: Accepted,
    prefixes: Prefixes,
    *,
    number: int,
    now: float,
    settings: GeminiSettings,
) -> Verdict:
    """Return what a request that starts `now` reads, and its bill.

    Args:
        request: The request.
        prefixes: What earlier requests of the same place have sent.
        number: How many requests luck has decided on before.
        now: The start of the request.
        settings: The choices where sources leave a rule open.
    """
    total, cached = total_tokens(request.segments), request.cached
    read, hit = (0, None) if cached is None else (cached.tokens, cached.name)
    sent: tuple[End, ...] = ()
    if cached is None or settings.implicit_beside_explicit:
        sent = _ends(request, settings)
    known = [end for end in sent if now < prefixes.get(end.key, now)]
    tried = bool(known) and known[-1].tokens > read
    if tried and lucky(number, settings.implicit_luck):
        read = known[-1].tokens
        hit = hit or known[-1].path
    usage = InputUsage(
        total,
        read,
        modalities(request.segments, total),
        modalities(request.segments, read),
    )
    return Verdict(usage, hit, tried, tuple(end.key for end in sent))


def lucky(number: int, luck: float) -> bool:
    """Whether the request of this number has luck: the same one each time.

    Args:
        number: A count of requests.
        luck: The share of them that have it.
    """
    digest = blake2b(b"luck %d" % number, digest_size=LUCK_BYTES).digest()
    return int.from_bytes(digest, "big") < luck * (1 << 8 * LUCK_BYTES)


def _ends(request: Accepted, settings: GeminiSettings) -> tuple[End, ...]:
    model = bare(request.asked.model)
    minimum = settings.implicit_minimum(model_facts(model))
    step = settings.implicit_step
    seed = model.encode()
    return tuple(ends(seed, request.segments, step=step, minimum=minimum))
