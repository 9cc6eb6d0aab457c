"""The installed packages have what our code relies on and they do not promise.

A new version that moves such a thing is known by these tests before by anything else:
they name the part of ours, the name that it needs and the version that lacks it.
"""

import ast
import re
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import pytest
from foreign_names import ROWS, Row, lacking

from promptcache import Limits, MemoryStore, PromptCache

ROOT = Path(__file__).parents[1]
PACKAGES = ("promptcache", "langchain_promptcache", "llamaindex_promptcache")
SDKS = ("anthropic", "openai", "google-genai", "google-generativeai")

PYTHONS = frozenset({"_asdict", "_getframe"})
OPTIONAL = frozenset({"_summary_chat_model"})
"""What versions that are supported lack, and our code does without."""
OURS_ABOVE = frozenset({"_call"})
"""What our own base classes have for those above them."""


def installed(package):
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def told(row):
    return pytest.param(row, id=f"{row.package}-{row.owner.rpartition(':')[2]}")


@pytest.mark.parametrize("row", [told(row) for row in ROWS])
def test_what_is_relied_on(row):
    """Each name is where it was, and is called as it was."""
    version = installed(row.package)
    if version is None:
        pytest.skip(f"{row.package} is not installed")
    why = lacking(row)

    assert why is None, f"{row.user} relies on {row.package} {version}: {why}"


@pytest.mark.parametrize(
    ("owner", "names", "arguments", "why"),
    [
        pytest.param("no_such_module:Any", ("_a",), (), "is not there", id="module"),
        pytest.param("json:NoDecoder", ("_a",), (), "is not there", id="class"),
        pytest.param("json:JSONDecoder", ("_none",), (), "has no `_none`", id="name"),
        pytest.param(
            "json:JSONDecoder", ("decode",), ("self", "text"), "takes", id="arguments"
        ),
        pytest.param("json:JSONDecoder", ("parse_float",), (), None, id="set-at-first"),
        pytest.param("json:JSONDecoder", ("decode",), ("self", "s"), None, id="method"),
    ],
)
def test_a_lack_is_told(owner, names, arguments, why):
    """What is gone, or is called in another way, is told by its name."""
    said = lacking(Row("python", "these tests", owner, names, arguments))

    assert said is None if why is None else why in said


@pytest.mark.parametrize("sdk", SDKS)
def test_seams_accept_the_sdk(sdk):
    """What the seam itself looks for before it attaches is there."""
    version = installed(sdk)
    if version is None:
        pytest.skip(f"{sdk} is not installed")
    if sdk == "anthropic":
        from promptcache.providers.anthropic.seam import check  # noqa: PLC0415
    elif sdk == "openai":
        from promptcache.providers.openai.seam import check  # noqa: PLC0415
    elif sdk == "google-genai":
        from promptcache.providers.gemini.seam import check  # noqa: PLC0415
    else:
        pytest.importorskip("gemini_legacy")
        from promptcache.providers.gemini.seam_legacy import check  # noqa: PLC0415
    why = check()

    assert why is None, f"the seam steps aside from {sdk} {version}: {why}"


@pytest.fixture
def collected(emulator):
    """Yield a cache that creates nothing, and the receipts that it has written."""
    cache = PromptCache(
        strict=True,
        store=MemoryStore(),
        clock=emulator.clock,
        limits=Limits(live_caches=1),
    )
    with cache.collect() as receipts:
        yield cache, receipts


def assert_alike(receipts, emulator, sdk):
    counts = [(it.usage.input_tokens, it.usage.output_tokens) for it in receipts]
    billed = [(it.total_input_tokens, it.output_tokens) for it in emulator.ledger]
    said = f"receipts of {sdk} {installed(sdk)}: {counts}, billed: {billed}"

    assert counts == billed != [], said


@pytest.mark.skipif(find_spec("anthropic") is None, reason="anthropic is not installed")
@pytest.mark.parametrize("way", ["create", "stream", "raw_stream"])
def test_a_call_through_anthropic(collected, emulator, way):
    """A request through the seam is settled by its answer, whole or streamed."""
    import anthropic  # noqa: PLC0415
    import anthropic_sdk  # noqa: PLC0415

    cache, receipts = collected
    with anthropic.Anthropic(base_url=emulator.url, api_key="any") as client:
        getattr(anthropic_sdk, way)(cache.attach(client), anthropic_sdk.agent())

    assert_alike(receipts, emulator, "anthropic")
    assert "cache_control" in str(emulator.ledger[0].body)


@pytest.mark.skipif(find_spec("openai") is None, reason="openai is not installed")
@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("api", ["chat", "responses"])
def test_a_call_through_openai(collected, emulator, api, is_stream):
    """A request through the seam is settled by its answer, whole or streamed."""
    import openai  # noqa: PLC0415
    import openai_sdk  # noqa: PLC0415

    cache, receipts = collected
    with openai.OpenAI(base_url=f"{emulator.url}/v1", api_key="any") as plain:
        client = cache.attach(plain)
        if api == "responses":
            body = openai_sdk.response(stream=is_stream)
            answer = client.responses.create(**body)
        else:
            body = openai_sdk.chat(**(openai_sdk.WITH_USAGE if is_stream else {}))
            answer = client.chat.completions.create(**body)
        if is_stream:
            list(answer)

    assert_alike(receipts, emulator, "openai")
    assert openai_sdk.is_planned(emulator.ledger[0].body)


@pytest.mark.skipif(
    find_spec("google") is None or installed("google-genai") is None,
    reason="google-genai is not installed",
)
@pytest.mark.parametrize("is_stream", [False, True])
def test_a_call_through_google(collected, emulator, is_stream):
    """A request through the seam is settled by its answer, whole or streamed."""
    import gemini_sdk  # noqa: PLC0415

    cache, receipts = collected
    plain = gemini_sdk.client_of(emulator.url)
    models = cache.attach(plain).models
    asked = {"model": gemini_sdk.MODEL, "contents": "What is a prefix?"}
    if is_stream:
        list(models.generate_content_stream(**asked))
    else:
        models.generate_content(**asked)
    plain.close()

    assert_alike(receipts, emulator, "google-genai")


def private(name):
    return name.startswith("_") and not name.startswith(("__", "_prompt"))


class Names(ast.NodeVisitor):
    """Private names in our sources: what is asked of others, and what is our own."""

    def __init__(self):
        self.asked, self.ours, self.inherited = set(), set(), set()

    def visit_Attribute(self, node):
        if isinstance(node.ctx, ast.Store):
            if getattr(node.value, "id", "") == "self":
                self.ours.add(node.attr)
        elif ast.unparse(node.value) in {"super()", "self._stock"}:
            self.inherited.add(node.attr)
        self.asked.add(node.attr)
        self.generic_visit(node)

    def visit_ImportFrom(self, node):
        self.asked |= {alias.name for alias in node.names}

    def visit_Call(self, node):
        if getattr(node.func, "id", "") in {"getattr", "hasattr"}:
            self.asked.add(str(getattr(node.args[1], "value", "")))
        self.generic_visit(node)

    def visit_Name(self, node):
        if isinstance(node.ctx, ast.Store):
            self.ours.add(node.id)

    def visit_FunctionDef(self, node):
        self.ours.add(node.name)
        self.generic_visit(node)

    visit_AsyncFunctionDef = visit_ClassDef = visit_FunctionDef  # noqa: N815


def test_no_private_name_is_forgotten():
    """Whatever our code asks others for by a private name is in the table above."""
    names = Names()
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            # The emulator and the demo are tested by running them.
            if not {"demo", "emulator"} & {*path.relative_to(ROOT).parts}:
                names.visit(ast.parse(path.read_text(encoding="utf-8")))
    if not names.ours:
        pytest.skip("the sources are not beside these tests")
    relied = (names.asked - names.ours) | (names.inherited - OURS_ABOVE)
    owners = {part for row in ROWS for part in re.split("[.:]", row.owner)}
    listed = owners.union(*(row.names for row in ROWS))

    assert {it for it in relied if private(it)} - listed - PYTHONS - OPTIONAL == set()
