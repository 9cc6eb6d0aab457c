"""Nodes in a stable order: theirs are untouched, and prefixes are read again."""

import pickle
from copy import deepcopy

import pytest
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.chat_engine import ContextChatEngine
from llama_index.core.llms import ChatMessage, TextBlock
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.postprocessor import SimilarityPostprocessor
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import (
    ImageNode,
    MetadataMode,
    NodeRelationship,
    NodeWithScore,
    RelatedNodeInfo,
    TextNode,
)
from pydantic import ValidationError
from retrieved import overlapping, read_share, same, text_of

from llamaindex_promptcache import StableNodeOrder
from promptcache import options

MODES = (MetadataMode.LLM, MetadataMode.EMBED)


def node(name, text=None, *, of=None, **metadata):
    source = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=of)} if of else {}
    made = TextNode(
        id_=name,
        text=text or f"Text of {name}.",
        metadata=metadata,
        relationships=source,
        excluded_llm_metadata_keys=["path"],
    )
    return NodeWithScore(node=made, score=len(name) / 10)


def nodes_of(names):
    return [node(it, title=f"Title of {it}", path="/x") for it in names.split()]


def ids(nodes):
    return " ".join(it.node_id for it in nodes)


@pytest.fixture
def make(cache):
    return lambda **said: StableNodeOrder(**{"prompt_cache": cache, **said})


@pytest.fixture(params=["sync", "async"])
def postprocessed(request):
    """Return a function that has nodes postprocessed."""

    async def result(order, nodes):
        if request.param == "async":
            return await order.apostprocess_nodes(nodes, query_str="Which?")
        return order.postprocess_nodes(nodes, query_str="Which?")

    return result


async def test_the_callers_are_untouched(make, postprocessed):
    """Copies come back, with their scores; what a model or an index reads stays."""
    given = nodes_of("bb a")
    before = deepcopy(given)

    ordered = await postprocessed(make(mode="id"), given)

    assert given == before
    assert [it.score for it in ordered] == [0.1, 0.2]
    assert [it.metadata["retrieval_rank"] for it in ordered] == [2, 1]
    for mode in MODES:
        assert [it.get_content(mode) for it in ordered] == [
            it.get_content(mode) for it in reversed(given)
        ]


async def test_live_order(make, postprocessed):
    """What was handed out is begun with; the new node comes last."""
    first = ids(await postprocessed(make(), nodes_of("e c d")))

    assert ids(await postprocessed(make(), nodes_of("a d e c"))) == f"{first} a"


async def test_tenants_learn_apart(make, postprocessed):
    """Tenants learn nothing of each other."""
    with options(tenant="b"):
        theirs = ids(await postprocessed(make(), nodes_of("a b")))
    with options(tenant="a"):
        await postprocessed(make(), nodes_of(theirs[2]))
        assert ids(await postprocessed(make(), nodes_of("a b"))) == theirs[::-1]
    with options(tenant="b"):
        assert ids(await postprocessed(make(), nodes_of("a b"))) == theirs


def test_sorted_by_document_then_node(make):
    """Nodes of one document stay together, sorted by their ids."""
    given = [node("1", of="doc-2"), node("3", of="doc-1"), node("2", of="doc-2")]

    assert ids(make(mode="id").postprocess_nodes(given)) == "3 1 2"


def test_duplicates_are_left_out(make):
    """What the model would read twice comes once; a title that it reads counts."""
    given = [
        node("b", "one", title="T"),
        node("c", "one", title="T"),
        node("d", "one", title="Another"),
        node("e", "one", title="T", path="/y"),
    ]

    assert ids(make(mode="id").postprocess_nodes(given)) == "b d"


def test_images_are_no_duplicates(make):
    """Two images without a text are two nodes, in either mode."""
    given = [NodeWithScore(node=ImageNode(id_=it, image="aGk=")) for it in "ba"]

    assert ids(make(mode="id").postprocess_nodes(given)) == "a b"
    assert len(make().postprocess_nodes(given)) == 2


def test_other_postprocessors_before(make):
    """The rank is that of what comes last before it, a reranker or a cutoff."""
    kept = SimilarityPostprocessor(similarity_cutoff=0.15).postprocess_nodes(
        nodes_of("a dd cc")
    )

    ordered = make(mode="id").postprocess_nodes(kept)

    assert [(it.node_id, it.metadata["retrieval_rank"]) for it in ordered] == [
        ("cc", 2),
        ("dd", 1),
    ]


def test_applied_twice(make):
    """Nodes that were put in order keep the texts that they have."""
    once = make().postprocess_nodes(nodes_of("c a b"))
    twice = make().postprocess_nodes(once)

    assert ids(twice) == ids(once)
    assert [it.get_content(MetadataMode.LLM) for it in twice] == [
        it.get_content(MetadataMode.LLM) for it in once
    ]


def test_restated_rank(make):
    """On request the ranking comes as one more node, last, with no score."""
    ordered = make(mode="id", restate_rank=True).postprocess_nodes(nodes_of("c a b"))
    line = StableNodeOrder.ranking(ordered[:3])

    assert line.endswith(": 3, 1, 2.")
    assert ids(ordered) == "a b c retrieval-ranking"
    assert ordered[3].get_content(MetadataMode.LLM) == line
    assert ordered[3].score is None
    assert len(make(restate_rank=True).postprocess_nodes(nodes_of("a"))) == 1


@pytest.mark.parametrize(
    "said", [{"mode": "score"}, {"live_seconds": -1}, {"prompt_cache": 7}], ids=str
)
def test_refused(said):
    """What is not allowed is refused when the order is made."""
    with pytest.raises(ValidationError):
        StableNodeOrder(**said)


def test_copied_and_written_down(make):
    """Copies learn with the original; what is written down has no cache in it."""
    order = make(mode="id", name="clerk")
    plain = StableNodeOrder(mode="id", name="clerk")

    assert deepcopy(order)._order is order._order
    assert ids(pickle.loads(pickle.dumps(plain)).postprocess_nodes(nodes_of("b a")))
    assert StableNodeOrder.from_dict(order.to_dict()).mode == "id"
    assert order.to_dict() == {
        "mode": "id",
        "live_seconds": None,
        "name": "clerk",
        "restate_rank": False,
        "class_name": "StableNodeOrder",
    }


class Course(BaseRetriever):
    """Finds what the course of questions has for each of them."""

    def __init__(self, course):
        super().__init__()
        self.course = iter(course)

    def _retrieve(self, query_bundle):
        return [node(it, text_of(it)) for it in next(self.course)]


def conversed(llm, course, order, advance):
    """Talk to a stock chat engine, which puts nodes, one string, before the history."""
    given = [] if order is None else [order]
    engine = ContextChatEngine.from_defaults(
        Course(course),
        llm=llm,
        node_postprocessors=given,
        memory=ChatMemoryBuffer.from_defaults(token_limit=100_000),
    )
    for number in range(len(course)):
        engine.chat(f"Question {number}: which one is it?")
        advance(20)


def queried(llm, course, order, advance):
    """Ask a stock query engine, which puts nodes and question into one string."""
    given = [] if order is None else [order]
    engine = RetrieverQueryEngine.from_args(
        Course(course), llm=llm, node_postprocessors=given
    )
    for number in range(len(course)):
        engine.query(f"Question {number}: which one is it?")
        advance(20)


def chatted(llm, course, order, advance):
    """Send nodes before the question, a block each."""
    retriever = Course(course)
    for number in range(len(course)):
        found = retriever.retrieve("?")
        found = found if order is None else order.postprocess_nodes(found)
        texts = [it.get_content(MetadataMode.LLM) for it in found]
        texts.append(f"Question {number}: which one is it?")
        llm.chat(
            [ChatMessage(role="user", blocks=[TextBlock(text=it) for it in texts])]
        )
        advance(20)


@pytest.fixture
def share(make, make_cached, emulator):
    """Return a function that gives the share of a course of questions that is read."""

    def read(ask, course, mode):
        before = len(emulator.ledger)
        order = None if mode is None else make(mode=mode)
        ask(make_cached(), course, order, emulator.clock.advance)
        rows = emulator.ledger[before:]
        assert [sorted(named(row)) for row in rows] == [sorted(it) for it in course]
        return read_share(rows)

    return read


def named(row):
    """Return the names of the nodes that a request has, once each."""
    said = str(row.body)
    return {it for it in map("engine-{:02}".format, range(14)) if f"is {it}." in said}


@pytest.mark.parametrize("mode", ["id", "live"])
def test_a_chat_engine_reads_again(share, mode):
    """The same nodes are read again, in whatever order they were found."""
    assert share(conversed, same(), None) < 0.1
    assert share(conversed, same(), mode) > 0.85


@pytest.mark.parametrize("ask", [queried, chatted])
def test_live_reads_most(share, ask):
    """Where nodes overlap, the live order reads the shared ones again."""
    course = overlapping()
    plain, by_id, live = (share(ask, course, it) for it in (None, "id", "live"))

    assert plain < 0.1
    assert live > 0.5
    assert live > by_id + 0.3
