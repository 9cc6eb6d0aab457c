"""Documents in a stable order: theirs are untouched, and prefixes are read again."""

import pickle
from copy import deepcopy

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import BaseDocumentTransformer, Document
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.prompts import PromptTemplate, format_document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import create_retriever_tool
from pydantic import ValidationError
from retrieved import overlapping, read_share, same, text_of

from langchain_promptcache import StableDocumentOrder
from promptcache import options
from promptcache.prompts.parts import found

CALLS = [
    pytest.param(lambda it, *said, **named: it.invoke(*said, **named), id="invoke"),
    pytest.param(lambda it, *said, **named: it.ainvoke(*said, **named), id="ainvoke"),
]


class Shelf(BaseRetriever):
    """Returns the documents that a question names, in its order."""

    def _get_relevant_documents(self, query, *, run_manager, suffix=""):
        return [
            Document(id=it, page_content=f"Text of {it}{suffix}.", metadata={"of": it})
            for it in query.split()
        ]

    async def _aget_relevant_documents(self, query, *, run_manager, suffix=""):
        return self._get_relevant_documents(
            query, run_manager=run_manager, suffix=suffix
        )


class Told(BaseCallbackHandler):
    """Keeps the names of the retrievers that were asked."""

    def __init__(self):
        self.names = []

    def on_retriever_start(self, serialized, query, *, name=None, **kwargs):
        self.names.append(name)


@pytest.fixture
def make(cache):
    return lambda **said: StableDocumentOrder(**{"prompt_cache": cache, **said})


def documents_of(names):
    return Shelf().invoke(names)


def ids(documents):
    return " ".join(it.id for it in documents)


async def awaited(result):
    return await result if hasattr(result, "__await__") else result


def test_the_callers_are_untouched(make):
    """What is returned are copies; of the caller's, nothing is written to."""
    given = documents_of("b a")
    before = deepcopy(given)

    ordered = make(mode="id").transform_documents(given)

    assert given == before
    assert ordered == [
        Document(
            id=it.id,
            page_content=it.page_content,
            metadata={**it.metadata, "retrieval_rank": rank},
        )
        for rank, it in ((2, given[1]), (1, given[0]))
    ]


def test_duplicates_are_left_out(make):
    """A text comes once, with the rank that it had first; one id may have two texts."""
    given = [
        Document(id="b", page_content="one"),
        Document(id="c", page_content="one"),
        Document(id="a", page_content="two"),
        Document(id="a", page_content="three"),
    ]

    ordered = make(mode="id").transform_documents(given)

    shown = [(it.page_content, it.metadata["retrieval_rank"]) for it in ordered]
    assert shown == [("three", 4), ("two", 3), ("one", 1)]


def test_sorted_by_source_without_an_id(make):
    """Documents without an id are sorted by their source."""
    given = [
        Document(page_content="first", metadata={"source": "b.pdf"}),
        Document(page_content="second", metadata={"source": "a.pdf"}),
    ]

    ordered = make(mode="id").transform_documents(given)

    assert [it.page_content for it in ordered] == ["second", "first"]


def test_live_order(make):
    """What was handed out is begun with; the new document comes last."""
    first = ids(make().transform_documents(documents_of("e c d")))

    assert ids(make().transform_documents(documents_of("a d e c"))) == f"{first} a"


async def test_transformed_without_a_thread(make):
    """The asynchronous twin returns the same."""
    order = make(mode="id")
    assert isinstance(order, BaseDocumentTransformer)

    ordered = await order.atransform_documents(documents_of("b a"))

    assert ordered == order.transform_documents(documents_of("b a"))


@pytest.mark.parametrize("call", CALLS)
async def test_around_a_retriever(make, call):
    """The retriever finds what the one inside does, which is told as before."""
    told = Told()
    retriever = make(mode="id").around(Shelf())

    found = await awaited(
        call(retriever, "b c a", config={"callbacks": [told]}, suffix="!")
    )

    assert ids(found) == "a b c"
    assert found[0].page_content == "Text of a!."
    assert told.names == ["OrderedRetriever", "Shelf"]


def test_around_a_runnable(make):
    """What stands for a retriever may be any runnable that returns documents."""
    retriever = make(mode="id").around(RunnableLambda(documents_of))

    assert [ids(found) for found in retriever.batch(["b a", "d c"])] == ["a b", "c d"]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("inside", [True, False], ids=["in a chain", "alone"])
async def test_the_tenant_of_a_run(make, call, inside):
    """A tenant in the metadata of a run learns nothing of another one's."""
    order = make()
    if inside:
        asked = RunnableLambda(order.transform_documents, order.atransform_documents)
        asked = RunnableLambda(documents_of) | asked
    else:
        asked = order.around(Shelf())

    def config(tenant):
        return {"metadata": {"prompt_cache_tenant": tenant}}

    theirs = ids(await awaited(call(asked, "a b", config("b"))))
    await awaited(call(asked, theirs.split()[1], config("a")))
    await awaited(call(asked, "c", config("a")))

    with options(tenant="a"):
        assert ids(order.transform_documents(documents_of(theirs)))[0] == theirs[2]
    with options(tenant="b"):
        assert ids(order.transform_documents(documents_of(theirs))) == theirs


def test_a_tool_of_the_retriever(make):
    """An agent's tool returns the documents in order, as text, and no rank."""
    tool = create_retriever_tool(make(mode="id").around(Shelf()), "shelf", "Looks up.")

    assert tool.invoke({"query": "b a"}) == "Text of a.\n\nText of b."


def test_ranking(make):
    """The line names places in the prompt by relevance, and is told to change."""
    ordered = make(mode="id").transform_documents(documents_of("c a b"))

    line = StableDocumentOrder.ranking(ordered)

    assert line.endswith(": 3, 1, 2.")
    assert [span.kind for span in found(f"Engines.\n\n{line}")] == ["volatile"]
    assert StableDocumentOrder.ranking(documents_of("b a")).endswith(": 1, 2.")
    assert StableDocumentOrder.ranking([]) == ""


def test_restated_rank(make):
    """On request the ranking comes as one more document, last, in any template."""
    template = PromptTemplate.from_template("{of}/{retrieval_rank}: {page_content}")

    ordered = make(mode="id", restate_rank=True).transform_documents(
        documents_of("b a")
    )

    assert [it.page_content for it in ordered] == [
        "Text of a.",
        "Text of b.",
        StableDocumentOrder.ranking(ordered[:2]),
    ]
    assert format_document(ordered[2], template).startswith("/: The documents above")


def test_nothing_to_restate(make):
    """One document, or none, needs no ranking."""
    order = make(restate_rank=True)

    assert len(order.transform_documents(documents_of("a"))) == 1
    assert order.transform_documents([]) == []


@pytest.mark.parametrize(
    "said",
    [{"mode": "score"}, {"live_seconds": -1}, {"prompt_cache": 7}, {"modes": "id"}],
    ids=str,
)
def test_refused(said):
    """What is not allowed is refused when the order is made."""
    with pytest.raises(ValidationError):
        StableDocumentOrder(**said)


def test_copied_and_pickled(make):
    """Copies learn with the original; what is written down has no cache in it."""
    order = make(mode="id", name="clerk")
    plain = StableDocumentOrder(mode="id", name="clerk")

    assert deepcopy(order)._order is order._order
    assert ids(pickle.loads(pickle.dumps(plain)).transform_documents([])) == ""
    assert order.model_dump() == {
        "mode": "id",
        "live_seconds": None,
        "name": "clerk",
        "restate_rank": False,
    }


def stuffed(texts, question):
    """Return what a chain sends that stuffs documents into the system prompt."""
    return [
        SystemMessage("Answer from:\n\n" + "\n\n".join(texts)),
        HumanMessage(question),
    ]


def blocks(texts, question):
    """Return documents before the question, a block each."""
    said = [{"type": "text", "text": it} for it in (*texts, question)]
    return [SystemMessage("Answer from the documents."), HumanMessage(said)]


@pytest.fixture
def share(make, make_cached, emulator):
    """Return a function that gives the share of a course of questions that is read."""

    def read(course, form, mode):
        model, before = make_cached(), len(emulator.ledger)
        for number, names in enumerate(course):
            documents = [Document(id=it, page_content=text_of(it)) for it in names]
            if mode is not None:
                documents = make(mode=mode).transform_documents(documents)
            texts = [it.page_content for it in documents]
            assert sorted(texts) == sorted(map(text_of, names))
            model.invoke(form(texts, f"Question {number}: which one is it?"))
            emulator.clock.advance(20)
        return read_share(emulator.ledger[before:])

    return read


@pytest.mark.parametrize("mode", ["id", "live"])
def test_one_string_is_read_again(share, mode):
    """The same documents in one string are read again, whatever order they come in."""
    assert share(same(), stuffed, None) < 0.1
    assert share(same(), stuffed, mode) > 0.85


@pytest.mark.parametrize("form", [stuffed, blocks])
def test_live_reads_most(share, form):
    """Where documents overlap, the live order reads the shared ones again."""
    course = overlapping()
    plain, by_id, live = (share(course, form, it) for it in (None, "id", "live"))

    assert plain < 0.1
    assert live > 0.5
    assert live > by_id + 0.3
