"""Receipts of Gemini's answers, beside the figures that LangChain makes of them."""

import pytest
from langchain_asking import STREAMS, WAYS
from langchain_core.messages import HumanMessage
from langchain_google import without_ids
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_google_genai.chat_models import GoogleInvalidRequestError
from langchain_results import shape
from langchain_servers import serving

from langchain_promptcache import PromptCachedChatGoogleGenerativeAI
from promptcache import PromptCache, Receipt
from promptcache.emulator import Emulator, GeminiSettings

OPTION = "prompt_cache"
LONG = "It was built in 1911, and it runs still on good days in summer."

# What the SDK's own way of making a session is told of by aiohttp.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class Aiohttp")


def receipt_of(message):
    return Receipt.from_metadata(message.response_metadata[OPTION])


@pytest.mark.parametrize("way", WAYS)
async def test_usage_is_the_parents(way, plain, cached, prompt, emulator, rows_of):
    """LangChain's own figures are a stock model's, and the receipt has no others."""
    for question in ("What is a tender?", "And a boiler?"):
        usages = []
        for model in (plain, cached):
            emulator.answers.push(LONG)
            answer = await way(model, prompt(question))
            usages.append(answer.usage_metadata)
        used = receipt_of(answer).usage
        row = rows_of("cached")[-1]

        assert usages[0] == usages[1]
        assert used.input_tokens == usages[1]["input_tokens"] == row.total_input_tokens
        assert used.output_tokens == usages[1]["output_tokens"] == row.output_tokens
        assert used.read_tokens == usages[1]["input_token_details"]["cache_read"]
        assert used.read_tokens == row.cache_read_input_tokens
        assert used.written_tokens == 0
    assert used.read_tokens > 6000


@pytest.mark.parametrize("way", ["stream", "astream"])
async def test_receipt_is_on_the_last_chunk(way, cached, cache, prompt, emulator):
    """The chunk that ends the answer has the receipt, and no other one."""
    emulator.answers.push(LONG)
    with cache.collect() as collected:
        if way == "stream":
            chunks = list(cached.stream(prompt()))
        else:
            chunks = [chunk async for chunk in cached.astream(prompt())]
    said = [chunk for chunk in chunks if chunk.text]
    where = [OPTION in chunk.response_metadata for chunk in said]

    assert len(said) > 2
    assert where == [False] * (len(said) - 1) + [True]
    assert said[-1].response_metadata["finish_reason"] == "STOP"
    assert receipt_of(said[-1]).usage == collected[0].usage
    assert len(collected) == 1


@pytest.mark.parametrize("early", ["cumulative", "cached"])
@pytest.mark.parametrize("way", STREAMS)
async def test_early_usage(way, early, arguments, prompt, closing):
    """Whatever early chunks say of usage, the sum is the parent's."""
    usages = []
    with Emulator(gemini=GeminiSettings(early_usage=early)) as emulator:
        cache = PromptCache(strict=True, clock=emulator.clock)
        for kind, more in (
            (ChatGoogleGenerativeAI, {}),
            (PromptCachedChatGoogleGenerativeAI, {OPTION: cache}),
        ):
            given = arguments("same", base_url=emulator.url, **more)
            model = closing(kind(**given))
            for _ in range(2):
                emulator.answers.push(LONG)
                answer = await way(model, prompt())
            usages.append(answer.usage_metadata)
        row = emulator.ledger[-1]
        used = receipt_of(answer).usage

    assert usages[0] == usages[1]
    assert used.input_tokens == row.total_input_tokens
    assert used.read_tokens == row.cache_read_input_tokens > 6000
    assert used.output_tokens == row.output_tokens


def test_several_requests_of_one_call(cached, prompt, rows_of, bill):
    """Prompts of one `generate` have a receipt each, on the answer that is theirs."""
    result = cached.generate([prompt(), prompt("And a boiler?")])
    answers = [row[0].message for row in result.generations]

    assert [bill(receipt_of(answer)) for answer in answers] == [
        bill(row) for row in rows_of("cached")
    ]


def test_savings(cached, cache, prompt, head):
    """What was read for less shows in the receipt's cost, and in the report."""
    first, second = (receipt_of(cached.invoke(prompt())) for _ in range(2))

    assert (first.usage.read_tokens, first.saved_usd) == (0, 0)
    assert second.saved_usd > 0
    assert second.cost_usd < first.cost_usd
    assert second.facts == "known"
    assert second.provider == "google"


@pytest.fixture
def make_stock(arguments, closing):
    """Return a function that makes stock models where the cached ones are.

    No other workspace has the caller's cached content.
    """
    return lambda **changes: closing(
        ChatGoogleGenerativeAI(**arguments("cached", **changes))
    )


@pytest.fixture
def own_content(cached, head, emulator):
    """Return the name of a cached content that the caller has made."""
    model = cached.plain_client().caches.create(
        model=cached.model,
        config={"system_instruction": head.content, "ttl": "600s"},
    )
    assert len(emulator.caches) == 1
    return model.name


@pytest.mark.parametrize("how", ["field", "call"])
@pytest.mark.parametrize("way", WAYS)
async def test_cached_content_of_the_caller(
    way, how, own_content, make_cached, make_stock, rows_of, bill
):
    """A request that names a cached content of the caller's own is sent as it is."""
    given = {"cached_content": own_content}
    asked = [HumanMessage("What is a tender?")]
    answers = []
    for make in (make_stock, make_cached):
        model = make(**given) if how == "field" else make().bind(**given)
        answers.append(await way(model, asked))
    stock, ours = rows_of("cached")

    assert stock.body == ours.body
    assert ours.body["cachedContent"] == own_content
    assert "systemInstruction" not in ours.body
    assert bill(receipt_of(answers[1])) == bill(ours)
    assert ours.cache_read_input_tokens > 6000
    assert OPTION not in answers[0].response_metadata


@pytest.mark.parametrize("way", WAYS)
async def test_cached_content_beside_a_system_message(
    way, own_content, cached, make_stock, prompt, rows_of
):
    """What the API refuses is refused as ever: content of the caller's stays."""
    told = []
    for model in (make_stock(), cached):
        with pytest.raises(GoogleInvalidRequestError) as info:
            await way(model.bind(cached_content=own_content), prompt())
        told.append(str(info.value))
    stock, ours = rows_of("cached")

    assert told[0] == told[1]
    assert (stock.status, ours.status) == (400, 400)
    assert stock.body == ours.body
    assert "systemInstruction" in ours.body


@pytest.mark.parametrize("version", ["v0", "v1"])
def test_output_versions(version, make_cached, make_plain, prompt, rows_of):
    """In each form of its messages, a conversation goes on and has its receipts."""
    ends = []
    for make in (make_plain, make_cached):
        model = make(output_version=version)
        said = prompt()
        for question in ("And the T 12?", "Which is larger?"):
            first, *rest = model.stream(said)
            said = [*said, sum(rest, first), HumanMessage(question)]
        answer = model.invoke(said)
        ends.append(without_ids(shape(answer)))

    assert ends[0] == ends[1]
    assert [row.body for row in rows_of("cached")] == [
        row.body for row in rows_of("plain")
    ]
    assert receipt_of(answer).usage.read_tokens > 6000


THOUGHTS = """{"candidates": [{"content": {"parts": [
  {"text": "Hm.", "thought": true}, {"text": "A tender."}], "role": "model"},
  "finishReason": "STOP", "index": 0}],
 "usageMetadata": {"promptTokenCount": 2000, "candidatesTokenCount": 10,
  "thoughtsTokenCount": 30, "toolUsePromptTokenCount": 100, "totalTokenCount": 2140,
  "cachedContentTokenCount": 1500},
 "modelVersion": "gemini-3.8-flash", "responseId": "r"}"""


@pytest.mark.parametrize("kind", ["developer"])
async def test_thoughts_and_tools(prompt, make_cached):
    """Thoughts are output and results of Google's tools are input, here and there."""
    with serving(lambda *_: (200, "application/json", THOUGHTS)) as name:
        cached = make_cached(base_url=f"http://{name}")
        for answer in (cached.invoke(prompt()), await cached.ainvoke(prompt())):
            used, usage = receipt_of(answer).usage, answer.usage_metadata

            assert used.input_tokens == usage["input_tokens"] == 2100
            assert used.output_tokens == usage["output_tokens"] == 40
            assert used.read_tokens == usage["input_token_details"]["cache_read"]
            assert used.read_tokens == 1500
