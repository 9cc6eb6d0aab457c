"""With each remedy the same content reaches the model, and receipts list the change."""

import openai
import pytest
from gemini_sdk import TRUST
from langchain.agents import create_agent
from langchain.agents.middleware import SummarizationMiddleware
from langchain_anthropic import ChatAnthropic
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda, RunnablePassthrough
from langchain_core.tools import StructuredTool
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_openai import ChatOpenAI
from sent_texts import assert_same_content, sent_texts

from langchain_promptcache import (
    PromptCachedSummarizationMiddleware,
    StableDocumentOrder,
    create_prompt_cached_retrieval_chain,
    create_prompt_cached_stuff_documents_chain,
    prompt_cached,
    volatile,
)
from promptcache import PromptCache, options
from promptcache.planning.volatile import SYSTEM_NOTE

RULES = "You are a clerk of a railway museum, and answer from the register only."
TODAY = "Today is the 23rd of November in the year 2026."
QUESTION = "Which of these engines was built first?"
PAST = ("What is a tender?", "It carries the water and the coal.")
TEXTS = [f"Leaf {number}: the T {number} stood in shed {number}." for number in "3142"]
PLACED = "documents placed behind the history, before the question"
# One of them is found twice.
FOUND = [Document(text, id=text[:6]) for text in (*TEXTS, TEXTS[1])]
TURNS = (HumanMessage, AIMessage)
TALK = [kind(said) for said, kind in zip(PAST, TURNS, strict=True)]
PROMPT = ChatPromptTemplate.from_messages(
    [
        ("system", RULES + "\n\n{context}"),
        ("placeholder", "{past}"),
        ("user", "{input}"),
    ]
)


def changes(receipt):
    """Return what a receipt says was changed; plans are noted as well."""
    return [it for it in receipt.notes if not it.startswith(("split ", "tail "))]


class Shelf(BaseRetriever):
    """Finds the same documents for every question."""

    def _get_relevant_documents(self, query, *, run_manager):
        return FOUND


@pytest.fixture(scope="module")
def pool():
    with openai.DefaultHttpxClient() as client:
        yield client


@pytest.fixture
def cache(emulator):
    made = PromptCache(store="memory:", strict=True, clock=emulator.clock)
    # As after a first request: those that come beside it do not wait for the store.
    made.keeper.handles.refresh()
    yield made
    made.close()


@pytest.fixture(params=["anthropic", "openai", "openai-matched", "google"])
def provider(request):
    return request.param


@pytest.fixture
def model(emulator, provider, pool):
    """Return LangChain's own model of a provider."""
    given = {"api_key": "any", "max_retries": 0, "max_tokens": 256}
    if provider == "anthropic":
        name = "claude-sonnet-5-5"
        return ChatAnthropic(model=name, base_url=emulator.url, **given)
    if provider == "google":
        name, place = "gemini-3.8-flash", {"base_url": emulator.url}
        given |= {"max_retries": 1, "client_args": TRUST}
        return ChatGoogleGenerativeAI(model=name, **place, **given)
    name = "gpt-5.2" if provider.endswith("matched") else "gpt-6.1-sol"
    place = {"base_url": f"{emulator.url}/v1", "http_client": pool}
    return ChatOpenAI(model=name, **place, **given)


def written(inputs):
    return "\n\n".join(it.page_content for it in inputs["context"])


def retrieving(retriever):
    """Return the chain of LangChain's own functions, whatever model comes next."""
    found = RunnablePassthrough.assign(
        context=RunnableLambda(lambda it: it["input"]) | retriever
    )
    return found | RunnablePassthrough.assign(context=written) | PROMPT


def stock(model):
    return retrieving(Shelf()) | model


def ordered(model):
    """Put the documents in order, and say which ones matter most."""
    order = StableDocumentOrder(mode="id", restate_rank=True)
    return retrieving(order.around(Shelf())) | model


def placed(model, **how):
    """Put the documents next to the question."""
    combine = create_prompt_cached_stuff_documents_chain(model, PROMPT, **how)
    return create_prompt_cached_retrieval_chain(Shelf(), combine)


def separated(model):
    return placed(model, separator="###")


def placed_in_order(model):
    combine = create_prompt_cached_stuff_documents_chain(model, PROMPT)
    order = StableDocumentOrder(mode="id")
    return create_prompt_cached_retrieval_chain(order.around(Shelf()), combine)


ORDERED = "documents in stable order (id): 4 of 4 moved, 1 duplicate left out"
RANKING = (
    "The documents above by relevance, most relevant first, where 1 is the document"
    " that stands first: 3, 1, 4, 2."
)
RESTATED = "relevance restated behind the documents"
CHAINS = {
    # In a system prompt it is moved behind what stays, as what changes with a question.
    "order": (
        ordered,
        [ORDERED, RESTATED, "moved volatile text"],
        [RANKING, SYSTEM_NOTE],
    ),
    "placing": (placed, [PLACED], []),
    "separator": (separated, [PLACED], ["###"]),
    "both": (placed_in_order, [ORDERED, PLACED], []),
}


@pytest.mark.parametrize(("chain", "notes", "added"), CHAINS.values(), ids=CHAINS)
def test_chains(chain, notes, added, model, cache, emulator):
    """Documents, question, history and instructions stay; what was moved is listed."""
    asked = {"input": QUESTION, "past": TALK}
    stock(model).invoke(asked)
    with cache.collect() as receipts, options(gemini_caches=False):
        chain(prompt_cached(model, cache)).invoke(asked)
        prompt_cached(model, cache).invoke("What is a tender, and who has one?")
    before, after, _ = [row.body for row in emulator.ledger if row.total_input_tokens]

    once = [*TEXTS, RULES, QUESTION, *PAST]
    if chain in (placed, separated):
        # Only an order leaves out what stands there twice.
        once.remove(TEXTS[1])
    assert_same_content(before, after, once, known=[TEXTS[1]], added=added)
    told = [it.partition(" from ")[0] for it in changes(receipts[0])]
    assert told == notes
    assert changes(receipts[1]) == []


def test_volatile_text(model, cache, emulator):
    """What changes on each call is moved, said once, and listed."""
    system = SystemMessage(f"{RULES}\n{volatile(TODAY)}")
    talk = [system, *TALK, HumanMessage(QUESTION)]
    model.invoke(talk)
    with cache.collect() as receipts:
        prompt_cached(model, cache).invoke(talk)
    before, after = [row.body for row in emulator.ledger]

    once = [RULES, TODAY, QUESTION, *PAST]
    assert_same_content(before, after, once, added=[SYSTEM_NOTE])
    [note] = receipts[0].notes
    assert note.startswith("moved volatile text from ")


def tools():
    return [
        StructuredTool(
            name=f"look_up_{name}",
            description=f"Look up what stands on page {name}.",
            args_schema={"type": "object", "properties": {"page": {"type": "string"}}},
            func=lambda page: page,
        )
        for name in "cab"
    ]


def declared(value):
    """Return what tools say, whatever their order."""
    if isinstance(value, dict):
        return sorted((key, declared(it)) for key, it in value.items())
    if isinstance(value, list):
        return sorted(map(declared, value), key=str)
    return value


def test_tools(model, cache, emulator):
    """Tools come in another order, each as it was, and nothing else changes."""
    talk = [SystemMessage(RULES), HumanMessage(QUESTION)]
    model.bind_tools(tools()).invoke(talk)
    with cache.collect() as receipts, options(stable_tools=True):
        prompt_cached(model, cache).bind_tools(tools()).invoke(talk)
    before, after = [row.body for row in emulator.ledger]

    assert_same_content(before, after, [RULES, QUESTION])
    assert str(before["tools"]) != str(after["tools"])
    if "anthropic" in type(model).__module__:
        before["tools"][-1].pop("cache_control", None)
        after["tools"][-1].pop("cache_control", None)
    assert declared(after["tools"]) == declared(before["tools"])
    assert "sorted tools" in receipts[0].notes


def test_a_batch(model, cache, emulator):
    """Sending one first changes nothing of what is sent."""
    asked = [[SystemMessage(RULES), HumanMessage(f"{n}. {QUESTION}")] for n in "123"]
    model.batch(asked)
    with cache.collect() as receipts:
        prompt_cached(model, cache).batch(asked)
    said = sorted("\n".join(sent_texts(row.body)) for row in emulator.ledger)

    assert said[::2] == said[1::2]
    assert all(RULES in it for it in said)
    assert [changes(it) for it in receipts] == [[]] * 3


def test_summaries(model, cache, emulator):
    """A summary stands for the same messages as LangChain's, and that is listed."""
    summary = "Tenders were asked about, and what they carry."
    rows = []
    for middleware, used in (
        (SummarizationMiddleware, model),
        (PromptCachedSummarizationMiddleware, prompt_cached(model, cache)),
    ):
        before = len(emulator.ledger)
        shortening = middleware(used, trigger=("messages", 5), keep=("messages", 1))
        agent = create_agent(used, [], system_prompt=RULES, middleware=[shortening])
        past = [kind(said) for said, kind in zip(PAST * 2, TURNS * 2, strict=True)]
        talk = [*past, HumanMessage(QUESTION)]
        emulator.answers.push(summary)
        with cache.collect() as receipts, options(gemini_caches=False):
            agent.invoke({"messages": talk})
        rows.append([*emulator.ledger][before:])
    [*_, before], [*_, after] = rows

    assert_same_content(before.body, after.body, [summary, RULES, QUESTION])
    assert changes(receipts[-1]) == ["history summarized: 4 messages"]
    assert len(rows[0]) == len(rows[1]) == 2
    assert changes(receipts[0]) == []
