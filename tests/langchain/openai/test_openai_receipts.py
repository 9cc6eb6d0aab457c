"""Receipts where LangChain's own figures are partial, renamed or elsewhere."""

import json

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_kit import Engine
from langchain_openai_bodies import without_ids
from langchain_results import shape
from langchain_servers import serving

from langchain_promptcache import PromptCachedChatOpenAI
from promptcache import PromptCache, Receipt

OPTION = "prompt_cache"


def receipt_of(message):
    return Receipt.from_metadata(message.response_metadata[OPTION])


@pytest.mark.parametrize("model_name", ["gpt-5.2"])
@pytest.mark.parametrize(
    "way",
    [
        pytest.param(lambda model, prompt: model.invoke(prompt), id="invoke"),
        pytest.param(
            lambda model, prompt: sum(
                rest := list(model.stream(prompt)), start=type(rest[0])("")
            ),
            id="stream",
        ),
        pytest.param(
            lambda model, prompt: model.with_structured_output(
                Engine, include_raw=True
            ).invoke(prompt)["raw"],
            id="structured",
        ),
    ],
)
def test_earlier_models(way, make_cached, cache, prompt, rows_of, assert_settled, head):
    """A model that gets a key alone reads and is settled just the same."""
    cached = make_cached()
    with cache.collect() as collected:
        answers = [way(cached, prompt()) for _ in range(2)]

    assert_settled(collected, rows_of("cached"))
    assert_settled(map(receipt_of, answers), rows_of("cached"))
    assert collected[1].usage.read_tokens > 0
    assert collected[1].facts == "known"


@pytest.mark.parametrize("kind", ["responses"])
@pytest.mark.parametrize("version", ["v0", "responses/v1", "v1"])
def test_output_versions(
    version, make_cached, make_plain, prompt, bill, rows_of, strip, last_row
):
    """In each form of its messages, a conversation goes on and has its receipts."""
    ends = []
    for make in (make_plain, make_cached):
        model = make(output_version=version)
        said = prompt()
        for question in ("And the T 12?", "Which is larger?"):
            first, *rest = model.stream(said)
            said = [*said, sum(rest, first), HumanMessage(question)]
        answer = model.invoke(said)
        ends.append((without_ids(shape(answer)), strip(last_row().body)))

    assert ends[0] == ends[1]
    assert bill(receipt_of(answer)) == bill(last_row())
    assert len(rows_of("cached")) == 3


@pytest.mark.parametrize("kind", ["responses"])
def test_answers_that_the_server_keeps(
    make_cached, make_plain, prompt, rows_of, bill, strip, cache
):
    """A conversation that the server keeps is gone on with, and read from its cache."""
    for make in (make_plain, make_cached):
        model = make(use_previous_response_id=True)
        said = prompt()
        for question in ("And the T 12?", "Which is larger?", "And why?"):
            answer = model.invoke(said)
            said = [*said, answer, HumanMessage(question)]
    rows, stock = rows_of("cached"), rows_of("plain")

    assert [strip(row.body) for row in rows] == [strip(row.body) for row in stock]
    assert [row.body.get("previous_response_id") is None for row in rows] == [
        True,
        False,
        False,
    ]
    assert len({row.body["prompt_cache_key"] for row in rows}) == 1
    assert rows[1].cache_read_input_tokens > 0.8 * rows[1].total_input_tokens
    assert bill(receipt_of(answer)) == bill(rows[-1])


@pytest.mark.parametrize("kind", ["responses"])
def test_reasoning(make_cached, make_plain, prompt, bill, last_row, strip):
    """What a caller says of reasoning is sent, and the answer has its receipt."""
    bodies = []
    for make in (make_plain, make_cached):
        model = make(reasoning={"effort": "low", "summary": "auto"})
        answer = model.invoke(prompt())
        bodies.append(strip(last_row().body))

    assert bodies[0] == bodies[1]
    assert bodies[0]["reasoning"] == {"effort": "low", "summary": "auto"}
    assert bill(receipt_of(answer)) == bill(last_row())


def test_headers(make_cached, prompt):
    """Answers with the response's headers have a receipt beside them."""
    model = make_cached(include_response_headers=True)
    first, *rest = model.stream(prompt())
    for answer in (model.invoke(prompt()), sum(rest, first)):
        assert answer.response_metadata["headers"]["x-request-id"]
        assert receipt_of(answer).requests == 1


USAGE = {
    "chat": {
        "prompt_tokens": 2000,
        "completion_tokens": 10,
        "total_tokens": 2010,
        "prompt_tokens_details": {"cached_tokens": 1500, "cache_write_tokens": 400},
    },
    "responses": {
        "input_tokens": 2000,
        "output_tokens": 10,
        "total_tokens": 2010,
        "output_tokens_details": {"reasoning_tokens": 0},
        "input_tokens_details": {
            "cached_tokens": 1500,
            "cache_write_tokens": 400,
            "cache_write_tokens_details": {"ttl_30m_tokens": 0, "ttl_12h_tokens": 400},
        },
    },
}
TEXT = {"type": "output_text", "text": "A tender.", "annotations": []}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "content": [TEXT],
}


def answered(path, tier):
    """Return an answer that was given in a service tier."""
    common = {"id": "x_1", "model": "gpt-6.1-sol", "service_tier": tier}
    if path.endswith("/responses"):
        return {
            **common,
            "object": "response",
            "created_at": 1,
            "status": "completed",
            "output": [MESSAGE],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": USAGE["responses"],
        }
    message = {"role": "assistant", "content": "A tender."}
    choices = [{"index": 0, "finish_reason": "stop", "message": message}]
    return {
        **common,
        "object": "chat.completion",
        "created": 1,
        "choices": choices,
        "usage": USAGE["chat"],
    }


@pytest.fixture
def tiers():
    """Return a server that answers in the service tier that it is asked for."""

    def answer(path, body):
        text = json.dumps(answered(path, body["service_tier"]))
        return 200, "application/json", text

    with serving(answer) as name:
        yield f"http://{name}/v1"


@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize("tier", ["priority", "flex", "default"])
async def test_service_tiers(api, tier, tiers, prompt, pool, async_pool):
    """LangChain renames the figures of some tiers; the receipt has them all."""
    cached = PromptCachedChatOpenAI(
        model="gpt-6.1-sol",
        api_key="k",
        base_url=tiers,
        service_tier=tier,
        use_responses_api=api == "responses",
        http_client=pool,
        http_async_client=async_pool,
        prompt_cache=PromptCache(strict=True),
    )
    for answer in (cached.invoke(prompt()), await cached.ainvoke(prompt())):
        usage = receipt_of(answer).usage
        details = answer.usage_metadata["input_token_details"]
        prefix = "" if tier == "default" else f"{tier}_"

        assert details[f"{prefix}cache_read"] == usage.read_tokens == 1500
        assert usage.written_tokens == 400
        assert (usage.input_tokens, usage.uncached_tokens) == (2000, 100)
        assert usage.output_tokens == 10
        assert isinstance(answer, AIMessage)


# LangChain itself adds the usage of several completions up with this warning.
@pytest.mark.filterwarnings("ignore:Unexpected type for token usage")
def test_several_requests_of_one_call(cached, cache, prompt, rows_of, bill):
    """Prompts of one `generate` have a receipt each, on the answer that is theirs."""
    result = cached.generate([prompt(), prompt("And a boiler?")])
    answers = [row[0].message for row in result.generations]

    assert [bill(receipt_of(answer)) for answer in answers] == [
        bill(row) for row in rows_of("cached")
    ]
