"""Cached contents through `google-genai`, on both hosts."""

import copy
import gc
import socket
import weakref
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

pytest.importorskip("google.genai", reason="google-genai is not installed")

from gemini_sdk import MODEL, PLACE, SECRET, TRUST, client_of, http_of, members, turn
from google import genai

from promptcache.emulator import Emulator, Fault, GeminiSettings
from promptcache.providers.gemini import remote as remote_module
from promptcache.providers.gemini.own_client import TIMEOUT_SECONDS
from promptcache.providers.gemini.remote import GenaiRemote, RemoteError

HOSTS = ("developer", "vertex")
ROOTS = {
    "developer v1beta": "/v1beta",
    "developer v1": "/v1",
    "vertex v1beta1": f"/v1beta1/{PLACE}",
}


@pytest.fixture
def connect(emulator):
    """Return a function to a remote and the client that it was made from."""
    opened = []

    def connected(place="developer", url=None, **options):
        client = client_of(url or emulator.url, place, **options)
        remote = GenaiRemote(client._api_client)
        opened.extend((client, remote))
        return remote, client

    yield connected
    for it in opened:
        it.close()


@pytest.fixture(params=HOSTS)
def remote(connect, request):
    return connect(request.param)[0]


def made(remote, model=MODEL, seconds=600, **changes):
    fields = {**members(), **changes}
    return remote.create(model, fields, seconds=seconds, display_name="promptcache/1")


def refused(act, *args, **fields):
    """Return the status and kind of a failure; nothing that was sent is behind it."""
    with pytest.raises(RemoteError) as raised:
        act(*args, **fields)
    error = raised.value
    assert error.__cause__ is None
    assert error.__context__ is None
    assert SECRET not in str(error)
    return error.status, error.kind


@pytest.mark.parametrize(("place", "root"), ROOTS.items())
def test_a_life(connect, emulator, place, root):
    """Created, found, listed, extended, deleted, each by one request of the wire."""
    remote, _ = connect(place)
    given = members()
    kept = copy.deepcopy(given)
    begun = emulator.clock.now()
    held = remote.create(MODEL, given, seconds=600, display_name="promptcache/1")
    emulator.clock.advance(60)
    got = remote.get(held.name)
    listed = list(remote.listed())
    extended = remote.extend(held.name, seconds=90.5)
    remote.delete(held.name)

    assert given == kept
    assert (held.model, held.display_name) == (MODEL, "promptcache/1")
    assert held.tokens > 5000
    assert held.created_at == pytest.approx(begun, abs=1e-3)
    assert held.expires_at == pytest.approx(begun + 600, abs=1e-3)
    assert got == held
    assert listed == [held]
    assert extended.expires_at == pytest.approx(begun + 150.5, abs=1e-3)
    assert extended.created_at == held.created_at
    assert list(remote.listed()) == []
    path, short = f"{root}/cachedContents", held.name.rpartition("/")[2]
    assert [(row.method, row.path) for row in emulator.ledger] == [
        ("POST", path),
        ("GET", f"{path}/{short}"),
        ("GET", path),
        ("PATCH", f"{path}/{short}"),
        ("DELETE", f"{path}/{short}"),
        ("GET", path),
    ]
    home = f"{PLACE}/publishers/google/" if place.startswith("vertex") else ""
    assert emulator.ledger[0].body == {
        **kept,
        "model": f"{home}models/{MODEL}",
        "ttl": "600s",
        "displayName": "promptcache/1",
    }
    assert emulator.ledger[3].body == {"ttl": "90.5s"}


def test_what_it_makes_can_be_named(connect):
    """A request of the user's client reads what the remote has made."""
    for host in HOSTS:
        remote, client = connect(host)
        held = made(remote, contents=[turn(6000)])
        answer = client.models.generate_content(
            model=MODEL, contents="hello", config={"cached_content": held.name}
        )

        assert answer.usage_metadata.cached_content_token_count == held.tokens


def test_a_bare_name(remote):
    """A name may come without the words before it."""
    held = made(remote)

    assert remote.get(held.name.rpartition("/")[2]) == held


MODELS = {
    "developer bare": ("developer", MODEL, f"models/{MODEL}"),
    "developer full": ("developer", f"models/{MODEL}", f"models/{MODEL}"),
    "vertex bare": ("vertex", MODEL, f"{PLACE}/publishers/google/models/{MODEL}"),
    "vertex models": (
        "vertex",
        f"models/{MODEL}",
        f"{PLACE}/publishers/google/models/{MODEL}",
    ),
    "vertex publishers": (
        "vertex",
        f"publishers/google/models/{MODEL}",
        f"{PLACE}/publishers/google/models/{MODEL}",
    ),
    "vertex full": (
        "vertex",
        f"{PLACE}/publishers/google/models/{MODEL}",
        f"{PLACE}/publishers/google/models/{MODEL}",
    ),
}


@pytest.mark.parametrize(("host", "model", "sent"), MODELS.values(), ids=MODELS.keys())
def test_names_of_models(connect, emulator, host, model, sent):
    """A model may come with or without its path; the wire has the full one."""
    held = made(connect(host)[0], model=model)

    assert emulator.ledger[0].body["model"] == sent
    assert held.model == MODEL


def test_pages(remote, emulator, monkeypatch):
    """Page after page is asked for, when it is needed."""
    monkeypatch.setattr(remote_module, "_PAGE_SIZE", 2)
    names = [made(remote).name for _ in range(5)]
    listed = remote.listed()
    first = next(listed)

    assert len(emulator.ledger) == 6
    assert [first.name, *(it.name for it in listed)] == names
    assert [row.method for row in emulator.ledger[5:]] == ["GET"] * 3


def test_a_page_that_names_itself(remote, emulator):
    """A list ends where its next page is the page before."""
    body = {"cachedContents": [], "nextPageToken": "same"}
    emulator.faults.push(Fault(status=200, body=body, times=3))

    assert list(remote.listed()) == []
    assert len(emulator.ledger) == 2


def test_a_list_with_strangers(remote, emulator):
    """What cannot be read in a list is left out; an answer like that is a failure."""
    good = {
        "name": "cachedContents/1",
        "model": "models/m",
        "createTime": "2026-09-07T01:18:17.438678Z",
        "expireTime": "2026-09-07T04:18:17.023637828+02:00",
    }
    strange = [
        {},
        {**good, "expireTime": None},
        {**good, "expireTime": "soon"},
        {**good, "expireTime": "2026-09-40T04:18:17Z"},
        "no object",
    ]
    body = {"cachedContents": [*strange, good]}
    emulator.faults.push(Fault(status=200, body=body))
    (held,) = remote.listed()

    assert held.tokens is None
    assert held.display_name == ""
    assert held.created_at == pytest.approx(1788743897.438678, abs=1e-6)
    assert held.expires_at - held.created_at == pytest.approx(3599.58496, abs=1e-5)
    for it in strange[:4]:
        emulator.faults.push(Fault(status=200, body=it or {"a": 1}))
        assert refused(remote.get, "1") == (None, "busy")
    emulator.faults.push(Fault(status=200, body=["no object"]))
    assert refused(remote.get, "1") == (None, "busy")


GONE = {"developer": (403, "gone"), "vertex": (404, "gone")}
EXPIRED = {"developer": (403, "gone"), "vertex": (400, "gone")}


def test_gone(remote):
    """What is deleted, or never was, is gone for every call."""
    held = made(remote)
    remote.delete(held.name)

    assert refused(remote.get, held.name) == GONE[remote.host]
    assert refused(remote.extend, held.name, seconds=60) == GONE[remote.host]
    assert refused(remote.delete, held.name) == GONE[remote.host]


def test_expired(remote, emulator):
    """So is what has lived to its end."""
    held = made(remote, seconds=60)
    emulator.clock.advance(61)

    assert refused(remote.get, held.name) == EXPIRED[remote.host]
    assert refused(remote.extend, held.name, seconds=60) == GONE[remote.host]


def test_too_small(remote):
    """The provider says how many tokens it wants."""
    with pytest.raises(RemoteError, match="4096") as raised:
        made(remote, contents=[turn(100)])

    assert (raised.value.status, raised.value.kind) == (400, "too_small")


@pytest.mark.parametrize("model", ["gemini-4-argon", "gemini-0-none"])
def test_unsupported(remote, model):
    """A model without cached contents is told from one that is not there by nobody."""
    assert refused(made, remote, model=model) == (404, "unsupported")


def test_the_free_tier(connect):
    """A key of the free tier may cache nothing."""
    with Emulator(gemini=GeminiSettings(free_tier=True)) as emulator:
        remote, _ = connect(url=emulator.url)

        assert refused(made, remote) == (429, "no_quota")


FAULTS = {
    "bad key": (
        Fault(status=400, message="API key not valid. Please pass a valid API key."),
        (400, "refused"),
    ),
    "slow down": (Fault(status=429, message="slow down"), (429, "busy")),
    "broken": (Fault(status=500), (500, "busy")),
    "away": (Fault(status=503), (503, "busy")),
    "quotes": (
        Fault(status=400, message=f"Invalid value at 'contents' (T), \"{SECRET}\""),
        (400, "refused"),
    ),
    "in between": (Fault(status=502, body={"message": SECRET}), (502, "busy")),
    "in between, of other form": (
        Fault(status=400, body={"error": SECRET}),
        (400, "refused"),
    ),
    "in between, in no words": (
        Fault(status=400, body={"error": {"message": [SECRET]}}),
        (400, "refused"),
    ),
    "hung up": (Fault(close=True), (None, "busy")),
}


@pytest.mark.parametrize(("fault", "expected"), FAULTS.values(), ids=FAULTS.keys())
def test_faults(connect, emulator, fault, expected):
    """A failure is told at once, in short, whatever the client repeats by itself."""
    retry = genai.types.HttpRetryOptions(attempts=3, initial_delay=0.001)
    for host in HOSTS:
        remote, _ = connect(host, retry_options=retry)
        emulator.faults.push(fault)

        assert refused(made, remote, contents=[turn(5000, SECRET)]) == expected
        assert len(emulator.ledger) == 1
        emulator.reset()


def test_no_answer(connect):
    """A server that says nothing is waited for as long as the client says."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        remote, _ = connect(url=url, timeout=50)

        assert refused(remote.get, "1") == (None, "busy")
    remote, _ = connect(url=url)

    assert refused(remote.get, "1") == (None, "busy")


@pytest.mark.parametrize(("given", "used"), [(None, 30_000), (90_000, 90_000)])
def test_patience(connect, given, used):
    """Where the client does not say, there is an end to waiting nevertheless."""
    remote, client = connect(timeout=given)

    assert TIMEOUT_SECONDS * 1000 == 30_000
    assert remote._connected()._http_options.timeout == used
    assert client._api_client._http_options.timeout == given


@pytest.mark.parametrize("host", HOSTS)
def test_a_closed_client(connect, host):
    """The client that it was made from may be closed and collected."""
    remote, client = connect(host)
    held = made(remote)
    client.close()
    extended = remote.extend(held.name, seconds=1200)

    assert extended.expires_at > held.expires_at
    client = client_of("http://127.0.0.1:9", host)
    remote, gone = GenaiRemote(client._api_client), weakref.ref(client._api_client)
    client.close()
    del client
    gc.collect()
    assert gone() is None
    assert remote.host == host


def test_a_collected_model(emulator):
    """LangChain closes a client with the last model that has it."""
    partner = pytest.importorskip("langchain_google_genai")
    model = partner.ChatGoogleGenerativeAI(
        model=MODEL,
        api_key="any",
        base_url=emulator.url,
        client_args=TRUST,
    )
    remote, gone = GenaiRemote(model.client._api_client), weakref.ref(model)
    del model
    gc.collect()

    assert gone() is None
    assert made(remote).tokens > 5000
    remote.close()


def test_closed_and_used_again(remote):
    """Closing lets go of connections, not of what was signed in with."""
    held = made(remote)
    remote.close()
    remote.close()

    assert remote.get(held.name) == held


def test_threads(remote, monkeypatch):
    """Many threads share one client, though they all begin at once."""
    count, opened = 8, []
    start = Barrier(count)
    own = remote_module.own_client

    def slowly(signed):
        start.wait(10)
        opened.append(own(signed))
        return opened[-1]

    monkeypatch.setattr(remote_module, "own_client", slowly)
    with ThreadPoolExecutor(count) as pool:
        names = {it.name for it in pool.map(lambda _: made(remote), range(count))}
    (kept,) = remote._clients.values()

    assert len(names) == count
    assert len(opened) == count
    closed = [it for it in opened if it._api_client._httpx_client.is_closed]
    assert len(closed) == count - 1
    assert kept not in closed


def test_another_process(remote, monkeypatch):
    """A child opens connections of its own and leaves its parent's alone."""
    held = made(remote)
    (parents,) = remote._clients.values()
    monkeypatch.setattr("os.getpid", lambda: -1)
    seen, opened = remote.get(held.name), len(remote._clients)
    remote.close()

    assert seen == held
    assert opened == 2
    assert list(remote._clients.values()) == [parents]
    assert not parents._api_client._httpx_client.is_closed


def test_a_transport_of_the_callers(connect, emulator):
    """It is used, and is the caller's to close."""
    http = http_of(client_of(emulator.url))
    seen, closed = [], []

    class Transport(http.HTTPTransport):
        def handle_request(self, request):
            seen.append(request.url.path)
            return super().handle_request(request)

        def close(self):
            closed.append(True)
            super().close()

    for args in (
        {"transport": Transport()},
        {"mounts": {"all://": Transport(), "https://": None}},
    ):
        remote, client = connect(client_args=args)
        held = made(remote)
        remote.close()

        assert not closed
        assert remote.get(held.name) == held
        assert len(seen) == 2
        client.close()
        assert closed.pop()
        seen.clear()


def test_a_client_of_the_callers(connect, emulator):
    """A client of the HTTP library that the caller brought is used, never closed."""
    http = http_of(client_of(emulator.url))
    with http.Client(headers={"x-goog-api-client": "theirs"}) as theirs:
        remote, _ = connect(httpx_client=theirs)
        held = made(remote)
        remote.close()

        assert not theirs.is_closed
        assert remote._connected()._httpx_client is theirs
        assert remote.get(held.name) == held


def test_what_an_asynchronous_caller_says(connect):
    """A proxy that only asynchronous calls were given is ours as well."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        proxy = f"http://127.0.0.1:{taken.getsockname()[1]}"
    theirs = {**TRUST, "proxy": proxy}
    remote, _ = connect(client_args=None, async_client_args=theirs)
    both, _ = connect(client_args={"proxy": None}, async_client_args=theirs)

    assert refused(remote.get, "1") == (None, "busy")
    assert refused(both.get, "1") == (403, "gone")


def test_fields_of_other_calls(connect, emulator):
    """What a client adds to every body is none of a cached content's; headers are."""
    remote, _ = connect(
        extra_body={"generationConfig": {"temperature": 0}},
        headers={"x-goog-api-client": "theirs"},
    )
    made(remote)

    assert "generationConfig" not in emulator.ledger[0].body
    assert "theirs" in emulator.ledger[0].headers["x-goog-api-client"]


def test_the_environment(emulator, monkeypatch, connect):
    """What the environment says after a client was made changes nothing."""
    remotes = [connect(host)[0] for host in HOSTS]
    monkeypatch.setenv("GOOGLE_API_KEY", "another")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "another")
    monkeypatch.setenv("GOOGLE_CLOUD_LOCATION", "another")
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")
    names = [made(it).name for it in remotes]

    assert names[0].startswith("cachedContents/")
    assert names[1].startswith(f"{PLACE}/cachedContents/")
    assert [row.workspace for row in emulator.ledger] == ["default", "p"]


OWN = "https://generativelanguage.googleapis.com"
KEY = "d6a7cd2a7371"
SCOPES = {
    "own": ({"url": OWN}, f"developer/{KEY}"),
    "own, with a slash": ({"url": f"{OWN}/"}, f"developer/{KEY}"),
    "another version": (
        {"url": OWN, "place": "developer v1alpha"},
        f"developer/{KEY}",
    ),
    "another server": (
        {"url": "http://localhost:80/"},
        f"developer/{KEY}@localhost:80",
    ),
    "a gateway with a token": (
        {"url": "https://user:word@example.org/v1/acct/"},
        f"developer/{KEY}@example.org/e266fac89cbf",
    ),
    "like its own": (
        {"url": "https://generativelanguage.googleapis.com.example.org"},
        f"developer/{KEY}@generativelanguage.googleapis.com.example.org",
    ),
    "a key in a header": (
        {"url": OWN, "key": "placeholder", "headers": {"X-Goog-Api-Key": "any"}},
        f"developer/{KEY}",
    ),
    "vertex": ({"url": None, "place": "vertex"}, "vertex/p/l"),
    "vertex, regions": (
        {"url": "https://europe-west4-aiplatform.googleapis.com", "place": "vertex"},
        "vertex/p/l",
    ),
    "vertex, many regions": (
        {"url": "https://aiplatform.us.rep.googleapis.com", "place": "vertex"},
        "vertex/p/l",
    ),
    "vertex, behind a gateway": (
        {"url": "https://example.org:8443", "place": "vertex"},
        "vertex/p/l@example.org:8443",
    ),
}


@pytest.mark.parametrize(("given", "scope"), SCOPES.values(), ids=SCOPES.keys())
def test_scope(given, scope):
    """A scope names project or key, by its digest, and the server if it is another."""
    client = client_of(**given)
    remote = GenaiRemote(client._api_client)
    client.close()

    assert remote.scope == scope


def test_scopes_differ(emulator):
    """Who signs in otherwise sees other things."""
    url = emulator.url
    clients = [
        client_of(url),
        client_of(url, key="other"),
        client_of(url, headers={"Authorization": "Bearer other"}),
        client_of(f"{url}/gateway"),
        client_of(url, "vertex"),
        client_of(url, "vertex", project="q"),
        # A gateway knows the project; a key alone will do on Vertex AI as well.
        genai.Client(vertexai=True, http_options={"base_url": url}),
        genai.Client(vertexai=True, api_key="any", http_options={"base_url": url}),
    ]
    scopes = {GenaiRemote(it._api_client).scope for it in clients}

    assert len(scopes) == len(clients)
    assert not any("any" in it or "other" in it for it in scopes)
    assert GenaiRemote(client_of(url)._api_client).scope in scopes


def test_vertex_by_a_key_alone(emulator):
    """Without a project a model has no place either."""
    client = genai.Client(
        vertexai=True,
        api_key="any",
        http_options={"base_url": emulator.url, "client_args": TRUST},
    )
    remote = GenaiRemote(client._api_client)

    assert refused(made, remote)[1] == "refused"
    assert remote._model(MODEL) == f"publishers/google/models/{MODEL}"
    remote.close()
    client.close()
