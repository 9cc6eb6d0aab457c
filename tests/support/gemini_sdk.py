"""Clients of `google-genai` for the emulator, and what may be cached through them."""

import importlib
import ssl

from google import genai
from google.auth.credentials import Credentials

MODEL = "gemini-3.8-flash"
PLACE = "projects/p/locations/l"
SECRET = "the words of a customer"

# Else each client reads all certificates again.
TRUST = {"verify": ssl.create_default_context()}


_VERSION = genai.Client(api_key="any")._api_client._http_options.api_version
CREATION = f"POST /{_VERSION}/cachedContents"
"""What a fault matches that is meant for creations."""


class Anyone(Credentials):
    """Credentials that hold without asking anybody."""

    def __init__(self, token="any"):
        super().__init__()
        self.token = token

    def refresh(self, request):
        del request


def client_of(url, place="developer", *, key="any", project="p", **options):
    """Return a client.

    Args:
        url: The server.
        place: `developer` or `vertex`, and behind a space the version of the API.
        key: What it signs in with.
        project: Its project on Vertex AI.
        **options: Further HTTP options.
    """
    host, _, version = place.partition(" ")
    chosen = genai.types.HttpOptions(
        **{"base_url": url, "client_args": TRUST, "async_client_args": TRUST, **options}
    )
    if version:
        chosen.api_version = version
    if host == "vertex":
        return genai.Client(
            vertexai=True,
            project=project,
            location="l",
            credentials=Anyone(key),
            http_options=chosen,
        )
    return genai.Client(api_key=key, http_options=chosen)


def http_of(client):
    """Return the HTTP library that a client is made on."""
    base = type(client._api_client._httpx_client).__mro__[1]
    return importlib.import_module(base.__module__.partition(".")[0])


def turn(tokens=5000, text="x"):
    """Return a user's turn of so many tokens, by the emulator's count."""
    return {"role": "user", "parts": [{"text": text * (4 * (tokens - 2) // len(text))}]}


def members(tokens=5000):
    """Return what a cached content may hold, as the wire has it."""
    weather = {
        "name": "get_weather",
        "description": "Tell the weather.",
        "parameters": {"type": "OBJECT", "properties": {"days": {"type": "INTEGER"}}},
    }
    return {
        "systemInstruction": {"parts": [{"text": "Be kind."}], "role": "user"},
        "tools": [{"functionDeclarations": [weather]}],
        "toolConfig": {"functionCallingConfig": {"mode": "NONE"}},
        "contents": [turn(tokens)],
    }
