"""With each remedy the same content reaches the LLM, and receipts list what it did."""

import asyncio

import pytest
from llama_index.core.chat_engine import (
    CondensePlusContextChatEngine,
    ContextChatEngine,
    SimpleChatEngine,
)
from llama_index.core.llms import ChatMessage
from llama_index.core.memory import ChatMemoryBuffer, Memory
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, TextNode
from llamaindex_google import IGNORED_HERE
from sent_texts import assert_same_content

from llamaindex_promptcache import (
    PromptCachedCondensePlusContextChatEngine,
    PromptCachedContextChatEngine,
    StableNodeOrder,
    cacheable_qa_template,
    stable_memory,
    volatile,
)
from promptcache.planning.volatile import SYSTEM_NOTE

# The connections of LlamaIndex's store are closed when they are collected.
pytestmark = [*IGNORED_HERE, pytest.mark.filterwarnings("ignore::ResourceWarning")]

PROVIDERS = ("anthropic", "openai", "openai-matched", "responses", "google")
RULES = "You are a clerk of a railway museum, and answer from the register only."
TODAY = "Today is the 23rd of November in the year 2026."
QUESTION = "Which of these engines was built first?"
PAST = ("What is a tender?", "It carries the water and the coal.")
TEXTS = [f"Leaf {number}: the T {number} stood in shed {number}." for number in "3142"]
RANKING = (
    "The documents above by relevance, most relevant first, where 1 is the document"
    " that stands first: 3, 1, 4, 2."
)
ORDERED = "documents in stable order (id): 4 of 4 moved, 1 duplicate left out"
RESTATED = "relevance restated behind the documents"
PLACED = "documents placed behind the history, before the question"


class Shelf(BaseRetriever):
    """Finds the same nodes for every question, one of them twice."""

    def _retrieve(self, query_bundle):
        # LlamaIndex itself leaves out what has the same metadata, too.
        nodes = [
            TextNode(
                id_=f"{text[:6]}.{place}",
                text=text,
                metadata={"place": place},
                excluded_llm_metadata_keys=["place"],
            )
            for place, text in enumerate((*TEXTS, TEXTS[1]))
        ]
        return [NodeWithScore(node=node, score=0.9) for node in nodes]


def changes(receipt):
    """Return what a receipt says was changed; plans and marks are noted as well."""
    planned = ("dropped ", "split ", "tail ")
    return [it for it in receipt.notes if not it.startswith(planned)]


@pytest.fixture(params=PROVIDERS)
def both(request, make_llm, make_cache, emulator):
    """Return a function that asks with a stock LLM, and with ours.

    It gives the bodies that were sent, and the receipt of ours.
    """

    def ask(stock, ours):
        cache = make_cache()
        stock(make_llm(request.param, workspace="plain"))
        llm = make_llm(request.param, prompt_cache=cache)
        with cache.collect() as receipts:
            ours(llm)
            llm.chat([ChatMessage("What is a tender, and who has one?")])
        *_, told, unrelated = receipts
        assert changes(unrelated) == []
        sent = [row for row in emulator.ledger if row.total_input_tokens][:-1]
        before = [row for row in sent if row.workspace == "plain"]
        return before[-1].body, sent[-1].body, told

    return ask


def queried(**changes):
    """Return a function that asks a query engine."""

    def ask(llm):
        engine = RetrieverQueryEngine.from_args(Shelf(), llm=llm, **changes)
        assert engine.query(QUESTION).response != "Empty Response"

    return ask


def test_order(both):
    """Nodes come once, in another order, with what matters most behind them."""
    order = StableNodeOrder(mode="id", restate_rank=True)
    before, after, receipt = both(queried(), queried(node_postprocessors=[order]))

    once = [*TEXTS, QUESTION]
    assert_same_content(before, after, once, added=[RANKING])
    assert changes(receipt) == [ORDERED, RESTATED]


def test_template(both):
    """A cache point changes no text."""
    template = cacheable_qa_template()
    before, after, receipt = both(queried(), queried(text_qa_template=template))

    assert_same_content(before, after, [QUESTION], known=TEXTS)
    assert changes(receipt) == []


ENGINES = {
    "context": (ContextChatEngine, PromptCachedContextChatEngine),
    "condense": (
        CondensePlusContextChatEngine,
        PromptCachedCondensePlusContextChatEngine,
    ),
}


def chatted(engine, **changes):
    """Return a function that leads the last turn of a conversation."""

    def ask(llm):
        past = [ChatMessage(PAST[0]), ChatMessage(PAST[1], role="assistant")]
        given = {"system_prompt": RULES, "skip_condense": True, **changes}
        if not engine.__name__.endswith("CondensePlusContextChatEngine"):
            given.pop("skip_condense")
        memory = ChatMemoryBuffer.from_defaults(token_limit=9_000, chat_history=past)
        made = engine.from_defaults(Shelf(), llm=llm, memory=memory, **given)
        assert made.chat(QUESTION).response

    return ask


@pytest.mark.parametrize(("stock", "ours"), ENGINES.values(), ids=ENGINES)
@pytest.mark.parametrize("in_order", [True, False])
def test_chat_engines(both, stock, ours, in_order):
    """What was retrieved stands elsewhere, and may be in order."""
    order = [StableNodeOrder(mode="id")] if in_order else []
    before, after, receipt = both(
        chatted(stock), chatted(ours, node_postprocessors=order)
    )

    once = [TEXTS[0], *TEXTS[2:], RULES, QUESTION, *PAST]
    once += TEXTS[1:2] if in_order else []
    assert_same_content(before, after, once, known=TEXTS)
    assert changes(receipt) == [*([ORDERED] if in_order else []), PLACED]


def remembering(make):
    """Return a function that goes on from a memory."""

    def ask(llm):
        memory = make(token_limit=9_000)
        for said, role in zip(PAST, ("user", "assistant"), strict=True):
            memory.put(ChatMessage(said, role=role))
        engine = SimpleChatEngine.from_defaults(
            llm=llm, system_prompt=RULES, memory=memory
        )
        assert engine.chat(QUESTION).response
        asyncio.run(memory.sql_store._async_engine.dispose())

    return ask


def test_memory(both):
    """As long as nothing has to go, a memory sends what another one does."""
    before, after, receipt = both(
        remembering(Memory.from_defaults), remembering(stable_memory)
    )

    assert_same_content(before, after, [RULES, QUESTION, *PAST])
    assert changes(receipt) == []


def test_volatile_text(both):
    """What changes on each call is moved, said once, and listed."""

    def ask(llm):
        system = f"{RULES}\n{volatile(TODAY)}"
        roles = ("system", "user", "assistant", "user")
        said = zip((system, *PAST, QUESTION), roles, strict=True)
        llm.chat([ChatMessage(text, role=role) for text, role in said])

    before, after, receipt = both(ask, ask)

    once = [RULES, TODAY, QUESTION, *PAST]
    assert_same_content(before, after, once, added=[SYSTEM_NOTE])
    [note] = changes(receipt)
    assert note.startswith("moved volatile text from ")
