"""Tenants see no history, key or handle of each other's, whatever store they share."""

import anthropic
import openai
import pytest
from gemini_sdk import client_of
from redis_server import redis_server

from promptcache import PromptCache, SqliteStore, options
from promptcache.emulator import Emulator, GeminiSettings
from promptcache.limits import Limits
from promptcache.state.memory import MemoryStore

pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class Aiohttp")

HEAD = "You help. " * 3_000
TENANTS = ("acme", "zoo", None)


@pytest.fixture(scope="module")
def server():
    """Return an emulator whose implicit caching finds nothing, so that others pay."""
    with Emulator(gemini=GeminiSettings(implicit_luck=0.0)) as running:
        yield running


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory):
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture(params=["none", "memory", "sqlite", "redis"])
def make(request, emulator, tmp_path):
    """Return a function that makes a worker; all of them have one store."""
    made = []
    shared = MemoryStore()
    if request.param == "redis":
        shared = request.getfixturevalue("redis_url")

    def cache():
        store = {
            "none": None,
            "memory": shared,
            "sqlite": SqliteStore(tmp_path / "state.db"),
            "redis": shared,
        }[request.param]
        limits = Limits(usd_per_hour=100.0, live_caches=99)
        made.append(PromptCache(store=store, clock=emulator.clock, limits=limits))
        return made[-1]

    yield cache
    for it in made:
        it.close()


def chat(client, text):
    client.chat.completions.create(
        model="gpt-6.1-sol",
        messages=[
            {"role": "system", "content": HEAD},
            {"role": "user", "content": text},
        ],
    )


def test_keys(make, emulator):
    """The same prompt has another key for each tenant, on every worker the same."""
    keys = {}
    for _ in range(2):
        client = make().attach(
            openai.OpenAI(base_url=f"{emulator.url}/v1", api_key="any")
        )
        for tenant in TENANTS:
            with options(tenant=tenant):
                chat(client, "hello")
            sent = emulator.ledger[-1].body["prompt_cache_key"]
            keys.setdefault(tenant, set()).add(sent)
        client.close()

    assert [len(it) for it in keys.values()] == [1, 1, 1]
    assert len(set.union(*keys.values())) == len(TENANTS)


def test_keys_of_frameworks(emulator):
    """LangChain and LlamaIndex have the keys that the SDK has for the tenant."""
    chats = pytest.importorskip("langchain_openai", reason="it needs langchain-openai")
    llms = pytest.importorskip(
        "llama_index.llms.openai", reason="it needs llama-index-llms-openai"
    )
    from llama_index.core.llms import ChatMessage as said  # noqa: N813, PLC0415

    import langchain_promptcache  # noqa: PLC0415
    import llamaindex_promptcache  # noqa: PLC0415

    url = f"{emulator.url}/v1"
    cache = PromptCache(clock=emulator.clock)
    chat = langchain_promptcache.prompt_cached(
        chats.ChatOpenAI(model="gpt-6.1-sol", base_url=url, api_key="any"), cache
    )
    llm = llamaindex_promptcache.prompt_cached(
        llms.OpenAI(model="gpt-4o", api_base=url, api_key="any"), cache
    )
    keys = {}
    for tenant in TENANTS:
        metadata = {} if tenant is None else {"prompt_cache_tenant": tenant}
        chat.invoke([("system", HEAD), ("user", "hello")], {"metadata": metadata})
        keys.setdefault("langchain", []).append(key_of(emulator))
        with options(tenant=tenant):
            llm.chat([said(role="system", content=HEAD), said(content="hello")])
        keys.setdefault("llamaindex", []).append(key_of(emulator))
    cache.close()

    for found in keys.values():
        assert all(found), keys
        assert len(set(found)) == len(TENANTS)


def key_of(emulator):
    """Return the key of the last request."""
    return emulator.ledger[-1].body.get("prompt_cache_key")


def test_history(make, emulator):
    """What one tenant's traffic has shown changes nothing of how another's is planned.

    A fresh worker is what it is compared with.
    """

    def marks(cache, tenant, texts):
        client = cache.attach(anthropic.Anthropic(base_url=emulator.url, api_key="any"))
        messages, found = [], []
        with options(tenant=tenant):
            for text in texts:
                messages.append({"role": "user", "content": text})
                client.messages.create(
                    model="claude-sonnet-5-5",
                    max_tokens=9,
                    system=HEAD,
                    messages=messages,
                )
                found.append(emulator.ledger[-1].breakpoints)
                messages.append({"role": "assistant", "content": "Fine."})
                emulator.clock.advance(400)
        client.close()
        return found

    texts = [f"question {number} " + "word " * 400 for number in range(5)]
    fresh = marks(PromptCache(clock=emulator.clock), "zoo", texts)
    busy = make()
    for _ in range(3):
        marks(busy, "acme", texts)
        if busy._sharing is not None:
            busy._sharing.flush()
    again = marks(busy, "acme", texts)
    elsewhere = make()
    if elsewhere._sharing is not None:
        elsewhere._sharing.flush()

    assert marks(busy, "zoo", texts) == fresh
    # A third one: what the second has learned on the first worker is its own.
    assert marks(elsewhere, "new", texts) == fresh
    assert again != fresh, "nothing was learned that could have been seen"


def test_handles(make, emulator):
    """A cached content is named by its tenant's requests alone, on every worker."""
    workers = [make(), make()]
    clients = [it.attach(client_of(emulator.url)) for it in workers]
    named = {tenant: set() for tenant in TENANTS}
    for _ in range(8):
        for worker, client in zip(workers, clients, strict=True):
            for tenant in TENANTS:
                with options(tenant=tenant):
                    client.models.generate_content(
                        model="gemini-3.8-flash",
                        contents="hello",
                        config={"system_instruction": HEAD},
                    )
                name = emulator.ledger[-1].body.get("cachedContent")
                named[tenant] |= {name} - {None}
            if worker._holdings.has_keeper:
                assert worker.keeper.idle()
                worker.keeper.tend()
        emulator.clock.advance(20)
    for client in clients:
        client.close()

    assert all(named.values()), "no cached content was named"
    assert sum(map(len, named.values())) == len(set.union(*named.values()))
