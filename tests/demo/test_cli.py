"""`promptcache demo`."""

import json
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from promptcache import Usage
from promptcache.demo import cli, table
from promptcache.demo.asked import KEYS, provider_of
from promptcache.demo.budget import Budget
from promptcache.demo.errors import LimitReachedError
from promptcache.demo.langchain_agent import LANGCHAIN
from promptcache.demo.llamaindex_agent import LLAMAINDEX
from promptcache.demo.run import Case, Row
from promptcache.emulator import Emulator, Fault, GeminiSettings
from promptcache.receipts.prices import GenaiPrices

# Both come from LlamaIndex itself, for whoever uses agents.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The `__fields.*` attribute is deprecated"),
    pytest.mark.filterwarnings("ignore:Accessing the 'model_.*' attribute"),
]

MODEL = "claude-sonnet-5-5"
GEMINI = "gemini-3.8-flash"
PATHS = ("/messages", "/completions", "/responses", ":streamGenerateContent")
CREATED = "/cachedContents"
KEY_NAMES = (
    "ANTHROPIC_API_KEY",
    "OPENAI_API_KEY",
    "GEMINI_API_KEY",
    "GOOGLE_API_KEY",
)
COLUMNS = [
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
ABOUT = {"openai": "GPT models cache unasked", "google": "promises nothing"}
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
    """Yield an emulator that stands in for all providers, with keys for them."""
    with Emulator(gemini=GeminiSettings(implicit_luck=0.0)) as emulator:
        for model, workload in cli.COMPARED:
            for framework in (LANGCHAIN, LLAMAINDEX):
                for _ in range(2):
                    for answer in Case(framework, model, workload).script():
                        emulator.answers.push(answer, model=model)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", emulator.url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "ws-live-key")
        for name in ("OPENAI_BASE_URL", "OPENAI_API_BASE"):
            monkeypatch.setenv(name, f"{emulator.url}/v1")
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", emulator.url)
        monkeypatch.delenv("GOOGLE_API_KEY", raising=False)
        for name in ("OPENAI_API_KEY", "GEMINI_API_KEY"):
            monkeypatch.setenv(name, "ws-live-key")
        yield emulator


def asked(emulator):
    """Return the rows of requests that the demo counts."""
    return [row for row in emulator.ledger if row.path.endswith(PATHS)]


def created(emulator):
    """Return the rows of creations, which are billed besides."""
    rows = [row for row in emulator.ledger if row.method == "POST"]
    return [row for row in rows if row.path.endswith(CREATED)]


def billed(emulator, *names):
    """Return what was paid, to all or to some, as the providers' own books have it."""
    costs = [
        GenaiPrices().cost(
            provider_of(row.model),
            row.model,
            Usage(
                input_tokens=row.total_input_tokens,
                read_tokens=row.cache_read_input_tokens,
                written_tokens=row.cache_creation_input_tokens,
                written_1h_tokens=row.cache_creation_1h_input_tokens,
                output_tokens=row.output_tokens,
            ),
        )
        for row in [*asked(emulator), *created(emulator)]
        if provider_of(row.model) in (names or KEYS)
    ]
    # The clock stands still: nothing is stored for any time.
    assert emulator.storage_token_hours == 0
    return sum(cost.usd for cost in costs)


@pytest.fixture(scope="module")
def printed():
    """Run the whole demo once, in no time; return what `--json` printed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli, "SPEED", 0.0)
        done = run("--json")
    assert done.exit_code == 0
    return json.loads(done.stdout)


def test_json(printed):
    """`--json` prints, for each case, a row without the plugin and one with it."""
    assert [list(row) for row in printed] == [COLUMNS] * 4 * len(cli.COMPARED)
    assert [
        (row["workload"], row["model"], row["framework"], row["plugin"])
        for row in printed
    ] == [
        (workload, model, framework, plugin)
        for model, workload in cli.COMPARED
        for framework in ("langchain", "llamaindex")
        for plugin in (False, True)
    ]
    assert {row["provider"] for row in printed} == {"anthropic", "openai", "google"}


def test_table(printed):
    """The table says what it is, and fits a terminal of 80 columns."""
    rows = [Row(**row) for row in printed]
    text = "\n".join([table.introduction(), *table.lines(rows, live=False, speed=10)])

    assert max(map(len, text.splitlines())) <= 80
    for word in ("LangChain", "LlamaIndex"):
        assert text.count(word) == len(cli.COMPARED)
    assert text.count("+ plugin") == 2 * len(cli.COMPARED)
    for word in (*ABOUT.values(), "Emulated", "--live", "never reads"):
        assert word in text


@pytest.mark.parametrize("provider", ["anthropic", *ABOUT])
def test_table_of_one_provider(printed, provider):
    """What is said of providers that are not asked is left out."""
    rows = [Row(**row) for row in printed if row["provider"] == provider]
    text = "\n".join(table.lines(rows, live=True, speed=1))

    assert {name for name, word in ABOUT.items() if word in text} == {provider} - {
        "anthropic"
    }
    # What is so in the emulator only is not said of live rows.
    assert "never reads" not in text


def test_bill_is_a_part_of_the_stock_one(printed):
    """The second line of a pair has the share that is left of the first one's cost."""
    rows = [Row(**row) for row in printed]
    shares = [
        f"{planned.cost_usd / stock.cost_usd:.2f}"
        for stock, planned in zip(rows[::2], rows[1::2], strict=True)
    ]

    lines = map(str.split, table.lines(rows, live=False, speed=1))
    assert [line[7] for line in lines if line[:1] == ["+"]] == shares


def test_unknown_is_a_question_mark(printed):
    """What is not reported, and what that leaves unknown, is no number."""
    nothing = dict.fromkeys(("written_tokens", "cost_usd", "ttft_p50_s"))
    rows = [Row(**{**row, **nothing}) for row in printed[:2]]

    lines = [line.split() for line in table.lines(rows, live=False, speed=1)]
    stock, planned = (line for line in lines if "13" in line)
    assert stock[4:7] == ["?", "?", "?"]
    assert planned[5:9] == ["?", "?", "?", "?"]


@pytest.mark.parametrize(
    ("model", "workloads"),
    [
        pytest.param(MODEL, ["stdlib-agent"], id="claude"),
        pytest.param("gpt-6.1-sol", ["stdlib-agent", "stdlib-questions"], id="gpt"),
        pytest.param("gpt-5.6-luna", ["stdlib-agent"], id="another"),
        pytest.param(GEMINI, ["stdlib-agent", "stdlib-questions"], id="gemini"),
    ],
)
def test_one_model(monkeypatch, model, workloads):
    """`--model` leaves the others out."""
    monkeypatch.setattr(cli, "_frameworks", lambda: [LANGCHAIN])
    asked = []
    monkeypatch.setattr(
        cli, "emulated_rows", lambda case, emulator: asked.append(case) or ()
    )

    assert run("--json", "--model", model).exit_code == 0
    assert asked == [Case(LANGCHAIN, model, workload) for workload in workloads]


def test_prints_a_table(at_once, monkeypatch):
    """Without `--json` there is what is asked, and the table."""
    monkeypatch.setattr(cli, "_frameworks", lambda: [LANGCHAIN])

    done = run("--model", MODEL)

    assert done.exit_code == 0
    assert done.stdout.startswith(table.introduction())
    assert done.stdout.count("LangChain") == 1


@pytest.mark.parametrize("name", ["anthropic", "openai"])
def test_without_llamaindex(at_once, monkeypatch, name):
    """Where LlamaIndex is not installed whole there are LangChain's rows alone."""
    monkeypatch.setitem(sys.modules, f"llama_index.llms.{name}", None)
    done = run("--json", "--model", MODEL)

    assert done.exit_code == 0
    assert {row["framework"] for row in json.loads(done.stdout)} == {"langchain"}


PARTS = {
    "langchain": "langchain_google_genai",
    "llamaindex": "llama_index.llms.google_genai",
}


@pytest.mark.parametrize("framework", PARTS)
def test_without_gemini_in_one(at_once, monkeypatch, framework):
    """Where a framework's part for Gemini is missing, its rows of Gemini are."""
    monkeypatch.setitem(sys.modules, PARTS[framework], None)
    (other,) = PARTS.keys() - {framework}

    assert {case.framework.name for case in cli._cases([(GEMINI, "stdlib-agent")])} == {
        other
    }
    assert len(cli._cases([(MODEL, "stdlib-agent")])) == 2


def test_without_gemini(monkeypatch):
    """Where both lack it, asking for Gemini alone is one sentence."""
    for name in PARTS.values():
        monkeypatch.setitem(sys.modules, name, None)

    done = run("--json", "--model", GEMINI)

    assert (done.exit_code, done.stdout) == (1, "[]\n")
    assert done.stderr == (
        f"For `{GEMINI}` a package is missing: pip install 'promptcache[all]'\n"
    )


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


@pytest.mark.parametrize("model", ["claude-nobody-1", "gpt-nobody-1"])
def test_model_without_a_price(at_once, model):
    """A model that nobody knows is emulated; its cost is unknown, not zero."""
    done = run("--json", "--model", model)
    rows = json.loads(done.stdout)

    assert [row["cost_usd"] for row in rows] == [None, None]
    assert rows[1]["read_tokens"] > 0
    assert done.stderr == f"LlamaIndex knows no model `{model}`.\n"


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        pytest.param((), " or ".join(KEY_NAMES[:3]), id="any"),
        pytest.param(("--model", MODEL), "ANTHROPIC_API_KEY", id="claude"),
        pytest.param(("--model", "gpt-5.2"), "OPENAI_API_KEY", id="gpt"),
        pytest.param(("--model", GEMINI), "GEMINI_API_KEY", id="gemini"),
    ],
)
def test_live_without_a_key(monkeypatch, arguments, needed):
    """`--live` without a key is one sentence."""
    for variable in KEY_NAMES:
        monkeypatch.delenv(variable, raising=False)

    done = run("--live", *arguments)

    assert done.exit_code == 1
    assert done.stderr == (
        f"`--live` asks the provider and needs {needed} to be set.\n"
    )


def test_live(provider):
    """With keys all runs are made, after the highest cost was named."""
    done = run("--live", "--json")

    rows = json.loads(done.stdout)
    budget = Budget(limit_usd=2.0)
    highest = [2 * budget.highest_cost(*compared) for compared in cli.COMPARED]
    assert done.exit_code == 0
    assert f"at most ${sum(highest):.2f}" in done.stderr
    for case, most in enumerate(highest):
        four = rows[4 * case : 4 * case + 4]
        # Nobody waits for a cached content, and here requests take no time.
        gain = "written" if four[0]["provider"] == "google" else "read"
        assert all(row[f"{gain}_tokens"] > 0 for row in four if row["plugin"])
        assert sum(row["cost_usd"] for row in four) < most < 2.0
    stored = [row for row in rows if row["provider"] == "google"]
    rest = [row for row in rows if row["provider"] != "google"]
    paid = sum(row["cost_usd"] for row in rest)
    assert paid == pytest.approx(billed(provider, "anthropic", "openai"), abs=2e-5)
    # Storage is reckoned by our clock, which runs; that of the emulator stands still.
    paid = sum(row["cost_usd"] for row in stored)
    assert -1e-5 < paid - billed(provider, "google") < 1e-3


@pytest.mark.parametrize(
    ("name", "left"),
    [
        pytest.param("OPENAI_API_KEY", "openai", id="openai"),
        pytest.param("ANTHROPIC_API_KEY", "anthropic", id="anthropic"),
        pytest.param("GEMINI_API_KEY", "google", id="gemini"),
        pytest.param("GOOGLE_API_KEY", "google", id="google"),
    ],
)
def test_live_with_one_key(provider, monkeypatch, name, left):
    """Only providers are asked that there is a key for."""
    monkeypatch.setattr(cli, "_frameworks", lambda: [LANGCHAIN])
    for other in KEY_NAMES:
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, "ws-live-key")

    rows = json.loads(run("--live", "--json").stdout)

    assert {row["provider"] for row in rows} == {left}
    assert {provider_of(row.model) for row in asked(provider)} == {left}


@pytest.mark.parametrize("limit", [0.0, 0.03, 0.1, 0.24, 0.4, 0.5, 0.7, 1.2, 1.4])
def test_limit(provider, limit):
    """The bill never passes the limit, whichever run it ends in."""
    done = run("--live", "--json", "--limit-usd", str(limit))

    rows = json.loads(done.stdout)
    assert done.exit_code == 1
    assert billed(provider) <= limit
    assert sum(row["requests"] for row in rows) == len(asked(provider))
    assert f"limit of ${limit:.2f}" in done.stderr


@pytest.mark.parametrize("model", ["claude-nobody-1", "gpt-6.2-sol", "gemini-9-x"])
def test_live_model_without_a_price(provider, model):
    """Where no price is known no limit can be kept, so nothing is asked."""
    done = run("--live", "--model", model)

    assert done.exit_code == 1
    assert "price" in done.stderr
    assert provider.ledger == []


@pytest.mark.parametrize("model", [MODEL, "gpt-6.1-sol", GEMINI])
def test_live_refused(provider, model):
    """A refusal of the provider is one sentence."""
    provider.faults.push(Fault(status=401, message="invalid api key"))

    done = run("--live", "--model", model)

    assert done.exit_code == 1
    assert done.stderr.count("\n") == 2
    assert "invalid api key" in done.stderr


def test_switched_off(monkeypatch):
    """With everything switched off there is nothing to compare."""
    monkeypatch.setattr(cli, "is_switched_off", lambda: True)

    done = run()

    assert done.exit_code == 1
    assert done.stderr.startswith("PROMPTCACHE=off")


def test_request_without_an_answer_counts_fully():
    """A budget takes the worst of a request whose usage never came."""
    budget = Budget(limit_usd=0.1)

    budget.admit(MODEL, 20_000)
    worst = budget.spent_usd
    budget.settle(MODEL, Usage())
    budget.admit(MODEL, 20_000)

    assert budget.spent_usd == 2 * worst > 0
    with pytest.raises(LimitReachedError):
        budget.admit(MODEL, 60_000)


def test_what_is_set_aside_counts():
    """What cached contents may cost is kept back, until it is known what they did."""
    budget = Budget(limit_usd=0.1)

    budget.set_aside(0.08)
    with pytest.raises(LimitReachedError):
        budget.set_aside(0.03)
    with pytest.raises(LimitReachedError):
        budget.admit(MODEL, 20_000)
    budget.use(0.08, cost_usd=0.01)

    assert budget.spent_usd == 0.01
    budget.admit(MODEL, 20_000)


def test_unknown_cost_takes_what_was_set_aside():
    """Where it is not known what cached contents cost, they cost the most."""
    budget = Budget(limit_usd=0.1)

    budget.set_aside(0.08)
    budget.use(0.08, cost_usd=None)

    assert budget.spent_usd == 0.08
