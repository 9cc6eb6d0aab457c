"""Parallel calls of LlamaIndex that share a head: one goes ahead, the others read."""

import asyncio

import pytest
from fanned_out import answer_late, billed, waits
from llama_index.core import Settings
from llama_index.core.extractors import DocumentContextExtractor
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import ChatPromptTemplate
from llama_index.core.response_synthesizers import (
    ResponseMode,
    get_response_synthesizer,
)
from llama_index.core.schema import (
    Document,
    NodeRelationship,
    NodeWithScore,
    RelatedNodeInfo,
    TextNode,
)
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.workflow import (
    Context,
    Event,
    StartEvent,
    StopEvent,
    Workflow,
    step,
)

from llamaindex_promptcache import (
    PromptCachedDocumentContextExtractor,
    PromptCachedOpenAIResponses,
)
from promptcache import OptionError, options

ALL = 6


@pytest.fixture
def emulator(slow_emulator):
    return slow_emulator


@pytest.fixture
def cache(patient_cache):
    return patient_cache


@pytest.fixture(autouse=True)
def tokenizer(monkeypatch):
    """Count words: LlamaIndex would load a tokenizer from elsewhere."""
    monkeypatch.setattr(Settings, "_tokenizer", str.split)


@pytest.fixture
def docstore():
    store = SimpleDocumentStore()
    store.add_documents(
        Document(text=f"Report {number}. " + "The T 9 runs. " * 900, id_=f"{number}")
        for number in range(2)
    )
    return store


def chunks():
    return [
        TextNode(
            text=f"Chunk {number} of {source}",
            relationships={
                NodeRelationship.SOURCE: RelatedNodeInfo(node_id=str(source))
            },
        )
        for source in range(2)
        for number in range(ALL)
    ]


async def test_one_chunk_of_each_document_goes_ahead(emulator, cache, cached, docstore):
    """Two documents, two writes; the stock extractor writes for each worker."""
    found = {}
    for kind in (DocumentContextExtractor, PromptCachedDocumentContextExtractor):
        emulator.reset()
        emulator.clock.advance(301)
        extractor = kind(docstore, cached, max_context_length=100_000, num_workers=ALL)
        with cache.collect() as receipts:
            contexts = await extractor.aextract(chunks())
        assert all(context["context"] for context in contexts)
        found[kind] = (*billed(emulator), len(waits(receipts)) > 0)

    assert found[PromptCachedDocumentContextExtractor] == (2, 2 * ALL - 2, True)
    assert found[DocumentContextExtractor][0] > 2
    assert found[DocumentContextExtractor][2] is False


def test_an_extractor_in_a_pipeline_that_is_not_asynchronous(
    emulator, make_cached, docstore
):
    """`extract` makes a loop of its own, which no connection may outlive."""
    llm = make_cached(default_headers={"Connection": "close"})
    extractor = PromptCachedDocumentContextExtractor(
        docstore, llm, max_context_length=100_000, num_workers=ALL
    )

    nodes = extractor.process_nodes(chunks())

    assert all(node.metadata["context"] for node in nodes)
    assert billed(emulator) == (2, 2 * ALL - 2)


def test_an_llm_that_the_extractor_cannot_ask(docstore):
    """The parent would log an error for each chunk and find nothing."""
    llm = PromptCachedOpenAIResponses(model="gpt-5", api_key="any")

    with pytest.raises(OptionError, match="PromptCachedOpenAI"):
        PromptCachedDocumentContextExtractor(docstore, llm)


@pytest.mark.parametrize("said", [None, True])
@pytest.mark.parametrize("mode", [ResponseMode.TREE_SUMMARIZE, ResponseMode.ACCUMULATE])
async def test_synthesis_of_many_nodes(emulator, cache, cached, head, mode, said):
    """Each part is asked for at once; with the switch, one of them writes the head."""
    template = ChatPromptTemplate(
        [head, ChatMessage("{context_str}\n\nQuery: {query_str}")]
    )
    names = (
        {"summary_template": template}
        if mode is ResponseMode.TREE_SUMMARIZE
        else {"text_qa_template": template}
    )
    synthesizer = get_response_synthesizer(
        llm=cached, response_mode=mode, use_async=True, **names
    )
    synthesizer._prompt_helper.context_window = 3_000
    nodes = [
        NodeWithScore(node=TextNode(text=f"Node {number}. " + "It runs. " * 450))
        for number in range(ALL)
    ]

    answer_late(emulator, 0 if said else ALL)

    with options(fan_out=said), cache.collect() as receipts:
        await synthesizer.asynthesize("What runs?", nodes=nodes)

    writing, _ = billed(emulator)
    assert len(receipts) >= ALL
    assert (writing == 1) is bool(said)
    assert bool(waits(receipts)) is bool(said)


class Asked(Event):
    number: int


class Answered(Event):
    pass


class SubAgents(Workflow):
    """Asks several sub-agents with one system prompt at once."""

    llm: object
    prompt: object

    @step
    async def begin(self, ctx: Context, event: StartEvent) -> Asked | None:
        for number in range(ALL):
            ctx.send_event(Asked(number=number))

    @step(num_workers=ALL)
    async def ask(self, ctx: Context, event: Asked) -> Answered:
        await self.llm.achat(self.prompt(f"Question {event.number}"))
        return Answered()

    @step
    async def end(self, ctx: Context, event: Answered) -> StopEvent | None:
        if ctx.collect_events(event, [Answered] * ALL) is not None:
            return StopEvent()
        return None


async def test_sub_agents_of_a_workflow(emulator, cached, prompt):
    """The switch around a run holds in its steps."""
    workflow = SubAgents(timeout=60)
    workflow.llm, workflow.prompt = cached, prompt

    with options(fan_out=True):
        await workflow.run()

    assert billed(emulator) == (1, ALL - 1)


async def test_an_llm_that_always_fans_out(emulator, make_cached, cache, prompt):
    """The switch may be the LLM's own."""
    # The cache of this process may know the prompt of another test, as a live one.
    llm = make_cached(prompt_cache={"fan_out": True, "tenant": "this test"})

    await asyncio.gather(*(llm.achat(prompt(f"Question {it}")) for it in range(ALL)))

    assert billed(emulator) == (1, ALL - 1)
