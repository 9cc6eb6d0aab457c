"""Cached contents through `google-generativeai`."""

import copy
import importlib
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

with warnings.catch_warnings():
    # It says on import that its support has ended.
    warnings.simplefilter("ignore")
    legacy = pytest.importorskip(
        "google.generativeai", reason="google-generativeai is not installed"
    )

from google.auth.credentials import AnonymousCredentials
from google.generativeai import client as configured

from promptcache.emulator import Fault
from promptcache.providers.gemini import remote_legacy
from promptcache.providers.gemini.remote import RemoteError
from promptcache.providers.gemini.remote_legacy import LegacyRemote

MODEL = "gemini-3.8-flash"
SECRET = "the words of a customer"
KEY = "d6a7cd2a7371"

WEATHER = {
    "name": "get_weather",
    "description": "Tell the weather.",
    # As this SDK writes it.
    "parameters": {"type": 6, "properties": {"days": {"type": 3}}},
}


def members(tokens=5000, text="x"):
    said = text * (4 * (tokens - 2) // len(text))
    return {
        "systemInstruction": {"parts": [{"text": "Be kind."}], "role": "user"},
        "tools": [{"functionDeclarations": [WEATHER]}],
        "toolConfig": {"functionCallingConfig": {"mode": 3}},
        "contents": [{"role": "user", "parts": [{"text": said}]}],
    }


@pytest.fixture(autouse=True)
def _as_before():
    """Leave what is configured in this process as it was."""
    manager = configured._client_manager
    kept = {name: copy.copy(value) for name, value in vars(manager).items()}
    yield
    vars(manager).update(kept)


@pytest.fixture
def configure(emulator):
    def told(key="any", url=None, **fields):
        options = {"api_endpoint": url or emulator.url, "api_key": key}
        fields = {"transport": "rest", "client_options": options, **fields}
        legacy.configure(**fields)

    told()
    return told


@pytest.fixture
def remote(configure):
    del configure
    made = LegacyRemote()
    yield made
    made.close()


def create(remote, given=None, model=MODEL, seconds=600):
    given = members() if given is None else given
    return remote.create(model, given, seconds=seconds, display_name="promptcache/1")


def refused(act, *args, **fields):
    """Return the status and kind of a failure; nothing that was sent is behind it."""
    with pytest.raises(RemoteError) as raised:
        act(*args, **fields)
    error = raised.value
    assert error.__cause__ is None
    assert error.__context__ is None
    assert SECRET not in str(error)
    assert "127.0.0.1" not in str(error)
    return error.status, error.kind


def test_a_life(remote, emulator):
    """Created, found, listed, extended, deleted, each by one request of the wire."""
    given = members()
    kept = copy.deepcopy(given)
    begun = emulator.clock.now()
    held = create(remote, given)
    emulator.clock.advance(60)
    got = remote.get(held.name)
    listed = list(remote.listed())
    extended = remote.extend(held.name, seconds=90.5)
    bare = remote.get(held.name.rpartition("/")[2])
    remote.delete(held.name)

    assert given == kept
    assert (held.model, held.display_name) == (MODEL, "promptcache/1")
    assert held.tokens > 5000
    assert held.created_at == pytest.approx(begun, abs=1e-3)
    assert held.expires_at == pytest.approx(begun + 600, abs=1e-3)
    assert got == held
    assert listed == [held]
    assert extended.expires_at == pytest.approx(begun + 150.5, abs=1e-3)
    assert bare == extended
    assert list(remote.listed()) == []
    path = "/v1beta/cachedContents"
    own = f"/v1beta/{held.name}"
    assert [(row.method, row.path) for row in emulator.ledger] == [
        ("POST", path),
        ("GET", own),
        ("GET", path),
        ("PATCH", own),
        ("GET", own),
        ("DELETE", own),
        ("GET", path),
    ]
    assert emulator.ledger[0].body == {
        **kept,
        "model": f"models/{MODEL}",
        "ttl": "600s",
        "displayName": "promptcache/1",
    }
    assert emulator.ledger[3].body == {"ttl": "90.500s"}


# It asks its kit for something by an older name.
@pytest.mark.filterwarnings(
    "ignore:The argument `including_default_value_fields`:DeprecationWarning"
)
def test_what_it_makes_can_be_named(remote):
    """A model of the SDK reads what the remote has made."""
    held = create(remote, model=f"models/{MODEL}")
    model = legacy.GenerativeModel.from_cached_content(held.name)

    said = model.generate_content("hello")

    assert said.usage_metadata.cached_content_token_count == held.tokens


def test_pages(remote, emulator, monkeypatch):
    """Page after page is asked for, when it is needed."""
    monkeypatch.setattr(remote_legacy, "_PAGE_SIZE", 2)
    names = [create(remote).name for _ in range(5)]
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


def test_what_is_refused(remote, emulator):
    """Gone, expired, too small and unsupported are told apart."""
    held = create(remote)
    remote.delete(held.name)
    short = create(remote, seconds=60)
    emulator.clock.advance(61)

    assert refused(remote.get, held.name) == (403, "gone")
    assert refused(remote.extend, held.name, seconds=60) == (403, "gone")
    assert refused(remote.delete, held.name) == (403, "gone")
    assert refused(remote.get, short.name) == (403, "gone")
    assert refused(create, remote, members(100)) == (400, "too_small")
    assert refused(create, remote, model="gemini-4-argon") == (404, "unsupported")


FAULTS = {
    "bad key": (
        Fault(status=400, message="API key not valid. Please pass a valid API key."),
        (400, "refused"),
    ),
    "no quota": (
        Fault(
            status=429,
            message="TotalCachedContentStorageTokensPerModelFreeTier limit exceeded "
            "for model m: limit=0, requested=5000",
        ),
        (429, "no_quota"),
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
        Fault(status=400, body={"error": {"message": [SECRET]}}),
        (400, "refused"),
    ),
    "hung up": (Fault(close=True), (None, "busy")),
}


@pytest.mark.parametrize(("fault", "expected"), FAULTS.values(), ids=FAULTS.keys())
def test_faults(remote, emulator, fault, expected):
    """A failure is told at once, in short."""
    emulator.faults.push(fault)

    assert refused(create, remote, members(5000, SECRET)) == expected
    assert len(emulator.ledger) == 1


@pytest.mark.parametrize(
    "given",
    [
        {"contents": [{"parts": [{"thoughts": SECRET}]}]},
        {"contents": SECRET},
        {"contents": {SECRET}},
    ],
    ids=["unknown", "of another form", "no JSON"],
)
def test_what_the_sdk_cannot_express(remote, emulator, given):
    """What would be left out on the way is not sent at all."""
    assert refused(create, remote, given) == (None, "refused")
    assert list(emulator.ledger) == []


def test_patience(remote, monkeypatch):
    """There is an end to waiting, and nothing is repeated."""
    seen = {}

    class Client:
        def get_cached_content(self, request, **how):
            seen.update(how)
            raise TimeoutError(request)

    monkeypatch.setattr(remote, "_connected", Client)

    assert refused(remote.get, "1") == (None, "busy")
    assert (seen["timeout"], seen["retry"]) == (30.0, None)


def test_over_grpc(configure):
    """A channel is opened where one is configured, and never one of an event loop."""
    for transport in ("grpc", "grpc_asyncio"):
        configure(url="127.0.0.1:1", transport=transport)
        remote = LegacyRemote()
        kind = remote._connected().transport.kind

        assert kind == "grpc"
        with pytest.raises(RemoteError) as raised:
            remote.get("1")
        assert (raised.value.status, raised.value.kind) == (503, "busy")
        remote.close()


def test_configured_anew(remote, configure, emulator):
    """A remote stays who it was; so does a model that was asked before."""
    used = legacy.GenerativeModel(MODEL)
    used.generate_content("hello")
    fresh = legacy.GenerativeModel(MODEL)
    configure(key="ws-other-1")
    held = create(remote)
    same, other = LegacyRemote(used), LegacyRemote(fresh)

    assert same.get(held.name) == held
    assert list(other.listed()) == []
    assert same.scope == remote.scope != other.scope
    assert [row.workspace for row in emulator.ledger[1:]] == [
        "default",
        "default",
        "other",
    ]


async def test_an_asynchronous_model(configure):
    """A model that was asked asynchronously is known as well."""
    configure(transport="grpc_asyncio", url="127.0.0.1:1")
    model = legacy.GenerativeModel(MODEL)
    model._async_client = configured.get_default_generative_async_client()
    configure(key="other", url="127.0.0.1:2")
    remote = LegacyRemote(model)

    assert remote.scope == f"developer/{KEY}@127.0.0.1:1"
    assert remote._connected().transport.kind == "grpc"


def test_what_goes_along(configure, emulator):
    """Metadata that every call of the SDK carries goes along."""
    configure(default_metadata=[("user-agent", "theirs")])
    remote = LegacyRemote()
    create(remote)

    assert emulator.ledger[0].headers["user-agent"] == "theirs"


def test_closed_and_used_again(remote):
    """Closing lets go of connections, not of what was signed in with."""
    held = create(remote)
    remote.close()
    remote.close()

    assert remote.get(held.name) == held


def test_threads(remote, monkeypatch):
    """Many threads share one client, though they all begin at once."""
    count, closed = 8, []
    start = Barrier(count)
    own = remote_legacy.glm.CacheServiceClient

    def slowly(**signed):
        start.wait(10)
        made = own(**signed)
        monkeypatch.setattr(made.transport, "close", lambda: closed.append(made))
        return made

    monkeypatch.setattr(remote_legacy.glm, "CacheServiceClient", slowly)
    with ThreadPoolExecutor(count) as pool:
        names = {it.name for it in pool.map(lambda _: create(remote), range(count))}
    (kept,) = remote._clients.values()

    assert len(names) == count
    assert len(closed) == count - 1
    assert kept not in closed


def test_another_process(remote, monkeypatch):
    """A child opens connections of its own and leaves its parent's alone."""
    held = create(remote)
    (parents,) = remote._clients.values()
    monkeypatch.setattr("os.getpid", lambda: -1)
    seen, opened = remote.get(held.name), len(remote._clients)
    remote.close()

    assert seen == held
    assert opened == 2
    assert list(remote._clients.values()) == [parents]


class Account(AnonymousCredentials):
    def __init__(self, name, value):
        super().__init__()
        setattr(self, name, value)


def test_scope(configure, monkeypatch):
    """A scope names the key by its digest, or the account, and another server."""
    own = "generativelanguage.googleapis.com"

    def scope(**fields):
        configure(**fields)
        return LegacyRemote().scope

    def account(name, value):
        account = Account(name, value)
        return scope(key=None, url=own, credentials=account, transport="rest")

    assert scope(url=own) == f"developer/{KEY}"
    assert scope(url=None, client_options=None, api_key="any") == f"developer/{KEY}"
    assert scope(url="http://localhost:8080") == f"developer/{KEY}@localhost:8080"
    assert account("client_id", "any") == f"developer/{KEY}"
    assert account("service_account_email", "any") == f"developer/{KEY}"
    assert account("client_id", None) == "developer/-"


def test_accounts(configure, emulator):
    """A model that signs in by an account goes on with it."""
    options = {"api_endpoint": emulator.url}
    configure(credentials=Account("client_id", "any"), client_options=options)
    model = legacy.GenerativeModel(MODEL)
    model._client = configured.get_default_generative_client()
    configure(key="other")

    assert LegacyRemote(model).scope.startswith(f"developer/{KEY}@")


def test_never_configured(monkeypatch, configure):
    """The SDK takes its key from the environment where nothing was said."""
    monkeypatch.setenv("GEMINI_API_KEY", "any")
    configured._client_manager.client_config = {}

    assert LegacyRemote().scope == f"developer/{KEY}"


def test_same_scope_as_the_other_sdk(configure, emulator):
    """Both SDKs see the same where key and server are the same."""
    pytest.importorskip("google.genai", reason="google-genai is not installed")
    import gemini_sdk as sdk  # noqa: PLC0415

    from promptcache.providers.gemini.remote import GenaiRemote  # noqa: PLC0415

    client = sdk.client_of(emulator.url)

    assert LegacyRemote().scope == GenaiRemote(client._api_client).scope
    client.close()


LOADS = "import promptcache.providers.gemini.{}, sys; print({!r} in sys.modules)"


@pytest.mark.parametrize(
    ("module", "sdk"),
    [("remote", "google.generativeai"), ("remote", "google.genai")],
)
def test_nothing_else_loads_the_sdk(module, sdk):
    """Who has one SDK is not made to load the other, nor to hear its warning."""
    code = LOADS.format(module, sdk)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == "False"


def test_without_the_sdk(monkeypatch):
    """The error names the extra."""
    monkeypatch.setitem(sys.modules, "google.generativeai.client", None)
    monkeypatch.delitem(sys.modules, remote_legacy.__name__)

    with pytest.raises(ImportError, match=r"promptcache\[google-generativeai\]"):
        importlib.import_module(remote_legacy.__name__)
