"""Redis by TLS with a password: it serves, a wrong one breaks nothing, none is told."""

import logging
import sys
import traceback

import pytest
from gemini_sdk import client_of
from redis_server import redis_server

from promptcache import OptionError, PromptCache, StoreError
from promptcache.emulator import Emulator, GeminiSettings
from promptcache.limits import Limits
from promptcache.providers import Request
from promptcache.providers.anthropic import ANTHROPIC
from promptcache.receipts.events import CacheCreated, StoreFailed
from promptcache.state.opening import open_store

pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class Aiohttp")

PASSWORD = "p@ss/w:rd?#-canary"
WRONG = "mistaken-canary"
HEAD = "You help. " * 3_000


@pytest.fixture(scope="module")
def server():
    """Return an emulator whose implicit caching finds nothing, so that others pay."""
    with Emulator(gemini=GeminiSettings(implicit_luck=0.0)) as running:
        yield running


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """Return the URL of a server that asks for a password, and a certificate's path."""
    pytest.importorskip("redis", reason="the `redis` package is not installed")
    directory = tmp_path_factory.mktemp("redis")
    with redis_server(directory, password=PASSWORD, tls=True) as made:
        yield made


def without_trust(url):
    return url.partition("?")[0]


def mistaken(url):
    return url.replace(url.partition(":")[2].split("@")[0].rpartition(":")[2], WRONG)


def unreachable(url):
    return f"{without_trust(url).rpartition(':')[0]}:1/0"


def unencrypted(url):
    return without_trust(url).replace("rediss:", "redis:")


def asked(cache, client, emulator):
    """Ask Gemini through a cache until it has cached something, if it can."""
    for _ in range(6):
        answer = client.models.generate_content(
            model="gemini-3.8-flash",
            contents="hello",
            config={"system_instruction": HEAD},
        )
        assert answer.text
        if cache._holdings.has_keeper:
            assert cache.keeper.idle()
            cache.keeper.tend()
        emulator.clock.advance(20)


def learned(cache):
    """Plan and settle a request, and share what it taught."""
    body = {
        "model": "claude-sonnet-5-5",
        "system": HEAD,
        "messages": [{"role": "user", "content": "hello"}],
    }
    for _ in range(3):
        prepared = cache.prepare(Request(ANTHROPIC, body, "anthropic"))
        cache.settle(prepared, {"input_tokens": 9, "output_tokens": 1})
        assert prepared.receipt is not None
        cache._sharing.flush()


def whole(store, emulator, caplog, *, strict=False):
    """Use a cache for all that a store is for; return events, and what was said."""
    events = []
    emulator.reset()
    with caplog.at_level(logging.DEBUG):
        cache = PromptCache(
            store=store,
            clock=emulator.clock,
            limits=Limits(usd_per_hour=100.0, live_caches=99),
            listeners=[events.append],
            strict=strict,
        )
        client = cache.attach(client_of(emulator.url))
        asked(cache, client, emulator)
        learned(cache)
        cache.close()
        client.close()
    report = cache.report()
    said = [caplog.text, repr(events), str(report), report._repr_html_(), repr(cache)]
    # What formatters of structured logs are given.
    said += [str(vars(it)) for it in caplog.records]
    return events, " ".join(said)


def test_it_works(url, emulator, caplog):
    """Workers learn and share handles by it, and its password is nowhere."""
    events, said = whole(url, emulator, caplog, strict=True)
    store = open_store(url)
    kept = list(store._client.keys("*"))
    store.close()

    assert [it for it in events if isinstance(it, StoreFailed)] == []
    assert any(isinstance(it, CacheCreated) for it in events)
    assert any(b"secret" in it for it in kept)
    assert any(b"tokens" in it for it in kept)
    assert "canary" not in said


@pytest.mark.parametrize(
    "spoil",
    [mistaken, without_trust, unreachable, unencrypted],
    ids=lambda it: it.__name__,
)
def test_calls_survive(url, spoil, emulator, caplog):
    """A wrong password, a certificate of nobody, or no server ends in an event."""
    bad = spoil(url)
    assert bad != url
    events, said = whole(bad, emulator, caplog)

    assert any(isinstance(it, StoreFailed) for it in events)
    assert not any(isinstance(it, CacheCreated) for it in events)
    assert "127.0.0.1" in said
    assert "canary" not in said


@pytest.mark.parametrize(
    "spoil",
    [mistaken, without_trust, unreachable, unencrypted],
    ids=lambda it: it.__name__,
)
def test_errors_of_the_store(url, spoil, monkeypatch, capsys):
    """Neither the error, its traceback nor a command says the password."""
    store = open_store(spoil(url))
    with pytest.raises(StoreError) as caught:
        store.secret()
    store.close()
    pytest.importorskip("typer", reason="the `cli` extra is not installed")
    from promptcache import cli  # noqa: PLC0415

    monkeypatch.setattr(sys, "argv", ["promptcache", "caches", "ls"])
    sys.argv += ["--store", spoil(url)]
    with pytest.raises(SystemExit) as ended:
        cli.main()
    printed = capsys.readouterr()
    error = caught.value
    told = "".join(traceback.format_exception(error, chain=True))

    assert ended.value.code
    assert printed.err
    assert not any(
        "canary" in it for it in (told, printed.out, printed.err, repr(error.args))
    )


@pytest.mark.parametrize(
    "bad",
    [
        "rediss://:ca/nary@h:1/0",
        "rediss://:ca?nary@h:1/0",
        "redis://:ca#nary@h:1/0",
        "redis://:ca[nary@h:1/0",
        "redis://:ca\u2100nary@h:1/0",
        "redis://:ca-nary@h:port/0",
        "redis+tls://:ca-nary@h",
        "redis://h:1/0?password=ca-nary&bogus=1",
        "rediss://:ca-nary@h:1/0?ssl_cert_reqs=bogus",
        "redis://h/0?password=x@ca-nary&bogus=1",
    ],
)
def test_urls_that_are_none(bad):
    """A URL that is refused is told without what may be part of a password."""
    with pytest.raises(OptionError) as caught:
        PromptCache(store=bad)
    error = caught.value
    told = f"{error} {error.value} {error.args}"

    assert "nary" not in told
    assert ":ca" not in told
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None
