"""What a built wheel says it needs."""

import re
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path
from typing import NamedTuple
from zipfile import ZipFile

__all__ = ["Need", "lowest", "needs", "test_tools"]

_NEED = re.compile(r"(?P<name>[\w.-]+)(?:\[[^]]*])?(?P<bounds>[^;]*)(?:;(?P<when>.*))?")
_EXTRA = re.compile(r"extra == ['\"]([\w-]+)['\"]")
_PYTHON = re.compile(r"python_version\s*[<>=!]+\s*['\"][\d.]+['\"]")
_LOWER = re.compile(r">=\s*([\d.]+)")

_TOOLS = ("hypothesis", "pytest", "pytest-asyncio", "pytest-timeout")
_LANGCHAIN_TOOLS = ("deepagents", "langchain")
_CONFORMANCE_TOOLS = ("langchain-tests",)


class Need(NamedTuple):
    """One thing that a distribution needs."""

    name: str
    bounds: str
    extra: str | None
    """The extra that it is part of; None if it is always needed."""
    python: str
    """The marker that says for which Pythons; "" for all."""

    @property
    def said(self) -> str:
        """As an installer takes it."""
        marker = f"; {self.python}" if self.python else ""
        return f"{self.name}{self.bounds}{marker}"


def needs(wheel: Path) -> list[Need]:
    """Return what a wheel needs, its extras resolved."""
    with ZipFile(wheel) as opened:
        named = (it for it in opened.namelist() if it.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(opened.read(next(named)).decode())
    return [_read(line) for line in metadata.get_all("Requires-Dist", [])]


def lowest(found: list[Need], extras: tuple[str, ...]) -> list[str]:
    """Return constraints that hold what we need at its lower bound.

    Raises:
        ValueError: A need has no lower bound.
    """
    # `langchain`, which the tests run agents of, is in `all` only.
    wanted = {None, "all", *extras}
    bounds: dict[str, str] = {}
    for need in found:
        if need.extra not in wanted:
            continue
        lower = _LOWER.search(need.bounds)
        if lower is None:
            raise ValueError(f"{need.name} has no lower bound")
        known = bounds.get(need.name, "0")
        bounds[need.name] = max(known, lower[1], key=_numbers)
    return [f"{name}=={version}" for name, version in sorted(bounds.items())]


def test_tools(found: list[Need], tests: tuple[str, ...]) -> Iterator[str]:
    """Yield what tests need beside the extras that they are for.

    Args:
        found: What the wheel needs, its extra `dev` among it.
        tests: Files and folders.
    """
    names = _TOOLS
    if any(it.startswith("tests/langchain") for it in tests):
        names += _LANGCHAIN_TOOLS
    if "tests/conformance" in tests:
        names += _CONFORMANCE_TOOLS
    for need in found:
        if need.extra == "dev" and need.name in names:
            yield need.said


def _read(line: str) -> Need:
    matched = _NEED.fullmatch(line)
    if matched is None:
        raise ValueError(f"no requirement: {line}")
    when = matched["when"] or ""
    extra, python = _EXTRA.search(when), _PYTHON.search(when)
    return Need(
        matched["name"],
        matched["bounds"].strip(),
        extra and extra[1],
        python[0] if python else "",
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
