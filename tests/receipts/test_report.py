"""The report: bounded, honest about unknowns, readable."""

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcache.receipts.miss import Cause, Form, Miss
from promptcache.receipts.receipt import Receipt
from promptcache.receipts.report import Report
from promptcache.receipts.table import dollars, short
from promptcache.receipts.usage import Usage

counts = st.none() | st.integers(0, 10**15)
amounts = st.none() | st.floats(0, 1e12)
misses = st.builds(
    Miss,
    cause=st.sampled_from(get_args(Cause)),
    proof=st.just("outline"),
    place=st.none() | st.text(max_size=80),
    form=st.sampled_from([None, *get_args(Form)]),
    tokens=counts,
    cost_usd=amounts,
)


def receipt(model="claude-a", **values):
    base = {"provider": "anthropic", "at": 0.0, "policy": "auto"}
    return Receipt(model=model, **{**base, **values})


def report(*receipts):
    filled = Report()
    for each in receipts:
        filled.add(each)
    return filled


def test_sums_per_model_and_in_all():
    """Tokens, money and requests are summed per model and for all models."""
    full = {
        "usage": Usage(100, 80, 10, 4, 6, 5, 0, 0),
        "cost_usd": 1.0,
        "without_caching_usd": 3.0,
        "credits": ("placed",),
    }
    table = report(receipt(**full), receipt(**full), receipt("b", **full)).to_dict()
    first, second = table["rows"]

    assert (first["model"], first["requests"], first["input_tokens"]) == (
        "claude-a",
        2,
        200,
    )
    assert (first["saved_usd"], first["read_share"], second["requests"]) == (
        4.0,
        0.8,
        1,
    )
    assert (table["total"]["written_1h_tokens"], table["total"]["cost_usd"]) == (
        18,
        3.0,
    )
    assert table["total"]["unknown"] == {}


def test_unknown_is_counted_and_not_zero():
    """What no request reported is `None`, and what some did not is counted."""
    table = report(
        receipt(usage=Usage(100, 80), cost_usd=1.0), receipt(usage=Usage(50))
    ).to_dict()["total"]

    assert (table["output_tokens"], table["saved_usd"]) == (None, None)
    assert (table["read_tokens"], table["read_share"]) == (80, 0.8)
    assert (table["unknown"]["read_tokens"], table["unknown"]["output_tokens"]) == (
        1,
        2,
    )
    assert "input_tokens" not in table["unknown"]


def test_writes_that_are_never_reported_are_unknown():
    """A model that reports no writes has none known; a table of both marks the sum."""
    earlier = receipt("gpt-5.2", provider="openai", usage=Usage(100, 64, None))
    later = receipt(
        "gpt-6.1-sol",
        provider="openai",
        usage=Usage(100, 0, 90, written_30m_tokens=90, written_12h_tokens=0),
    )
    header, first, second, total, _ = str(report(earlier, later)).splitlines()
    cells = [line.split() for line in (first, second, total)]

    assert header.split()[5:7] == ["write", "1h+"]
    assert [row[5:7] for row in cells] == [["?", "?"], ["90", "0"], ["90?", "0?"]]
    assert "<td>?</td>" in report(earlier)._repr_html_()


@pytest.mark.parametrize(
    ("usage", "longer"),
    [
        pytest.param(Usage(written_5m_tokens=3, written_1h_tokens=4), 4, id="1h"),
        pytest.param(Usage(written_30m_tokens=3, written_12h_tokens=5), 5, id="12h"),
        pytest.param(Usage(written_tokens=3), None, id="not reported"),
        pytest.param(
            Usage(
                written_tokens=3,
                written_5m_tokens=0,
                written_1h_tokens=0,
            ),
            None,
            id="no split",
        ),
        pytest.param(
            Usage(
                written_tokens=9,
                written_5m_tokens=0,
                written_1h_tokens=0,
                written_30m_tokens=2,
                written_12h_tokens=7,
            ),
            7,
            id="all lifetimes",
        ),
    ],
)
def test_longer_lifetimes(usage, longer):
    """What a provider writes for its longer lifetime is one number for all of them."""
    table = report(receipt(usage=usage)).to_dict()["total"]

    assert table["written_longer_tokens"] == longer


def test_longer_lifetimes_of_both_providers_are_summed():
    """A provider that lacks a lifetime leaves nothing out of the sum."""
    table = report(
        receipt(usage=Usage(written_5m_tokens=3, written_1h_tokens=4)),
        receipt(usage=Usage(written_30m_tokens=3, written_12h_tokens=5)),
    ).to_dict()["total"]

    assert table["written_longer_tokens"] == 9
    assert "written_longer_tokens" not in table["unknown"]


def test_text_marks_unknowns():
    """Unknown is a question mark, and an incomplete sum ends with one."""
    text = str(report(receipt(usage=Usage(100, 80)), receipt(usage=Usage(50))))
    row = text.splitlines()[1].split()

    assert row[:5] == ["claude-a", "2", "150", "80?", "80.0"]
    assert row[5:] == ["?"] * 8


def test_zero_is_shown_as_zero():
    """A reported zero is not taken for unknown."""
    cells = str(report(receipt(usage=Usage.zero(), cost_usd=0.0))).splitlines()[1]

    assert cells.split()[1:] == ["1", "0", "0", "?", "0", "0", "0", "$0", *"????"]


def test_models_are_bounded():
    """The 201st model and all later ones are summed as `other`."""
    table = report(*(receipt(f"m{n}") for n in range(300))).to_dict()
    *kept, other = table["rows"]

    assert len(kept) == 200
    assert (other["model"], other["requests"]) == ("other", 100)
    assert table["total"]["requests"] == 300


def test_quantiles_of_the_first_token():
    """The p50 and p95 are those of single requests; sums are left out."""
    waits = [receipt(first_token_s=n / 100) for n in range(1, 101)]
    total = report(*waits, receipt(first_token_s=99.0, requests=2)).to_dict()["total"]

    assert (total["first_token_p50_s"], total["first_token_p95_s"]) == (0.5, 0.95)


def test_quantiles_stay_close_in_bounded_memory():
    """Of many requests only some are kept, evenly, and always the same ones."""
    filled = report(*(receipt(first_token_s=float(n)) for n in range(5000)))
    total = filled.to_dict()["total"]
    (row,) = filled._rows._rows.values()

    assert total["first_token_p50_s"] == pytest.approx(2500, rel=0.02)
    assert total["first_token_p95_s"] == pytest.approx(4750, rel=0.02)
    assert len(row.samples._kept) <= 512


def test_storage_is_summed_per_model_and_in_all():
    """What remote caches cost stands beside what their requests cost."""
    filled = report(receipt(cost_usd=1.0, without_caching_usd=3.0))
    filled.add_storage("google", "gemini-a", 0.0, 0.25)
    filled.add_storage("google", "gemini-a", 500.0, 0.5)
    table = filled.to_dict()
    plain, stored = table["rows"]

    assert (plain["token_hours"], plain["storage_usd"]) == (0.0, 0.0)
    assert (stored["provider"], stored["requests"]) == ("google", 0)
    assert (stored["token_hours"], stored["storage_usd"]) == (500.0, 0.75)
    assert (table["total"]["storage_usd"], table["total"]["cost_usd"]) == (0.75, 1.0)
    assert table["total"]["saved_usd"] == 2.0


def test_unknown_storage_stays_unknown():
    """A cache of unknown size or price is counted as such, and none as zero."""
    filled = report()
    filled.add_storage("google", "gemini-a", None, None)
    filled.add_storage("google", "gemini-b", 10.0, None)
    filled.add_storage("google", "gemini-b", 20.0, 0.5)
    table = filled.to_dict()
    first, second = table["rows"]

    assert (first["token_hours"], first["storage_usd"]) == (None, None)
    assert (second["token_hours"], second["storage_usd"]) == (30.0, 0.5)
    assert (second["unknown"]["storage_usd"], "token_hours" in second["unknown"]) == (
        1,
        False,
    )
    unknown = table["total"]["unknown"]
    assert (unknown["token_hours"], unknown["storage_usd"]) == (1, 2)
    assert [line.split()[-2:] for line in str(filled).splitlines()[1:3]] == [
        ["?", "?"],
        ["30", "$0.5000?"],
    ]


def test_storage_is_shown_only_where_there_is_any():
    """Without remote caches there are neither keys nor columns of them."""
    filled = report(receipt())
    before = str(filled), filled._repr_html_(), filled.to_dict()["total"]
    filled.add_storage("google", "gemini-a", 1.0, 0.1)
    head = str(filled).splitlines()[0].split()

    assert not any("stored" in each for each in before[:2])
    assert "storage_usd" not in before[2]
    assert head[-2:] == ["tok*h", "stored"]
    assert {"1h+", "plain"} & set(head) == set()
    assert "<th>stored</th>" in filled._repr_html_()
    assert "<th>1h+</th>" in filled._repr_html_()
    assert "<td>$0.1000</td>" in filled._repr_html_()


def test_models_with_storage_are_bounded():
    """Storage of the 201st model is that of `other`."""
    filled = report(*(receipt(f"m{n}") for n in range(300)))
    filled.add_storage("google", "gemini-a", 1.0, 0.1)
    *_, other = filled.to_dict()["rows"]

    assert (other["model"], other["storage_usd"]) == ("other", 0.1)


@given(
    st.lists(
        st.builds(
            receipt,
            st.text(max_size=80),
            usage=st.builds(Usage, *[counts] * 8),
            cost_usd=amounts,
            without_caching_usd=amounts,
            first_token_s=st.none() | st.floats(0, 9999),
            credits=st.sampled_from([(), ("placed",), ("fixed", "implicit")]),
            misses=st.lists(misses, max_size=2).map(tuple),
        ),
        max_size=4,
    ),
    st.lists(st.tuples(st.none() | st.floats(0, 1e15), amounts), max_size=3),
)
def test_text_fits_100_columns(receipts, storage):
    """Whatever the names and numbers, no line is longer than 100 characters."""
    filled = report(*receipts)
    for token_hours, cost in storage:
        filled.add_storage("google", "gemini-a", token_hours, cost)

    lines = str(filled).split("\n")

    assert max(map(len, lines)) <= 100
    assert [line for line in lines if not line.isprintable()] == []


def test_html_is_escaped():
    """A model's name cannot inject markup into a notebook."""
    html = report(receipt("<script>"))._repr_html_()

    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_rich_renders_a_table():
    """With rich installed the report is a table of one row per model and a total."""
    rich_table = pytest.importorskip("rich.table")
    table = report(receipt("a[bold]"), receipt("b")).__rich__()

    assert isinstance(table, rich_table.Table)
    assert table.row_count == 3


def test_without_rich_the_text_is_shown(monkeypatch):
    """Without rich the report is its plain text."""
    monkeypatch.setitem(sys.modules, "rich.table", None)
    filled = report(receipt())

    assert filled.__rich__() == str(filled)


def test_many_threads_lose_nothing():
    """Receipts of many threads are all counted."""
    filled = Report()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(filled.add, [receipt(usage=Usage(1))] * 2000))
    total = filled.to_dict()["total"]

    assert (total["requests"], total["input_tokens"]) == (2000, 2000)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        pytest.param(0, "0", id="zero"),
        pytest.param(9999, "9999", id="four digits"),
        pytest.param(12_345, "12.3k", id="k"),
        pytest.param(999_600, "1.00M", id="rounds up"),
        pytest.param(99_960, "100k", id="loses a decimal"),
        pytest.param(3_700_000, "3.70M", id="M"),
        pytest.param(5 * 10**15, "5e+03T", id="beyond"),
    ],
)
def test_short_numbers(number, text):
    """Counts are shown with three or four digits and a unit."""
    assert short(number) == text


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        pytest.param(0.0, "$0", id="zero"),
        pytest.param(0.00002, "$2e-05", id="tiny is not zero"),
        pytest.param(0.0123, "$0.0123", id="cents"),
        pytest.param(-1.5, "-$1.50", id="lost"),
        pytest.param(12_345.0, "$12.3k", id="large"),
    ],
)
def test_dollars(usd, text):
    """Money keeps enough digits to differ from nothing."""
    assert dollars(usd) == text
