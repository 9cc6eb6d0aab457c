"""What others ask a cached GPT for, what is written down of it, what is copied."""

import copy
import json
import pickle
from importlib.metadata import requires

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.globals import set_llm_cache
from langchain_core.language_models import BaseChatModel
from langchain_core.load import dumpd, dumps
from langchain_core.messages import (
    AIMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    message_to_dict,
    messages_from_dict,
)
from langchain_core.output_parsers import StrOutputParser
from langchain_core.tools import tool
from langchain_core.tracers import BaseTracer
from langchain_openai import ChatOpenAI
from langchain_openai.chat_models.base import BaseChatOpenAI

import langchain_promptcache
from langchain_promptcache import PromptCachedChatOpenAI, prompt_cached
from promptcache import Receipt

OPTION = "prompt_cache"
LONG = "You are a careful clerk of a railway museum. " * 180


@tool
def look_up(name: str) -> str:
    """Look up an engine in the museum's register."""
    return f"{name} was built in 1911."


SURFACES = [
    pytest.param(lambda model: model._llm_type, id="_llm_type"),
    pytest.param(lambda model: model._identifying_params, id="_identifying_params"),
    pytest.param(lambda model: model._default_params, id="_default_params"),
    pytest.param(lambda model: model.model_dump().keys(), id="model_dump"),
    pytest.param(lambda model: model.lc_secrets, id="lc_secrets"),
    pytest.param(lambda model: model.lc_attributes, id="lc_attributes"),
    pytest.param(lambda model: model.profile, id="profile"),
    pytest.param(lambda model: model.stream_usage, id="stream_usage"),
    pytest.param(lambda model: model.model_kwargs, id="model_kwargs"),
    pytest.param(lambda model: model.metadata, id="metadata"),
    pytest.param(lambda model: model._get_ls_params(), id="_get_ls_params"),
    pytest.param(
        lambda model: model._get_ls_params(stop=["."], model="gpt-6-sol"),
        id="_get_ls_params.changed",
    ),
    pytest.param(lambda model: model.InputType, id="InputType"),
    pytest.param(lambda model: model.OutputType, id="OutputType"),
    pytest.param(
        lambda model: model._get_request_payload("Hello", stop=["."]),
        id="_get_request_payload",
    ),
    pytest.param(
        lambda model: model.bind_tools([look_up], tool_choice="any").kwargs,
        id="bind_tools",
    ),
]


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("how", ["class", "twin"])
def test_surface_is_the_stock_one(surface, how, plain, cached, cache):
    """What others ask a model for is what a stock model answers."""
    model = cached if how == "class" else prompt_cached(plain, cache)

    assert surface(model) == surface(plain)


@pytest.mark.parametrize("how", ["class", "twin"])
def test_types(how, cached, plain, cache, stock_class, cached_class):
    """A cached model is what it stands in for, under its own name."""
    model = cached if how == "class" else prompt_cached(plain, cache)

    assert isinstance(model, (stock_class, BaseChatOpenAI, BaseChatModel))
    assert type(model) is cached_class
    assert model.get_name() == cached_class.__name__
    assert cached_class.get_lc_namespace()[0] == "langchain_promptcache"


def test_names_are_public(cached_class):
    """The class stands in the package, and what it needs is an extra of ours."""
    assert getattr(langchain_promptcache, cached_class.__name__) is cached_class
    assert cached_class.__name__ in dir(langchain_promptcache)
    wanted = 'extra == "langchain-openai"'
    assert any(wanted in one.replace("'", '"') for one in requires("promptcache"))


ROUTES = [
    pytest.param({}, {}, "gpt-6.1-sol", "/chat/completions", id="gpt-6"),
    pytest.param({}, {"tools": True}, "gpt-6.1-sol", "/responses", id="tools"),
    pytest.param({}, {"tools": True}, "gpt-5.2", "/chat/completions", id="earlier"),
    pytest.param({}, {}, "gpt-5.6-sol", "/responses", id="prefers"),
    pytest.param({"use_responses_api": False}, {}, "gpt-5.6-sol", "/chat", id="False"),
    pytest.param({"reasoning": {"effort": "low"}}, {}, "gpt-5.2", "/res", id="option"),
    pytest.param(
        {"output_version": "responses/v1"}, {}, "gpt-5.2", "/responses", id="version"
    ),
    pytest.param({}, {"truncation": "auto"}, "gpt-5.2", "/responses", id="argument"),
]


@pytest.mark.parametrize("kind", ["chat"])
@pytest.mark.parametrize(("given", "call", "name", "path"), ROUTES)
async def test_route_is_langchains(
    given, call, name, path, arguments, prompt, cache, emulator
):
    """Which API is called is LangChain's decision, whatever caching adds."""
    said = arguments("plain", model=name)
    del said["use_responses_api"]
    stock = ChatOpenAI(**{**said, **given})
    ours = PromptCachedChatOpenAI(**{**said, **given}, prompt_cache=cache)
    call = {name: value for name, value in call.items() if name != "tools"} | (
        {"tools": stock.bind_tools([look_up]).kwargs["tools"]}
        if "tools" in call
        else {}
    )
    for model in (stock, ours):
        model.invoke(prompt(), **call)
        list(model.stream(prompt(), **call))
        await model.ainvoke(prompt(), **call)
    paths = [row.path for row in emulator.ledger]

    assert all(one.startswith(f"/v1{path}") for one in paths)
    assert len(paths) == 6
    assert stock.use_responses_api == ours.use_responses_api


CONVERSATION = [
    SystemMessage(LONG),
    HumanMessage("What is the T 9?"),
    AIMessage(
        "Let me see.",
        tool_calls=[{"name": "look_up", "args": {"name": "T 9"}, "id": "call_1"}],
    ),
    ToolMessage("An engine. " * 400, tool_call_id="call_1"),
    AIMessage("A tank engine."),
    HumanMessage(
        [
            {"type": "text", "text": "And this?"},
            {
                "type": "image_url",
                "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="},
            },
        ]
    ),
]
CONVERSATIONS = [
    pytest.param(CONVERSATION, id="everything"),
    pytest.param(
        [SystemMessage([{"type": "text", "text": LONG}]), HumanMessage("Why?")],
        id="parts",
    ),
    pytest.param([HumanMessage("")], id="empty"),
    pytest.param([HumanMessage("Hello", name="ada")], id="name"),
]


@pytest.mark.parametrize("model_name", ["gpt-6.1-sol", "gpt-5.2"])
@pytest.mark.parametrize("messages", CONVERSATIONS)
def test_content_is_not_changed(messages, plain, cached, emulator, strip):
    """Without what we add, a body is what the stock class sends; nor are messages."""
    before = [message.model_copy(deep=True) for message in messages]
    for model in (plain, cached, cached):
        model.invoke(messages)
    stock, *ours = (row.body for row in emulator.ledger)

    assert [strip(body) for body in ours] == [strip(stock)] * 2
    assert messages == before


@pytest.mark.parametrize("model_name", ["gpt-5.2"])
def test_earlier_models_get_a_key_at_most(plain, cached, emulator, prompt):
    """A model that knows no breakpoints is sent its body and a key."""
    for model in (plain, cached):
        model.invoke(prompt())
    stock, ours = (row.body for row in emulator.ledger)

    assert ours.keys() - stock.keys() == {"prompt_cache_key"}
    assert {**stock, "prompt_cache_key": ours["prompt_cache_key"]} == ours


@pytest.mark.parametrize("how", ["class", "twin"])
def test_nothing_is_written_down(how, plain, cached, cache, cached_class):
    """LangChain could not load our class, so it writes a name and nothing else."""
    model = cached if how == "class" else prompt_cached(plain, cache)
    written = dumpd(model)

    assert not model.is_lc_serializable()
    assert written["type"] == "not_implemented"
    assert written["id"][-1] == cached_class.__name__
    for text in (dumps(model), dumps(model | StrOutputParser()), json.dumps(written)):
        assert OPTION not in text
        assert "PromptCache object" not in text
        assert "ws-" not in text


def test_twin_of_a_traced_model(plain, cache, prompt):
    """What a model had written of itself is not passed on to its twin."""
    plain.invoke(prompt())
    assert plain._serialized["type"] == "constructor"

    assert prompt_cached(plain, cache)._serialized["type"] == "not_implemented"


def test_repr(cached, plain, cache, cached_class):
    """Neither the secret nor the cache stands in a representation."""
    for model in (cached, prompt_cached(plain, cache)):
        for text in (repr(model), str(model)):
            assert OPTION not in text
            assert "ws-" not in text
        assert repr(model).startswith(f"{cached_class.__name__}(")


def outcome(act):
    """Return the type of what an act returns or raises."""
    try:
        return type(act()).__mro__[-2]
    except Exception as error:  # noqa: BLE001 - this is what is compared
        return type(error), str(error)


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(pickle.dumps, id="pickle"),
        pytest.param(copy.deepcopy, id="deepcopy"),
        pytest.param(lambda model: model.model_copy(deep=True), id="model_copy"),
    ],
)
def test_deep_copies_fail_as_ever(act, plain, cached):
    """What the SDK's clients do not stand, no cached model does, and no worse."""
    assert outcome(lambda: act(cached)) == outcome(lambda: act(plain))


def test_receipt_survives_a_dump_of_the_message(cached, cache, prompt):
    """A message that is written to JSON and read again still has its receipt."""
    with cache.collect() as collected:
        answer = cached.invoke(prompt())
    (loaded,) = messages_from_dict(json.loads(json.dumps([message_to_dict(answer)])))
    receipt = Receipt.from_metadata(loaded.response_metadata[OPTION])

    assert loaded == answer
    assert receipt.usage == collected[0].usage
    assert receipt.cost_usd == pytest.approx(collected[0].cost_usd)


def test_receipt_survives_adding_chunks_up(cached, cache, prompt):
    """The sum of all chunks of a stream has the stream's receipt, once."""
    with cache.collect() as collected:
        first, *rest = cached.stream(prompt())
    total = sum(rest, first)
    receipt = Receipt.from_metadata(total.response_metadata[OPTION])

    assert receipt.requests == 1
    assert receipt.usage == collected[0].usage


class Runs(BaseTracer):
    """A tracer that keeps what it is told."""

    def __init__(self):
        super().__init__()
        self.kept = []

    def _persist_run(self, run):
        self.kept.append(run)


def test_tracers_see_receipts_and_no_secret(cached, make_plain, prompt):
    """A tracer finds the receipt in a run's outputs, and the stock run besides."""
    runs = Runs()
    cached.invoke(prompt(), {"callbacks": [runs]}, prompt_cache={"tenant": "acme"})
    list(cached.stream(prompt(), {"callbacks": [runs]}))
    list(make_plain(stream_usage=True).stream(prompt(), {"callbacks": [runs]}))
    outputs = [run.outputs["generations"][0][0]["message"] for run in runs.kept]
    texts = [json.dumps(run.serialized) + str(run.extra) for run in runs.kept]

    assert [OPTION in str(output) for output in outputs] == [True, True, False]
    assert not any("ws-" in text for text in texts)
    assert metadata(runs.kept[1]) == metadata(runs.kept[2])


def metadata(run):
    """Return what a tracer is told besides; the usage is in the emulator's hands."""
    return {
        name: value
        for name, value in run.extra["metadata"].items()
        if name != "usage_metadata"
    }


@pytest.fixture
def llm_cache():
    """Keep whole answers, as LangChain does on request."""
    kept = InMemoryCache()
    set_llm_cache(kept)
    yield kept
    set_llm_cache(None)


def test_kept_answers(llm_cache, cached, cache, prompt, emulator):
    """LangChain's cache of answers ignores our options, and its hits cost nothing."""
    with cache.collect() as collected:
        first = cached.invoke(prompt(), prompt_cache={"tenant": "acme"})
        second = cached.invoke(prompt(), prompt_cache={"ttl": "12h"})
        third = cached.bind(prompt_cache=False).invoke(prompt())

    assert len(emulator.ledger) == len(collected) == 1
    assert OPTION in first.response_metadata
    assert OPTION not in second.response_metadata
    assert OPTION not in third.response_metadata
    assert second.content == third.content == first.content


@pytest.mark.parametrize("kind", ["chat"])
def test_json_without_a_schema(plain, cached, prompt, emulator):
    """Where LangChain needs no schema, neither do we."""
    answers = []
    for model in (plain, cached):
        emulator.answers.push('{"name": "T 9"}')
        parsed = model.with_structured_output(method="json_mode")
        answers.append(parsed.invoke(prompt("Answer in JSON.")))

    assert answers == [{"name": "T 9"}] * 2
