"""`promptcache demo`."""

import json
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from promptcache import Usage
from promptcache.demo import agent, cli
from promptcache.demo.budget import Budget
from promptcache.demo.errors import LimitReachedError
from promptcache.emulator import Emulator, Fault
from promptcache.receipts.prices import GenaiPrices

# Both come from LlamaIndex itself, for whoever uses agents.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The `__fields.*` attribute is deprecated"),
    pytest.mark.filterwarnings("ignore:Accessing the 'model_.*' attribute"),
]

MODEL = "claude-sonnet-5-5"
KEYS = [
    "framework",
    "provider",
    "model",
    "workload",
    "plugin",
    "requests",
    "input_tokens",
    "read_tokens",
    "written_tokens",
    "output_tokens",
    "cost_usd",
    "ttft_p50_s",
    "ttft_p95_s",
]
APP = typer.Typer()
APP.command()(cli.demo)


def run(*arguments):
    return CliRunner().invoke(APP, arguments, catch_exceptions=False)


@pytest.fixture
def at_once(monkeypatch):
    """Let the emulator's clock stand still, so that nothing waits."""
    monkeypatch.setattr(cli, "SPEED", 0.0)


@pytest.fixture
def provider(monkeypatch):
    """Yield an emulator that stands in for the provider, with a key for it."""
    with Emulator() as emulator:
        for argument in ("query", "query", "input", "input"):
            for answer in agent.script(argument):
                emulator.answers.push(answer)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", emulator.url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "ws-live-key")
        yield emulator


def billed(emulator):
    """Return what the requests cost, as the provider's own book has it."""
    costs = [
        GenaiPrices().cost(
            "anthropic",
            row.model,
            Usage(
                input_tokens=row.total_input_tokens,
                read_tokens=row.cache_read_input_tokens,
                written_tokens=row.cache_creation_input_tokens,
                written_1h_tokens=row.cache_creation_1h_input_tokens,
                output_tokens=row.output_tokens,
            ),
        )
        for row in emulator.ledger
        if row.path == "/v1/messages"
    ]
    return sum(cost.usd for cost in costs)


def test_json(at_once):
    """`--json` prints, for each framework, a row without the plugin and one with it."""
    done = run("--json")

    rows = json.loads(done.stdout)
    assert done.exit_code == 0
    assert [list(row) for row in rows] == [KEYS] * 4
    assert [(row["framework"], row["plugin"]) for row in rows] == [
        ("langchain", False),
        ("langchain", True),
        ("llamaindex", False),
        ("llamaindex", True),
    ]


def test_without_llamaindex(at_once, monkeypatch):
    """Where LlamaIndex is not installed there are LangChain's rows alone."""
    monkeypatch.setitem(sys.modules, "llama_index.llms.anthropic", None)
    done = run("--json")

    assert done.exit_code == 0
    assert {row["framework"] for row in json.loads(done.stdout)} == {"langchain"}


def test_table(at_once):
    """The table says what it is, and fits a terminal of 80 columns."""
    done = run()

    assert done.exit_code == 0
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "…" not in done.stdout
    for word in ("plain", "cached", "Read from the cache"):
        assert done.stdout.count(word) >= 2
    for word in ("LangChain", "LlamaIndex", "Emulated", "--live"):
        assert word in done.stdout


def test_without_langchain():
    """A package that is missing is one sentence with the command that installs it."""
    code = (
        "import sys; sys.modules['langchain'] = None; sys.argv[1:] = ['demo']; "
        "from promptcache.cli import main; main()"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "pip install 'promptcache[all]'" in done.stderr


def test_model_without_a_price(at_once):
    """A model that nobody knows is emulated; its cost is unknown, not zero."""
    done = run("--json", "--model", "claude-nobody-1")
    rows = json.loads(done.stdout)

    assert [row["cost_usd"] for row in rows] == [None, None]
    assert rows[1]["read_tokens"] > 0
    assert done.stderr == "LlamaIndex knows no model `claude-nobody-1`.\n"


def test_live_without_a_key():
    """`--live` without a key is one sentence."""
    done = run("--live")

    assert done.exit_code == 1
    assert done.stderr == (
        "`--live` asks the provider and needs ANTHROPIC_API_KEY to be set.\n"
    )


def test_live(provider):
    """With a key all runs are made, after the highest cost was named."""
    done = run("--live", "--json")

    rows = json.loads(done.stdout)
    highest = Budget(MODEL, limit_usd=1.0).highest_cost(frameworks=2)
    assert done.exit_code == 0
    assert f"at most ${highest:.2f}" in done.stderr
    for plain, cached in (rows[:2], rows[2:]):
        assert plain["read_tokens"] == 0 < cached["read_tokens"]
        assert 4 * plain["cost_usd"] < highest < 2.0
    paid = sum(row["cost_usd"] for row in rows)
    assert paid == pytest.approx(billed(provider), abs=4e-6)


@pytest.mark.parametrize("limit", [0.0, 0.03, 0.1, 0.24, 0.4, 0.5])
def test_limit(provider, limit):
    """The bill never passes the limit, whichever run it ends in."""
    done = run("--live", "--json", "--limit-usd", str(limit))

    rows = json.loads(done.stdout)
    requests = [row for row in provider.ledger if row.path == "/v1/messages"]
    assert done.exit_code == 1
    assert billed(provider) <= limit
    assert sum(row["requests"] for row in rows) == len(requests)
    assert f"limit of ${limit:.2f}" in done.stderr


def test_live_model_without_a_price(provider):
    """Where no price is known no limit can be kept, so nothing is asked."""
    done = run("--live", "--model", "claude-nobody-1")

    assert done.exit_code == 1
    assert "price" in done.stderr
    assert provider.ledger == []


def test_live_refused(provider):
    """A refusal of the provider is one sentence."""
    provider.faults.push(Fault(status=401, message="invalid x-api-key"))

    done = run("--live")

    assert done.exit_code == 1
    assert "invalid x-api-key" in done.stderr


def test_switched_off(monkeypatch):
    """With everything switched off there is nothing to compare."""
    monkeypatch.setattr(cli, "is_switched_off", lambda: True)

    done = run()

    assert done.exit_code == 1
    assert done.stderr.startswith("PROMPTCACHE=off")


def test_request_without_an_answer_counts_fully():
    """A budget takes the worst of a request whose usage never came."""
    budget = Budget(MODEL, limit_usd=0.1)

    budget.admit(20_000)
    worst = budget.spent_usd
    budget.settle(Usage())
    budget.admit(20_000)

    assert budget.spent_usd == 2 * worst > 0
    with pytest.raises(LimitReachedError):
        budget.admit(60_000)
