"""The two runs against the emulator."""

from dataclasses import replace

import anthropic
import pytest

from promptcache import Usage
from promptcache.demo import agent
from promptcache.demo.comparison import emulated_rows
from promptcache.demo.errors import DemoError
from promptcache.demo.langchain_agent import LANGCHAIN
from promptcache.demo.llamaindex_agent import LLAMAINDEX
from promptcache.demo.run import Answered, Meter, Row, Run
from promptcache.emulator import Emulator, ToolCall
from promptcache.receipts.prices import GenaiPrices

# Both come from LlamaIndex itself, for whoever uses agents.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The `__fields.*` attribute is deprecated"),
    pytest.mark.filterwarnings("ignore:Accessing the 'model_.*' attribute"),
]

MODEL = "claude-sonnet-5-5"
FRAMEWORKS = [LANGCHAIN, LLAMAINDEX]


@pytest.fixture(scope="module", params=FRAMEWORKS, ids=lambda it: it.name)
def measured(request):
    """Run the demo once, at its own speed; return its rows and what was billed."""
    with Emulator(speed=5) as emulator:
        plain, cached = emulated_rows(request.param, model=MODEL, emulator=emulator)
        ledger = [row for row in emulator.ledger if row.path == "/v1/messages"]
    return plain, cached, ledger


def of(ledger, workspace):
    return [row for row in ledger if row.workspace == workspace]


def usage(row):
    return Usage(
        input_tokens=row.total_input_tokens,
        read_tokens=row.cache_read_input_tokens,
        written_tokens=row.cache_creation_input_tokens,
        written_5m_tokens=row.cache_creation_5m_input_tokens,
        written_1h_tokens=row.cache_creation_1h_input_tokens,
        output_tokens=row.output_tokens,
    )


def test_rows_equal_the_ledger(measured):
    """Usage metadata of the plain run and receipts of the other equal the bill."""
    *rows, ledger = measured

    for row, workspace in zip(rows, ("plain", "cached"), strict=True):
        billed = [usage(line) for line in of(ledger, workspace)]
        costs = [GenaiPrices().cost("anthropic", MODEL, it).usd for it in billed]
        assert row.requests == len(billed)
        assert row.input_tokens == sum(it.input_tokens for it in billed)
        assert row.read_tokens == sum(it.read_tokens for it in billed)
        assert row.written_tokens == sum(it.written_tokens for it in billed)
        assert row.output_tokens == sum(it.output_tokens for it in billed)
        assert row.cost_usd == pytest.approx(sum(costs), abs=1e-6)


def test_runs_share_nothing(measured):
    """Each run starts cold: the first request reads nothing."""
    _, _, ledger = measured

    assert {row.workspace for row in ledger} == {"plain", "cached"}
    assert of(ledger, "cached")[0].cache_read_input_tokens == 0


def test_same_conversation(measured):
    """Both runs send prompts of the same sizes, request by request."""
    _, _, ledger = measured

    def size(row):
        return len(row.body["messages"]), row.total_input_tokens, row.output_tokens

    assert [*map(size, of(ledger, "plain"))] == [*map(size, of(ledger, "cached"))]


def test_workload(measured):
    """A long prefix, many requests, short answers."""
    plain, _, ledger = measured

    assert plain.requests == len([*agent.script()]) >= 12
    assert ledger[0].total_input_tokens >= 4_000
    assert max(row.output_tokens for row in ledger) <= agent.MAX_TOKENS
    assert {row.status for row in ledger} == {200}


def test_targets(measured):
    """The plugin reads most of the input, pays little and answers sooner."""
    plain, cached, _ = measured

    assert (plain.read_tokens, plain.written_tokens) == (0, 0)
    assert cached.input_tokens == plain.input_tokens
    assert cached.read_tokens / cached.input_tokens >= 0.70
    assert cached.cost_usd / plain.cost_usd <= 0.40
    assert 0 < cached.ttft_p50_s < plain.ttft_p50_s
    assert cached.ttft_p95_s < plain.ttft_p95_s


def test_sizes_are_the_same_on_every_python():
    """Handbook and results are filled, so that the bill depends on no docstring."""
    queries = [it.args["query"] for it in agent.script() if isinstance(it, ToolCall)]
    around = len(agent.INSTRUCTIONS.format(session="", handbook=""))

    assert len(agent.system_prompt("")) == around + agent.HANDBOOK_CHARS
    assert {len(agent.search(it)) for it in queries} == {agent.RESULT_CHARS}
    assert len(queries) == len(set(queries))


@pytest.mark.parametrize("framework", FRAMEWORKS, ids=lambda it: it.name)
def test_unbounded_model(framework):
    """A model that only ever searches is stopped, and the next question is asked."""
    with Emulator() as emulator:
        search = ToolCall(agent.TOOL_NAME, {framework.argument: "heap"})
        for _ in range(100):
            emulator.answers.push(search)
        run = Run.emulated(
            model=MODEL, plugin=False, clock=emulator.clock, url=emulator.url
        )
        meter = Meter(emulator.clock)
        framework.converse(run, meter)

    assert len(meter.answered) == len(agent.TURNS) * agent.CALLS_PER_QUESTION


def test_frameworks_send_the_same():
    """What frameworks put around the conversation is little, so their rows compare."""
    sizes = []
    for framework in FRAMEWORKS:
        with Emulator() as emulator:
            rows = emulated_rows(framework, model=MODEL, emulator=emulator)
            sizes.append(next(rows).input_tokens)

    assert max(sizes) / min(sizes) < 1.02


def test_unknown_model():
    """A model that LlamaIndex does not know is one sentence."""
    with Emulator() as emulator, pytest.raises(DemoError, match="no model `claude-x`"):
        list(emulated_rows(LLAMAINDEX, model="claude-x", emulator=emulator))


def test_sdk_that_is_too_new(monkeypatch):
    """An SDK that LlamaIndex fails with is one sentence."""
    monkeypatch.setattr(anthropic, "__version__", "2.12.0")

    with Emulator() as emulator, pytest.raises(DemoError, match="pip install"):
        list(emulated_rows(LLAMAINDEX, model=MODEL, emulator=emulator))


def test_unknown_stays_unknown():
    """A row leaves out what one of its requests did not report."""
    run = Run(model=MODEL, plugin=False, clock=None, session="s", key="k")
    known = Answered(Usage(input_tokens=10, output_tokens=1), 0.5)

    row = Row.of(run, [known, replace(known, first_token_s=None)], framework=LANGCHAIN)

    assert (row.requests, row.input_tokens, row.read_tokens) == (2, 20, None)
    assert (row.ttft_p50_s, row.cost_usd) == (None, None)
