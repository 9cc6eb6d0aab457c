"""What others ask a cached Gemini for, what is written down of it, what is copied."""

import copy
import json
import pickle

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
from langchain_core.tracers import BaseTracer
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_kit import Engine, look_up

import langchain_promptcache
from langchain_promptcache import PromptCachedChatGoogleGenerativeAI, prompt_cached
from promptcache import Receipt

OPTION = "prompt_cache"
OURS = ("prompt_cache", "gemini_caches")
LONG = "You are a careful clerk of a railway museum. " * 560

# What the SDK's own way of making a session is told of by aiohttp.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class Aiohttp")


@pytest.fixture
def model(request, plain, cached, cache):
    """Return a cached model, made as the test's parameter says."""
    return cached if request.param == "class" else prompt_cached(plain, cache)


both = pytest.mark.parametrize("model", ["class", "twin"], indirect=True)

SURFACES = [
    pytest.param(lambda model: model._llm_type, id="_llm_type"),
    pytest.param(lambda model: model._identifying_params, id="_identifying_params"),
    pytest.param(lambda model: model.model_dump().keys(), id="model_dump"),
    pytest.param(lambda model: model.lc_secrets, id="lc_secrets"),
    pytest.param(lambda model: model.lc_attributes, id="lc_attributes"),
    pytest.param(lambda model: model.profile, id="profile"),
    pytest.param(lambda model: model.model_kwargs, id="model_kwargs"),
    pytest.param(lambda model: model.metadata, id="metadata"),
    pytest.param(lambda model: model.default_metadata, id="default_metadata"),
    pytest.param(lambda model: model.thinking_level, id="thinking_level"),
    pytest.param(lambda model: model._use_vertexai, id="_use_vertexai"),
    pytest.param(lambda model: model._supports_tool_choice, id="_supports_tool_choice"),
    pytest.param(lambda model: model._get_ls_params(), id="_get_ls_params"),
    pytest.param(
        lambda model: model._get_ls_params(stop=["."], model="gemini-2.5-pro"),
        id="_get_ls_params.changed",
    ),
    pytest.param(lambda model: model.InputType, id="InputType"),
    pytest.param(lambda model: model.OutputType, id="OutputType"),
    pytest.param(
        lambda model: model._prepare_request([HumanMessage("Hello")], stop=["."]),
        id="_prepare_request",
    ),
    pytest.param(
        lambda model: model.bind_tools([look_up], tool_choice="any").kwargs,
        id="bind_tools",
    ),
    pytest.param(
        lambda model: model.with_structured_output(Engine, "json_mode").first.kwargs,
        id="with_structured_output",
    ),
    pytest.param(lambda model: model.get_num_tokens("Hello"), id="get_num_tokens"),
]


@both
@pytest.mark.parametrize("surface", SURFACES)
def test_surface_is_the_stock_one(surface, model, plain):
    """What others ask a model for is what a stock model answers."""
    assert surface(model) == surface(plain)


@both
def test_types(model):
    """A cached model is what it stands in for, under its own name."""
    name = "PromptCachedChatGoogleGenerativeAI"

    assert isinstance(model, (ChatGoogleGenerativeAI, BaseChatModel))
    assert type(model) is PromptCachedChatGoogleGenerativeAI
    assert model.get_name() == name
    assert model.get_lc_namespace()[0] == "langchain_promptcache"
    assert getattr(langchain_promptcache, name) is type(model)
    assert name in dir(langchain_promptcache)


def test_unknown_arguments_are_told_of(cached, caplog, arguments, cache):
    """LangChain warns of what it does not know, and knows what is ours."""
    with caplog.at_level("WARNING"):
        PromptCachedChatGoogleGenerativeAI(
            **arguments("cached"), prompt_cache=cache, gemini_caches=False
        )
    assert "Unexpected argument" not in caplog.text


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
    pytest.param([HumanMessage("Hello", name="ada")], id="name"),
]


@pytest.mark.parametrize("messages", CONVERSATIONS)
def test_content_is_not_changed(messages, plain, cached, emulator):
    """A body is what the stock class sends; nor is anything of the caller's changed."""
    before = [message.model_copy(deep=True) for message in messages]
    bound = [one.bind_tools([look_up]) for one in (plain, cached, cached)]
    kept = copy.deepcopy([one.kwargs for one in bound])
    for one in bound:
        one.invoke(messages)
    stock, *ours = (row.body for row in emulator.ledger)

    assert ours == [stock] * 2
    assert messages == before
    assert [one.kwargs for one in bound] == kept


@both
def test_nothing_is_written_down(model):
    """LangChain could not load our class, so it writes a name and nothing else."""
    written = dumpd(model)

    assert not model.is_lc_serializable()
    assert written["type"] == "not_implemented"
    assert written["id"][-1] == "PromptCachedChatGoogleGenerativeAI"
    for text in (dumps(model), dumps(model | StrOutputParser()), json.dumps(written)):
        assert not any(name in text for name in OURS)
        assert "PromptCache object" not in text
        assert "ws-" not in text


def test_twin_of_a_traced_model(plain, cache, prompt):
    """What a model had written of itself is not passed on to its twin."""
    plain.invoke(prompt())
    assert plain._serialized["type"] == "constructor"

    assert prompt_cached(plain, cache)._serialized["type"] == "not_implemented"


@both
def test_repr(model):
    """Neither the secret nor what is ours stands in a representation."""
    for text in (repr(model), str(model)):
        assert not any(name in text for name in OURS)
        assert "ws-" not in text
    assert repr(model).startswith("PromptCachedChatGoogleGenerativeAI(")


def outcome(act):
    """Return the type of what an act returns or raises."""
    try:
        return type(act()).__mro__[-2]
    except Exception as error:  # noqa: BLE001 - this is what is compared
        return type(error), str(error)


@both
@pytest.mark.parametrize(
    "act",
    [
        pytest.param(pickle.dumps, id="pickle"),
        pytest.param(copy.deepcopy, id="deepcopy"),
        pytest.param(lambda model: model.model_copy(deep=True), id="model_copy"),
    ],
)
def test_deep_copies_fail_as_ever(act, model, plain):
    """What the SDK's clients do not stand, no cached model does, and no worse."""
    assert outcome(lambda: act(model)) == outcome(lambda: act(plain))


def test_receipt_survives_a_dump_of_the_message(cached, cache, prompt):
    """A message that is written to JSON and read again still has its receipt."""
    with cache.collect() as collected:
        answer = cached.invoke(prompt())
    (loaded,) = messages_from_dict(json.loads(json.dumps([message_to_dict(answer)])))
    receipt = Receipt.from_metadata(loaded.response_metadata[OPTION])

    assert loaded == answer
    assert receipt.usage == collected[0].usage
    assert receipt.cost_usd == pytest.approx(collected[0].cost_usd)


class Runs(BaseTracer):
    """A tracer that keeps what it is told."""

    def __init__(self):
        super().__init__()
        self.kept = []

    def _persist_run(self, run):
        self.kept.append(run)


def test_tracers_see_receipts_and_no_secret(cached, plain, prompt):
    """A tracer finds the receipt in a run's outputs, and the stock run besides."""
    runs = Runs()
    cached.invoke(prompt(), {"callbacks": [runs]}, prompt_cache={"tenant": "acme"})
    list(cached.stream(prompt(), {"callbacks": [runs]}))
    list(plain.stream(prompt(), {"callbacks": [runs]}))
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
        second = cached.invoke(prompt(), prompt_cache={"gemini_caches": False})
        third = cached.bind(prompt_cache=False).invoke(prompt())

    assert len(emulator.ledger) == len(collected) == 1
    assert OPTION in first.response_metadata
    assert OPTION not in second.response_metadata
    assert OPTION not in third.response_metadata
    assert second.content == third.content == first.content
