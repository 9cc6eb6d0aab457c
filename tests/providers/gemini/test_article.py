"""A published example of `google-generativeai`, and what it costs.

An article shows two snippets, and reckons a cached content of 100,000 tokens that lives
for an hour and is read by ten requests. Its parts are held here to the last digit; the
sums that it states are off those of its own parts by a tenth of a cent and by less.
"""

import datetime as dt
import textwrap
from fractions import Fraction

import gemini_legacy as legacy
import pytest
from gemini_legacy import FORGIVEN, MODEL, asked, genai, is_like

import promptcache.defaults
from promptcache import (
    GeminiCacheKeeper,
    Limits,
    MemoryStore,
    PromptCache,
    attach,
    default_cache,
    options,
)
from promptcache.emulator import Emulator, GeminiSettings
from promptcache.providers.gemini import wire
from promptcache.receipts.events import CacheCreated, CacheEnded, Settled
from promptcache.receipts.prices import Cost

pytestmark = pytest.mark.filterwarnings(FORGIVEN)

INPUT, READ, OUTPUT, STORAGE = map(Fraction, ("0.3125", "0.078125", "1.25", "1.125"))
"""US dollars for a million tokens; of storage, for an hour of them."""

HELD, ASKED, ANSWERED, TIMES = 100_000, 150, 1_500, 10
"""Tokens that are held, that each request asks and is answered with, and how often."""

CREATION, STORED, INPUTS, OUTPUTS = 0.03125, 0.1125, 0.07859375, 0.01875
WITH, WITHOUT = 0.24109375, 0.33171875
"""US dollars, by the article's parts; by its sums 0.24009375 and 0.33196875."""

PART, CONTENT = 1, 1
"""What the emulator counts for a part beside its text, and for what holds the part; an
answer has only the first."""

INSTRUCTION = "word" * (1_000 - PART - CONTENT)
DOCUMENT = "word" * (HELD - 1_000 - PART - CONTENT)
QUESTION = "word" * (ASKED - PART - CONTENT)
ANSWER = "word" * (ANSWERED - PART)
"""Four bytes of text are a token there."""


class ArticlePrices:
    """The article's prices, for whatever is asked."""

    def cost(self, provider, model, usage, *, tier=None, at=None):
        given, answered = usage.input_tokens * INPUT, usage.output_tokens * OUTPUT
        saved = usage.read_tokens * (INPUT - READ)
        return Cost(usd(given - saved + answered), usd(given + answered))


def usd(millionths):
    return float(millionths / 1_000_000)


def exactly(amount):
    """Return what a sum of floats is compared with: a ten-thousandth of a cent."""
    return pytest.approx(amount, abs=1e-6, rel=0)


@pytest.fixture(scope="module")
def unlucky():
    with Emulator(gemini=GeminiSettings(implicit_luck=0.0)) as running:
        yield running


@pytest.fixture
def emulator(unlucky):
    unlucky.reset()
    return unlucky


@pytest.fixture(autouse=True)
def _configured(emulator):
    with legacy.as_before():
        legacy.configure(emulator.url)
        yield


@pytest.fixture
def cache(emulator, events, monkeypatch):
    """Return the cache of this process, with the article's prices."""
    cache = PromptCache(
        store=MemoryStore(),
        clock=emulator.clock,
        prices=ArticlePrices(),
        facts={MODEL: {"storage_price": float(STORAGE)}},
        limits=Limits(usd_per_hour=1),
        listeners=[events.append],
    )
    monkeypatch.setattr(promptcache.defaults, "_made_cache", lambda _policy: cache)
    yield cache
    cache.close()


@pytest.fixture
def keepers(monkeypatch):
    """Close what the snippets leave open."""
    made = []
    begin = GeminiCacheKeeper.__init__

    def beginning(keeper, *arguments, **fields):
        made.append(keeper)
        begin(keeper, *arguments, **fields)

    monkeypatch.setattr(GeminiCacheKeeper, "__init__", beginning)
    yield made
    for keeper in made:
        keeper.remote.close()


CREATE = (
    "cache = caching.CachedContent.create("
    "model=name, system_instruction=instruction, contents=[document], "
    "ttl=datetime.timedelta(minutes=10))\n"
)
HOLD = (
    "with GeminiCacheKeeper().hold("
    "model=name, system=instruction, contents=[document], "
    "ttl=datetime.timedelta(minutes=10)) as cache:\n"
)
ASK = """\
model = GenerativeModel.from_cached_content(cached_content=cache)
response = model.generate_content("What is it about?")
"""
ASK_WITH_RECEIPT = ASK.replace("\nresponse", "\nmodel = attach(model)\nresponse")


def after(source):
    """Run snippets, and return what they have named."""
    names = {
        "GeminiCacheKeeper": GeminiCacheKeeper,
        "GenerativeModel": genai.GenerativeModel,
        "attach": attach,
        "caching": genai.caching,
        "datetime": dt,
        "document": DOCUMENT,
        "instruction": INSTRUCTION,
        "name": f"models/{MODEL}",
    }
    exec(source, names)
    return names


def test_the_snippets_as_they_are(emulator):
    """They run on the emulator: ten minutes, and a request that reads what is held."""
    names = after(CREATE + ASK)
    response, held = names["response"], names["cache"]
    (row,) = emulator.caches

    assert response.text
    assert row.name == held.name
    assert row.expires - row.created == 600
    assert row.tokens == response.usage_metadata.cached_content_token_count == HELD


def test_one_line_more_gives_receipts(cache, emulator):
    """`model = attach(model)`: the request is the same, and has a receipt."""
    with default_cache().collect() as receipts:
        names = after(CREATE + ASK_WITH_RECEIPT)
    (receipt,), (row,) = receipts, asked(emulator)

    assert wire.named(row.body) == names["cache"].name
    assert is_like(receipt, row)
    assert receipt.usage.read_tokens == HELD
    assert names["response"].text


@pytest.mark.parametrize(("ask", "count"), [(ASK, 0), (ASK_WITH_RECEIPT, 1)])
def test_one_changed_line_has_it_kept(ask, count, cache, keepers, emulator, events):
    """`with GeminiCacheKeeper().hold(...)`: it lives as long as that lasts."""
    names = after(HOLD + textwrap.indent(ask, "    "))
    (row,), (held,) = asked(emulator), emulator.caches
    receipts = [event.receipt for event in events if isinstance(event, Settled)]

    assert names["response"].text
    assert wire.named(row.body) == held.name == names["cache"].name
    assert row.cache_read_input_tokens == HELD
    assert held.expires - held.created == 600
    assert not held.live
    assert len(receipts) == count
    assert all(is_like(receipt, row) for receipt in receipts)


def hour_passes(cache, emulator, ask):
    """Ask every six minutes of an hour."""
    for _ in range(TIMES):
        emulator.answers.push(ANSWER)
        assert ask().text
        for _ in range(6):
            emulator.clock.advance(60)
            cache.keeper.tend()


def billed(emulator):
    """Return the parts by the emulator's books: creation, storage, input, output."""
    rows = asked(emulator)
    read = sum(row.cache_read_input_tokens for row in rows)
    fresh = sum(row.total_input_tokens for row in rows) - read
    written = sum(row.tokens for row in emulator.caches)
    return (
        usd(written * INPUT),
        usd(Fraction(emulator.storage_token_hours) * STORAGE),
        usd(fresh * INPUT + read * READ),
        usd(sum(row.output_tokens for row in rows) * OUTPUT),
    )


def parts_of(receipts):
    """Return what receipts say that input and output cost, as the article parts it."""
    output = usd(sum(it.usage.output_tokens for it in receipts) * OUTPUT)
    return sum(it.cost_usd for it in receipts) - output, output


@pytest.mark.parametrize("way", ["names the handle", "begins with what is held"])
def test_an_hour_that_is_held(way, cache, keepers, emulator, events):
    """Receipts, events, the report and the emulator's books have the same parts."""
    keeper = GeminiCacheKeeper()
    held = {"system": INSTRUCTION, "contents": [DOCUMENT]}
    with keeper.hold(MODEL, **held, ttl="1h") as handle:
        if way == "names the handle":
            model, before = keeper.generative_model(handle), []
        else:
            model = genai.GenerativeModel(MODEL, system_instruction=INSTRUCTION)
            model, before = attach(model), [{"role": "user", "parts": [DOCUMENT]}]
        question = {"role": "user", "parts": [QUESTION]}
        hour_passes(
            cache, emulator, lambda: model.generate_content([*before, question])
        )
    receipts = [event.receipt for event in events if isinstance(event, Settled)]
    (created,) = [event for event in events if isinstance(event, CacheCreated)]
    (ended,) = [event for event in events if isinstance(event, CacheEnded)]
    total = cache.report().to_dict()["total"]
    # Its times are told in nanoseconds, which a float does not have today.
    hours = pytest.approx(HELD, abs=0.01)

    assert {wire.named(row.body) for row in asked(emulator)} == {handle.name}
    assert (created.tokens, created.cost_usd) == (HELD, exactly(CREATION))
    assert (ended.token_hours, ended.cost_usd) == (hours, exactly(STORED))
    assert parts_of(receipts) == (exactly(INPUTS), exactly(OUTPUTS))
    assert sum(it.without_caching_usd for it in receipts) == exactly(WITHOUT)
    assert billed(emulator) == tuple(map(exactly, (CREATION, STORED, INPUTS, OUTPUTS)))
    assert total["requests"] == TIMES
    assert total["token_hours"] == hours
    assert total["storage_usd"] == exactly(CREATION + STORED)
    assert total["cost_usd"] + total["storage_usd"] == exactly(WITH)
    assert total["without_caching_usd"] == exactly(WITHOUT)


def test_an_hour_that_the_caller_ordered(cache, emulator, events):
    """Who creates it as the article does is billed the same, with the same receipts."""
    hour = dt.timedelta(hours=1)
    made = genai.caching.CachedContent.create(
        model=MODEL, system_instruction=INSTRUCTION, contents=[DOCUMENT], ttl=hour
    )
    model = attach(genai.GenerativeModel.from_cached_content(made))
    hour_passes(cache, emulator, lambda: model.generate_content(QUESTION))
    receipts = [event.receipt for event in events if isinstance(event, Settled)]

    assert parts_of(receipts) == (exactly(INPUTS), exactly(OUTPUTS))
    assert billed(emulator) == tuple(map(exactly, (CREATION, STORED, INPUTS, OUTPUTS)))


def test_an_hour_without(cache, emulator):
    """Each request sends all of it, at the price of input."""
    model = attach(genai.GenerativeModel(MODEL, system_instruction=INSTRUCTION))
    contents = [{"role": "user", "parts": [it]} for it in (DOCUMENT, QUESTION)]
    with options(gemini_caches=False), cache.collect() as receipts:
        hour_passes(cache, emulator, lambda: model.generate_content(contents))
    creation, stored, *parts = billed(emulator)

    assert (creation, stored) == (0, 0)
    assert sum(parts) == exactly(WITHOUT)
    assert sum(it.cost_usd for it in receipts) == exactly(WITHOUT)


def test_the_sums():
    """The parts are those of the article, and these are their sums."""
    assert exactly(WITH) == CREATION + STORED + INPUTS + OUTPUTS
    assert exactly(WITHOUT) == usd(TIMES * ((HELD + ASKED) * INPUT + ANSWERED * OUTPUT))
