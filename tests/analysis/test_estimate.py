"""What a prefix costs before anybody sends it: by provider, price and spacing."""

import json
import sys
from dataclasses import FrozenInstanceError
from datetime import timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from promptcache import Estimate, FixedPrices, OptionError, Usage, cli, estimate
from promptcache.analysis.offers import provider_of
from promptcache.receipts.prices import GenaiPrices

ARTICLE = {"input": 0.3125, "read": 0.078125, "output": 1.25, "storage": 1.125}
"""US dollars for a million tokens, as a published example has them."""

PRICED = {
    "input": 4,
    "read": 0.5,
    "written": 5,
    "written_1h": 8,
    "output": 20,
    "storage": 1,
}
SONNET, SOL, OLDER, FLASH = (
    "claude-sonnet-5-5",
    "gpt-6-sol",
    "gpt-5.5",
    "gemini-2.5-flash",
)


def parts(found):
    return (
        found.written_usd,
        found.read_usd,
        found.input_usd,
        found.output_usd,
        found.storage_usd,
    )


def test_the_sum_of_a_published_example():
    """A cached content of 100,000 tokens, for an hour, that ten requests read."""
    found = estimate(FLASH, 100_000, 150, 1_500, 10, "1h", ARTICLE)

    assert found.written_usd == 0.03125
    assert found.storage_usd == 0.1125
    assert found.read_usd + found.input_usd == 0.07859375
    assert found.output_usd == 0.01875
    assert found.with_usd == 0.24109375
    assert found.without_usd == 0.33171875
    assert found.saved_usd == 0.090625


@pytest.mark.parametrize(
    ("model", "ttl", "asked", "expected"),
    [
        # 100,000 tokens: $0.40 sent, $0.05 read, $0.50 or $0.80 written.
        pytest.param(SONNET, None, {}, (0.5, 0.45, 0.04, 0.2, 0), id="5m"),
        pytest.param(SONNET, "1h", {}, (0.8, 0.45, 0.04, 0.2, 0), id="1h"),
        pytest.param(
            SONNET, timedelta(hours=1), {}, (0.8, 0.45, 0.04, 0.2, 0), id="timedelta"
        ),
        pytest.param(
            SONNET, "5m", {"every": 299}, (0.5, 0.45, 0.04, 0.2, 0), id="refreshed"
        ),
        pytest.param(
            SONNET, "5m", {"every": 300}, (5.0, 0, 0.04, 0.2, 0), id="expired"
        ),
        pytest.param(
            SONNET, "1h", {"every": "10m"}, (0.8, 0.45, 0.04, 0.2, 0), id="text"
        ),
        pytest.param(SOL, "30m", {}, (0.5, 0.45, 0.04, 0.2, 0), id="30m"),
        pytest.param(
            SOL,
            "30m",
            {"every": timedelta(minutes=31)},
            (5.0, 0, 0.04, 0.2, 0),
            id="30m expired",
        ),
        pytest.param(
            FLASH, "30m", {}, (0.4, 0.5, 0.04, 0.2, 0.05), id="content for 30m"
        ),
        pytest.param(
            # Six requests an hour: at 0, 10, ... 50 minutes; then it is created anew.
            FLASH,
            "1h",
            {"every": 600},
            (0.8, 0.5, 0.04, 0.2, 0.2),
            id="content twice",
        ),
        pytest.param(
            FLASH, "1h", {"every": 7200}, (4.0, 0.5, 0.04, 0.2, 1.0), id="content each"
        ),
    ],
)
def test_parts(model, ttl, asked, expected):
    """What is written, read, sent, answered and stored, for ten requests."""
    found = estimate(model, 100_000, 1_000, 1_000, 10, ttl, PRICED, **asked)

    assert parts(found) == pytest.approx(expected)
    assert found.with_usd == pytest.approx(sum(expected))
    assert found.without_usd == pytest.approx(10 * (0.4 + 0.004 + 0.02))
    assert found.saved_usd == pytest.approx(found.without_usd - found.with_usd)


def test_a_model_without_breakpoints_reads_what_ends_at_an_interval():
    """Writing is free there, and what lies behind the last interval is sent anew."""
    rates = {"input": 5, "read": 0.5, "output": 30}
    found = estimate(OLDER, 20_000, 500, 300, 3, prices=rates)
    whole = 20_000 // 2048 * 2048
    prefix = (whole * 0.5 + (20_000 - whole) * 5) / 1_000_000

    assert found.written_usd == pytest.approx(0.1)
    assert found.read_usd == pytest.approx(2 * prefix)
    assert found.input_usd == pytest.approx(3 * 500 * 5 / 1_000_000)
    assert "every 2,048 tokens" in found.notes[0]


@pytest.mark.parametrize(
    ("model", "ttl"), [(SONNET, "5m"), (SONNET, "1h"), (SOL, "30m"), (OLDER, None)]
)
def test_it_is_what_receipts_would_add_up_to(model, ttl):
    """The sum is that of the requests, each priced by its own usage."""
    prefix, tail, output, count = 40_960, 1_000, 700, 7
    provider = "anthropic" if model == SONNET else "openai"
    written = {} if model == OLDER else {"written_tokens": prefix}
    if written:
        written[f"written_{ttl}_tokens"] = prefix
    zero = dict.fromkeys(Usage.__slots__, 0)
    size = {"input_tokens": prefix + tail, "output_tokens": output}
    first = Usage(**{**zero, **size, **written})
    later = Usage(**{**zero, **size, "read_tokens": prefix})
    costs = [
        GenaiPrices().cost(provider, model, usage)
        for usage in (first, *[later] * (count - 1))
    ]

    found = estimate(model, prefix, tail, output, count, ttl)

    assert found.with_usd == pytest.approx(sum(cost.usd for cost in costs))
    plain = sum(cost.without_caching_usd for cost in costs)
    assert found.without_usd == pytest.approx(plain)


amounts = st.integers(0, 400).map(lambda cents: cents / 100)


@given(
    st.sampled_from([(SONNET, "5m"), (SONNET, "1h"), (SOL, "30m"), (FLASH, "30m")]),
    st.fixed_dictionaries(
        {"input": amounts, "read": amounts, "written": amounts, "written_1h": amounts}
    ),
    amounts,
    st.sampled_from([None, 60, 200, 300, 1_000, 3_700]),
)
def test_break_even_is_where_caching_becomes_cheaper(model, prices, storage, every):
    """Fewer requests cost as much or more with caching, and so many cost less."""
    assume(prices["read"] <= min(prices["written"], prices["written_1h"]))
    rates = {**prices, "output": 1, "storage": storage}

    def saved(requests):
        found = estimate(*model_of, requests, model[1], rates, every=every)
        assert found.with_usd == pytest.approx(sum(parts(found)), abs=1e-9)
        return found

    model_of = (model[0], 50_000, 100, 100)
    count = saved(1).break_even

    counts = (1, 2, 3, 5, 13, 40) if count is None else {1, count // 2 or 1, count - 1}
    before = [n for n in counts if n and (count is None or n < count)]
    assert [n for n in before if saved(n).saved_usd > 1e-9] == []
    if count is not None:
        assert saved(count).saved_usd > 0


@pytest.mark.parametrize(
    ("model", "minimum"),
    [
        pytest.param(SONNET, 512, id="anthropic"),
        pytest.param(SOL, 1_024, id="openai"),
        pytest.param(OLDER, 2_048, id="first interval"),
        pytest.param(FLASH, 2_048, id="gemini"),
    ],
)
def test_below_the_minimum(model, minimum):
    """What is too short is not cached, costs the same, and that is said."""
    below = estimate(model, minimum - 1, 10, 10, prices=PRICED)
    enough = estimate(model, minimum, 10, 10, prices=PRICED)

    assert below.with_usd == below.without_usd
    assert (below.saved_usd, below.break_even, below.writes) == (0, None, 0)
    assert below.notes[0].startswith("nothing is cached")
    assert enough.writes == 1
    assert enough.with_usd != enough.without_usd


@pytest.mark.parametrize(
    ("model", "asked", "says", "plain"),
    [
        pytest.param("mystery-1", {}, "name does not tell", False, id="model"),
        pytest.param(
            "mystery-1", {"provider": "anthropic"}, "price of", False, id="price"
        ),
        pytest.param(
            SOL, {"ttl": "12h"}, "writing for 12h is not known", True, id="12h"
        ),
        pytest.param(
            "gemini-3.8-flash",
            {"prices": {"input": 1, "read": 0.1, "output": 1}, "facts": {}},
            None,
            True,
            id="storage of the facts",
        ),
        pytest.param(
            "gemini-3.7-flash", {}, "price of storage is not known", True, id="storage"
        ),
        pytest.param(
            "gemini-9-flash",
            {"prices": PRICED},
            "rules of this model are not known",
            True,
            id="rules of Gemini",
        ),
        pytest.param(
            "gpt-9", {"prices": PRICED}, "rules of this model", True, id="rules of GPT"
        ),
        pytest.param(
            "claude-nova",
            {"prices": PRICED, "prefix_tokens": 900},
            "may be up to 4,096",
            True,
            id="minimum",
        ),
        pytest.param(
            SONNET,
            {"prices": {"input": 1}},
            "price of output",
            False,
            id="output",
        ),
        pytest.param(
            SONNET,
            {"prices": {"input": 1, "output": 1, "written": 2}, "ttl": "1h"},
            "writing for 1h",
            True,
            id="writing",
        ),
    ],
)
def test_what_is_not_known_is_none(model, asked, says, plain):
    """A missing price or rule gives no sum at all, never zero, and says which."""
    found = estimate(model, **{"prefix_tokens": 50_000, "output_tokens": 10, **asked})

    if says is None:
        assert found.with_usd is not None
        return
    assert says in " ".join(found.notes)
    assert (found.with_usd, found.saved_usd, found.break_even) == (None, None, None)
    assert (found.without_usd is not None) == plain
    assert "with caching ?" in str(found)


def test_an_unknown_model_with_a_long_prefix_has_a_sum():
    """On Anthropic only the minimum is uncertain, which a long prefix is above."""
    found = estimate("claude-nova", 50_000, 0, 10, prices=PRICED)

    assert found.with_usd is not None
    assert found.notes == ("the rules of this model are not known; give `facts`",)


def test_facts_are_laid_over():
    """A row of the caller's says what a model caches."""
    facts = {"gemini-9-flash": {"explicit": True, "storage_price": 2.0}}
    rates = {"input": 1, "read": 0.1, "output": 1}
    found = estimate("gemini-9-flash", 100_000, 0, 10, 4, "1h", rates, facts=facts)

    assert found.storage_usd == pytest.approx(0.2)
    assert found.notes[-1].startswith("a creation counts as input")


def test_facts_of_the_environment(monkeypatch, tmp_path):
    """The file that `PROMPTCACHE_FACTS` names is read, as a cache reads it."""
    path = tmp_path / "facts.toml"
    path.write_text("[claude-sonnet-5-5]\nminimum_tokens = 9000\n")
    monkeypatch.setenv("PROMPTCACHE_FACTS", str(path))

    assert estimate(SONNET, 8_999, prices=PRICED).writes == 0


@pytest.mark.parametrize(
    ("model", "asked", "named"),
    [
        pytest.param("", {}, "name of a model", id="model"),
        pytest.param(5, {}, "name of a model", id="model no text"),
        pytest.param(SONNET, {"prefix_tokens": -1}, "from 0", id="prefix"),
        pytest.param(SONNET, {"prefix_tokens": 1.5}, "from 0", id="fraction"),
        pytest.param(SONNET, {"tail_tokens": "9"}, "from 0", id="tail"),
        pytest.param(SONNET, {"output_tokens": True}, "from 0", id="output"),
        pytest.param(SONNET, {"requests": 0}, "from 1", id="requests"),
        pytest.param(SONNET, {"ttl": "30m"}, "5m, 1h", id="ttl of Anthropic"),
        pytest.param(SONNET, {"ttl": "soon"}, "5m, 1h", id="no ttl"),
        pytest.param(SOL, {"ttl": "5m"}, "30m, 12h", id="ttl of OpenAI"),
        pytest.param(OLDER, {"ttl": "5m"}, "24h", id="ttl of earlier models"),
        pytest.param("gpt-4o", {"ttl": "24h"}, "none for this", id="no ttl at all"),
        pytest.param(FLASH, {"ttl": "5s"}, "a minute", id="ttl of Gemini"),
        pytest.param(FLASH, {"ttl": float("inf")}, "an end", id="no end"),
        pytest.param(SONNET, {"every": 0}, "more than 0", id="every"),
        pytest.param(SONNET, {"every": "x"}, "90s", id="every no time"),
        pytest.param(SONNET, {"provider": "aws"}, "anthropic, google", id="provider"),
        pytest.param(SONNET, {"prices": {"inputs": 1}}, "input", id="rate"),
        pytest.param(SONNET, {"prices": {"input": -1}}, "0 or more", id="price"),
        pytest.param(SONNET, {"prices": 5}, "a Prices, or a dict", id="prices"),
        pytest.param(SONNET, {"facts": {SONNET: {"x": 1}}}, "minimum", id="facts"),
    ],
)
def test_what_is_not_allowed(model, asked, named):
    """A wrong value is refused with what is allowed."""
    with pytest.raises(OptionError) as caught:
        estimate(model, **{"prefix_tokens": 5_000, **asked})

    assert named in caught.value.allowed


@pytest.mark.parametrize(
    ("model", "named", "expected"),
    [
        pytest.param("claude-sonnet-5-5", None, "anthropic", id="row"),
        pytest.param("us.anthropic.claude-sonnet-5-v1:0", None, "anthropic", id="aws"),
        pytest.param("models/gemini-3.8-flash", None, "google", id="path"),
        pytest.param("openai/gpt-6-sol", None, "openai", id="router"),
        pytest.param("gpt-9", None, "openai", id="family"),
        pytest.param("gemini-9", None, "google", id="family of Gemini"),
        pytest.param("o1", None, "openai", id="short"),
        pytest.param("mystery", None, None, id="nobody's"),
        pytest.param("mystery", "google", "google", id="said"),
        pytest.param("mystery", "gemini", "google", id="said otherwise"),
        pytest.param("google_genai:mystery", None, "google", id="before a colon"),
    ],
)
def test_whose_a_model_is(model, named, expected):
    """The provider is told from the name, or said."""
    assert provider_of(model, named)[0] == expected


def test_the_provider_before_a_colon_is_no_part_of_the_name():
    """Frameworks spell a model so; prices know it without."""
    spoken, bare = (
        estimate(name, 9_000, 0, 10) for name in (f"anthropic:{SONNET}", SONNET)
    )

    assert spoken == bare


def test_a_source_of_prices():
    """Any source of prices may be given."""
    prices = FixedPrices({SONNET: PRICED})

    assert estimate(SONNET, 9_000, prices=prices) == estimate(
        SONNET, 9_000, prices={SONNET: PRICED}
    )


def test_it_is_a_value():
    """An estimate is frozen, and shows itself as a block."""
    found = estimate(SONNET, 100_000, 500, 300, 20, "5m", PRICED, every="2m")
    block = str(found).splitlines()

    assert isinstance(found, Estimate)
    with pytest.raises(FrozenInstanceError):
        found.with_usd = 0
    assert block[0] == (
        "claude-sonnet-5-5: 20 requests of 100,000 + 500 tokens, 300 of answer"
    )
    assert "  break-even   2 requests" in block
    assert "  a request comes every 2m" in block
    assert max(map(len, block)) <= 100


def test_never_is_said():
    """Where caching never pays, the block says so, and the sums are there."""
    found = estimate(SONNET, 100_000, 0, 10, 5, "5m", PRICED, every="1h")

    assert found.saved_usd < 0
    assert "  break-even   never" in str(found).splitlines()
    assert "  saved        -$0.50 (-25%)" in str(found).splitlines()


@pytest.fixture
def run(monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["promptcache", "estimate", *arguments])
        with pytest.raises(SystemExit) as exit_info:
            cli.main()
        printed = capsys.readouterr()
        return exit_info.value.code or 0, printed.out, printed.err

    return run


def test_the_command_prints_the_block(run):
    """It is what the function returns, as text."""
    numbers = ("--prefix", "50000", "--tail", "200", "--output", "100")
    code, out, _ = run(SONNET, *numbers, "--requests", "9", "--ttl", "1h")

    assert code == 0
    assert out == f"{estimate(SONNET, 50_000, 200, 100, 9, '1h')}\n"


@pytest.mark.parametrize("every", ["90", "90s", "1.5m"])
def test_the_command_prints_json(run, every):
    """With `--json` it is a list of one row, with all fields."""
    code, out, _ = run(SONNET, "--prefix", "50000", "--every", every, "--json")
    (row,) = json.loads(out)

    found = estimate(SONNET, 50_000, every=90).as_dict()
    assert code == 0
    assert row == json.loads(json.dumps(found))
    assert row["saved_usd"] == found["saved_usd"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param((SONNET, "--prefix", "9", "--ttl", "2h"), "5m, 1h", id="ttl"),
        pytest.param((SONNET, "--prefix", "-9"), "from 0", id="count"),
        pytest.param((SONNET,), "--prefix", id="no prefix"),
    ],
)
def test_the_command_refuses(run, arguments, says):
    """A wrong value is one sentence, and exit code 2."""
    code, out, err = run(*arguments)

    assert (code, out) == (2, "")
    assert says in err
