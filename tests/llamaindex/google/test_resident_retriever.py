"""Nodes that Gemini keeps: what is left out of a request is held where it says."""

import asyncio
import copy
import re
from itertools import count

import pytest
from gemini_references import check_references, reference, texts_in
from gemini_sdk import client_of
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.callbacks import CallbackManager
from llama_index.core.callbacks.llama_debug import LlamaDebugHandler
from llama_index.core.callbacks.schema import CBEventType
from llama_index.core.chat_engine import ContextChatEngine
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.postprocessor import SimilarityPostprocessor
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.response_synthesizers import ResponseMode
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.llms.anthropic import Anthropic
from llamaindex_google import IGNORED_HERE

from llamaindex_promptcache import GeminiResidentRetriever
from promptcache import Limits, OptionError, PromptCache, options
from promptcache.emulator import Fault
from promptcache.receipts.events import CacheCreated

pytestmark = IGNORED_HERE

IN_INSTRUCTION = "documents stand in the system instruction"


def text_of(name, *, words=300):
    return f"Engine {name} of the museum. " + f"Wheel {name} turned well. " * words


def node_of(name, **fields):
    metadata = {"file": f"{name}.md"}
    return TextNode(
        **{"id_": name, "text": text_of(name), "metadata": metadata} | fields
    )


class Shelf(BaseRetriever):
    """Returns the nodes that a question names, and remembers which."""

    def __init__(self, nodes):
        super().__init__()
        self.nodes, self.seen, self.found = nodes, {}, []

    def _retrieve(self, query_bundle):
        query = query_bundle.query_str
        names = re.findall(r"\be\d+\b", query)
        self.found = [
            NodeWithScore(node=self.nodes[it], score=0.9 - rank / 10)
            for rank, it in enumerate(names)
        ]
        self.seen[query] = {it: self.nodes[it].text for it in names}
        return self.found


class Library:
    """A query engine that answers from nodes which Gemini may keep."""

    def __init__(self, make, cache, emulator, **fields):
        self.cache, self.emulator, self.make = cache, emulator, make
        names = [f"e{number}" for number in range(10)]
        self.nodes = {it: node_of(it) for it in names}
        self.shelf = Shelf(self.nodes)
        said = {"resident": "hot", "prompt_cache": cache, **fields}
        self.retriever = GeminiResidentRetriever(self.shelf, **said)
        self.llm = make()
        self.usual = (1, 2, 3)
        self._numbers = count()

    def engine(self, llm=None, **fields):
        llm = llm or self.llm
        return RetrieverQueryEngine.from_args(self.retriever, llm=llm, **fields)

    def question(self, *numbers):
        names = " ".join(f"e{it}" for it in numbers or self.usual)
        return f"What of {names}? ({next(self._numbers)})"

    def warm(self, times=2, **fields):
        """Ask until the nodes are kept."""
        for _ in range(times):
            self.engine(**fields).query(self.question())
            self.rest()

    def rest(self, seconds=20):
        assert self.cache.keeper.idle()
        self.emulator.clock.advance(seconds)

    @property
    def last(self):
        asked = [it for it in self.emulator.ledger if "cachedC" not in it.path]
        return asked[-1]

    def check(self):
        return check_references(self.emulator, self.shelf.seen)


async def queried(library, llm=None, question=None):
    asked = library.engine(llm), question or library.question()
    return str(await asyncio.to_thread(lambda: asked[0].query(asked[1])))


async def aqueried(library, llm=None, question=None):
    return str(await library.engine(llm).aquery(question or library.question()))


async def streamed(library, llm=None, question=None):
    engine = library.engine(llm, streaming=True)
    question = question or library.question()

    def read():
        return "".join(engine.query(question).response_gen)

    return await asyncio.to_thread(read)


async def astreamed(library, llm=None, question=None):
    engine = library.engine(llm, streaming=True)
    response = await engine.aquery(question or library.question())
    return "".join([it async for it in response.async_response_gen()])


WAYS = [
    pytest.param(queried, id="query"),
    pytest.param(aqueried, id="aquery"),
    pytest.param(streamed, id="stream"),
    pytest.param(astreamed, id="astream"),
]
STREAMS = WAYS[2:]


@pytest.fixture
def gemini_caches():
    return True


@pytest.fixture
def cache(emulator, events):
    made = PromptCache(
        store="memory:",
        strict=True,
        clock=emulator.clock,
        listeners=[events.append],
        limits=Limits(usd_per_hour=1),
    )
    yield made
    made.close()


@pytest.fixture
def host(request):
    return getattr(request, "param", "developer")


@pytest.fixture
def make_library(make_cached, cache, emulator):
    """Return a function that makes libraries, outside of the event loop."""
    return lambda **fields: Library(make_cached, cache, emulator, **fields)


@pytest.fixture
def library(make_library):
    return make_library()


@pytest.fixture
async def warm(library):
    await asyncio.to_thread(library.warm)
    assert "cachedContent" in library.last.body
    return library


# What is sent.


@pytest.mark.parametrize("host", ["developer", "vertex"], indirect=True)
def test_nodes_by_reference(host, library, events):
    """Once they are kept, requests carry their ids, and read their text by name."""
    library.warm()
    library.engine().query(library.question(3, 1))
    row = library.last
    (created,) = [it for it in events if isinstance(it, CacheCreated)]

    assert row.body["cachedContent"] == created.name == row.hit
    assert row.cache_read_input_tokens == created.tokens
    assert row.input_tokens < 200
    said = row.body["contents"][-1]["parts"][0]["text"]
    # The templates put metadata before the text, and strip what is around.
    between = f"file: e3.md\n\n{reference('e3')}\n\nfile: e1.md\n\n{reference('e1')}"
    assert between in said
    assert library.check() == {"full": 3, "reference": 5}


@pytest.mark.parametrize(
    "mode", [ResponseMode.COMPACT, ResponseMode.TREE_SUMMARIZE, ResponseMode.ACCUMULATE]
)
def test_synthesizers(mode, library):
    """Whatever joins the nodes, each request has the text or its reference."""
    library.warm(response_mode=mode)
    question = library.question()
    library.engine(response_mode=mode).query(question)
    asked = [list(texts_in(it.body)) for it in library.emulator.ledger]
    said = "\n".join(text for texts in asked for text in texts if question in text)

    for name in ("e1", "e2", "e3"):
        assert reference(name) in said
        assert library.nodes[name].text.strip() not in said
    assert "cachedContent" in library.last.body


def test_nodes_that_were_cut(make_cached, cache, emulator):
    """What a splitter cut is not what is kept: it is sent as it is."""
    library = Library(make_cached, cache, emulator)
    library.warm()
    # What the nodes have does not go into one prompt.
    small = make_cached(context_window=4_200, max_tokens=64)
    library.engine(small).query(library.question())
    asked = [it for it in emulator.ledger if "enerate" in it.path][2:]
    said = "".join(str(it.body["contents"]) for it in asked)

    assert len(asked) > 1
    for number in (1, 2, 3):
        name = f"e{number}"
        words = said.count(f"Wheel {name} turned well.")
        assert words >= 300 or reference(name) in said
    assert "turned well." in said


def test_nodes_in_the_instruction(library):
    """They are always sent, and the receipt says why."""
    memory = ChatMemoryBuffer.from_defaults()
    engine = ContextChatEngine.from_defaults(
        library.retriever, llm=library.llm, memory=memory
    )
    with library.cache.collect() as receipts:
        for _ in range(3):
            engine.reset()
            engine.chat(library.question())
            library.rest()

    notes = receipts[-1].notes
    assert any(it.startswith(IN_INSTRUCTION) for it in notes)
    assert library.check() == {"full": 9}


async def test_postprocessors(warm):
    """What a postprocessor takes away is neither sent nor referred to."""
    cutoff = SimilarityPostprocessor(similarity_cutoff=0.75)
    engine = warm.engine(node_postprocessors=[cutoff])
    response = await engine.aquery("What of e1 e2 e3?")

    assert [it.node_id for it in response.source_nodes] == ["e1", "e2"]
    assert reference("e2") in str(warm.last.body)
    assert "e3." not in str(warm.last.body["contents"])


# What must not be left out.


def nothing(library):
    """Ask as before."""


def expired(library):
    library.emulator.clock.advance(7200)


def deleted(library):
    (cache,) = library.emulator.caches
    with client_of(library.emulator.url, key="ws-cached-key") as client:
        client.caches.delete(name=cache.name)


def changed(library):
    library.nodes["e2"] = node_of("e2", text=text_of("2 (repaired)"))


def forgotten(library):
    library.retriever.forget(["e2"])
    library.usual = (1, 3)


def failing(library):
    """Answer 500 once; it is asked again by whoever asked."""
    library.emulator.faults.push(Fault(status=500))


def failing_and_expiring(library):
    def fail(body):
        library.emulator.clock.advance(7200)
        raise TimeoutError

    library.emulator.answers.push(fail)


def without_handles(library):
    return library.make(gemini_caches=False)


def other_instruction(library):
    return library.make(system_prompt="Answer in verse.")


def other_provider(library):
    url = library.emulator.url
    return Anthropic(model="claude-sonnet-4-6", api_key="any", base_url=url)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("happens", "by_reference"),
    [
        pytest.param(nothing, True, id="nothing"),
        pytest.param(expired, False, id="expired"),
        pytest.param(deleted, False, id="deleted"),
        pytest.param(changed, False, id="changed"),
        pytest.param(forgotten, False, id="forgotten"),
        pytest.param(failing, True, id="500"),
        pytest.param(failing_and_expiring, False, id="500_and_expired"),
        pytest.param(without_handles, False, id="without_handles"),
        pytest.param(other_instruction, False, id="instruction"),
    ],
)
async def test_no_reference_without_its_text(happens, by_reference, way, warm):
    """Whatever happens, what answers has the text of every node."""
    llm = happens(warm)
    question = warm.question()
    try:
        answer = await way(warm, llm, question)
    except Exception:
        if happens not in (failing, failing_and_expiring):
            raise
        answer = await way(warm, llm, question)

    assert answer
    assert warm.last.status == 200
    assert ("cachedContent" in warm.last.body) is by_reference
    assert warm.check()["reference"] >= 3
    warm.rest()
    assert await way(warm)
    warm.check()


@pytest.mark.parametrize("way", WAYS)
async def test_a_tenant(way, warm):
    """What is kept for one tenant is not named for another."""
    with options(tenant="other"):
        assert await way(warm)

    assert warm.check() == {"full": 6, "reference": 3}


@pytest.mark.parametrize("way", WAYS)
async def test_a_plain_llm(way, warm, make_plain):
    """A stock LLM in the same engine gets all there is."""
    assert await way(warm, make_plain())
    assert warm.last.workspace == "plain"
    assert warm.check() == {"full": 6, "reference": 3}


@pytest.mark.parametrize("way", STREAMS)
@pytest.mark.parametrize("happens", [nothing, expired, deleted])
async def test_a_stream_that_breaks(happens, way, warm):
    """Asked again after its stream broke, it has all it needs once more."""
    question = warm.question()
    warm.emulator.answers.push("It is a wagon of coal and water. " * 9)
    warm.emulator.faults.push(Fault(after_events=2, match="streamGenerate"))
    with pytest.raises(Exception):  # noqa: B017, PT011 - the SDK's, whatever it is
        await way(warm, None, question)
    happens(warm)

    assert await way(warm, None, question)
    assert warm.check()["reference"] >= 6


# What the retriever is told.


@pytest.mark.parametrize("is_async", [False, True])
async def test_what_is_returned(is_async, library):
    """The nodes are the very objects of the retriever inside, in its order."""
    if is_async:
        found = await library.retriever.aretrieve("e3 e1 e2")
    else:
        found = library.retriever.retrieve("e3 e1 e2")

    assert [id(it) for it in found] == [id(it) for it in library.shelf.found]
    assert [it.node_id for it in found] == ["e3", "e1", "e2"]


def test_callbacks(library):
    """A handler is told of both retrievals."""
    debug = LlamaDebugHandler(print_trace_on_end=False)
    manager = CallbackManager([debug])
    library.shelf.callback_manager = manager
    retriever = GeminiResidentRetriever(
        library.shelf, prompt_cache=library.cache, callback_manager=manager
    )
    retriever.retrieve("e1")

    assert len(debug.get_event_pairs(CBEventType.RETRIEVE)) == 2


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_corpus(is_async, make_library):
    """All nodes are kept at once, whatever was retrieved; one that goes is let go."""
    library = make_library()
    library.retriever = GeminiResidentRetriever(
        library.shelf,
        resident="corpus",
        documents=library.nodes.values,
        prompt_cache=library.cache,
    )
    if is_async:
        await library.engine().aquery(library.question())
    else:
        await asyncio.to_thread(library.engine().query, library.question())
    library.rest()
    await library.engine().aquery(library.question(7, 8, 9))

    assert library.check() == {"full": 3, "reference": 3}
    del library.nodes["e9"]
    library.retriever.refresh()
    await library.engine().aquery(library.question())
    library.rest()
    first, second = library.emulator.caches
    assert first.tokens > second.tokens > 9 * 1_600
    assert not first.live
    assert library.check() == {"full": 6, "reference": 3}


def test_a_corpus_of_an_iterator(library):
    """It is read when the retriever is made; nodes may have scores."""
    nodes = iter([NodeWithScore(node=it) for it in library.nodes.values()])
    retriever = GeminiResidentRetriever(
        library.shelf, documents=nodes, prompt_cache=library.cache
    )
    retriever.retrieve("e1")
    retriever.refresh()

    assert len(retriever._kept.corpus) == 10


@pytest.mark.parametrize(
    "fields",
    [{"resident": "some"}, {"hot_tokens": 0}, {"prompt_cache": 7}],
    ids=lambda it: next(iter(it)),
)
def test_wrong_options(fields, library):
    """They are refused when the retriever is made."""
    with pytest.raises(OptionError, match=next(iter(fields))):
        GeminiResidentRetriever(library.shelf, **fields)


@pytest.mark.parametrize("choice", [False, {"gemini_caches": False}, "off"])
def test_switched_off(choice, library, monkeypatch):
    """Nothing is opened or remembered."""
    monkeypatch.setattr(PromptCache, "keeper", property(pytest.fail))
    retriever = GeminiResidentRetriever(library.shelf, prompt_cache=choice)

    assert len(retriever.retrieve("e1")) == 1
    assert retriever._kept.recent() == []


def test_switched_off_in_the_environment(library, monkeypatch):
    """Nothing is opened or remembered."""
    switch = "llamaindex_promptcache.retrievers.is_switched_off"
    monkeypatch.setattr(switch, lambda: True)

    assert len(library.retriever.retrieve("e1")) == 1
    assert library.retriever._kept.recent() == []


def test_copies(library):
    """What a copy learns, its original learns too."""
    copied = copy.deepcopy(library.retriever)

    assert copied._kept is library.retriever._kept
    assert copied._get_prompt_modules() == {"retriever": copied._retriever}


def test_another_provider(library):
    """An LLM of another provider gets all there is."""
    library.warm()
    library.engine(other_provider(library)).query(library.question())

    assert "messages" in library.last.body
    assert library.check() == {"full": 6, "reference": 3}
