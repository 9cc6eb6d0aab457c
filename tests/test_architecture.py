"""Who may import whom, what stays pure, and how long a module may be."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
ADAPTERS = ("langchain_promptcache", "llamaindex_promptcache")
PACKAGES = ("promptcache", *ADAPTERS)
PUBLIC_MODULES = ("promptcache.emulator", "promptcache.testing")

PURE = (
    "promptcache.errors",
    "promptcache.outline",
    "promptcache.ttl",
    "promptcache.planning",
    "promptcache.receipts",
    "promptcache.providers",
    "promptcache.emulator.rules",
    "promptcache.analysis.estimating",
    "promptcache.analysis.offers",
    "promptcache.prompts.tool_choice",
    "promptcache.prompts.tools",
)
# What acts, in rooms that are pure otherwise: the listeners and the seams.
ACTING = (
    "promptcache.receipts.collect",
    "promptcache.receipts.jsonl",
    "promptcache.receipts.listeners",
    "promptcache.receipts.logging",
    "promptcache.receipts.otel",
    "promptcache.receipts.report",
    "promptcache.receipts.rotation",
    "promptcache.providers",
    "promptcache.providers.anthropic",
    "promptcache.providers.gemini",
    "promptcache.providers.instrumenting",
    "promptcache.providers.openai",
    "promptcache.providers.streams",
    "promptcache.providers.*.background",
    "promptcache.providers.*.handles",
    "promptcache.providers.*.handles.*",
    "promptcache.providers.*.holding",
    "promptcache.providers.*.instrumented",
    "promptcache.providers.*.keeper",
    "promptcache.providers.*.placement",
    "promptcache.providers.*.remote",
    "promptcache.providers.*.remote_legacy",
    "promptcache.providers.*.repeats",
    "promptcache.providers.*.residents",
    "promptcache.providers.*.residing",
    "promptcache.providers.*.seam",
    "promptcache.providers.*.seam_legacy",
    "promptcache.providers.*.standing",
    "promptcache.providers.*.streams",
    "promptcache.providers.*.streams_legacy",
    "promptcache.providers.*.sweep",
    "promptcache.providers.*.tending",
)
# What a pure module may import of ours besides the other pure modules.
VALUES = ("promptcache.options",)
JUDGE = "promptcache.emulator.rules"
# The judge must not share a misreading with what it judges.
JUDGE_MAY = ("promptcache.errors", "promptcache.providers.*.facts")
# What meets the parts or is made of them; nothing below imports it.
ABOVE = (
    "promptcache.analysis",
    "promptcache.cache",
    "promptcache.caches_cli",
    "promptcache.cli",
    "promptcache.defaults",
    "promptcache.holding",
    "promptcache.demo",
    "promptcache.holdings",
    "promptcache.observing",
    "promptcache.prompts.ordering",
    "promptcache.serving",
    "promptcache.testing",
)
# What is handed the cache by its caller, and may name its type.
HANDED = (
    "promptcache.providers",
    "promptcache.providers.*.*",
    "promptcache.providers.streams",
    "promptcache.warming",
)
# What the providers share, beside them.
SHARED = ("instrumenting", "rows", "streams")
CLOCKS = ("promptcache.clock", "promptcache.emulator.clock")
# What is written against the public names, as a user would.
FACADES = (
    "promptcache",
    "promptcache.analysis.*",
    "promptcache.analysis.*.*",
    "promptcache.demo",
    "promptcache.demo.*",
)
EFFECTS = frozenset(
    {
        "_thread",
        "asyncio",
        "concurrent",
        "http",
        "importlib",
        "io",
        "logging",
        "multiprocessing",
        "os",
        "pathlib",
        "random",
        "secrets",
        "selectors",
        "shutil",
        "signal",
        "socket",
        "sqlite3",
        "ssl",
        "subprocess",
        "tempfile",
        "threading",
        "time",
        "urllib",
    }
)
EFFECT_CALLS = frozenset({"__import__", "input", "open", "print"})
CLOCK_CALLS = frozenset({"now", "today", "utcnow"})
THIRD_PARTY = {
    "promptcache": {"orjson", "tomli"},
    "promptcache.analysis": {"rich", "typer"},
    "promptcache.analysis.estimate_cli": {"typer"},
    "promptcache.analysis.probe.sending": {"anthropic"},
    "promptcache.caches_cli": {"rich", "typer"},
    "promptcache.caches_table": {"rich"},
    "promptcache.cli": {"typer"},
    "promptcache.demo": {"*"},
    "promptcache.doctor_cli": {"typer"},
    "promptcache.emulator": {"starlette", "uvicorn"},
    "promptcache.emulator.cli": {"rich", "typer"},
    "promptcache.providers.anthropic.instrumented": {"anthropic"},
    "promptcache.providers.anthropic.seam": {"anthropic"},
    "promptcache.providers.gemini": {"google"},
    "promptcache.providers.openai.instrumented": {"openai"},
    "promptcache.providers.openai.seam": {"openai"},
    "promptcache.receipts.otel": {"opentelemetry"},
    "promptcache.receipts.prices": {"genai_prices"},
    "promptcache.receipts.table": {"rich"},
    "promptcache.state.redis": {"redis"},
    "promptcache.terminal": {"typer"},
    "promptcache.testing": {"hypothesis", "pytest"},
}
MAX_LINES = 400


class Violation(NamedTuple):
    module: str
    line: int
    fault: str

    def __str__(self):
        return f"{self.module}:{self.line}: {self.fault}"


class Import(NamedTuple):
    line: int
    module: str
    name: str | None
    """The imported name, where it is no module of ours."""
    typing: bool
    """Whether it is for type checkers only."""


def violations(sources: Mapping[str, str]) -> list[Violation]:
    """Return every breach in `sources`, a mapping of module names to their code."""
    public = _public_names(sources.get("promptcache", ""))
    found = (
        Violation(module, line, fault)
        for module, source in sources.items()
        for line, fault in _faults(module, source, set(sources), public)
    )
    return list(dict.fromkeys(found))


def _faults(module, source, known, public) -> Iterator[tuple[int, str]]:
    tree = ast.parse(source)
    yield from _form(module, source)
    yield from _time(module, tree)
    if _pure(module):
        yield from _calls(tree)
    for found in _imports(tree, known):
        for fault in _direction(module, found, public):
            yield found.line, fault


def _form(module, source):
    length = len(source.splitlines())
    if length > MAX_LINES:
        yield length, f"has {length} lines; at most {MAX_LINES} are allowed"
    if "utils" in module.split("."):
        yield 1, "is named utils"


def _time(module, tree):
    if module in CLOCKS:
        return
    for found in _imports(tree, set()):
        if found.module == "time" and not _pure(module):
            yield found.line, "reads time without the clock"
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=owner, attr=attr)) if (
                attr in CLOCK_CALLS and re.search(r"\bdate(time)?$", ast.unparse(owner))
            ):
                yield node.lineno, "reads time without the clock"


def _calls(tree):
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in EFFECT_CALLS:
                yield node.lineno, f"is pure, but calls {name}"


def _direction(module, found, public):
    root = found.module.split(".")[0]
    if module.split(".")[0] in ADAPTERS:
        yield from _adapter_direction(module, found, public)
        return
    if root in ADAPTERS:
        if not _in(module, "promptcache.demo"):
            yield f"is of the core, but imports {found.module}"
    elif root == "promptcache":
        yield from _core_direction(module, found)
    elif root not in sys.stdlib_module_names and not _may_load(module, root):
        yield f"may not import {root}"
    if _pure(module) and root in EFFECTS and found.name != "PurePath":
        yield f"is pure, but imports {root}"


def _adapter_direction(module, found, public):
    root = found.module.split(".")[0]
    if root in ADAPTERS and root != module.split(".")[0]:
        yield f"imports the other adapter, {root}"
    if root != "promptcache" or any(_in(found.module, it) for it in PUBLIC_MODULES):
        return
    # A public name may be that of a module too: `options`, `estimate`.
    if found.name is None and found.module.removeprefix("promptcache.") in public:
        return
    if found.module != "promptcache" or found.name not in public:
        target = ".".join(filter(None, (found.module, found.name)))
        yield f"imports {target}, which is not public"


def _core_direction(module, found):
    target = found.module
    if target == "promptcache" and not _matches(module, FACADES):
        yield "imports the public names from inside"
    if any(_in(target, room) for room in ABOVE) and not (
        _matches(module, (*ABOVE, *FACADES))
        or (found.typing and _matches(module, HANDED) and not _pure(module))
    ):
        yield f"imports {target}, which stands above it"
    mine, other = _provider(module), _provider(target)
    if mine and other and mine != other and other not in SHARED:
        yield f"imports the other provider, {other}"
    if _in(module, JUDGE):
        if not _in(target, JUDGE) and not _matches(target, JUDGE_MAY):
            yield f"is the judge, but imports {target}"
    elif _pure(module) and not _pure(target) and not _matches(target, VALUES):
        yield f"is pure, but imports {target}"


def _imports(tree, known) -> Iterator[Import]:
    typing = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in node.body
    }
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                for alias in names:
                    yield Import(node.lineno, alias.name, None, node in typing)
            case ast.ImportFrom(module=module, names=names):
                for alias in names:
                    inner = f"{module}.{alias.name}"
                    is_module = inner in known or inner in PUBLIC_MODULES
                    target = (inner, None) if is_module else (module or ".", alias.name)
                    yield Import(node.lineno, *target, node in typing)


def _public_names(source) -> set[str]:
    for node in ast.parse(source).body:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id="__all__")], value=value)
                | ast.AnnAssign(
                    target=ast.Name(id="__all__"), value=ast.expr() as value
                )
            ):
                return set(ast.literal_eval(value))
    return set()


def _in(module, room):
    return module == room or module.startswith(f"{room}.")


def _matches(module, patterns):
    """Tell whether the module itself, not one inside it, is in the list."""
    return any(
        fnmatchcase(module, pattern) and module.count(".") == pattern.count(".")
        for pattern in patterns
    )


def _pure(module):
    return any(_in(module, room) for room in PURE) and not _matches(module, ACTING)


def _provider(module):
    match module.split("."):
        case ["promptcache", "providers", provider, *_]:
            return provider
    return None


def _may_load(module, package):
    return any(
        _in(module, room) and (package in allowed or "*" in allowed)
        for room, allowed in THIRD_PARTY.items()
    )


def project() -> dict[str, str]:
    """Return the code of every module in the tree by its dotted name."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(
            ".__init__"
        ): path.read_text(encoding="utf-8")
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
    }


def test_tree():
    """The packages keep every rule of this file."""
    sources = project()

    assert "promptcache.clock" in sources
    assert [str(found) for found in violations(sources)] == []


PLANTED = {
    "planning reads time": (
        "promptcache.planning.slots",
        "import time",
        "is pure, but imports time",
    ),
    "planning asks a clock": (
        "promptcache.planning.slots",
        "from promptcache.clock import Clock",
        "is pure, but imports promptcache.clock",
    ),
    "planning imports inside a function": (
        "promptcache.planning.slots",
        "def f():\n    from os import environ",
        "is pure, but imports os",
    ),
    "wire format opens a file": (
        "promptcache.providers.anthropic.wire",
        "open('facts.toml')",
        "is pure, but calls open",
    ),
    "receipt logs": (
        "promptcache.receipts.receipt",
        "import logging",
        "is pure, but imports logging",
    ),
    "receipt reads today": (
        "promptcache.receipts.receipt",
        "import datetime\ndatetime.datetime.now()",
        "reads time without the clock",
    ),
    "pure module leans on state": (
        "promptcache.planning.plan",
        "from promptcache.state import history",
        "is pure, but imports promptcache.state.history",
    ),
    "seam reads time": (
        "promptcache.providers.anthropic.seam",
        "from time import monotonic",
        "reads time without the clock",
    ),
    "adapter uses internals": (
        "langchain_promptcache.callbacks",
        "from promptcache.cache import PromptCache",
        "imports promptcache.cache.PromptCache, which is not public",
    ),
    "adapter uses a private name": (
        "langchain_promptcache.callbacks",
        "from promptcache import planning",
        "imports promptcache.planning, which is not public",
    ),
    "adapter uses the whole package": (
        "langchain_promptcache.callbacks",
        "import promptcache",
        "imports promptcache, which is not public",
    ),
    "adapter uses internals of the core for LlamaIndex": (
        "llamaindex_promptcache.llms.anthropic",
        "from promptcache.receipts.receipt import Receipt",
        "imports promptcache.receipts.receipt.Receipt, which is not public",
    ),
    "adapter for LlamaIndex uses the other adapter": (
        "llamaindex_promptcache.twins",
        "from langchain_promptcache import prompt_cached",
        "imports the other adapter, langchain_promptcache",
    ),
    "adapter uses the other adapter": (
        "langchain_promptcache.callbacks",
        "import llamaindex_promptcache",
        "imports the other adapter, llamaindex_promptcache",
    ),
    "store uses an adapter": (
        "promptcache.state.sqlite",
        "from langchain_promptcache import prompt_cached",
        "is of the core, but imports langchain_promptcache",
    ),
    "core uses a third party": (
        "promptcache.cache",
        "import requests",
        "may not import requests",
    ),
    "core uses a framework": (
        "promptcache.options",
        "from langchain_core.messages import AIMessage",
        "may not import langchain_core",
    ),
    "state uses the cache": (
        "promptcache.state.history",
        "from promptcache.cache import PromptCache",
        "imports promptcache.cache, which stands above it",
    ),
    "planning names the cache's type": (
        "promptcache.planning.plan",
        "if TYPE_CHECKING:\n    from promptcache.cache import PromptCache",
        "imports promptcache.cache, which stands above it",
        "is pure, but imports promptcache.cache",
    ),
    "state uses the facade": (
        "promptcache.state.history",
        "from promptcache import Receipt",
        "imports the public names from inside",
    ),
    "provider uses another provider": (
        "promptcache.providers.openai.seam",
        "from promptcache.providers.anthropic import seam",
        "imports the other provider, anthropic",
    ),
    "what is shared uses a provider": (
        "promptcache.providers.streams",
        "from promptcache.providers.anthropic.usage import merge_usage",
        "imports the other provider, anthropic",
    ),
    "judge asks the planner": (
        "promptcache.emulator.rules.anthropic",
        "from promptcache.planning import plan",
        "is the judge, but imports promptcache.planning.plan",
    ),
    "judge reads through our wire format": (
        "promptcache.emulator.rules.anthropic",
        "from promptcache.providers.anthropic.wire import outline",
        "is the judge, but imports promptcache.providers.anthropic.wire",
    ),
    "judge uses the outline": (
        "promptcache.emulator.rules.anthropic",
        "from promptcache.outline import Outline",
        "is the judge, but imports promptcache.outline",
    ),
    "long module": (
        "promptcache.options",
        "x = 1\n" * 401,
        "has 401 lines; at most 400 are allowed",
    ),
    "module without a subject": ("promptcache.state.utils", "", "is named utils"),
}


@pytest.mark.parametrize(
    ("module", "source", "faults"),
    [(module, source, faults) for module, source, *faults in PLANTED.values()],
    ids=PLANTED.keys(),
)
def test_planted(module, source, faults):
    """A planted breach of each rule is reported, at its module."""
    around = {
        "promptcache": "__all__ = ['Receipt']",
        "promptcache.planning": "",
        "promptcache.planning.plan": "",
        "promptcache.state.history": "",
    }

    found = violations({**around, module: source})

    assert [(it.module, it.fault) for it in found] == [(module, it) for it in faults]


ALLOWED = {
    "adapter uses a public name": (
        "langchain_promptcache.callbacks",
        "from promptcache import Receipt\nfrom promptcache.testing import breakpoints",
    ),
    "adapter uses its framework": (
        "langchain_promptcache.chat_models.anthropic",
        "from langchain_anthropic import ChatAnthropic",
    ),
    "adapter for LlamaIndex uses its framework": (
        "llamaindex_promptcache.llms.anthropic",
        "from llama_index.llms.anthropic import Anthropic\nimport anthropic",
    ),
    "judge shares facts": (
        "promptcache.emulator.rules.anthropic",
        "from promptcache.providers.anthropic.facts import MODELS",
    ),
    "seam uses its provider's kit": (
        "promptcache.providers.anthropic.seam",
        "from anthropic import Anthropic",
    ),
    "seam names the type of the cache": (
        "promptcache.providers.anthropic.seam",
        "if TYPE_CHECKING:\n    from promptcache.cache import PromptCache",
    ),
    "provider uses what is shared": (
        "promptcache.providers.anthropic.streams",
        "from promptcache.providers.streams import Watch",
    ),
    "listener writes": ("promptcache.receipts.jsonl", "import os\nopen('receipts')"),
    "cache meets the parts": (
        "promptcache.cache",
        "from promptcache.planning import plan\nfrom promptcache.state import history",
    ),
}


@pytest.mark.parametrize(("module", "source"), ALLOWED.values(), ids=ALLOWED.keys())
def test_allowed(module, source):
    """What the rules allow is not reported."""
    assert violations({"promptcache": "__all__ = ['Receipt']", module: source}) == []


def loaded_by(module: str) -> set[str]:
    """Return the top-level packages that an import adds to a fresh interpreter."""
    # Some packages, once installed, are there from the start.
    code = (
        f"import sys\nbefore = set(sys.modules)\nimport {module}\n"
        "print(*{name.split('.')[0] for name in set(sys.modules) - before})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split()) - sys.stdlib_module_names


FOREIGN = {
    "anthropic",
    "genai_prices",
    "google",
    "langchain",
    "langchain_anthropic",
    "langchain_core",
    "langgraph",
    "llama_index",
    "llama_index_instrumentation",
    "openai",
    "openinference",
    "opentelemetry",
    "redis",
    "rich",
    "starlette",
    "typer",
    "uvicorn",
    "workflows",
}


def test_core_loads_nothing_foreign():
    """`import promptcache` loads no kit, framework, price table, server or store."""
    assert loaded_by("promptcache") & FOREIGN == set()


def test_langchain_adapter_loads_no_partner():
    """`import langchain_promptcache` loads LangChain's core at most."""
    # LangSmith, which it needs, takes OpenTelemetry where that is installed.
    allowed = {"langchain_core"} | loaded_by("langchain_core.language_models.base")
    allowed |= loaded_by("langchain_core.language_models.chat_models")

    assert loaded_by("langchain_promptcache") & FOREIGN <= allowed


def test_llamaindex_adapter_loads_nothing_of_llamaindex():
    """`import llamaindex_promptcache` leaves LlamaIndex for when a name is touched."""
    assert loaded_by("llamaindex_promptcache") & FOREIGN == set()
