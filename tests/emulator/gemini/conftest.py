"""A world to judge requests in, and clients of a running emulator."""

import ssl
import warnings

import pytest

from promptcache.emulator import Emulator
from promptcache.emulator.gemini_cache import GeminiCache, Where
from promptcache.emulator.rules.gemini import Asked
from promptcache.emulator.rules.gemini_creation import (
    check_creation,
    expiration,
    new_expiration,
)
from promptcache.emulator.rules.gemini_rejection import GeminiRejectedError
from promptcache.emulator.rules.gemini_settings import GeminiSettings
from promptcache.emulator.rules.gemini_spelling import spelled

MODEL = "gemini-3.8-flash"
PLACE = "projects/p/locations/l"
PATHS = {"developer": "models", "vertex": f"{PLACE}/publishers/google/models"}


class GeminiWorld:
    """What one workspace keeps, at a time that the test sets."""

    def __init__(self, host="developer", **settings):
        self.settings = GeminiSettings(**settings)
        self.cache = GeminiCache(self.settings)
        self.now = 0.0
        self.where = self.place(host, "default")

    @staticmethod
    def place(host, workspace, parent=PLACE):
        return Where(host, parent if host == "vertex" else "", workspace)

    def named(self, model):
        return f"{PATHS[self.where.host]}/{model}"

    def create(self, tokens=5000, model=MODEL, **fields):
        """Keep a cached content of so many tokens, or of the given fields."""
        body = {"model": self.named(model), **fields}
        if not {"contents", "systemInstruction", "tools"} & set(fields):
            body["contents"] = [user(tokens)]
        body, host = spelled(body), self.where.host
        segments = check_creation(
            body, host=host, version="v1beta", settings=self.settings
        )
        expires = expiration(body, host=host, now=self.now)
        return self.cache.create(
            body, segments, where=self.where, now=self.now, expires=expires
        )

    def update(self, name, body, mask=None):
        until = new_expiration(spelled(body), mask, host=self.where.host, now=self.now)
        return self.cache.extend(name, until, where=self.where, now=self.now)

    def get(self, name):
        return self.cache.get(name, where=self.where, now=self.now)

    def delete(self, name):
        return self.cache.delete(name, where=self.where, now=self.now)

    def listed(self, size=None, token=None):
        return self.cache.listed(size=size, token=token, where=self.where, now=self.now)

    def ask(self, *contents, model=MODEL, **fields):
        """Return the verdict on a request, what it sent findable at once."""
        body = spelled({"contents": list(contents), **fields})
        asked = Asked(body=body, model=self.named(model), host=self.where.host)
        request = self.cache.admit(asked, where=self.where, now=self.now)
        verdict = self.cache.judge(request, where=self.where, now=self.now)
        self.cache.commit(verdict, where=self.where, sent=self.now)
        return verdict

    def read(self, *contents, **fields):
        """Return the tokens that a request reads."""
        return self.ask(*contents, **fields).usage.read

    def refusal(self, act, *args, **fields):
        """Return the status, its name and the words that something is refused with."""
        with pytest.raises(GeminiRejectedError) as raised:
            act(*args, **fields)
        return raised.value.status, raised.value.kind, raised.value.message


def user(tokens, letter="x", role="user"):
    """Return a turn of so many tokens: two, and one for each four bytes of text."""
    return {"role": role, "parts": [{"text": letter * 4 * (tokens - 2)}]}


@pytest.fixture
def world():
    return GeminiWorld


@pytest.fixture
def turn():
    return user


@pytest.fixture(scope="session")
def _server():
    with Emulator() as running:
        yield running


@pytest.fixture
def emulator(_server):
    """One server for all tests, which find it as if it were new but for its time."""
    _server.reset()
    return _server


@pytest.fixture(scope="session")
def _trusted():
    # Else each client reads all certificates again.
    return {"verify": ssl.create_default_context()}


@pytest.fixture
def connect(_trusted):
    """Return a function from an emulator, a host and a key to a client."""
    genai = pytest.importorskip("google.genai", reason="google-genai is not installed")
    from google.auth.credentials import Credentials  # noqa: PLC0415

    class Anyone(Credentials):
        def __init__(self, token):
            super().__init__()
            self.token = token

        def refresh(self, request):
            del request

    clients = []

    def connected(emulator, host="developer", key="any", project="p"):
        options = genai.types.HttpOptions(
            base_url=emulator.url, client_args=_trusted, async_client_args=_trusted
        )
        if host == "vertex":
            client = genai.Client(
                vertexai=True,
                project=project,
                location="l",
                credentials=Anyone(key),
                http_options=options,
            )
        else:
            client = genai.Client(api_key=key, http_options=options)
        clients.append(client)
        return client

    yield connected
    for client in clients:
        client.close()


@pytest.fixture(params=["developer", "vertex"])
def host(request):
    return request.param


@pytest.fixture
def client(connect, emulator):
    return connect(emulator)


@pytest.fixture
def legacy(emulator):
    """The SDK before the current one, talking to the emulator."""
    with warnings.catch_warnings():
        # It says on import that its support has ended.
        warnings.simplefilter("ignore")
        module = pytest.importorskip(
            "google.generativeai", reason="google-generativeai is not installed"
        )
    module.configure(
        api_key="any",
        transport="rest",
        client_options={"api_endpoint": emulator.url},
    )
    return module
