"""What the report tells to do."""

from typing import get_args

import pytest

from promptcache import Advice, Report
from promptcache.receipts.advice import remedy
from promptcache.receipts.entry import Section
from promptcache.receipts.miss import Cause, Form, Miss
from promptcache.receipts.receipt import Receipt
from promptcache.receipts.sums import Kind


def advice(*misses):
    filled = Report()
    for each in misses:
        filled.add(
            Receipt(
                provider="anthropic", model="a", at=0.0, policy="auto", misses=(each,)
            )
        )
    return filled.advice


def miss(cause, tokens=None, cost_usd=None, place=None, form=None):
    return Miss(cause, "outline", place, None, form, tokens, cost_usd)


def test_the_three_costliest_causes():
    """Causes are ranked by all that they cost, in whatever places that was."""
    found = advice(
        miss("expired", 10, 0.5),
        miss("not_marked", 10_000, 0.1),
        miss("prefix_changed", 10, 0.3, "tools[2]"),
        miss("prefix_changed", 10, 0.4, "system[0]"),
        miss("model_or_settings_changed", 10, 0.2),
    )

    assert [it.cause for it in found] == [
        "prefix_changed",
        "expired",
        "model_or_settings_changed",
    ]
    assert found[0] == Advice(
        cause="prefix_changed",
        place_section="system",
        misses=2,
        tokens=20,
        cost_usd=pytest.approx(0.7),
        remedy=remedy(Kind("prefix_changed", "system")),
    )


def test_unknown_costs_rank_by_tokens():
    """Where no price is known, the most tokens come first, and the cost is None."""
    found = advice(miss("expired", 10), miss("not_marked", 300), miss("expired", 20))

    assert [(it.cause, it.tokens, it.cost_usd) for it in found] == [
        ("not_marked", 300, None),
        ("expired", 30, None),
    ]


def test_nothing_known_ranks_by_number():
    """Without tokens, too, the number of misses decides."""
    found = advice(miss("expired"), miss("not_marked"), miss("not_marked"))

    assert [(it.cause, it.misses, it.tokens) for it in found] == [
        ("not_marked", 2, None),
        ("expired", 1, None),
    ]


def test_what_is_new_comes_last():
    """Whatever it cost, what was never sent before is no failure."""
    found = advice(miss("first_seen", 10**6, 9.0), miss("below_minimum"))

    assert [(it.cause, it.is_failure) for it in found] == [
        ("below_minimum", True),
        ("first_seen", False),
    ]


def test_nothing_missed():
    """Without misses there is no advice."""
    assert advice() == ()


KINDS = [
    *(Kind(cause) for cause in get_args(Cause)),
    *(Kind("prefix_changed", section) for section in get_args(Section)),
    *(Kind("prefix_changed", "system", form) for form in get_args(Form)),
]


def test_every_kind_has_a_remedy_of_its_own():
    """Each cause, section and form is answered by a different, whole sentence."""
    remedies = [remedy(kind) for kind in KINDS]

    assert len(set(remedies)) == len(KINDS)
    assert [it for it in remedies if not it.endswith(".") or len(it) < 60] == []


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        pytest.param(Kind("expired"), 'prompt_cache={"ttl": "1h"}', id="ttl"),
        pytest.param(Kind("prefix_changed", "tools"), "same order", id="tools"),
        pytest.param(Kind("prefix_changed", "system"), "dates", id="system"),
        pytest.param(Kind("prefix_changed", "messages"), "Only append", id="messages"),
        pytest.param(
            Kind("prefix_changed", "system", "line ends"), "read_text", id="ends"
        ),
        pytest.param(Kind("model_or_settings_changed"), "one model", id="model"),
    ],
)
def test_remedies_name_what_to_do(kind, words):
    """A remedy names the means."""
    assert words in remedy(kind)


def test_remedies_name_only_what_is_there():
    """What remedies call exists."""
    from promptcache import Policy, PromptCache  # noqa: PLC0415
    from promptcache.options import CallOptions  # noqa: PLC0415

    assert callable(PromptCache.prewarm)
    assert Policy.fixed(tools="1h", system="1h").tools == "1h"
    assert CallOptions.read({"ttl": "1h", "conversation": "a", "enabled": False})
