"""What is installed here, and whether it would be served: rows of findings.

Rule 1: nothing is created, opened for writing or sent, and no secret is shown.
Rule 2: whatever is broken is a finding, not an error.
"""

import os
import platform
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module, metadata, util
from pathlib import Path
from typing import Any, Literal

from promptcache.errors import PromptCacheError
from promptcache.factsfile import read_facts
from promptcache.limits import Limits
from promptcache.providers import check_facts
from promptcache.state.files import default_path
from promptcache.switch import is_switched_off

__all__ = ["Finding", "findings"]

State = Literal["active", "inactive", "missing", "info"]
"""It works; it is there and does not; it is not installed; or it is only told."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    kind: Literal[
        "python", "package", "sdk", "framework", "extra", "environment", "store"
    ]
    name: str
    state: State
    version: str | None = None
    why: str | None = None
    """What is found, or why it is not active."""
    fix: str | None = None
    """What to do about it."""

    def as_dict(self) -> dict[str, Any]:
        """Return all fields."""
        names = ("kind", "name", "state", "version", "why", "fix")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True)
class _Sdk:
    """An SDK that has a seam."""

    package: str
    module: str
    seam: str
    extras: tuple[str, ...]


_SDKS = (
    _Sdk(
        "anthropic",
        "anthropic",
        "promptcache.providers.anthropic.seam",
        ("langchain-anthropic", "llamaindex-anthropic"),
    ),
    _Sdk(
        "openai",
        "openai",
        "promptcache.providers.openai.seam",
        ("langchain-openai", "llamaindex-openai"),
    ),
    _Sdk(
        "google-genai",
        "google.genai",
        "promptcache.providers.gemini.seam",
        ("langchain-google", "llamaindex-google"),
    ),
    _Sdk(
        "google-generativeai",
        "google.generativeai",
        "promptcache.providers.gemini.seam_legacy",
        ("google-generativeai",),
    ),
)

_CLASSES: Mapping[str, tuple[str, str, str]] = {
    "langchain-anthropic": (
        "langchain_promptcache",
        "PromptCachedChatAnthropic",
        "langchain-anthropic",
    ),
    "langchain-openai": (
        "langchain_promptcache",
        "PromptCachedChatOpenAI",
        "langchain-openai",
    ),
    "langchain-google-genai": (
        "langchain_promptcache",
        "PromptCachedChatGoogleGenerativeAI",
        "langchain-google",
    ),
    "llama-index-llms-anthropic": (
        "llamaindex_promptcache",
        "PromptCachedAnthropic",
        "llamaindex-anthropic",
    ),
    "llama-index-llms-openai": (
        "llamaindex_promptcache",
        "PromptCachedOpenAI",
        "llamaindex-openai",
    ),
    "llama-index-llms-google-genai": (
        "llamaindex_promptcache",
        "PromptCachedGoogleGenAI",
        "llamaindex-google",
    ),
}
"""Packages of the frameworks: the class that builds on each, and its extra."""

_FRAMEWORKS = ("langchain-core", "langchain", "langgraph", "llama-index-core")
_BASE = ("promptcache", "genai-prices", "orjson")
_EXTRAS: Mapping[str, tuple[str, ...]] = {
    "cli": ("rich", "typer"),
    "emulator": ("starlette", "uvicorn"),
    "otel": ("opentelemetry-api",),
    "redis": ("redis",),
}


def findings() -> list[Finding]:
    """Look at everything; of what is found, the order is always the same."""
    with warnings.catch_warnings():
        # What SDKs say of themselves when they are loaded is not about this.
        warnings.simplefilter("ignore")
        return [*_findings()]


def _findings() -> tuple[Finding, ...]:
    return (
        Finding("python", platform.python_implementation(), "info", _python()),
        *_base(),
        *map(_of_sdk, _SDKS),
        *_frameworks(),
        *_extras(),
        _switch(),
        _facts(),
        _secret(),
        _store(),
        _limits(),
    )


def _python() -> str:
    return platform.python_version()


def _base() -> Iterator[Finding]:
    for name in _BASE:
        version = _version(name)
        if version is None:
            fix = _pip("promptcache")
            yield Finding("package", name, "inactive", why="not installed", fix=fix)
        else:
            yield Finding("package", name, "active", version)


def _of_sdk(sdk: _Sdk) -> Finding:
    version = _version(sdk.package)
    fix = " or ".join(_pip(f"promptcache[{extra}]") for extra in sdk.extras)
    if version is None:
        return Finding("sdk", sdk.package, "missing", why="not installed", fix=fix)
    if is_switched_off():
        why = "switched off by PROMPTCACHE=off"
        return Finding("sdk", sdk.package, "inactive", version, why, "unset it")
    try:
        seam = import_module(sdk.seam)
        lacking = seam.check()
    except Exception as error:  # noqa: BLE001 - whatever an SDK does when it is loaded
        why = f"cannot be loaded: {_told(error)}"
        return Finding("sdk", sdk.package, "inactive", version, why, fix)
    if lacking is not None:
        why = f"{lacking}; tested with {seam.TESTED}"
        return Finding("sdk", sdk.package, "inactive", version, why, fix)
    return Finding("sdk", sdk.package, "active", version, f"tested with {seam.TESTED}")


def _frameworks() -> Iterator[Finding]:
    for name in _FRAMEWORKS:
        version = _version(name)
        if version is not None:
            yield Finding("framework", name, "info", version)
    for name, (module, kind, extra) in _CLASSES.items():
        version, fix = _version(name), _pip(f"promptcache[{extra}]")
        if version is None:
            yield Finding("framework", name, "missing", why="not installed", fix=fix)
            continue
        try:
            getattr(import_module(module), kind)
        except Exception as error:  # noqa: BLE001 - as an SDK
            why = f"{kind} cannot be loaded: {_told(error)}"
            yield Finding("framework", name, "inactive", version, why, fix)
        else:
            yield Finding("framework", name, "active", version, f"{module}.{kind}")


def _extras() -> Iterator[Finding]:
    for extra, packages in _EXTRAS.items():
        versions = {name: _version(name) for name in packages}
        missing = [name for name, version in versions.items() if version is None]
        if missing:
            why = f"not installed: {', '.join(missing)}"
            fix = _pip(f"promptcache[{extra}]")
            yield Finding("extra", extra, "missing", why=why, fix=fix)
        else:
            text = ", ".join(f"{name} {versions[name]}" for name in packages)
            yield Finding("extra", extra, "active", why=text)


def _switch() -> Finding:
    name, value = "PROMPTCACHE", os.environ.get("PROMPTCACHE")
    if is_switched_off():
        why = "off: clients are used as they are"
        return Finding("environment", name, "inactive", why=why, fix="unset it")
    why = "not set" if value is None else "set, and not to off"
    return Finding("environment", name, "info", why=why)


def _facts() -> Finding:
    name, path = "PROMPTCACHE_FACTS", os.environ.get("PROMPTCACHE_FACTS")
    if not path:
        return Finding("environment", name, "info", why="not set")
    try:
        rows = read_facts(path)
        check_facts(rows)
    except PromptCacheError as error:
        fix = "correct the file, or unset it"
        return Finding("environment", name, "inactive", why=str(error), fix=fix)
    return Finding("environment", name, "active", why=f"{path}: {', '.join(rows)}")


def _secret() -> Finding:
    is_set = bool(os.environ.get("PROMPTCACHE_SECRET"))
    why = "set" if is_set else "not set: the store has its own"
    return Finding("environment", "PROMPTCACHE_SECRET", "info", why=why)


def _store() -> Finding:
    name = "default store"
    if util.find_spec("sqlite3") is None or util.find_spec("_sqlite3") is None:
        text = "this Python has no sqlite3: handles stay in memory"
        return Finding("store", name, "inactive", why=text, fix="give `store=`")
    try:
        path = default_path()
        why = _unwritable(path)
        how = "there" if path.exists() else "made at its first use"
    except (PromptCacheError, OSError) as error:
        path, how, why = Path(), "", _told(error)
    if why is None:
        return Finding("store", name, "active", why=f"{path}, {how}")
    text = f"{why}: handles stay in memory"
    return Finding("store", name, "inactive", why=text, fix="give `store=`")


def _unwritable(path: Path) -> str | None:
    """Return why a file cannot be written, by rights alone; None if it can."""
    if path.exists() and not os.access(path, os.R_OK | os.W_OK):
        return f"{path} cannot be written"
    for parent in path.parents:
        if parent.exists():
            if not parent.is_dir():
                return f"{parent} is no directory"
            can = os.access(parent, os.W_OK | os.X_OK)
            return None if can else f"{parent} cannot be written"
    return f"there is no {path.anchor}"


def _limits() -> Finding:
    limits = Limits()
    why = (
        f"{limits.live_caches} cached contents live, ${limits.usd_per_hour:.2f} an "
        "hour, unless a cache has others"
    )
    return Finding("store", "limits", "info", why=why)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _pip(what: str) -> str:
    return f"pip install '{what}'"


def _told(error: BaseException) -> str:
    """Return an error in one line."""
    lines: Iterable[str] = str(error).split("\n")
    text = next((line.strip() for line in lines if line.strip()), "")
    name = type(error).__name__
    return f"{name}: {text[:160]}" if text else name
