"""Documents that Gemini keeps: what is left out of a request is held where it says."""

import copy
import re
from itertools import count
from typing import Any

import pytest
from gemini_references import check_references, reference
from gemini_sdk import client_of
from google.genai.types import HttpOptions, HttpRetryOptions
from langchain_anthropic import ChatAnthropic
from langchain_asking import STREAMS, WAYS
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda, RunnablePassthrough
from langchain_core.vectorstores import InMemoryVectorStore
from pydantic import PrivateAttr, ValidationError

from langchain_promptcache import (
    GeminiResidentRetriever,
    PromptCachedChatGoogleGenerativeAI,
)
from promptcache import Limits, MemoryStore, PromptCache, options
from promptcache.emulator import Emulator, Fault, GeminiSettings
from promptcache.receipts.events import CacheCreated, CacheLost, LimitReached

OPTION = "prompt_cache"
IN_INSTRUCTION = "documents stand in the system instruction"
AT_ONCE = HttpOptions(
    retry_options=HttpRetryOptions(attempts=3, initial_delay=0, max_delay=0, jitter=0)
)

pytestmark = [
    # What the SDK's own way of making a session is told of by aiohttp.
    pytest.mark.filterwarnings("ignore:Inheritance class Aiohttp"),
    # The SDK leaves the connection of a broken stream to Python.
    pytest.mark.filterwarnings("ignore:Unclosed connection:ResourceWarning"),
]


def text_of(number, *, words=300):
    return f"Engine {number} of the museum. " + f"Wheel {number} turned well. " * words


class Shelf(BaseRetriever):
    """Returns the documents that a question names, and remembers which."""

    documents: Any
    _seen: dict = PrivateAttr(default_factory=dict)

    def _get_relevant_documents(self, query, *, run_manager):
        found = [self.documents[it] for it in re.findall(r"\be\d+\b", query)]
        self._seen[query] = {it.id: it.page_content for it in found}
        return found


class Library:
    """A chain that answers from documents which Gemini may keep."""

    def __init__(self, make, cache, emulator, **fields):
        self.cache, self.emulator = cache, emulator
        names = [f"e{number}" for number in range(10)]
        self.documents = {it: Document(id=it, page_content=text_of(it)) for it in names}
        self.shelf = Shelf(documents=self.documents)
        said = {"resident": "hot", "prompt_cache": cache, **fields}
        self.retriever = GeminiResidentRetriever(retriever=self.shelf, **said)
        self.make = make
        self.model = make()
        self.usual = (1, 2, 3)
        self._numbers = count()

    def chain(self, system="Answer from the documents.", model=None, human=None):
        human = human or "{context}\n\nQuestion: {question}"
        prompt = ChatPromptTemplate.from_messages([("system", system), ("user", human)])
        joined = RunnableLambda(lambda it: "\n\n".join(d.page_content for d in it))
        given = {
            "context": self.retriever | joined,
            "question": RunnablePassthrough(),
        }
        return given | prompt | (model or self.model)

    def question(self, *numbers):
        names = " ".join(f"e{it}" for it in numbers or self.usual)
        return f"What of {names}? ({next(self._numbers)})"

    def warm(self, times=2):
        """Ask until the documents are kept."""
        for _ in range(times):
            self.chain().invoke(self.question())
            self.rest()

    def rest(self, seconds=20):
        assert self.cache.keeper.idle()
        self.emulator.clock.advance(seconds)

    @property
    def last(self):
        asked = [it for it in self.emulator.ledger if "cachedC" not in it.path]
        return asked[-1]

    def check(self):
        return check_references(self.emulator, self.shelf._seen)


@pytest.fixture
def implicit_only():
    """Say nothing around the calls: here cached contents are wanted."""


@pytest.fixture
def kind(request):
    return getattr(request, "param", "developer")


@pytest.fixture
def cache(emulator, events):
    made = PromptCache(
        strict=True,
        store=MemoryStore(),
        clock=emulator.clock,
        listeners=[events.append],
        limits=Limits(usd_per_hour=1),
    )
    yield made
    made.close()


@pytest.fixture
def library(make_cached, cache, emulator):
    return Library(make_cached, cache, emulator)


@pytest.fixture
def warm(library):
    library.warm()
    assert library.last.body.keys() >= {"cachedContent"}
    return library


def told(events, kind):
    return [it for it in events if isinstance(it, kind)]


# What is sent.


@pytest.mark.parametrize("kind", ["developer", "vertex"], indirect=True)
def test_documents_by_reference(kind, make_cached, cache, emulator, events):
    """Once they are kept, requests carry their ids, and read their text by name."""
    library = Library(make_cached, cache, emulator)
    library.warm()
    answer = library.chain().invoke(library.question(3, 1))
    row = library.last
    (created,) = told(events, CacheCreated)

    assert row.body["cachedContent"] == created.name == row.hit
    assert row.cache_read_input_tokens == created.tokens
    assert row.input_tokens < 100
    said = row.body["contents"][0]["parts"][0]["text"]
    assert said.startswith(f"{reference('e3')} \n\n{reference('e1')} \n\nQuestion")
    assert "systemInstruction" not in row.body
    receipt = answer.response_metadata[OPTION]
    assert receipt["read_tokens"] == created.tokens
    assert receipt["notes"] == ["2 of 2 documents sent by reference"]
    assert library.check() == {"full": 3, "reference": 5}


def test_documents_that_are_not_kept(warm):
    """What the cached content lacks goes out in full, beside references."""
    answer = warm.chain().invoke(warm.question(1, 7))

    notes = answer.response_metadata[OPTION]["notes"]
    assert notes == ["1 of 2 documents sent by reference"]
    assert warm.documents["e7"].page_content in str(warm.last.body)
    warm.check()


def test_documents_in_the_instruction(library):
    """They are always sent, and the receipt says why."""
    chain = library.chain(system="Answer from: {context}", human="{question}")
    for _ in range(3):
        answer = chain.invoke(library.question())
        library.rest()

    notes = answer.response_metadata[OPTION]["notes"]
    assert any(it.startswith(IN_INSTRUCTION) for it in notes)
    assert library.check() == {"full": 9}


@pytest.mark.parametrize("way", WAYS)
async def test_every_way(way, warm):
    """A request of any kind leaves out what is kept, and answers."""
    answer = await way(warm.chain(), warm.question())

    assert answer.text
    assert warm.last.hit == warm.last.body["cachedContent"]
    assert warm.check()["reference"] == 6


# What must not be left out.


def nothing(library):
    return library.chain()


def expired(library):
    library.emulator.clock.advance(7200)
    return library.chain()


def about_to_expire(library):
    (cache,) = library.emulator.caches
    left = cache.expires - library.emulator.clock.now()
    library.emulator.clock.advance(left - 1)
    return library.chain()


def deleted(library):
    (cache,) = library.emulator.caches
    with client_of(library.emulator.url, key="ws-cached-key") as client:
        client.caches.delete(name=cache.name)
    return library.chain()


def changed(library):
    text = text_of("2 (repaired)")
    library.documents["e2"] = Document(id="e2", page_content=text)
    return library.chain()


def forgotten(library):
    library.retriever.forget(["e2"])
    library.usual = (1, 3)
    return library.chain()


def failing(library):
    library.emulator.faults.push(Fault(status=500, times=2))
    model = library.model.bind(http_options=AT_ONCE)
    return library.chain(model=model)


def failing_and_expiring(library):

    def fail(body):
        library.emulator.clock.advance(7200)
        raise TimeoutError

    library.emulator.answers.push(fail)
    model = library.model.bind(http_options=AT_ONCE)
    return library.chain(model=model)


def other_instruction(library):
    return library.chain(system="Answer in verse.")


def other_tenant(library):
    return library.chain(model=library.model.bind(prompt_cache={"tenant": "other"}))


def without_handles(library):
    model = library.make(gemini_caches=False)
    return library.chain(model=model)


def other_provider(library):
    model = ChatAnthropic(
        model="claude-sonnet-4-6", api_key="any", base_url=library.emulator.url
    )
    return library.chain(model=model)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("happens", "by_reference"),
    [
        pytest.param(nothing, True, id="nothing"),
        pytest.param(expired, False, id="expired"),
        pytest.param(about_to_expire, False, id="about_to_expire"),
        pytest.param(deleted, False, id="deleted"),
        pytest.param(changed, False, id="changed"),
        pytest.param(forgotten, False, id="forgotten"),
        pytest.param(failing, True, id="500"),
        pytest.param(failing_and_expiring, False, id="500_and_expired"),
        pytest.param(other_instruction, False, id="instruction"),
        pytest.param(other_tenant, False, id="tenant"),
        pytest.param(without_handles, False, id="without_handles"),
        pytest.param(other_provider, False, id="provider"),
    ],
)
async def test_no_reference_without_its_text(happens, by_reference, way, warm):
    """Whatever happens, what answers has the text of every document."""
    chain = happens(warm)
    answer = await way(chain, warm.question())
    row = warm.last

    assert answer.text
    assert row.status == 200
    assert ("cachedContent" in row.body) is by_reference
    assert warm.check()["reference"] >= 3
    # And it is found again, where it may be.
    warm.rest()
    assert (await way(warm.chain(), warm.question())).text
    warm.check()


@pytest.mark.parametrize("way", WAYS)
async def test_a_plain_model(way, warm, make_plain):
    """A stock model in the same chain gets all there is."""
    answer = await way(warm.chain(model=make_plain()), warm.question())

    assert answer.text
    assert warm.last.workspace == "plain"
    assert warm.check() == {"full": 6, "reference": 3}


@pytest.mark.parametrize("way", STREAMS)
@pytest.mark.parametrize("happens", [nothing, expired, deleted])
async def test_a_stream_that_breaks(happens, way, warm):
    """Asked again after its stream broke, it has all it needs once more."""
    question = warm.question()
    warm.emulator.answers.push("It is a wagon of coal and water. " * 9)
    warm.emulator.faults.push(Fault(after_events=1, match="streamGenerate"))
    with pytest.raises(Exception):  # noqa: B017, PT011 - the SDK's, whatever it is
        await way(warm.chain(), question)
    chain = happens(warm)
    answer = await way(chain, question)

    assert answer.text
    assert warm.check()["reference"] >= 6


def test_a_deletion_is_told(warm, events):
    """What was refused is sent once more in full, and an event says so."""
    deleted(warm).invoke(warm.question())

    rows = [it for it in warm.emulator.ledger if "enerate" in it.path]
    assert [row.status for row in rows][-2:] == [403, 200]
    assert len(told(events, CacheLost)) == 1
    assert warm.check()["refused"] == 3


# What the retriever is told.


def test_what_is_returned(library):
    """The documents are the very objects of the retriever inside, in its order."""
    found = library.retriever.invoke("e3 e1 e2")

    assert [id(it) for it in found] == [
        id(library.documents[it]) for it in ("e3", "e1", "e2")
    ]


async def test_what_is_returned_to_a_coroutine(library):
    """The documents are the very objects of the retriever inside, in its order."""
    found = await library.retriever.ainvoke("e3 e1 e2")

    assert all(it is library.documents[it.id] for it in found)
    assert [it.id for it in found] == ["e3", "e1", "e2"]


class Runs(BaseCallbackHandler):
    def __init__(self):
        self.starts = []

    def on_retriever_start(self, serialized, query, *, run_id, parent_run_id, **more):
        self.starts.append((more["name"], run_id, parent_run_id, more["tags"]))


@pytest.mark.parametrize("is_async", [False, True])
async def test_callbacks(is_async, library):
    """The retriever inside runs as a child of the one around it."""
    runs = Runs()
    config = {"callbacks": [runs], "tags": ["mine"]}
    if is_async:
        await library.retriever.ainvoke("e1", config)
    else:
        library.retriever.invoke("e1", config)
    outer, inner = runs.starts

    assert (outer[0], inner[0]) == ("GeminiResidentRetriever", "Shelf")
    assert outer[2] is None
    assert inner[2] == outer[1]
    assert "mine" in inner[3]


def test_arguments_of_a_call(library):
    """They reach the retriever inside."""
    store = InMemoryVectorStore(Fake())
    store.add_documents(list(library.documents.values()))
    retriever = GeminiResidentRetriever(
        retriever=store.as_retriever(), prompt_cache=library.cache
    )

    assert len(retriever.invoke("e1", k=2)) == 2
    assert len(retriever.invoke("e1", k=5)) == 5


class Fake:
    def embed_documents(self, texts):
        return [[float(len(it)), 1.0] for it in texts]

    def embed_query(self, text):
        return [1.0, 1.0]


def test_any_runnable(library):
    """Whatever returns documents may stand inside."""
    inner = RunnableLambda(lambda query: [library.documents["e1"]])
    retriever = GeminiResidentRetriever(retriever=inner, prompt_cache=library.cache)

    assert retriever.invoke("?") == [library.documents["e1"]]


# All documents.


@pytest.fixture
def corpus(make_cached, cache, emulator):
    """Return a library whose documents are all kept."""

    def made(documents=None):
        library = Library(make_cached, cache, emulator, resident="corpus")
        given = documents or library.documents.values
        said = {"resident": "corpus", "prompt_cache": cache, "documents": given}
        library.retriever = GeminiResidentRetriever(retriever=library.shelf, **said)
        return library

    return made


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_corpus(is_async, corpus):
    """All documents are kept at once, whatever was retrieved."""
    library = corpus()
    if is_async:
        await library.chain().ainvoke(library.question())
    else:
        library.chain().invoke(library.question())
    library.rest()
    library.chain().invoke(library.question(7, 8, 9))
    (cache,) = library.emulator.caches

    assert cache.tokens > 10 * 1_600
    assert library.check() == {"full": 3, "reference": 3}


def test_a_corpus_that_is_given_once(corpus, library):
    """An iterator is read when the retriever is made."""
    documents = list(library.documents.values())
    other = corpus(iter(documents))
    other.warm()
    other.retriever.refresh()
    other.warm(1)

    assert other.retriever.documents == documents
    assert other.check()["reference"] == 6


def test_a_corpus_that_changes(corpus):
    """A document that is gone takes what held it along, at the provider, too."""
    library = corpus()
    library.warm()
    del library.documents["e9"]
    library.retriever.refresh()
    library.chain().invoke(library.question())
    library.rest()
    library.chain().invoke(library.question())
    first, second = library.emulator.caches

    assert not first.live
    assert second.live
    assert second.tokens < first.tokens
    assert library.last.hit == second.name
    assert library.check() == {"full": 6, "reference": 6}


def test_a_corpus_that_grows(corpus):
    """A document that is added is sent in full: what is kept goes on being named."""
    library = corpus()
    library.warm()
    added = Document(id="e10", page_content=text_of("e10"))
    library.documents["e10"] = added
    library.retriever.replace(library.documents.values())
    library.chain().invoke(library.question(1, 10))
    library.rest()

    assert len(library.emulator.caches) == 1
    assert library.check() == {"full": 4, "reference": 4}


MANY = 698


def test_a_large_corpus(make_cached, cache, emulator, events):
    """698 documents are one cached content, where a dollar an hour may be spent."""
    library = Library(make_cached, cache, emulator)
    library.documents.clear()
    for number in range(MANY):
        name = f"e{number}"
        text = text_of(name, words=50)
        library.documents[name] = Document(id=name, page_content=text)
    library.retriever = GeminiResidentRetriever(
        retriever=library.shelf,
        resident="corpus",
        documents=library.documents.values(),
        prompt_cache=cache,
    )
    library.warm(1)
    for number in range(5):
        library.chain().invoke(library.question(number, MANY - 1 - number))
    (row,) = emulator.caches

    assert 190_000 < row.tokens < 240_000
    assert library.last.cache_read_input_tokens == row.tokens
    assert library.check() == {"full": 3, "reference": 10}
    assert told(events, LimitReached) == []


def test_a_large_corpus_within_the_usual_limits(make_cached, emulator, events):
    """Ten cents do not pay for it: all goes out in full, and an event says so."""
    cache = PromptCache(
        store=MemoryStore(), clock=emulator.clock, listeners=[events.append]
    )
    library = Library(lambda: make_cached(prompt_cache=cache), cache, emulator)
    documents = [
        Document(id=f"x{number}", page_content=text_of(number, words=50))
        for number in range(MANY)
    ]
    library.retriever = GeminiResidentRetriever(
        retriever=library.shelf,
        resident="corpus",
        documents=documents,
        prompt_cache=cache,
    )
    library.warm()
    cache.close()

    assert emulator.caches == []
    assert len(told(events, LimitReached)) == 1
    assert library.check() == {"full": 6}


# What pays.


@pytest.fixture(scope="module")
def unlucky():
    with Emulator(gemini=GeminiSettings(implicit_luck=0.0)) as running:
        yield running


@pytest.mark.parametrize("luck", [0.0, 1.0])
def test_what_pays(luck, emulator, unlucky, arguments, closing):
    """Documents are kept where nothing reads them anyway, else they are not."""
    unlucky.reset()
    server = unlucky if luck == 0.0 else emulator
    cache = PromptCache(
        store=MemoryStore(), clock=server.clock, limits=Limits(usd_per_hour=1)
    )

    def make():
        given = arguments("cached", base_url=server.url, prompt_cache=cache)
        return closing(PromptCachedChatGoogleGenerativeAI(**given))

    library = Library(make, cache, server, resident="auto")
    for number in range(90):
        # Those that come first are others each time: nothing reads on behind them.
        library.chain().invoke(library.question(*((1, 2, 3), (2, 3, 1))[number % 2]))
        library.rest(15)
    cache.close()
    named = [it for it in server.ledger if "cachedContent" in it.body]

    assert bool(named) is (luck == 0.0)
    assert bool(library.check()["reference"]) is (luck == 0.0)


# Whose documents they are.


def chunks(*texts):
    return [Document(page_content=it, metadata={"source": "a.md"}) for it in texts]


def names(retriever, documents):
    """Return the names under which documents are known now."""
    inner = RunnableLambda(lambda query: documents)
    retriever.retriever = inner
    retriever.invoke("?")
    return [it.id for it in retriever._kept.recent()]


def test_documents_without_ids(library):
    """A source names a document, and its text one that has no source."""
    retriever = library.retriever
    (by_text,) = names(retriever, [Document(page_content="x" * 80)])
    found = names(retriever, chunks("y" * 80))

    assert re.fullmatch("[0-9a-f]{16}", by_text)
    assert found == ["a.md", by_text]


def test_a_source_that_was_changed(library):
    """Another text of one source, later, is that document as it is now."""
    names(library.retriever, chunks("y" * 80))

    assert names(library.retriever, chunks("z" * 80)) == ["a.md"]
    (kept,) = library.retriever._kept.recent()
    assert kept.text == "z" * 80


def test_chunks_of_one_source(library):
    """Texts that come together are documents of their own, and none is stale."""
    retriever = library.retriever
    names(retriever, chunks("y" * 80))
    both = names(retriever, chunks("y" * 80, "z" * 80))
    again = names(retriever, chunks("z" * 80))

    assert sorted(both) == sorted(again)
    assert len(both) == 2
    assert all(it.startswith("a.md#") for it in both)
    kept = {it.digest for it in retriever._kept.recent()}
    assert not retriever._kept.is_stale(kept)


def test_a_text_that_comes_back(library):
    """One source had both texts all the time: they are told apart from then on."""
    for text in ("y", "z", "y"):
        names(library.retriever, chunks(text * 80))
    found = names(library.retriever, chunks("z" * 80))

    assert len(found) == 2
    assert all(it.startswith("a.md#") for it in found)


def test_forgetting_a_source(library):
    """All of its texts go."""
    names(library.retriever, chunks("y" * 80, "z" * 80))
    library.retriever.forget(["a.md", "never seen"])

    assert library.retriever._kept.recent() == []


# How it is made.


@pytest.mark.parametrize(
    "fields",
    [{"resident": "some"}, {"hot_tokens": 0}, {"prompt_cache": 7}],
    ids=lambda it: next(iter(it)),
)
def test_wrong_options(fields, library):
    """They are refused when the retriever is made."""
    with pytest.raises(ValidationError, match=next(iter(fields))):
        GeminiResidentRetriever(retriever=library.shelf, **fields)


@pytest.mark.parametrize("choice", [False, {"gemini_caches": False}, "off"])
def test_switched_off(choice, library, monkeypatch):
    """Nothing is opened or remembered."""
    monkeypatch.setattr(PromptCache, "keeper", property(pytest.fail))
    retriever = GeminiResidentRetriever(retriever=library.shelf, prompt_cache=choice)

    assert retriever.invoke("e1") == [library.documents["e1"]]
    assert retriever._kept.recent() == []


def test_switched_off_in_the_environment(library, monkeypatch):
    """Nothing is opened or remembered."""
    switch = "langchain_promptcache.retrievers.is_switched_off"
    monkeypatch.setattr(switch, lambda: True)

    assert library.retriever.invoke("e1") == [library.documents["e1"]]
    assert library.retriever._kept.recent() == []


def test_copies(library):
    """What a copy learns, its original learns too; documents are not written out."""
    retriever = library.retriever
    for copied in (retriever.model_copy(), copy.deepcopy(retriever)):
        assert copied._kept is retriever._kept
    assert not retriever.is_lc_serializable()
    assert not {"documents", "prompt_cache"} & retriever.model_dump().keys()


def test_a_cache_that_was_closed(warm):
    """Its next keeper knows the documents, too."""
    warm.cache.close()
    warm.warm(3)

    assert warm.last.hit
    warm.check()


def test_options_around_a_call(warm):
    """Where cached contents are not wanted, nothing is left out."""
    with options(gemini_caches=False):
        warm.chain().invoke(warm.question())

    assert warm.check() == {"full": 6, "reference": 3}
