"""Receipts: sums, and what survives a framework that adds them up."""

import json
from functools import reduce
from itertools import permutations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.utils._merge import merge_dicts
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from promptcache.receipts.metadata import NUMBERS
from promptcache.receipts.receipt import Receipt
from promptcache.receipts.usage import Usage

# Small ranges make equal numbers likely, which LangChain does not add up.
counts = st.none() | st.integers(0, 3) | st.integers(0, 10**9)
money = st.none() | st.integers(-(10**12), 10**13).map(lambda n: n / 10**9)
seconds = st.none() | st.integers(0, 10**7).map(lambda n: n / 1000)
names = st.sampled_from(["claude-a", "gpt-b", "gemini-c"])
receipts = st.builds(
    Receipt,
    provider=st.sampled_from(["anthropic", "openai"]),
    model=names,
    at=st.integers(0, 4 * 10**12).map(lambda n: n / 1000),
    policy=st.sampled_from(["auto", "fixed"]),
    facts=st.sampled_from(["known", "assumed"]),
    usage=st.builds(Usage, *[counts] * 8),
    cost_usd=money,
    without_caching_usd=money,
    first_token_s=seconds,
    total_s=seconds,
    breakpoints=st.lists(names, max_size=4, unique=True).map(tuple),
    attempts=st.integers(1, 3),
    requests=st.just(1),
    notes=st.lists(names, max_size=3, unique=True).map(tuple),
    id=st.none() | names,
)
awkward = st.text(max_size=300) | st.text('"\\\x00\ud800é', max_size=300)
oversized = st.builds(
    Receipt,
    provider=awkward,
    model=awkward,
    at=st.floats(0, 4e9),
    policy=awkward,
    usage=st.builds(Usage, *[st.integers(0, 10**9)] * 8),
    cost_usd=st.floats(0, 1e4) | st.sampled_from([float("nan"), float("inf")]),
    without_caching_usd=st.floats(0, 1e4),
    first_token_s=st.floats(0, 1e6),
    total_s=st.floats(0, 1e6),
    breakpoints=st.lists(awkward, max_size=9).map(tuple),
    attempts=st.integers(1, 99),
    requests=st.integers(1, 10**6),
    tenant=awkward,
    conversation=awkward,
    notes=st.lists(awkward, max_size=30).map(tuple),
    id=awkward,
)


def numbers(receipt):
    """Return all numbers of a receipt, as whole units."""
    metadata = receipt.to_metadata()
    return [metadata[name] for name in NUMBERS]


def summed(several):
    """Return the sums that merged receipts must show."""
    columns = zip(*map(numbers, several), strict=True)
    return [None if None in column else sum(column) for column in columns]


@given(receipts)
def test_metadata_round_trip(receipt):
    """A receipt comes back from its metadata as it was."""
    assert Receipt.from_metadata(receipt.to_metadata()) == receipt


@given(receipts)
def test_metadata_survives_json(receipt):
    """It does so through JSON, too."""
    text = json.dumps(receipt.to_metadata())

    assert Receipt.from_metadata(json.loads(text)) == receipt


@given(st.lists(receipts, min_size=1, max_size=4))
def test_merging_never_raises_and_sums_are_right(several):
    """Whatever the order LangChain adds metadata in, the sum is exact."""
    forms = [receipt.to_metadata() for receipt in several]
    for order in permutations(forms):
        merged = Receipt.from_metadata(reduce(merge_dicts, order))

        assert numbers(merged) == summed(several)
        assert merged.at == min(receipt.at for receipt in several)
        assert set(merged.breakpoints) == {b for r in several for b in r.breakpoints}
        assert set(merged.notes) == {note for r in several for note in r.notes}


@given(st.lists(receipts, min_size=1, max_size=5))
def test_merged_metadata_is_the_sum_of_receipts(several):
    """Adding metadata and adding receipts give the same receipt."""
    forms = [receipt.to_metadata() for receipt in several]
    merged = Receipt.from_metadata(reduce(merge_dicts, forms))
    total = Receipt.sum(several)

    assert numbers(merged) == summed(several)
    assert merged.usage == total.usage
    for name in ("provider", "model", "policy", "facts", "id", "requests", "attempts"):
        assert getattr(merged, name) == getattr(total, name)
    assert merged.breakpoints == total.breakpoints


@given(st.lists(receipts, min_size=1, max_size=4))
def test_metadata_survives_adding_chunks(several):
    """Chunks that carry receipts, or none, can be added to one message."""
    chunks = [
        chunk
        for receipt in several
        for chunk in (
            AIMessageChunk("text"),
            AIMessageChunk(
                "", response_metadata={"prompt_cache": receipt.to_metadata()}
            ),
        )
    ]
    message = reduce(lambda left, right: left + right, chunks)
    merged = Receipt.from_metadata(message.response_metadata["prompt_cache"])

    assert numbers(merged) == summed(several)


@given(receipts)
def test_metadata_survives_a_checkpoint(receipt):
    """LangGraph's serializer gives back an equal message."""
    serde = JsonPlusSerializer()
    metadata = {"prompt_cache": receipt.to_metadata()}
    message = AIMessage("text", response_metadata=metadata)

    assert serde.loads_typed(serde.dumps_typed(message)) == message


@given(oversized)
def test_metadata_is_small_whatever_the_receipt(receipt):
    """No text makes the metadata larger than 1 KB or unfit for JSON."""
    assert len(orjson.dumps(receipt.to_metadata())) < 1024


@given(oversized)
def test_metadata_holds_integers_and_lists_of_strings(receipt):
    """Every value is an integer, `None` or a list of strings."""
    for value in receipt.to_metadata().values():
        assert value is None or type(value) is int or all(type(v) is str for v in value)


@given(receipts, receipts, receipts)
def test_addition_is_associative(a, b, c):
    """Sums of sums are sums, but for the last bit of a float."""
    left, right = (a + b) + c, a + (b + c)

    assert numbers(left) == pytest.approx(numbers(right), abs=1)
    assert left.id == right.id
    assert (left.at, left.usage, left.facts) == (right.at, right.usage, right.facts)
    assert (left.model, left.breakpoints) == (right.model, right.breakpoints)


def receipt(**values):
    base = {"provider": "anthropic", "model": "claude-a", "at": 100.0, "policy": "auto"}
    return Receipt(**{**base, **values})


def test_long_lists_say_how_much_was_left_out():
    """Breakpoints beyond four and notes beyond the size are counted."""
    metadata = receipt(
        breakpoints=tuple(f"tools[{n}] 1h head" for n in range(6)),
        notes=tuple(f"{n:02} {'x' * 60}" for n in range(40)),
    ).to_metadata()

    assert metadata["breakpoints"][3:] == ["tools[3] 1h head", "+2 more"]
    assert metadata["notes"][-1] == f"+{40 - len(metadata['notes']) + 1} more"
    assert len(metadata["notes"]) > 2


def test_fullest_metadata_is_small():
    """With every field at its longest, texts give way and 1 KB is enough."""
    metadata = receipt(
        provider="p" * 99,
        model="m" * 99,
        policy="p" * 99,
        facts="assumed",
        usage=Usage(*[10**9] * 8),
        cost_usd=999.0,
        without_caching_usd=9999.0,
        first_token_s=999.0,
        total_s=9999.0,
        breakpoints=("b" * 99,) * 9,
        notes=("n" * 20,) * 99,
        id="i" * 99,
    ).to_metadata()

    assert 950 < len(orjson.dumps(metadata)) < 1024
    assert metadata["breakpoints"][-1].endswith(" more")
    assert metadata["notes"][-1].endswith(" more")


def test_metadata_names_no_tenant():
    """Tenant and conversation do not travel in messages."""
    text = json.dumps(receipt(tenant="acme", conversation="c42").to_metadata())

    assert "acme" not in text
    assert "c42" not in text


def test_sum_of_different_requests():
    """A sum names all models, the earliest time and the identity they share."""
    total = receipt(model="a", tenant="t", conversation="1", id="x") + receipt(
        model="b", at=50.0, tenant="t", conversation="2", facts="assumed"
    )

    assert (total.model, total.at, total.facts) == ("a, b", 50.0, "assumed")
    assert (total.tenant, total.conversation, total.id) == ("t", None, None)
    assert (total.requests, total.attempts) == (2, 2)


@pytest.mark.parametrize(
    ("cost", "plain", "saved"),
    [
        pytest.param(1.0, 3.0, 2.0, id="saved"),
        pytest.param(3.0, 1.0, -2.0, id="lost"),
        pytest.param(None, 1.0, None, id="no cost"),
        pytest.param(1.0, None, None, id="no plain cost"),
    ],
)
def test_saved(cost, plain, saved):
    """Savings are known if both costs are."""
    assert receipt(cost_usd=cost, without_caching_usd=plain).saved_usd == saved


def test_as_dict_is_flat():
    """The dict form holds tokens and savings beside the other fields."""
    values = receipt(usage=Usage(5), cost_usd=1.0, without_caching_usd=2.0).as_dict()

    assert "usage" not in values
    assert (values["input_tokens"], values["read_tokens"]) == (5, None)
    assert (values["saved_usd"], values["model"]) == (1.0, "claude-a")


@pytest.mark.parametrize(
    "metadata",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"each": "1 1", "at": 5, "input_tokens": "5"}, id="wrong types"),
        pytest.param({"each": ["x ? -"], "at": ["noon"]}, id="wrong texts"),
        pytest.param({"at": ["2026-01-01T00:00:00"]}, id="no time zone"),
    ],
)
def test_foreign_metadata_is_unknown(metadata):
    """What cannot be read is unknown, never an error."""
    read = Receipt.from_metadata(metadata)

    assert read.usage == Usage()
    assert (read.cost_usd, read.at) == (None, 0.0)


def test_rows_of_older_and_newer_versions_are_read():
    """A row may have fewer or more numbers than this version knows."""
    older = Receipt.from_metadata({"each": ["1 2 300"]})
    newer = Receipt.from_metadata({"each": ["1 2 300 0 0 0 0 9 1 1 1 1 7 8 77 88"]})

    assert (older.usage.input_tokens, older.usage.output_tokens) == (300, None)
    assert (newer.usage.output_tokens, newer.total_s) == (9, 0.001)
    assert newer.usage.written_12h_tokens == 8


def test_rows_from_before_the_longer_lifetimes_are_read():
    """A row of Anthropic's lifetimes alone, as stored, tells nothing of OpenAI's."""
    stored = "1 1 300 200 60 40 20 9 5000 7000 400 900"

    read = Receipt.from_metadata({"each": [stored]})

    assert read.usage == Usage(300, 200, 60, 40, 20, 9)
    assert (read.usage.written_30m_tokens, read.total_s) == (None, 0.9)


def test_numbers_are_read_without_rows():
    """Metadata whose rows were taken away still tells its numbers."""
    metadata = receipt(usage=Usage(7), attempts=3).to_metadata()
    del metadata["each"]

    read = Receipt.from_metadata(metadata)

    assert (read.usage.input_tokens, read.attempts) == (7, 3)


def test_only_receipts_are_added():
    """Adding anything else, or nothing at all, is a type error."""
    with pytest.raises(TypeError):
        receipt() + 1
    with pytest.raises(TypeError):
        Receipt.sum([])
