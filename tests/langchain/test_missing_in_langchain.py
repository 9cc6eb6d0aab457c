"""Why calls of LangChain missed, by class and by handler."""

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI
from missing import CAUSES, FORMS, evicted, form_changed, spoken
from missing_sdks import ANTHROPIC, GOOGLE, MARKED

from langchain_promptcache import PromptCacheCallbackHandler, prompt_cached
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
    """Return a plain chat model; the other one is number 1."""
    if wire == "anthropic":
        return ChatAnthropic(
            model=ANTHROPIC[number], base_url=emulator.url, api_key="any"
        )
    if wire == "openai":
        url = f"{emulator.url}/v1"
        return ChatOpenAI(model=MARKED[number], base_url=url, api_key="any")
    google = pytest.importorskip("langchain_google_genai")
    return google.ChatGoogleGenerativeAI(
        model=GOOGLE[number], base_url=emulator.url, api_key="any"
    )


@pytest.fixture(params=["class", "handler"])
def sending(request, emulator):
    """Return what makes the `send` of a wire."""

    def make(wire):
        cache = PromptCache(clock=emulator.clock, store="memory://")
        plain = [made(wire, number, emulator) for number in (0, 1)]
        if request.param == "class":
            handlers, models = [], [prompt_cached(it, cache) for it in plain]
        else:
            handlers = [PromptCacheCallbackHandler(cache, insert=True)]
            models = plain

        def send(system, turns, *, model="usual", **said):
            asked = [SystemMessage(system)]
            for users, text in spoken(turns):
                asked.append(HumanMessage(text) if users else AIMessage(text))
            chosen = models[model == "other"]
            with options(gemini_caches=False, **said), cache.collect() as receipts:
                message = chosen.invoke(asked, {"callbacks": handlers})
            assert message.response_metadata["prompt_cache"]["misses"] == [
                it.to_text() for it in receipts[-1].misses
            ]
            return receipts[-1]

        return send

    return make


@pytest.mark.parametrize(("wire", "name"), CASES)
def test_cause(sending, emulator, wire, name):
    """Each way to miss is named, and it is in the message as well."""
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
