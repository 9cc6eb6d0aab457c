"""The report on misses, on whose doing savings are, and on other rows than models."""

import pytest

from promptcache import Report
from promptcache.receipts.miss import Miss
from promptcache.receipts.receipt import Receipt
from promptcache.receipts.usage import Usage


def receipt(**values):
    base = {"provider": "anthropic", "model": "claude-a", "at": 0.0, "policy": "auto"}
    return Receipt(**{**base, **values})


def saving(usd, *, read=80, **values):
    return receipt(
        usage=Usage(100, read), cost_usd=1.0, without_caching_usd=1.0 + usd, **values
    )


def missed(cause="expired", tokens=100, cost_usd=0.5, **values):
    return receipt(misses=(Miss(cause, "outline", None, None, None, tokens, cost_usd),))


def report(*receipts, by="model"):
    filled = Report(by)
    for each in receipts:
        filled.add(each)
    return filled


def credits_of(filled):
    found = filled.to_dict()["total"]["credits"]
    return {whose: (it["requests"], it["saved_usd"]) for whose, it in found.items()}


def test_savings_are_split_by_whose_doing_they_are():
    """What was placed, fixed by the caller and implicit is summed apart."""
    filled = report(
        saving(0.5, credits=("placed",)),
        saving(0.25, credits=("placed",)),
        saving(2.0, credits=("fixed",)),
        saving(4.0, credits=("implicit",)),
    )

    assert credits_of(filled) == {
        "placed": (2, 0.75),
        "fixed": (1, 2.0),
        "implicit": (1, 4.0),
    }
    assert filled.to_dict()["total"]["credits"]["placed"]["read_tokens"] == 160
    assert (
        "saved $6.75: $0.7500 placed here, $2.00 marked by the caller, "
        "$4.00 by the provider itself"
    ) in str(filled)


@pytest.mark.parametrize(
    ("breakpoints", "whose"),
    [
        pytest.param(("system[0] 5m system",), "placed", id="ours"),
        pytest.param(("tools[1] 1h fixed", "system[0] 5m tail"), "placed", id="both"),
        pytest.param(("system[0] 1h fixed",), "fixed", id="the caller's"),
        pytest.param((), "implicit", id="nobody's"),
    ],
)
def test_write_premiums_are_charged_to_who_marked(breakpoints, whose):
    """A request that read nothing cost more; whoever marked it bears that."""
    filled = report(saving(-0.25, read=0, breakpoints=breakpoints))

    assert credits_of(filled) == {whose: (1, -0.25)}


@pytest.mark.parametrize(
    ("values", "whose"),
    [
        pytest.param({}, "unknown", id="read, and no credit"),
        pytest.param({"read": None}, "unknown", id="reading not told"),
        pytest.param({"credits": ("placed", "implicit")}, "mixed", id="several"),
    ],
)
def test_what_is_not_told_is_nobodys(values, whose):
    """Savings whose origin is open are not counted as ours, and mark what is."""
    filled = report(saving(0.5, **values), saving(0.25, credits=("placed",)))
    total = filled.to_dict()["total"]

    assert credits_of(filled)[whose] == (1, 0.5)
    assert (total["ours_usd"], total["unknown"]["ours_usd"]) == (0.25, 1)


def test_ours_is_what_was_placed_less_storage():
    """Storage is taken off all savings, and off what was placed here."""
    filled = report(saving(3.0, credits=("placed",)), saving(1.0, credits=("fixed",)))
    filled.add_storage("google", "gemini-a", 10.0, 0.5)
    total = filled.to_dict()["total"]

    assert (total["saved_usd"], total["net_saved_usd"], total["ours_usd"]) == (
        4.0,
        3.5,
        2.5,
    )
    assert "storage took $0.5000, which leaves $3.50, $2.50 of it ours" in str(
        filled
    ).replace("\n  ", " ")


def test_storage_of_unknown_price_leaves_what_remains_unknown():
    """Unknown storage is not free."""
    filled = report(saving(3.0, credits=("placed",)))
    filled.add_storage("google", "gemini-a", None, None)
    total = filled.to_dict()["total"]

    assert (total["net_saved_usd"], total["ours_usd"]) == (None, None)
    assert total["unknown"]["ours_usd"] == 1


def test_storage_that_nobody_read_is_a_loss():
    """A cache that no request read has cost what it cost."""
    filled = Report()
    filled.add_storage("google", "gemini-a", 10.0, 0.5)

    assert filled.to_dict()["total"]["ours_usd"] == -0.5
    assert Report().to_dict()["total"]["ours_usd"] is None


def test_nothing_known_is_no_zero():
    """Without known costs the split has none, and the text is silent on it."""
    filled = report(receipt(usage=Usage(100, 80), credits=("placed",)))

    assert credits_of(filled) == {"placed": (1, None)}
    assert "placed here" not in str(filled)


def test_misses_are_counted_by_cause_and_place():
    """Each cause, section and form has its number, tokens and cost; `?` marks gaps."""
    changed = Miss("prefix_changed", "outline", "system[0]", 9, "case", 40, 0.25)
    deeper = Miss("prefix_changed", "outline", "system[1]", 9, "case", 60, None)
    filled = report(receipt(misses=(changed,)), receipt(misses=(deeper,)), missed())
    first, second = filled.to_dict()["total"]["misses"]

    assert (first["cause"], first["section"], first["cost_usd"]) == (
        "expired",
        None,
        0.5,
    )
    assert second == {
        "cause": "prefix_changed",
        "section": "system",
        "form": "case",
        "misses": 2,
        "tokens": 100,
        "cost_usd": 0.25,
        "unknown": {"cost_usd": 1},
    }
    assert (
        "misses: expired 1 (100 tokens, $0.5000), "
        "prefix_changed 2 (100 tokens, $0.2500?)"
    ) in str(filled)


def test_advice_is_part_of_every_form():
    """Text, notebook and `rich` name the costliest cause and what to do."""
    rich_console = pytest.importorskip("rich.console")
    filled = report(missed())
    console = rich_console.Console(width=100, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    with console.capture() as shown:
        console.print(filled)
    console.file.close()

    forms = (str(filled), filled._repr_html_(), shown.get())

    assert ["1. expired: The next request" in form for form in forms] == [True] * 3


def test_rows_by_another_key():
    """A report by agent has its rows and heading, and the same total."""
    filled = Report(by="agent")
    filled.add(saving(1.0), "planner")
    filled.add(saving(2.0), "writer")
    filled.add(saving(4.0))
    table = filled.to_dict()

    assert [(row["agent"], row["saved_usd"]) for row in table["rows"]] == [
        ("planner", 1.0),
        ("writer", 2.0),
        (None, 4.0),
    ]
    assert (filled.by, table["by"], table["total"]["saved_usd"]) == (
        "agent",
        "agent",
        7.0,
    )
    assert [line.split()[0] for line in str(filled).splitlines()[:5]] == [
        "agent",
        "planner",
        "writer",
        "?",
        "total",
    ]


def test_receipt_with_several_names_is_once_in_the_total():
    """A call with two tags counts in both rows, and once in all."""
    filled = Report(by="tag")
    filled.add(saving(1.0), ("nightly", "draft", "nightly"))
    table = filled.to_dict()

    assert [(row["tag"], row["requests"]) for row in table["rows"]] == [
        ("nightly", 1),
        ("draft", 1),
    ]
    assert table["total"]["requests"] == 1


def test_other_rows_are_bounded():
    """Names are cut, and from the 201st on they are summed as `other`."""
    filled = Report(by="conversation")
    for number in range(300):
        filled.add(receipt(), f"{number} {'x' * 5000}")
    *kept, other = filled.to_dict()["rows"]

    assert (len(kept), other["conversation"], other["requests"]) == (200, "other", 100)
    assert max(len(row["conversation"]) for row in kept) == 200


def test_storage_is_in_the_total_of_other_rows():
    """A cache serves many agents, so it is in no row of theirs."""
    filled = Report(by="agent")
    filled.add(saving(1.0, credits=("placed",)), "planner")
    filled.add_storage("google", "gemini-a", 10.0, 0.25)
    table = filled.to_dict()

    assert (table["rows"][0]["storage_usd"], table["total"]["storage_usd"]) == (0, 0.25)


def test_total_is_the_sum_of_its_models():
    """Also of times, where many were left out of the samples."""
    filled = Report()
    for number in range(4000):
        model = "often" if number % 4 else "seldom"
        wait = 1.0 if number % 4 else 5.0
        filled.add(receipt(model=model, first_token_s=wait))
    total = filled.to_dict()["total"]

    assert total["requests"] == 4000
    assert (total["first_token_p50_s"], total["first_token_p95_s"]) == (1.0, 5.0)
