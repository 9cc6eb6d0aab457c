"""Gemini's caching rules as data, each with its source.

Rule 1: a rule of the provider that may change stands here, not in logic.
Rule 2: what no source states is absent here and a setting elsewhere.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, TypeAlias

from promptcache.errors import OptionError
from promptcache.providers.rows import laid_over, model_rows

__all__ = [
    "ALIASES",
    "DEFAULT_TTL_SECONDS",
    "HOSTS",
    "LONGEST_SECONDS",
    "MAX_DISPLAY_NAME",
    "MAX_PAGE_SIZE",
    "MODELS",
    "Host",
    "HostFacts",
    "ModelFacts",
    "host_facts",
    "host_named",
    "model_facts",
]

DOCS = "https://ai.google.dev/gemini-api/docs/caching"
CLOUD = "https://docs.cloud.google.com/gemini-enterprise-agent-platform, context cache"
PROBE = "a published transcript of live calls, gemini-3.5-flash-lite, 2026-09-07"
SEEN = "code comments of others on live calls, gemini-3.6-flash, 2026-07-25"
STORAGE = "price lists of others; the price list that ships has no storage"
CATALOG = "github.com/iyulab/TokenMeter 0.13.1: implicit caching only"
PRICES = "genai-prices 0.2.3"
CHECKED = date(2026, 11, 22)

Host: TypeAlias = Literal["developer", "vertex"]
"""Who serves the model: the Gemini Developer API or Vertex AI."""

DEFAULT_TTL_SECONDS = 3600
"""Life of a cached content that is created without a word. Source: `PROBE`, `CLOUD`."""

LONGEST_SECONDS = 86_400.0
"""After so long, what was left by requests without a word counts as over. No source
gives a time."""

MAX_DISPLAY_NAME = 128
"""Characters of `displayName`. Source: google-ai-generativelanguage 0.6.15."""

MAX_PAGE_SIZE = 1000
"""Most cached contents on one page of a list; more is coerced to it. Source:
google-ai-generativelanguage 0.6.15."""


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What the server accepts and bills, whatever the model."""

    name: Host
    id_pattern: str
    """What the last part of a cached content's name matches, as far as was seen."""
    minimum_ttl_seconds: float = 0.0
    """Shortest life that a cached content may be given; there is no longest one."""
    max_inline_bytes: int | None = None
    """Bytes that may be cached other than by reference; None where none is stated."""
    creation_billed: bool | None = None
    """Whether creating a cached content costs its tokens at the input price; None
    where no source says so."""
    source: str = DOCS
    checked: date = CHECKED


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What the provider states about caching on one model."""

    name: str
    implicit_minimum: int = 4096
    """Shortest prefix that is read with no word in the request."""
    explicit_minimum: int = 4096
    """Fewest tokens of a cached content, by the documents of both hosts."""
    measured_minimum: int | None = None
    """Fewest tokens that the Developer API was seen to demand; None if nobody has
    looked, or reports differ."""
    explicit: bool = True
    """Whether there are cached contents for it; implicit caching all of them have."""
    storage_price: float | None = None
    """US dollars for a million cached tokens for an hour; None if no source has it."""
    storage_price_changes: tuple[tuple[date, float], ...] = ()
    """Later prices and the days they hold from, earliest first."""
    assumed: bool = False
    """No row is known for this model: the most cautious current one stands in."""
    source: str = DOCS
    checked: date = CHECKED

    def storage_price_on(self, day: date) -> float | None:
        """Return US dollars for a million tokens for an hour, on a day."""
        begun = [price for since, price in self.storage_price_changes if since <= day]
        return begun[-1] if begun else self.storage_price

    def explicit_minimum_on(self, host: Host) -> int:
        """Return the fewest tokens of a cached content: what was seen, where it was."""
        if host == "developer" and self.measured_minimum is not None:
            return self.measured_minimum
        return self.explicit_minimum


HOSTS: Mapping[str, HostFacts] = {
    host.name: host
    for host in (
        HostFacts("developer", r"[a-z0-9]{40}", source=f"{DOCS}; {PROBE}"),
        HostFacts(
            "vertex",
            r"[0-9]+",
            minimum_ttl_seconds=60.0,
            max_inline_bytes=10_000_000,
            creation_billed=True,
            source=CLOUD,
        ),
    )
}

# "Through 2026-12-31", as the prices of their tokens.
_DOUBLED = ((date(2027, 1, 1), 1.0),)


def _older(name: str, price: float) -> ModelFacts:
    return ModelFacts(
        name,
        implicit_minimum=2048,
        explicit_minimum=2048,
        storage_price=price,
        source=f"{DOCS}; {STORAGE}",
    )


def _stored(
    name: str,
    price: float | None = None,
    *,
    changes: tuple[tuple[date, float], ...] = (),
    measured: int | None = None,
    source: str = STORAGE,
) -> ModelFacts:
    return ModelFacts(
        name,
        measured_minimum=measured,
        storage_price=price,
        storage_price_changes=changes,
        source=f"{DOCS}; {source}",
    )


# The documents have one table of minimums for both ways of caching and both hosts:
# 4,096 from Gemini 3 on, 2,048 before. Those of the lite models follow their families.
_ROWS = (
    ModelFacts("gemini-4-argon", explicit=False, source=f"{DOCS}; {CATALOG}"),
    _stored("gemini-3.8-flash", 0.5, changes=_DOUBLED),
    _stored("gemini-3.7-flash", source=PRICES),
    _stored(
        "gemini-3.6-flash",
        0.5,
        changes=_DOUBLED,
        measured=1024,
        source=f"{STORAGE}; {SEEN}",
    ),
    _stored("gemini-3.5-flash", 1.0),
    _stored("gemini-3.5-flash-lite", measured=1024, source=PROBE),
    _stored("gemini-3.1-pro-preview", 4.5),
    _stored("gemini-3.1-flash-lite", source=CLOUD),
    _stored("gemini-3-flash-preview", 1.0),
    _older("gemini-2.5-pro", 4.5),
    _older("gemini-2.5-flash", 1.0),
    _older("gemini-2.5-flash-lite", 1.0),
)

_FIELDS = (
    "implicit_minimum, explicit_minimum, measured_minimum, explicit, storage_price, "
    "storage_price_changes"
)
"""What an override may say."""

MODELS: Mapping[str, ModelFacts] = {row.name: row for row in _ROWS}

ALIASES: Mapping[str, str] = {
    "gemini-flash-latest": "gemini-3.8-flash",
    "gemini-flash-lite-latest": "gemini-3.5-flash-lite",
    "gemini-pro-latest": "gemini-3.1-pro-preview",
}
"""Names that move from model to model, and what they stand for. Source: `PRICES`."""

_DEVELOPER = re.compile(r"generativelanguage(\.[a-z]+)*\.googleapis\.com")
_VERTEX = re.compile(
    r"([a-z0-9-]+-)?aiplatform(\.[a-z0-9-]+)*\.googleapis\.com",
)
"""Source: google-genai 3.4, _api_client.py: regional, multi-regional, mTLS servers."""

_SUFFIX = re.compile(r"(-(preview|exp|latest))?(-\d+)*")


def host_named(server: str) -> Host | None:
    """Return the host that a server is by its name; None for any other server.

    Args:
        server: The name in a client's base URL, with a port if it has one.
    """
    name = server.lower().partition(":")[0]
    if _DEVELOPER.fullmatch(name):
        return "developer"
    return "vertex" if _VERTEX.fullmatch(name) else None


def host_facts(
    host: str, overrides: Mapping[str, Mapping[str, Any]] | None = None
) -> HostFacts:
    """Return the row of a host; an unknown server is as the Developer API.

    Args:
        host: A host, or the name of a server.
        overrides: May say what a server is: `{"gateway.example": {"host": "vertex"}}`.

    Raises:
        OptionError: An override names a host that there is not.
    """
    said = (overrides or {}).get(host, {}).get("host", host)
    if said != host and not (isinstance(said, str) and said in HOSTS):
        raise OptionError("facts", said, ", ".join(HOSTS))
    return HOSTS.get(said, HOSTS["developer"])


def model_facts(
    model: str, overrides: Mapping[str, Mapping[str, Any]] | None = None
) -> ModelFacts:
    """Return the row for a model name as requests spell it.

    Prefixes (`models/`, `publishers/google/models/` and what precedes it), versions,
    dates and `-preview` or `-latest` behind a row's name are understood. An unknown
    model has the highest minimum, no cached contents, and is marked `assumed`.

    Args:
        model: The model as it stands in the request or in its path.
        overrides: Fields by row name, laid over the rows that ship. A storage price
            that is laid over a row holds from any day on.

    Raises:
        OptionError: An override names a field that no row has.
    """
    overrides = model_rows(overrides)
    name = _row_name(model, {*MODELS, *overrides})
    row = MODELS.get(name) or ModelFacts(
        name=model,
        implicit_minimum=max(row.implicit_minimum for row in _ROWS),
        explicit_minimum=max(row.explicit_minimum for row in _ROWS),
        explicit=False,
        assumed=name not in overrides,
    )
    return laid_over(row, _priced(overrides.get(name, {})), _FIELDS)


def _priced(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an override whose changes of price, if it has any, are pairs."""
    if "storage_price" in fields:
        fields = {"storage_price_changes": (), **fields}
    if "storage_price_changes" not in fields:
        return fields
    try:
        changes = tuple((day, price) for day, price in fields["storage_price_changes"])
    except (TypeError, ValueError) as error:
        raise OptionError("facts", dict(fields), _FIELDS) from error
    return {**fields, "storage_price_changes": changes}


def _row_name(model: str, names: set[str]) -> str:
    bare = model.rsplit("/", 1)[-1]
    found = [
        name
        for name in names
        if bare.startswith(name) and _SUFFIX.fullmatch(bare[len(name) :])
    ]
    # The longest name is the most exact row: an override may be for one version.
    return max(found, key=len, default=ALIASES.get(bare, bare))
