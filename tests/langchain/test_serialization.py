"""What LangChain writes down of a cached model, and what it copies."""

import copy
import json
import pickle

import pytest
from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel
from langchain_core.load import dumpd, dumps
from langchain_core.messages import (
    AIMessage,
    HumanMessage,
    message_to_dict,
    messages_from_dict,
)
from langchain_core.output_parsers import StrOutputParser
from langchain_core.tracers import BaseTracer
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from langchain_promptcache import PromptCachedChatAnthropic, prompt_cached
from promptcache import Receipt, default_cache

OPTION = "prompt_cache"


SURFACES = [
    pytest.param(lambda model: model._llm_type, id="_llm_type"),
    pytest.param(lambda model: model._identifying_params, id="_identifying_params"),
    pytest.param(lambda model: model.model_dump().keys(), id="model_dump"),
    pytest.param(lambda model: model.lc_secrets, id="lc_secrets"),
    pytest.param(lambda model: model.profile, id="profile"),
    pytest.param(lambda model: model._get_ls_params(), id="_get_ls_params"),
    pytest.param(
        lambda model: model._get_ls_params(stop=["."], model="claude-opus-5"),
        id="_get_ls_params.changed",
    ),
    pytest.param(lambda model: model.InputType, id="InputType"),
    pytest.param(lambda model: model.OutputType, id="OutputType"),
    pytest.param(
        lambda model: model.get_num_tokens_from_messages([HumanMessage("Hello")]),
        id="get_num_tokens_from_messages",
    ),
    pytest.param(
        lambda model: model._get_request_payload("Hello", stop=["."]),
        id="_get_request_payload",
    ),
]


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("how", ["class", "twin"])
def test_surface_is_the_stock_one(surface, how, plain, cached, cache):
    """What others ask a model for is what a stock model answers."""
    model = cached if how == "class" else prompt_cached(plain, cache)

    assert surface(model) == surface(plain)


def test_types(cached):
    """A cached model is a `ChatAnthropic` to whoever asks, under its own name."""
    assert isinstance(cached, ChatAnthropic)
    assert isinstance(cached, BaseChatModel)
    assert cached.get_name() == "PromptCachedChatAnthropic"
    assert PromptCachedChatAnthropic.get_lc_namespace()[0] == "langchain_promptcache"


@pytest.mark.parametrize("how", ["class", "twin"])
def test_nothing_is_written_down(how, plain, cached, cache):
    """LangChain could not load our class, so it writes a name and nothing else."""
    model = cached if how == "class" else prompt_cached(plain, cache)
    written = dumpd(model)

    assert not model.is_lc_serializable()
    assert written["type"] == "not_implemented"
    assert written["id"][-1] == "PromptCachedChatAnthropic"
    for text in (dumps(model), dumps(model | StrOutputParser()), json.dumps(written)):
        assert OPTION not in text
        assert "PromptCache object" not in text
        assert "ws-" not in text


def test_twin_of_a_traced_model(plain, cache, prompt):
    """What a model had written of itself is not passed on to its twin."""
    plain.invoke(prompt())
    assert plain._serialized["type"] == "constructor"

    assert prompt_cached(plain, cache)._serialized["type"] == "not_implemented"


def test_repr(cached, plain, cache):
    """Neither the secret nor the cache stands in a representation."""
    twin = prompt_cached(plain, cache)
    assert repr(cached).startswith("PromptCachedChatAnthropic(")
    assert repr(twin).startswith("PromptCachedChatAnthropic(")
    for text in (repr(cached), str(cached), repr(twin), str(twin)):
        assert OPTION not in text
        assert "ws-" not in text


@pytest.mark.parametrize(
    "copied",
    [
        pytest.param(lambda model: model.model_copy(), id="model_copy"),
        pytest.param(
            lambda model: model.model_copy(update={"max_tokens": 99}), id="update"
        ),
        pytest.param(copy.copy, id="copy"),
    ],
)
@pytest.mark.parametrize("used", [False, True], ids=["unused", "used"])
def test_copy(copied, used, cached, cache, prompt):
    """A copy serves the same cache, used or not."""
    if used:
        cached.invoke(prompt())
    twin = copied(cached)
    answer = twin.invoke(prompt())

    assert type(twin) is type(cached)
    assert twin._cache is cache
    assert OPTION in answer.response_metadata


def test_deep_copies(cached, make_cached, cache, prompt):
    """A deep copy serves the same cache: what one learns helps the other."""
    twins = [
        copy.deepcopy(cached),
        cached.model_copy(deep=True),
        copy.deepcopy(make_cached(prompt_cache=None)),
    ]

    assert [twin._cache for twin in twins] == [cache, cache, default_cache()]
    assert all(OPTION in twin.invoke(prompt()).response_metadata for twin in twins)


@pytest.mark.parametrize(
    "choice",
    [
        pytest.param(None, id="None"),
        pytest.param({"ttl": "1h", "tenant": "acme"}, id="options"),
        pytest.param("off", id="policy"),
    ],
)
@pytest.mark.parametrize("how", ["class", "twin"])
def test_pickle(choice, how, make_plain, make_cached, prompt):
    """A model that was not used yet survives pickling, as a stock one does."""
    if how == "class":
        model = make_cached(prompt_cache=choice)
    else:
        model = prompt_cached(make_plain(), choice)
    loaded = pickle.loads(pickle.dumps(model))

    assert type(loaded) is type(model)
    assert loaded._cache is model._cache
    assert loaded._options == model._options
    assert OPTION in loaded.invoke(prompt()).response_metadata


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


def test_receipt_survives_a_checkpoint(cached, cache, prompt):
    """LangGraph's checkpoints keep receipts, for the thread that goes on later."""
    saver = InMemorySaver(serde=JsonPlusSerializer())
    config = {"configurable": {"thread_id": "42"}}
    create_agent(cached, [], checkpointer=saver).invoke({"messages": prompt()}, config)
    state = create_agent(cached, [], checkpointer=saver).get_state(config)
    (answer,) = [one for one in state.values["messages"] if isinstance(one, AIMessage)]
    with cache.collect() as collected:
        again = create_agent(cached, [], checkpointer=saver).invoke(
            {"messages": [("user", "And a boiler?")]}, config
        )

    assert Receipt.from_metadata(answer.response_metadata[OPTION]).requests == 1
    assert answer in again["messages"]
    assert collected[0].usage.read_tokens > 0


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
    plain.invoke(prompt(), {"callbacks": [runs]})
    outputs = [run.outputs["generations"][0][0]["message"] for run in runs.kept]
    texts = [json.dumps(run.serialized) + str(run.extra) for run in runs.kept]

    assert [OPTION in str(output) for output in outputs] == [True, True, False]
    assert not any("ws-" in text for text in texts)
    assert runs.kept[1].extra["metadata"] == runs.kept[2].extra["metadata"]
