"""The two runs of each case against the emulator."""

from dataclasses import replace
from typing import NamedTuple

import anthropic
import pytest

from promptcache import Usage
from promptcache.demo import agent
from promptcache.demo.asked import provider_of
from promptcache.demo.cli import COMPARED
from promptcache.demo.comparison import emulated_rows
from promptcache.demo.errors import DemoError
from promptcache.demo.langchain_agent import LANGCHAIN
from promptcache.demo.llamaindex_agent import LLAMAINDEX
from promptcache.demo.questions import QUESTIONS
from promptcache.demo.run import Answered, Case, Meter, Row, Run
from promptcache.emulator import Emulator, ToolCall
from promptcache.receipts.prices import GenaiPrices

# Both come from LlamaIndex itself, for whoever uses agents.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The `__fields.*` attribute is deprecated"),
    pytest.mark.filterwarnings("ignore:Accessing the 'model_.*' attribute"),
]

MODEL = "claude-sonnet-5-5"
FRAMEWORKS = [LANGCHAIN, LLAMAINDEX]
PATHS = ("/v1/messages", "/v1/chat/completions", "/v1/responses")


class Measured(NamedTuple):
    case: Case
    stock: Row
    plugin: Row
    ledger: list

    def of(self, workspace):
        return [row for row in self.ledger if row.workspace == workspace]


def rows_of(case, *, speed=0.0):
    with Emulator(speed=speed, tokens_per_second=400) as emulator:
        rows = list(emulated_rows(case, emulator=emulator))
        ledger = [row for row in emulator.ledger if row.path in PATHS]
    return Measured(case, *rows, ledger)


@pytest.fixture(
    scope="module",
    params=[Case(it, *compared) for compared in COMPARED for it in FRAMEWORKS],
    ids=lambda it: f"{it.workload}-{it.model}-{it.framework.name}",
)
def measured(request):
    """Run a case once, in no time; return its rows and what was billed."""
    return rows_of(request.param)


@pytest.fixture(scope="module", params=FRAMEWORKS, ids=lambda it: it.name)
def paced(request):
    """Run the agent once, at the demo's own speed."""
    return rows_of(Case(request.param, MODEL), speed=10)


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


def test_rows_equal_the_ledger(measured):
    """Usage metadata of the stock run and receipts of the other equal the bill."""
    case = measured.case
    for row, workspace in (
        (measured.stock, "stock"),
        (measured.plugin, "plugin"),
    ):
        billed = [usage(line) for line in measured.of(workspace)]
        costs = [GenaiPrices().cost(case.provider, case.model, it) for it in billed]
        assert row.requests == len(billed) > 0
        assert row.input_tokens == sum(it.input_tokens for it in billed)
        assert row.read_tokens == sum(it.read_tokens for it in billed)
        assert row.written_tokens in (None, sum(it.written_tokens for it in billed))
        assert row.output_tokens == sum(it.output_tokens for it in billed)
        assert row.cost_usd == pytest.approx(sum(it.usd for it in costs), abs=1e-6)


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
    assert measured.ledger[0].total_input_tokens >= 4_000
    assert max(row.output_tokens for row in measured.ledger) <= agent.MAX_TOKENS
    assert {row.status for row in measured.ledger} == {200}


def test_never_dearer(measured):
    """The plugin reads most of the input, and costs no more than the stock run."""
    stock, plugin = measured.stock, measured.plugin

    assert plugin.input_tokens == stock.input_tokens
    assert plugin.read_tokens / plugin.input_tokens >= 0.70
    assert plugin.cost_usd <= stock.cost_usd


def test_where_it_saves(measured):
    """Where the stock run reads nothing, the plugin costs a small part of it."""
    stock, plugin = measured.stock, measured.plugin
    openai_reads = measured.case.provider == "openai" and (
        measured.case.workload == "stdlib-agent"
    )

    assert (stock.read_tokens > 0) == openai_reads
    if not openai_reads:
        assert plugin.cost_usd / stock.cost_usd <= 0.20


def test_waits_are_known(measured):
    """An answer that only calls a tool begins with that call."""
    for row in (measured.stock, measured.plugin):
        assert None not in (row.ttft_p50_s, row.ttft_p95_s)


def test_answers_come_sooner(paced):
    """What is read is not computed again."""
    assert 0 < paced.plugin.ttft_p50_s < paced.stock.ttft_p50_s
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
@pytest.mark.parametrize("model", [MODEL, "gpt-6.1-sol"])
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


@pytest.mark.parametrize("model", [MODEL, "gpt-6.1-sol"])
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


def test_unknown_stays_unknown():
    """A row leaves out what one of its requests did not report."""
    case = Case(LANGCHAIN, MODEL)
    run = Run(case=case, plugin=False, clock=None, session="s", key="k")
    known = Answered(Usage(input_tokens=10, output_tokens=1), 0.5)

    row = Row.of(run, [known, replace(known, first_token_s=None)])

    assert (row.requests, row.input_tokens, row.read_tokens) == (2, 20, None)
    assert (row.ttft_p50_s, row.cost_usd) == (None, None)


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        pytest.param("claude-sonnet-5-5", "anthropic", id="claude"),
        pytest.param("gpt-6.1-sol", "openai", id="gpt"),
        pytest.param("o4-mini", "openai", id="o"),
    ],
)
def test_provider(model, provider):
    """Whose a model is stands in its name."""
    assert provider_of(model) == provider
