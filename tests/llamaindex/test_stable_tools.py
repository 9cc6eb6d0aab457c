"""Tools of LlamaIndex in one order, whatever order they are given in."""

import json

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.tools import FunctionTool

from promptcache import options

# Both come from LlamaIndex itself, for whoever uses agents.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The `__fields.*` attribute is deprecated"),
    pytest.mark.filterwarnings("ignore:Accessing the 'model_.*' attribute"),
]

ORDERS = ((2, 0, 1), (1, 2, 0), (0, 1, 2))
NAMES = [f"look_up_{number}" for number in range(3)]


def tools(order):
    return [
        FunctionTool.from_defaults(
            lambda name: f"{name} was built in 1911.",
            name=NAMES[number],
            description=f"Look an engine up in register {number}. " * 80,
        )
        for number in order
    ]


@pytest.fixture(params=["llm", "agent"])
def ask(request, emulator, cached, head):
    """Return a function that asks one question, of an LLM or of an agent with it."""

    async def by(order, question):
        emulator.answers.push("Borsig.")
        if request.param == "agent":
            agent = FunctionAgent(
                tools=tools(order), llm=cached, system_prompt=head.content
            )
            await agent.run(question)
        else:
            await cached.achat_with_tools(
                tools(order), user_msg=question, chat_history=[head]
            )

    return by


@pytest.fixture
def asked(cache, rows_of, strip, ask):
    """Return a function that asks with all orders, and tells what came of it.

    That is what was sent of tools, what was read, and whether receipts note an order.
    """

    async def all_orders():
        with cache.collect() as receipts:
            for number, order in enumerate(ORDERS):
                await ask(order, f"Who built the T {number}?")
        rows = rows_of("cached")
        sent = [strip(row.body["tools"]) for row in rows]
        noted = ["sorted tools" in receipt.notes for receipt in receipts]
        return sent, [row.cache_read_input_tokens for row in rows], noted

    return all_orders


async def test_any_order_is_read(asked):
    """Each request sends the same bytes, and reads tools and head of the first one."""
    with options(stable_tools=True):
        sent, read, noted = await asked()

    assert [it["name"] for it in sent[0]] == NAMES
    assert [json.dumps(it) for it in sent] == [json.dumps(sent[0])] * len(ORDERS)
    assert read[0] == 0
    assert min(read[1:]) > 2_000
    # Those of the last one came in order.
    assert noted == [True, True, False]


async def test_off_unless_asked(asked):
    """Nobody's tools are touched unnamed, and nothing is read behind their order."""
    sent, read, noted = await asked()

    orders = [[it["name"] for it in each] for each in sent]
    assert orders == [[NAMES[number] for number in order] for order in ORDERS]
    assert read == [0, 0, 0]
    assert noted == [False, False, False]
