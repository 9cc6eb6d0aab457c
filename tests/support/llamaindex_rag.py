"""Retrieval as LlamaIndex does it, with LLMs of each provider, on the emulator."""

import ssl
from functools import cache

from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.llms.anthropic import Anthropic
from llama_index.llms.google_genai import GoogleGenAI
from llama_index.llms.openai import OpenAI, OpenAIResponses

from llamaindex_promptcache import (
    PromptCachedAnthropic,
    PromptCachedGoogleGenAI,
    PromptCachedOpenAI,
    PromptCachedOpenAIResponses,
)

# Some 2,000 tokens, and 6,000 for Gemini, whose minimum is 4,096.
SYSTEM = "You are a careful clerk of a railway museum. " * 180

# Fixed ids and no metadata, so that every engine sends the same text.
SHEETS = [
    TextNode(id_=f"sheet-{number}", text=f"The T {number} was built in 1911. " * 50)
    for number in range(24)
]

ANSWER = "It was built by the works of the railway, as the register says. " * 16

CLASSES = {
    "anthropic": (Anthropic, PromptCachedAnthropic, "claude-sonnet-4-6"),
    "openai": (OpenAI, PromptCachedOpenAI, "gpt-6.1-sol"),
    "openai-matched": (OpenAI, PromptCachedOpenAI, "gpt-5.2"),
    "responses": (OpenAIResponses, PromptCachedOpenAIResponses, "gpt-6.1-sol"),
    "responses-matched": (OpenAIResponses, PromptCachedOpenAIResponses, "gpt-5.2"),
    "google": (GoogleGenAI, PromptCachedGoogleGenAI, "gemini-3.8-flash"),
}


class Turning(BaseRetriever):
    """A retriever that finds other nodes for each question."""

    def __init__(self, start=0):
        super().__init__()
        self._start = start
        self.asked = []

    def _retrieve(self, query_bundle):
        first = self._start + 3 * len(self.asked)
        self.asked.append(query_bundle.query_str)
        found = [SHEETS[(first + place) % len(SHEETS)] for place in range(4)]
        return [NodeWithScore(node=node, score=0.9) for node in found]


def llm_of(provider, url, *, workspace, prompt_cache=None, **changes):
    """Return an LLM of a provider, a cached one if it is given a cache."""
    stock, cached, model = CLASSES[provider]
    given = {"model": model, "api_key": f"ws-{workspace}-key", "max_retries": 0}
    if provider == "anthropic":
        given |= {"base_url": url, "max_tokens": 1_024}
    elif provider == "google":
        options = {"base_url": url, "client_args": verified()}
        given |= {"http_options": options, "max_tokens": 1_024}
        given["context_window"] = 1_000_000
    else:
        given["api_base"] = f"{url}/v1"
    if prompt_cache is None:
        return stock(**{**given, **changes})
    if provider == "google":
        given["gemini_caches"] = False
    return cached(prompt_cache=prompt_cache, **{**given, **changes})


async def closed(llm):
    """Close an LLM's connections."""
    if isinstance(llm, GoogleGenAI):
        await llm._client.aio.aclose()
        llm._client.close()
        return
    if llm._client is not None:
        llm._client.close()
    if llm._aclient is not None:
        await llm._aclient.close()


@cache
def verified():
    """Return what each client would read from disk again."""
    return {"verify": ssl.create_default_context()}


_PLACES = ("content", "output", "parts")
"""Where a message has what it says."""


def said(body):
    """Return what a request says, as pairs of role and text, of any of the APIs."""
    heads = filter(None, map(body.get, ("system", "systemInstruction")))
    pairs = [("system", text_of(head)) for head in heads]
    for field in ("messages", "input", "contents"):
        listed = body.get(field) or ()
        if isinstance(listed, str):
            listed = [{"role": "user", "content": listed}]
        for message in listed:
            found = [message[it] for it in _PLACES if message.get(it)]
            text = text_of(found[0]) if found else ""
            pairs.append((message.get("role", "tool"), text))
    return pairs


def text_of(content):
    """Return the text of a message's content, whatever its blocks."""
    if isinstance(content, str):
        return content
    parts = content["parts"] if isinstance(content, dict) else content
    return "".join(part.get("text", "") for part in parts)


def read_share(rows):
    """Return the share of the input that was read from the cache."""
    total = sum(row.total_input_tokens for row in rows)
    return sum(row.cache_read_input_tokens for row in rows) / total


def asked(rows):
    """Return the rows of requests for an answer."""
    return [row for row in rows if row.total_input_tokens]
