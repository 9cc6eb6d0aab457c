"""Why calls of LlamaIndex missed, by class and by handler."""

import pytest
from llama_index.core.llms import ChatMessage
from llama_index.llms.anthropic import Anthropic
from llama_index.llms.openai import OpenAI
from missing import CAUSES, FORMS, evicted, form_changed, spoken
from missing_sdks import ANTHROPIC, GOOGLE, MARKED

from llamaindex_promptcache import PromptCacheHandler, prompt_cached
from promptcache import PromptCache, options

# OpenAI and Gemini keep prompts unasked, so nothing there is left unmarked.
WIRES = ["anthropic", "openai", "google"]
CASES = [
    (wire, name)
    for wire in WIRES
    for name in sorted(CAUSES)
    if name != "not-marked" or wire == "anthropic"
]
DAY = 90_000.0


def made(wire, number, emulator):
    """Return a plain LLM; the other one is number 1."""
    if wire == "anthropic":
        return Anthropic(model=ANTHROPIC[number], base_url=emulator.url, api_key="any")
    if wire == "openai":
        url = f"{emulator.url}/v1"
        return OpenAI(model=MARKED[number], api_base=url, api_key="any")
    google = pytest.importorskip("llama_index.llms.google_genai")
    return google.GoogleGenAI(
        model=GOOGLE[number],
        api_key="any",
        max_tokens=64,
        context_window=1_000_000,
        http_options={"base_url": emulator.url},
    )


@pytest.fixture(params=["class", "handler"])
def sending(request, emulator):
    """Return what makes the `send` of a wire."""
    installed = []

    def make(wire):
        cache = PromptCache(clock=emulator.clock, store="memory://")
        llms = [made(wire, number, emulator) for number in (0, 1)]
        if request.param == "class":
            llms = [prompt_cached(it, cache) for it in llms]
        else:
            installed.append(PromptCacheHandler(cache, insert=True))
            installed[-1].__enter__()

        def send(system, turns, *, model="usual", **said):
            asked = [ChatMessage(role="system", content=system)]
            for users, text in spoken(turns):
                role = "user" if users else "assistant"
                asked.append(ChatMessage(role=role, content=text))
            chosen = llms[model == "other"]
            with options(gemini_caches=False, **said), cache.collect() as receipts:
                chosen.chat(asked)
            return receipts[-1]

        return send

    yield make
    for handler in installed:
        handler.__exit__(None, None, None)


@pytest.mark.parametrize(("wire", "name"), CASES)
def test_cause(sending, emulator, wire, name):
    """Each way to miss is named."""
    way, cause, place = CAUSES[name]
    late = {"seconds": DAY} if (wire, name) == ("google", "expired") else {}
    receipt = way(sending(wire), emulator.clock, **late)

    [miss] = receipt.misses
    assert miss.cause == cause
    if place is not None:
        assert miss.place == place.format(int(wire == "openai"))


@pytest.mark.parametrize("wire", WIRES)
def test_evicted(sending, emulator, wire):
    """What the provider has forgotten before its time is named as that."""
    receipt = evicted(sending(wire), emulator.clock, emulator.reset)

    assert [it.cause for it in receipt.misses] == ["evicted_or_unknown"]


@pytest.mark.parametrize("form", FORMS)
def test_form(sending, emulator, form):
    """What only looks different is named as such."""
    [miss] = form_changed(sending("anthropic"), emulator.clock, form).misses

    assert (miss.cause, miss.form) == ("prefix_changed", form)
