"""Each before and after of the page runs as it stands, and after costs no more."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.util import find_spec
from pathlib import Path

import pytest

from promptcache import default_cache, defaults
from promptcache.clock import SystemClock
from promptcache.emulator import Emulator, GeminiSettings, ToolCall
from promptcache.providers.gemini.facts import model_facts
from promptcache.receipts.prices import GenaiPrices
from promptcache.receipts.usage import Usage

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "migrate.md").read_text(encoding="utf-8")
HANDBOOK = ROOT / "examples" / "handbook"
RULES = "".join(
    path.read_text(encoding="utf-8") for path in sorted(HANDBOOK.glob("*.md"))
)
ASKED = [
    line.split(": ", 1)[1]
    for line in (HANDBOOK / "asked.txt").read_text(encoding="utf-8").splitlines()
]

PART = re.compile(
    r"^#{2,3} (.+?)$|^```python\n(.*?)^```$|^```text\n(before .*?)^```$",
    re.MULTILINE | re.DOTALL,
)
LINE = re.compile(
    r"(before|after) +([\d,]+) of +([\d,]+) tokens read in (\d+) requests, \$([\d.]+)"
)
PROVIDERS = {"claude": "anthropic", "gpt": "openai", "gemini": "google"}
ANSWER = "We will see to that today, and write again when it is done. " * 6
COUNT, GAP_SECONDS, STEP_SECONDS, HOUR = 8, 120, 30, 3600


@dataclass(frozen=True)
class Pair:
    """What stands under one heading of the page."""

    title: str
    before: str
    after: str
    said: str


@dataclass(frozen=True)
class Bill:
    """What a block was billed, by the providers' own books."""

    usd: float
    requests: int
    input: int
    read: int

    def line(self, label):
        """Return it as the page has it."""
        return (
            f"{label:6} {self.read:>6,} of {self.input:>7,} tokens read in "
            f"{self.requests} requests, ${self.usd:.4f}"
        )


def pairs() -> Iterator[Pair]:
    """Yield the pairs of the page: two blocks, and the bills under them."""
    title, blocks = "", []
    for heading, block, said in PART.findall(PAGE):
        if block:
            blocks.append(block)
            continue
        if said:
            yield Pair(title, *blocks, said)
        else:
            assert not blocks, f"no bills stand under {title}"
            title = heading
        blocks = []


PAIRS = [*pairs()]


@pytest.fixture(scope="module")
def books():
    """Return an emulator whose Gemini reads only what it was told to keep."""
    with Emulator(gemini=GeminiSettings(implicit_luck=0.0)) as running:
        yield running


@pytest.fixture
def run(books, monkeypatch, tmp_path):
    """Return a function that runs a block, in the emulator's time, and bills it."""
    for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GOOGLE_API_KEY"):
        monkeypatch.setenv(name, "any")
    for name in ("ANTHROPIC_BASE_URL", "ANTHROPIC_API_URL", "GOOGLE_GEMINI_BASE_URL"):
        monkeypatch.setenv(name, books.url)
    for name in ("OPENAI_BASE_URL", "OPENAI_API_BASE"):
        monkeypatch.setenv(name, f"{books.url}/v1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(SystemClock, "now", lambda _: books.clock.now())

    def by(block, *, gap_seconds=GAP_SECONDS):
        books.reset()
        defaults._made_cache.cache_clear()
        names = {
            "handbook": RULES * 2,
            "look_up": look_up,
            "questions": questions(books, gap_seconds, uses_tools="look_up" in block),
            "rules": RULES,
        }
        exec(compile(block, "migrate.md", "exec"), names)
        default_cache().close()
        # What was not deleted lives on, and is paid for.
        books.clock.advance(HOUR)
        return billed(books)

    return by


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.title)
def test_bills(pair, run):
    """The same work costs no more, and both bills are those of the page."""
    if "deepagents" in pair.before and find_spec("deepagents") is None:
        pytest.skip("deepagents needs Python 3.11")
    before, after = run(pair.before), run(pair.after)
    printed = f"{before.line('before')}\n{after.line('after')}\n"
    print(printed)  # noqa: T201  what the page is to say

    assert "promptcache" not in pair.before
    assert "promptcache" in pair.after
    assert after.usd <= before.usd
    assert after.requests == before.requests
    assert after.input == pytest.approx(before.input, rel=0.01)
    said, told = LINE.findall(pair.said), LINE.findall(printed)
    assert [label for label, *_ in said] == ["before", "after"]
    # Frameworks add a few words of their own, which change with their versions.
    assert numbers(told) == pytest.approx(numbers(said), rel=0.05, abs=1e-4), printed


def test_questions_that_are_far_apart(run):
    """With nothing alive when the next one comes, markers on the head cost least."""
    pair = PAIRS[0]
    before = run(pair.before, gap_seconds=2 * GAP_SECONDS + HOUR // 12)
    after = run(pair.after, gap_seconds=2 * GAP_SECONDS + HOUR // 12)

    assert pair.title == "LangChain"
    assert before.read == after.read == 0
    assert before.usd < after.usd <= 1.03 * before.usd


def test_pairs():
    """The page has a pair for every way that it names."""
    assert len(PAIRS) == 11
    assert [pair.title for pair in PAIRS if "AnthropicPromptCachingMid" in pair.after]


def look_up(order: str) -> str:
    """Look up an order by its number."""
    return f"{order}: " + "sent on Monday with Calder Freight, one box, 14.2 kg. " * 6


def questions(emulator, gap_seconds, *, uses_tools):
    """Yield what one person asks; time passes before each but the first."""
    for number, question in enumerate(ASKED[:COUNT]):
        if number:
            for _ in range(gap_seconds // STEP_SECONDS):
                emulator.clock.advance(STEP_SECONDS)
                tend()
        if uses_tools:
            emulator.answers.push(ToolCall("look_up", {"order": f"FC-{number}"}))
        emulator.answers.push(ANSWER)
        yield question


def tend():
    """Do what the keeper's own thread does about once a second of real time."""
    cache = default_cache()
    if cache._holdings.has_keeper:
        cache.keeper.tend()


def billed(emulator):
    """Return what was billed: requests, creations, and what was stored."""
    rows = [row for row in emulator.ledger if row.method == "POST"]
    stored = model_facts("gemini-3.8-flash").storage_price_on(
        datetime.now(timezone.utc).date()
    )

    assert {row.status for row in rows} == {200}
    return Bill(
        usd=sum(map(cost, rows)) + emulator.storage_token_hours * stored / 1e6,
        requests=len(rows),
        input=sum(row.total_input_tokens for row in rows),
        read=sum(row.cache_read_input_tokens for row in rows),
    )


def cost(row):
    usage = Usage(
        input_tokens=row.total_input_tokens,
        read_tokens=row.cache_read_input_tokens,
        written_tokens=row.cache_creation_input_tokens,
        written_5m_tokens=row.cache_creation_5m_input_tokens,
        written_1h_tokens=row.cache_creation_1h_input_tokens,
        output_tokens=row.output_tokens,
    )
    provider = PROVIDERS[row.model.partition("-")[0]]
    return GenaiPrices().cost(provider, row.model, usage, tier=None).usd


def numbers(lines):
    return [float(it.replace(",", "")) for line in lines for it in line[1:]]
