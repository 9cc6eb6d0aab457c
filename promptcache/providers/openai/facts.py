"""OpenAI's caching rules as data, each with its source.

Rule 1: a rule of the provider that may change stands here, not in logic.
Rule 2: what no source states is absent here and a setting elsewhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from promptcache.errors import OptionError
from promptcache.providers.rows import laid_over, model_rows

__all__ = [
    "CHAT_TTLS",
    "EARLIER_ENDINGS",
    "FIRST_BREAKPOINTS",
    "HOSTS",
    "IDLE_SECONDS",
    "LATEST_BREAKPOINTS",
    "LONGEST_SECONDS",
    "MAX_KEY_LENGTH",
    "MAX_WRITES",
    "MODELS",
    "READ_WINDOW",
    "REPORTED_STEP",
    "REQUESTS_PER_MINUTE",
    "RESPONSES_TTLS",
    "ROUTED_TOKENS",
    "TTL_SECONDS",
    "WRITE_MULTIPLIER",
    "HostFacts",
    "ModelFacts",
    "Retention",
    "host_facts",
    "host_named",
    "model_facts",
]

DOCS = "https://developers.openai.com/api/docs/guides/prompt-caching"
SDK = "openai 3.54, types/responses/response_create_params.py"
COOKBOOK = "github.com/openai/openai-cookbook, examples/Prompt_Caching_201.ipynb"
AZURE = "github.com/MicrosoftDocs/azure-ai-docs, prompt caching, 2026-08-04"
BEDROCK = "a measured recipe for openai.gpt-5.6-terra on Amazon Bedrock, 2026-08-12"
CHECKED = date(2026, 11, 22)

Retention = Literal["in_memory", "24h"]
"""How long earlier models may keep a prefix at most."""

MAX_WRITES = 4
"""Breakpoints that one request writes, the implicit one included. Source: `DOCS`."""

FIRST_BREAKPOINTS = 2
LATEST_BREAKPOINTS = 50
"""Explicit breakpoints that are looked up: the first 2 and the latest 50. Source:
`DOCS`."""

READ_WINDOW = 80
"""Breakpoints that are looked up, by another document. Source: `SDK`."""

EARLIER_ENDINGS = 20
"""Earlier message endings that are looked up in implicit mode. Source: `DOCS`."""

WRITE_MULTIPLIER = 1.25
"""Price of a token written for 30 minutes, in input tokens, instead of its own input
price. What one written for 12 hours costs is in no source. Source: `DOCS`."""

TTL_SECONDS: Mapping[str, int] = {"30m": 1800, "12h": 43_200}
"""Shortest life of an entry since it was last written or read. Source: `SDK`."""

LONGEST_SECONDS: Mapping[Retention, int] = {"in_memory": 3_600, "24h": 86_400}
"""Longest life of what earlier models keep, by retention; much of it goes sooner, after
5 to 10 idle minutes or about 30. Source: `DOCS`."""

CHAT_TTLS = ("30m",)
RESPONSES_TTLS = ("30m", "12h")
"""Lifetimes that a request may ask for as a whole, by API. Source: `SDK`."""

IDLE_SECONDS: Mapping[str, int] = {"in_memory": 300, "24h": 1800}
"""Time without a use after which earlier models may have forgotten a prefix, by what it
is kept for: five to ten minutes, and half an hour typically. Source: `DOCS`."""

MAX_KEY_LENGTH = 64
"""Characters of `prompt_cache_key`. Source: github.com/openai/openai-openapi."""

REPORTED_STEP = 128
"""Earlier models report what they read in steps of so many tokens. Source: `DOCS`."""

ROUTED_TOKENS = 256
"""Initial tokens whose hash routes a request to a machine. Source: `COOKBOOK`."""

REQUESTS_PER_MINUTE = 15
"""Requests of one prefix and key that one machine takes. Source: `DOCS`."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What the provider states about caching on one model."""

    name: str
    breakpoints: bool = False
    """Whether prefixes are matched at breakpoints, and requests may set them; else they
    are matched at fixed intervals and the fields of breakpoints are refused."""
    minimum_tokens: int = 1024
    """Shortest prefix that is cached; a shorter one is billed as plain input."""
    interval: int = 128
    """Tokens between two ends of prefixes, where there are no breakpoints."""
    retention: tuple[Retention, ...] = ("in_memory",)
    """What `prompt_cache_retention` may be."""
    requests_per_minute: int = REQUESTS_PER_MINUTE
    """Requests that one key may have before some of them find no cache."""
    effort_updates: bool = False
    """Whether an item may change the reasoning effort and keep the prefix."""
    read: float = 0.1
    """Price of a token that is read, in input tokens, on models with breakpoints."""
    assumed: bool = False
    """No row is known for this model: the most cautious current one stands in."""
    source: str = DOCS
    checked: date = CHECKED


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What the server that a client calls accepts, whatever the model."""

    name: str
    breakpoints: bool = False
    """Whether it takes breakpoints and their options for models that have them."""
    retention: bool = False
    """Whether a request may ask for a longer retention."""
    diagnostics: bool = False
    """Whether the Responses API tells why a request missed."""
    later_system: bool = True
    """Whether system and developer messages may stand between others. `DOCS` speaks of
    later ones; many models of others take one at the beginning only."""
    source: str = DOCS
    checked: date = CHECKED


def _marked(name: str, *, effort_updates: bool = True, read: float = 0.1) -> ModelFacts:
    return ModelFacts(
        name,
        breakpoints=True,
        retention=("24h",),
        effort_updates=effort_updates,
        read=read,
    )


def _matched(name: str, *retention: Retention, interval: int = 128) -> ModelFacts:
    return ModelFacts(name, interval=interval, retention=retention or ("in_memory",))


_BOTH: tuple[Retention, ...] = ("in_memory", "24h")
_ROWS = (
    *(
        _marked(f"gpt-{name}")
        for name in (
            "6-astra",
            "6-cyber",
            "6-luna",
            "6-rosalind",
            "6-sol",
            "6.2-astra",
            "6.2-astra-law",
            "6.2-sol",
        )
    ),
    *(_marked(f"gpt-{name}", read=0.05) for name in ("6.1-sol", "6.1-terra")),
    *(
        _marked(f"gpt-{name}", effort_updates=False)
        for name in ("5.6", "5.6-cyber", "5.6-luna", "5.6-sol", "5.6-terra")
    ),
    _matched("gpt-5.5", "24h", interval=2048),
    _matched("gpt-5.5-pro", "24h", interval=2048),
    # The intervals below are in no current source; 128 is what older documents say.
    *(
        _matched(f"gpt-{name}", *_BOTH)
        for name in (
            "4.1",
            "5",
            "5-codex",
            "5.1",
            "5.1-chat-latest",
            "5.1-codex",
            "5.1-codex-max",
            "5.1-codex-mini",
            "5.2",
            "5.4",
        )
    ),
    *(
        _matched(name)
        for name in (
            "gpt-4.1-mini",
            "gpt-4.1-nano",
            "gpt-4o",
            "gpt-4o-mini",
            "gpt-5-mini",
            "gpt-5-nano",
            "gpt-5-pro",
            "gpt-5.2-chat-latest",
            "gpt-5.2-pro",
            "gpt-5.3-chat-latest",
            "gpt-5.4-mini",
            "gpt-5.4-nano",
            "o1",
            "o1-pro",
            "o3",
            "o3-mini",
            "o3-pro",
            "o4-mini",
        )
    ),
)

_FIELDS = (
    "breakpoints, minimum_tokens, interval, retention, requests_per_minute, "
    "effort_updates, read"
)
"""What an override may say of a model."""

MODELS: Mapping[str, ModelFacts] = {row.name: row for row in _ROWS}

HOSTS: Mapping[str, HostFacts] = {
    host.name: host
    for host in (
        HostFacts("openai", breakpoints=True, retention=True, diagnostics=True),
        # Pay as you go. Whether it has diagnostics is in no source.
        HostFacts("azure", breakpoints=True, retention=True, source=AZURE),
        HostFacts("azure-ptu", retention=True, source=AZURE),
        HostFacts("bedrock", breakpoints=True, source=BEDROCK),
        HostFacts("chatgpt", source="github.com/openai/codex, issue 39442"),
        # A server on this machine that knows a model by OpenAI's name for it is a
        # gateway or an emulator; what it refuses, it is not asked again.
        HostFacts("local", breakpoints=True, retention=True, diagnostics=True),
        # Any other server that speaks this API: nothing but a key.
        HostFacts("compatible", later_system=False),
    )
}

_SUFFIXES = (
    ("api.openai.com", "openai"),
    ("chatgpt.com", "chatgpt"),
    ("openai.azure.com", "azure"),
    ("cognitiveservices.azure.com", "azure"),
    ("services.ai.azure.com", "azure"),
    ("localhost", "local"),
)


def host_named(server: str) -> str:
    """Return the host that a server is by its name, else the name as it is.

    Args:
        server: The name in a client's base URL, with a port if it has one.
    """
    name = server.rpartition(":")[0] if server.rpartition(":")[2].isdecimal() else ""
    name = (name or server).lower().strip("[]")
    for suffix, host in _SUFFIXES:
        if name == suffix or name.endswith(f".{suffix}"):
            return host
    if name == "::1" or name.startswith("127."):
        return "local"
    if name.startswith("bedrock") and name.endswith((".amazonaws.com", ".api.aws")):
        return "bedrock"
    return server


def host_facts(
    host: str, overrides: Mapping[str, Mapping[str, Any]] | None = None
) -> HostFacts:
    """Return the row of a host, or of an unknown server.

    Args:
        host: What `host_named` returned.
        overrides: May say what a server is: `{"gateway.example": {"host": "openai"}}`.

    Raises:
        OptionError: An override names a host that there is not.
    """
    said = (overrides or {}).get(host, {}).get("host", host)
    if said != host and not (isinstance(said, str) and said in HOSTS):
        raise OptionError("facts", said, ", ".join(HOSTS))
    return HOSTS.get(said, HOSTS["compatible"])


def model_facts(
    model: str, overrides: Mapping[str, Mapping[str, Any]] | None = None
) -> ModelFacts:
    """Return the row for a model name as requests spell it.

    Dates, Bedrock prefixes (`openai.`), routers' prefixes (`openai/`) and fine-tuned
    names (`ft:gpt-4.1:acme::id`) are understood. An unknown model gets no optional
    field and is marked `assumed`.

    Args:
        model: The model as it stands in the request.
        overrides: Fields by row name, laid over the rows that ship.

    Raises:
        OptionError: An override names a field that no row has.
    """
    said = model_rows(overrides)
    name = _row_name(model, {*MODELS, *said})
    row = MODELS.get(name) or ModelFacts(
        name=model,
        minimum_tokens=max(row.minimum_tokens for row in _ROWS),
        interval=max(row.interval for row in _ROWS),
        assumed=name not in said,
    )
    return laid_over(row, said.get(name, {}), _FIELDS)


def _row_name(model: str, names: set[str]) -> str:
    bare = model.rsplit("/", 1)[-1].removeprefix("openai.")
    if bare.startswith("ft:"):
        bare = bare.split(":")[1]
    found = [name for name in names if bare == name or bare.startswith(f"{name}-20")]
    # The longest name is the most exact row: an override may be for one dated version.
    return max(found, key=len, default=bare)
