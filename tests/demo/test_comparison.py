"""The two runs of each case against the emulator."""

from dataclasses import replace
from datetime import datetime, timezone
from typing import NamedTuple

import anthropic
import pytest

from promptcache import Usage
from promptcache.demo import agent, questions
from promptcache.demo.asked import provider_of
from promptcache.demo.cli import COMPARED
from promptcache.demo.comparison import emulated_rows
from promptcache.demo.errors import DemoError
from promptcache.demo.kept import Kept
from promptcache.demo.langchain_agent import LANGCHAIN
from promptcache.demo.llamaindex_agent import LLAMAINDEX
from promptcache.demo.planned import planned
from promptcache.demo.questions import QUESTIONS
from promptcache.demo.run import Answered, Case, Meter, Row, Run
from promptcache.emulator import Emulator, Fault, GeminiSettings, ToolCall
from promptcache.providers.gemini.facts import model_facts
from promptcache.receipts.events import CacheCreated, CacheEnded
from promptcache.receipts.prices import GenaiPrices

# Both come from LlamaIndex itself, for whoever uses agents.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The `__fields.*` attribute is deprecated"),
    pytest.mark.filterwarnings("ignore:Accessing the 'model_.*' attribute"),
]

MODEL = "claude-sonnet-5-5"
FRAMEWORKS = [LANGCHAIN, LLAMAINDEX]
GEMINI = "gemini-3.8-flash"
PATHS = ("/messages", "/completions", "/responses", ":streamGenerateContent")
CREATED = "/cachedContents"
UNLUCKY = GeminiSettings(implicit_luck=0.0)


class Measured(NamedTuple):
    case: Case
    stock: Row
    plugin: Row
    ledger: list
    caches: list

    def of(self, workspace):
        """Return what was asked in a workspace."""
        rows = [row for row in self.ledger if row.workspace == workspace]
        return [row for row in rows if row.path.endswith(PATHS)]

    def created(self, workspace):
        """Return the creations of cached contents, as they were billed."""
        rows = [row for row in self.ledger if row.workspace == workspace]
        return [row for row in rows if is_creation(row)]

    def stored(self, workspace):
        """Return what storage cost, by the hours that the provider counted."""
        price = model_facts(GEMINI).storage_price_on(datetime.now(timezone.utc).date())
        rows = [row for row in self.caches if row.workspace == workspace]
        return sum(row.token_hours for row in rows) * price / 1e6


def is_creation(row):
    return row.method == "POST" and row.path.endswith(CREATED)


def rows_of(case, *, speed=0.0, settings=UNLUCKY):
    with Emulator(speed=speed, tokens_per_second=400, gemini=settings) as emulator:
        rows = list(emulated_rows(case, emulator=emulator))
        return Measured(case, *rows, billed_rows(emulator), emulator.caches)


def billed_rows(emulator):
    rows = emulator.ledger
    return [row for row in rows if row.path.endswith(PATHS) or is_creation(row)]


@pytest.fixture(
    scope="module",
    params=[Case(it, *compared) for compared in COMPARED for it in FRAMEWORKS],
    ids=lambda it: f"{it.workload}-{it.model}-{it.framework.name}",
)
def measured(request):
    """Run a case once, in no time; return its rows and what was billed."""
    return rows_of(request.param)


@pytest.fixture(
    scope="module",
    params=[Case(it, model) for model in (MODEL, GEMINI) for it in FRAMEWORKS],
    ids=lambda it: f"{it.model}-{it.framework.name}",
)
def paced(request):
    """Run the agent once, at the demo's own speed."""
    return rows_of(request.param, speed=10)


def usage(row):
    """Return a row of the ledger as usage; OpenAI's earlier models report no writes."""
    lives = [
        row.cache_creation_5m_input_tokens,
        row.cache_creation_1h_input_tokens,
        row.cache_creation_30m_input_tokens,
        row.cache_creation_12h_input_tokens,
    ]
    return Usage(
        input_tokens=row.total_input_tokens,
        read_tokens=row.cache_read_input_tokens,
        written_tokens=row.cache_creation_input_tokens,
        written_5m_tokens=lives[0] if row.model.startswith("claude") else None,
        written_1h_tokens=lives[1] if row.model.startswith("claude") else None,
        written_30m_tokens=lives[2] if row.model.startswith("gpt") else None,
        written_12h_tokens=lives[3] if row.model.startswith("gpt") else None,
        output_tokens=row.output_tokens,
    )


def assert_tokens(measured):
    """Compare tokens with what was billed for requests and creations."""
    for row, workspace in both_runs(measured):
        billed = [usage(line) for line in measured.of(workspace)]
        created = [usage(line) for line in measured.created(workspace)]
        written = [it.written_tokens for it in billed]
        written += [it.input_tokens for it in created]
        assert row.requests == len(billed) > 0
        assert row.input_tokens == sum(it.input_tokens for it in billed)
        assert row.read_tokens == sum(it.read_tokens for it in billed)
        assert row.written_tokens in (None, sum(written))
        assert row.output_tokens == sum(it.output_tokens for it in billed)


def both_runs(measured):
    return (measured.stock, "stock"), (measured.plugin, "plugin")


def beside_tokens(measured, row, workspace):
    """Return what a row costs beyond the tokens of requests and creations."""
    case = measured.case
    paid = map(usage, [*measured.of(workspace), *measured.created(workspace)])
    costs = [GenaiPrices().cost(case.provider, case.model, it) for it in paid]
    return row.cost_usd - sum(it.usd for it in costs)


def assert_billed(measured):
    """Compare rows with what was billed for requests, creations and storage."""
    assert_tokens(measured)
    for row, workspace in both_runs(measured):
        rest = beside_tokens(measured, row, workspace)
        assert rest == pytest.approx(measured.stored(workspace), abs=1e-6)


def test_rows_equal_the_ledger(measured):
    """Usage metadata of the stock run and receipts of the other equal the bill."""
    assert_billed(measured)


def test_storage_is_in_the_cost(monkeypatch):
    """What is stored is billed by the time that passes, to the second."""
    case = Case(LANGCHAIN, GEMINI, "stdlib-questions")
    with Emulator(gemini=UNLUCKY) as emulator:

        def slowly(body):
            emulator.clock.advance(60)
            return "Yes."

        monkeypatch.setattr(questions, "script", lambda: [slowly] * len(QUESTIONS))
        rows = list(emulated_rows(case, emulator=emulator))
        measured = Measured(case, *rows, billed_rows(emulator), emulator.caches)

    assert measured.stored("plugin") > 1e-4
    assert_billed(measured)


def test_storage_at_speed(paced):
    """At the demo's pace, an end is seen when its answer has come, so never early."""
    assert_tokens(paced)
    for row, workspace in both_runs(paced):
        stored = paced.stored(workspace)
        assert beside_tokens(paced, row, workspace) >= stored - 1e-6  # rows are rounded
        assert (stored > 0) == (paced.case.model == GEMINI and row.plugin)


def test_nothing_is_left_at_the_provider(measured):
    """What was created is deleted when the run ends, and the stock run creates none."""
    created = len(measured.caches)

    assert created == len(measured.created("plugin"))
    assert (created > 0) == (measured.case.provider == "google")
    assert not any(row.live for row in measured.caches)


def test_only_what_is_not_reported_is_unknown(measured):
    """Chat Completions reports no writes of models that write for free."""
    unknown = measured.case.model == "gpt-5.2"

    assert (measured.stock.written_tokens is None) == unknown
    assert (measured.plugin.written_tokens is None) == unknown


def test_runs_share_nothing(measured):
    """Each run starts cold: the first request reads nothing."""
    assert {row.workspace for row in measured.ledger} == {"stock", "plugin"}
    for workspace in ("stock", "plugin"):
        assert measured.of(workspace)[0].cache_read_input_tokens == 0


def test_same_work(measured):
    """Both runs send prompts of the same sizes, request by request."""

    def size(row):
        return row.total_input_tokens, row.output_tokens

    stock, plugin = measured.of("stock"), measured.of("plugin")
    assert [*map(size, stock)] == [*map(size, plugin)]


def test_workload(measured):
    """A long prefix, many requests, short answers."""
    wanted = len([*measured.case.script()])

    assert measured.stock.requests == measured.plugin.requests == wanted >= 12
    assert measured.of("stock")[0].total_input_tokens >= 4_000
    assert max(row.output_tokens for row in measured.ledger) <= agent.MAX_TOKENS
    assert {row.status for row in measured.ledger} == {200}


def test_never_dearer(measured):
    """The plugin reads most of the input, and costs no more than the stock run."""
    stock, plugin = measured.stock, measured.plugin
    # What is created is read from the next request on, and has to pay for itself.
    least = 0.45 if measured.case.provider == "google" else 0.70

    assert plugin.input_tokens == stock.input_tokens
    assert plugin.read_tokens / plugin.input_tokens >= least
    assert plugin.cost_usd <= stock.cost_usd


def test_where_it_saves(measured):
    """Where the stock run reads nothing, the plugin costs a small part of it."""
    stock, plugin = measured.stock, measured.plugin
    openai_reads = measured.case.provider == "openai" and (
        measured.case.workload == "stdlib-agent"
    )

    assert (stock.read_tokens > 0) == openai_reads
    if not openai_reads:
        most = 0.75 if measured.case.provider == "google" else 0.20
        assert plugin.cost_usd / stock.cost_usd <= most


@pytest.mark.parametrize("framework", FRAMEWORKS, ids=lambda it: it.name)
def test_implicit_caching_that_reads(framework):
    """Where implicit caching reads, nothing is created and nothing is dearer."""
    settings = GeminiSettings(implicit_luck=1.0)
    measured = rows_of(Case(framework, GEMINI, "stdlib-questions"), settings=settings)

    assert measured.caches == []
    assert measured.plugin.written_tokens == 0
    assert measured.stock.read_tokens == measured.plugin.read_tokens > 0
    assert measured.plugin.cost_usd == measured.stock.cost_usd


def test_what_is_left_at_the_provider_is_unknown():
    """What could not be deleted goes on costing, so the bill is no number."""
    case = Case(LANGCHAIN, GEMINI, "stdlib-questions")
    with Emulator(gemini=UNLUCKY) as emulator:
        emulator.faults.push(Fault(status=500, match="DELETE /", times=99))
        stock, plugin = emulated_rows(case, emulator=emulator)

    assert stock.cost_usd > 0
    assert plugin.cost_usd is None
    assert plugin.written_tokens > 0


def test_waits_are_known(measured):
    """An answer that only calls a tool begins with that call."""
    for row in (measured.stock, measured.plugin):
        assert None not in (row.ttft_p50_s, row.ttft_p95_s)


def test_answers_come_sooner(paced):
    """What is read is not computed again."""
    assert 0 < paced.plugin.ttft_p50_s < paced.stock.ttft_p50_s
    # On Gemini, the first requests are as slow with the plugin as without.
    if paced.case.model != GEMINI:
        assert paced.plugin.ttft_p95_s < paced.stock.ttft_p95_s


@pytest.mark.parametrize(
    ("framework", "path"),
    [
        pytest.param(LANGCHAIN, "/v1/responses", id="LangChain goes by the model"),
        pytest.param(LLAMAINDEX, "/v1/chat/completions", id="LlamaIndex by the class"),
    ],
)
def test_both_apis_are_shown(framework, path):
    """An agent on gpt-6 asks one API in LangChain and the other in LlamaIndex."""
    ledger = rows_of(Case(framework, "gpt-6.1-sol")).ledger

    assert {row.path for row in ledger} == {path}


def test_questions_stand_alone():
    """Each question is asked with the prompt and nothing else."""
    ledger = rows_of(Case(LANGCHAIN, "gpt-6.1-sol", "stdlib-questions")).ledger

    assert {len(row.body["messages"]) for row in ledger} == {2}
    assert len({question for question, _ in QUESTIONS}) == len(QUESTIONS)


def test_sizes_are_the_same_on_every_python():
    """Handbook and results are filled, so that the bill depends on no docstring."""
    queries = [it.args["query"] for it in agent.script() if isinstance(it, ToolCall)]
    around = len(agent.INSTRUCTIONS.format(session="", handbook=""))

    assert len(agent.system_prompt("")) == around + agent.HANDBOOK_CHARS
    assert {len(agent.search(it)) for it in queries} == {agent.RESULT_CHARS}
    assert len(queries) == len(set(queries))


@pytest.mark.parametrize("framework", FRAMEWORKS, ids=lambda it: it.name)
@pytest.mark.parametrize("model", [MODEL, "gpt-6.1-sol", GEMINI])
def test_unbounded_model(framework, model):
    """A model that only ever searches is stopped, and the next question is asked."""
    with Emulator() as emulator:
        search = ToolCall(agent.TOOL_NAME, {framework.argument: "heap"})
        for _ in range(100):
            emulator.answers.push(search)
        run = Run.emulated(
            Case(framework, model),
            plugin=False,
            clock=emulator.clock,
            url=emulator.url,
        )
        meter = Meter(run)
        framework.perform(run, meter)

    assert len(meter.answered) == len(agent.TURNS) * agent.CALLS_PER_QUESTION


@pytest.mark.parametrize("model", [MODEL, "gpt-6.1-sol", GEMINI])
def test_frameworks_send_the_same(model):
    """What frameworks put around the conversation is little, so their rows compare."""
    sizes = [rows_of(Case(it, model)).stock.input_tokens for it in FRAMEWORKS]

    assert max(sizes) / min(sizes) < 1.02


@pytest.mark.parametrize("model", ["claude-x", "gpt-x"])
def test_unknown_model(model):
    """A model that LlamaIndex does not know is one sentence."""
    with Emulator() as emulator, pytest.raises(DemoError, match=f"no model `{model}`"):
        list(emulated_rows(Case(LLAMAINDEX, model), emulator=emulator))


def test_sdk_that_is_too_new(monkeypatch):
    """An SDK that LlamaIndex fails with is one sentence."""
    monkeypatch.setattr(anthropic, "__version__", "2.12.0")

    with Emulator() as emulator, pytest.raises(DemoError, match="pip install"):
        list(emulated_rows(Case(LLAMAINDEX, MODEL), emulator=emulator))


@pytest.mark.parametrize("framework", FRAMEWORKS, ids=lambda it: it.name)
def test_environment_of_another_host(framework, monkeypatch):
    """A key of the Developer API is not taken to Vertex AI by the environment."""
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")
    measured = rows_of(Case(framework, GEMINI, "stdlib-questions"))

    assert {row.path.split("/")[1] for row in measured.ledger} == {"v1beta"}
    assert measured.caches != []


def test_stock_run_has_no_cache():
    """Nothing of the plugin is made for the run without it."""
    run = Run(
        case=Case(LANGCHAIN, GEMINI), plugin=False, clock=None, session="s", key="k"
    )

    with planned(run, Meter(run)) as cache:
        assert cache is None


def test_kept():
    """Creations and storage are summed, once everything has ended."""
    kept = Kept()
    created = CacheCreated("google", GEMINI, "a", 5_000, 60.0, 0.004)

    assert (kept.tokens, kept.cost_usd) == (0, 0)
    kept(created)
    assert (kept.tokens, kept.cost_usd) == (5_000, None)
    kept(CacheEnded("google", GEMINI, "a", "deleted", 1.0, 0.001))
    assert (kept.tokens, kept.cost_usd) == (5_000, 0.005)
    kept(replace(created, name="b", tokens=None, cost_usd=None))
    kept(CacheEnded("google", GEMINI, "b", "deleted", None, None))
    assert (kept.tokens, kept.cost_usd) == (None, None)


def test_unknown_stays_unknown():
    """A row leaves out what one of its requests did not report."""
    case = Case(LANGCHAIN, MODEL)
    run = Run(case=case, plugin=False, clock=None, session="s", key="k")
    known = Answered(Usage(input_tokens=10, output_tokens=1), 0.5)

    row = Row.of(run, [known, replace(known, first_token_s=None)], Kept())

    assert (row.requests, row.input_tokens, row.read_tokens) == (2, 20, None)
    assert (row.ttft_p50_s, row.cost_usd) == (None, None)


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        pytest.param("claude-sonnet-5-5", "anthropic", id="claude"),
        pytest.param("gpt-6.1-sol", "openai", id="gpt"),
        pytest.param("o4-mini", "openai", id="o"),
        pytest.param(GEMINI, "google", id="gemini"),
    ],
)
def test_provider(model, provider):
    """Whose a model is stands in its name."""
    assert provider_of(model) == provider
