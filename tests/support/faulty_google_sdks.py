"""Google's SDKs alone, the old one too where there is room for it."""

import warnings

from faulty_asked import GEMINI, LONG_SYSTEM, Subject, by_name, key, trusted, turns
from google import genai as google_genai
from google.genai import types

try:
    with warnings.catch_warnings():
        # It says on import that its support has ended.
        warnings.simplefilter("ignore")
        import google.generativeai as legacy_genai
        from google.ai import generativelanguage
except ImportError:  # google-genai 3 and the newest protobuf leave no room for it
    legacy_genai = None

__all__ = ["GOOGLE_SDKS"]


def _google(url, workspace, cache, seconds, retries):
    retrying = types.HttpRetryOptions(
        attempts=retries + 1, initial_delay=0, max_delay=0, jitter=0
    )
    options = types.HttpOptions(
        base_url=url,
        timeout=int(seconds * 1000),
        client_args=trusted(),
        async_client_args=trusted(),
        retry_options=retrying,
    )
    made = google_genai.Client(api_key=key(workspace), http_options=options)
    return made if cache is None else cache.attach(made)


def _gemini(talk):
    said = turns(talk, ("user", "model"), lambda text: {"parts": [{"text": text}]})
    config = types.GenerateContentConfig(
        system_instruction=LONG_SYSTEM, max_output_tokens=256
    )
    return {"model": GEMINI, "contents": said, "config": config}


async def _generate(client, talk):
    return client.models.generate_content(**_gemini(talk)).text


async def _agenerate(client, talk):
    return (await client.aio.models.generate_content(**_gemini(talk))).text


async def _generate_stream(client, talk):
    chunks = client.models.generate_content_stream(**_gemini(talk))
    return "".join(chunk.text or "" for chunk in chunks)


async def _agenerate_stream(client, talk):
    chunks = await client.aio.models.generate_content_stream(**_gemini(talk))
    return "".join([chunk.text or "" async for chunk in chunks])


async def _google_close(client):
    await client.aio.aclose()
    client.close()


def _legacy(url, workspace, cache, seconds, retries):
    del retries
    options = {"api_endpoint": url, "api_key": key(workspace)}
    model = legacy_genai.GenerativeModel(GEMINI, system_instruction=LONG_SYSTEM)
    model._client = generativelanguage.GenerativeServiceClient(
        transport="rest", client_options=options
    )
    made = model if cache is None else cache.attach(model)
    made.seconds = seconds
    return made


def _legacy_ask(model, talk, **how):
    said = turns(talk, ("user", "model"), lambda text: {"parts": [text]})
    # Its own retries wait for seconds.
    how["request_options"] = {"timeout": model.seconds, "retry": None}
    return model.generate_content(said, **how)


async def _legacy_generate(model, talk):
    return _legacy_ask(model, talk).text


async def _legacy_stream(model, talk):
    return "".join(chunk.text for chunk in _legacy_ask(model, talk, stream=True))


async def _legacy_close(model):
    model._client.transport.close()


GOOGLE_SDKS = [
    Subject(
        "sdk.google",
        "google",
        _google,
        by_name(_generate, _agenerate, _generate_stream, _agenerate_stream),
        _google_close,
    ),
]
if legacy_genai is not None:
    GOOGLE_SDKS.append(
        Subject(
            "sdk.generativeai",
            "google",
            _legacy,
            by_name(_legacy_generate, _legacy_stream),
            _legacy_close,
        )
    )
