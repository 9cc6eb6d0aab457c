"""A running emulator, a cache on its clock, and LLMs with and without caching."""

from collections import Counter

import pytest
from llama_index.core.base.llms.types import MessageRole
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.span_handlers import BaseSpanHandler
from llama_index.core.llms import ChatMessage
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.llms.anthropic import Anthropic
from llamaindex_handling import Trial
from llamaindex_paths import ONE_SHOT
from llamaindex_rag import closed, llm_of
from llamaindex_results import answers_in, bodies, kinds, names, receipted, shape
from pydantic import Field

from llamaindex_promptcache import PromptCachedAnthropic, PromptCacheEvent
from promptcache import PromptCache
from promptcache.receipts.events import Settled

# Its minimum is 1,024 tokens, and LlamaIndex asks it for structured output natively.
MODEL = "claude-sonnet-4-6"

# About 2,000 tokens, so that the head alone is long enough to be cached.
SYSTEM = "You are a careful clerk of a railway museum. " * 180

# Fixed ids and no metadata, so that every engine sends the same text.
NODES = [
    TextNode(id_=f"node-{number}", text=f"The T {number} was built in 1911. " * 60)
    for number in range(9, 13)
]


@pytest.fixture
def cache(emulator, events):
    return PromptCache(strict=True, clock=emulator.clock, listeners=[events.append])


@pytest.fixture
def collecting(cache):
    """Return a context manager for the receipts of a cache, else of `cache`."""
    return lambda chosen=cache: chosen.collect()


@pytest.fixture
def arguments(emulator):
    """Return a function that gives the arguments of an LLM in a workspace."""

    def of(workspace, **changes):
        return {
            "model": MODEL,
            "api_key": f"ws-{workspace}-key",
            "base_url": emulator.url,
            "max_tokens": 256,
            "max_retries": 0,
            **changes,
        }

    return of


@pytest.fixture
async def closing():
    """Return a function that takes LLMs whose connections are closed in the end."""
    made = []

    def take(llm):
        made.append(llm)
        return llm

    yield take
    for llm in made:
        llm._client.close()
        await llm._aclient.close()


@pytest.fixture
def stock_class():
    return Anthropic


@pytest.fixture
def make_in(stock_class, arguments, closing):
    """Return a function that makes stock LLMs in a workspace of one's choice."""
    return lambda workspace, **changes: closing(
        stock_class(**arguments(workspace, **changes))
    )


@pytest.fixture
def make_cache(emulator):
    """Return a function that makes caches which know of nothing yet."""
    made = []

    def make():
        made.append(PromptCache(store="memory:", strict=True, clock=emulator.clock))
        return made[-1]

    yield make
    for cache in made:
        cache.close()


@pytest.fixture
async def make_llm(emulator):
    """Return a function that makes LLMs of any provider, cached or not."""
    made = []

    def make(provider, *, workspace="cached", **changes):
        llm = llm_of(provider, emulator.url, workspace=workspace, **changes)
        made.append(llm)
        return llm

    yield make
    for llm in made:
        await closed(llm)


@pytest.fixture
def trial(rows_of, told, opened, strip, assert_settled):
    """Return what compares how a path was walked."""
    return Trial(rows_of, told, opened, strip, assert_settled)


@pytest.fixture
def make_plain(arguments, closing):
    """Return a function that makes LLMs without caching, in workspace `plain`."""
    return lambda **changes: closing(Anthropic(**arguments("plain", **changes)))


@pytest.fixture
def make_cached(arguments, cache, closing):
    """Return a function that makes LLMs with caching, in workspace `cached`."""

    def make(**changes):
        given = arguments("cached", **{"prompt_cache": cache, **changes})
        return closing(PromptCachedAnthropic(**given))

    return make


@pytest.fixture
def plain(make_plain):
    return make_plain()


@pytest.fixture
def cached(make_cached):
    return make_cached()


@pytest.fixture
def head():
    """Return a system message that is long enough to be cached."""
    return ChatMessage(role=MessageRole.SYSTEM, content=SYSTEM)


@pytest.fixture
def prompt(head):
    """Return a function that makes a conversation of the head and one question."""
    return lambda question="What is a tender?": [head, ChatMessage(question)]


@pytest.fixture
def rows_of(emulator):
    """Return a function that gives the ledger's rows of one workspace."""
    return lambda name: [row for row in emulator.ledger if row.workspace == name]


@pytest.fixture
def last_row(emulator):
    """Return a function that gives the newest row of the ledger."""
    return lambda: emulator.ledger[-1]


class Shelf(BaseRetriever):
    """A retriever that finds the same nodes for every question."""

    def _retrieve(self, query_bundle):
        return [NodeWithScore(node=node, score=1.0) for node in NODES]


@pytest.fixture
def shelf():
    return Shelf()


class Told(BaseEventHandler):
    """Keeps every event that LlamaIndex dispatches."""

    kept: list = Field(default_factory=list)

    @classmethod
    def class_name(cls):
        return "Told"

    def handle(self, event, **kwargs):
        self.kept.append(event)


class Opened(BaseSpanHandler):
    """Keeps the names of all spans that were opened, and those that are open."""

    names: list = Field(default_factory=list)
    open: set = Field(default_factory=set)

    @classmethod
    def class_name(cls):
        return "Opened"

    def span_enter(self, id_, *args, **kwargs):
        self.names.append(id_)
        self.open.add(id_)

    def span_exit(self, id_, *args, **kwargs):
        self.open.discard(id_)

    span_drop = span_exit

    def new_span(self, *args, **kwargs):
        raise NotImplementedError

    prepare_to_exit_span = prepare_to_drop_span = new_span


@pytest.fixture
def told():
    """Return the events that LlamaIndex dispatches in this test."""
    root, handler = get_dispatcher(), Told()
    before = root.event_handlers
    root.event_handlers = [*before, handler]
    yield handler.kept
    root.event_handlers = before


class Keeping(BaseEventHandler):
    """Keeps our events only: those of errors hold on to the streams they are about."""

    kept: list = Field(default_factory=list)

    def handle(self, event, **kwargs):
        if isinstance(event, PromptCacheEvent):
            self.kept.append(event)


@pytest.fixture
def kept():
    """Return the events of ours."""
    root, keeping = get_dispatcher(), Keeping()
    root.add_event_handler(keeping)
    yield keeping.kept
    root.event_handlers.remove(keeping)


@pytest.fixture
def opened():
    """Return the spans that LlamaIndex opens in this test, in `names` and `open`."""
    root, handler = get_dispatcher(), Opened()
    before = root.span_handlers
    root.span_handlers = [*before, handler]
    yield handler
    root.span_handlers = before


@pytest.fixture
def check(rows_of, events, strip, assert_settled, request):
    """Return a function that compares what a path did with what the stock one did."""

    def compare(receipts, expected, result):
        plain_rows, rows = rows_of("plain"), rows_of("cached")

        assert rows
        assert {row.status for row in rows} == {200}
        assert len(receipts) == len(rows) == len(plain_rows)
        assert [type(event) for event in events] == [Settled] * len(rows)
        assert_settled(receipts, rows)
        assert {receipt.attempts for receipt in receipts} == {1}
        assert bodies(rows, strip) == bodies(plain_rows, strip)
        if not ONE_SHOT.search(request.node.callspec.id):
            assert sum(row.cache_read_input_tokens for row in rows) > 0
        assert len(receipted(result)) == answers_in(result)
        assert shape(result) == shape(expected)

    return compare


@pytest.fixture
def same_traces(told, opened):
    """Return a function that compares the traces of two kinds of LLM.

    Those of ours have an event more for each receipt, and nothing else.
    """

    def compare(receipts, mark):
        stock, ours = told[: mark[0]], told[mark[0] :]
        extra = [event for event in ours if isinstance(event, PromptCacheEvent)]
        rest = [event for event in ours if not isinstance(event, PromptCacheEvent)]

        assert kinds(stock) == kinds(rest)
        assert names(opened.names[: mark[1]]) == names(opened.names[mark[1] :])
        assert not opened.open
        told_of = Counter(event.receipt["id"] for event in extra)
        assert told_of == Counter(receipt.id for receipt in receipts)
        llms = {event.llm_span_id for event in extra}
        assert llms <= {id_ for id_ in opened.names if id_.startswith("PromptCached")}

    return compare


@pytest.fixture
def strip():
    """Return a function that takes the markers off a body.

    A list of one plain text block becomes its string again.
    """
    return _stripped


@pytest.fixture
def markers():
    """Return a function that lists the markers of a body as paths and lifetimes."""
    return lambda body: dict(_markers(body, ""))


@pytest.fixture
def assert_settled():
    """Return a function that compares receipts with rows, in any order."""

    def check(receipts, rows):
        assert Counter(map(_used, receipts)) == Counter(map(_billed, rows))

    return check


def _stripped(value):
    if isinstance(value, list):
        items = [_stripped(item) for item in value]
        is_one = len(items) == 1 and isinstance(items[0], dict)
        return items[0]["text"] if is_one and items[0].keys() == _PLAIN else items
    if isinstance(value, dict):
        return {key: _stripped(value[key]) for key in value if key != "cache_control"}
    return value


_PLAIN = {"type", "text"}


def _markers(value, path):
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _markers(item, f"{path}[{number}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "cache_control" and item is not None:
                yield path or "top", item.get("ttl", "5m")
            else:
                yield from _markers(item, f"{path}.{key}" if path else key)


def _used(receipt):
    usage = receipt.usage
    return (
        usage.input_tokens,
        usage.read_tokens,
        usage.written_5m_tokens,
        usage.written_1h_tokens,
        usage.output_tokens,
    )


def _billed(row):
    return (
        row.total_input_tokens,
        row.cache_read_input_tokens,
        row.cache_creation_5m_input_tokens,
        row.cache_creation_1h_input_tokens,
        row.output_tokens,
    )
