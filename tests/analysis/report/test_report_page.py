"""The page as text: what it says, what it escapes, and that it stands alone."""

import re
from html.parser import HTMLParser
from importlib import resources

import pytest
from receipt_files import example
from receipt_pages import HOSTILE, receipt, told

from promptcache.analysis.report.figures import moment, money, stretch
from promptcache.analysis.report.markup import Html, element
from promptcache.analysis.report.page import page
from promptcache.receipts.miss import Miss
from promptcache.receipts.rows import Rows
from promptcache.receipts.usage import Usage


class Text(HTMLParser):
    """The words of a page, its tags, and whether these are closed in order."""

    def __init__(self, markup):
        super().__init__()
        self.words, self.tags, self.values, self._open = [], [], [], []
        self.feed(markup)
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self._open.append(tag)
        self.values += [f"{tag} {key}={value}" for key, value in attributes]

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.values += [f"{tag} {key}={value}" for key, value in attributes]

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open[-1:] != ["style"]:
            self.words.append(data)


def words(shown):
    return " ".join(" ".join(Text(page(shown)).words).split())


def test_figures_are_those_of_the_receipts():
    """The headline has the sums, and every section is there."""
    receipts = list(example(900))
    said = words(told(receipts))
    spent = sum(it.cost_usd for it in receipts)
    plain = sum(it.without_caching_usd for it in receipts)

    assert f"Spent {money(spent)} Without caching {money(plain)}" in said
    assert f"Requests {len(receipts):,}" in said
    for heading in (
        "What to do",
        "Cost over time",
        "How much was read, by model",
        "Whose doing it is",
        "Where prefixes ended",
        "Time to the first token",
        "Misses by reason",
        "The dearest misses",
    ):
        assert heading in said


def test_nothing_of_whose_request_it_was():
    """Tenants, conversations and ids stay out of the page."""
    shown = page(
        told(
            [
                receipt(
                    tenant="acme",
                    conversation="thread-1",
                    id="msg_1",
                    misses=(Miss("expired", "clock"),),
                )
            ]
        )
    )

    assert [it for it in ("acme", "thread-1", "msg_1") if it in shown] == []


def test_unknown_is_said():
    """Costs, waits and shares that no receipt told are called unknown."""
    said = words(told([receipt(misses=(Miss("expired", "clock"),))]))

    assert "Spent unknown 1 of 1 requests unknown" in said
    assert "Read from a cache unknown of unknown prompt tokens" in said
    assert "All costs are unknown." in said
    assert "No receipt has both a time and what was read" in said
    assert "Came after the prefix had ended: unknown, 1 request " in said
    assert "$0" not in said


def test_partly_unknown_is_marked():
    """A sum that leaves requests out ends with a question mark and says how many."""
    known = receipt(cost_usd=2.0, without_caching_usd=5.0, usage=Usage(100, 50))
    said = words(told([known, receipt(model="other")]))

    assert "Spent $2.00? 1 of 2 requests unknown" in said
    assert "Saved $3.00? 1 of 2 requests unknown" in said
    assert "In 1 of them some costs are unknown." in said


def test_losses_are_no_savings():
    """Where caching cost more, the sign says so."""
    said = words(told([receipt(cost_usd=2.0, without_caching_usd=1.5)]))

    assert "Saved \N{MINUS SIGN}$0.5000" in said


def test_zero_is_zero():
    """What cost nothing is no unknown, and draws nothing."""
    said = words(told([receipt(cost_usd=0.0, without_caching_usd=0.0)]))

    assert "Spent $0 Without caching $0 Saved $0" in said


def test_damage_is_said():
    """The page says how many lines it leaves out."""
    assert "leaving out 3 lines without a receipt." in words(
        told([receipt()], damaged=3)
    )
    assert "leaving out 1 line without" in words(told([receipt()], damaged=1))


def test_storage_is_not_said_to_be_missing_where_it_is_counted():
    """Files have no storage, and the page says so; sums that have it do not."""
    shown = told([receipt()])
    rows = Rows()
    rows.add_storage("google", "m", 1.0, 0.5)
    stored = shown._replace(report=rows.to_dict())

    assert "Gemini's cached contents" in words(shown)
    assert "Gemini's cached contents" not in words(stored)


def test_gaps_are_drawn_as_gaps():
    """Where nobody asked there is no bar."""
    times = (1_764_000_000.0, 1_764_000_240.0)
    shown = page(told([receipt(at=at, cost_usd=1.0) for at in times]))

    assert shown.count('class="area"') == 2
    assert 'viewBox="0 0 5 100"' in shown


def test_nothing_at_all():
    """A page of no receipts has no figures and no times."""
    said = words(told([]))

    assert "UTC, from" not in said
    assert "Requests 0" in said


def test_hostile_names_are_text():
    """Whatever names hold, the page has the same elements as without them."""
    miss = Miss("prefix_changed", "outline", f"system[0]{HOSTILE}", None, None, 5, 0.1)
    values = {"usage": Usage(9, 5), "first_token_s": 1.0, "cost_usd": 1.0}
    plain = receipt(**values, misses=(miss,), breakpoints=("system[0] 5m tail",))
    hostile = receipt(
        **values,
        provider=HOSTILE,
        model=HOSTILE,
        misses=(miss,),
        breakpoints=(HOSTILE,),
        notes=(HOSTILE,),
    )
    shown = Text(page(told([hostile], source=HOSTILE)))

    assert shown.tags == Text(page(told([plain]))).tags
    assert "script" not in shown.tags
    assert [it for it in shown.words if "<script>" in it]
    assert [it for it in shown.words if "\u202e" in it] == []


def test_page_stands_alone():
    """Nothing is fetched, and a policy forbids it and all scripts."""
    shown = Text(page(told(example(300))))

    assert {"script", "link", "img", "iframe", "object"} & set(shown.tags) == set()
    assert [it for it in shown.values if re.search(r" (src|href|on\w+)=", it)] == []
    assert "meta content=default-src 'none'; style-src 'unsafe-inline'" in shown.values
    assert "url(" not in page(told(example(300)))


def test_drawings_are_named_and_have_tables():
    """Each drawing has a name or is hidden, and the same figures stand in a table."""
    shown = page(told(example(900)))
    drawings = re.findall(r"<svg[^>]*>", shown)

    assert drawings
    assert [
        it for it in drawings if not re.search(r"aria-(label|labelledby|hidden)=", it)
    ] == []
    assert shown.count("<details>") == 2
    assert shown.count("<title>") > 10


def colors(scheme):
    style = resources.files("promptcache.analysis.report").joinpath("page.css")
    blocks = re.findall(r":root \{(.*?)\}", style.read_text("utf-8"), re.DOTALL)
    found = dict(re.findall(r"--(\w+): (#[0-9a-f]{3,6})", blocks[scheme]))
    assert {"paper", "ink", "soft", "with", "loss"} <= set(found)
    return found


def luminance(color):
    digits = color[1:] if len(color) == 7 else "".join(c * 2 for c in color[1:])
    parts = [int(digits[n : n + 2], 16) / 255 for n in (0, 2, 4)]
    linear = [
        p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1, 2], ids=["light", "dark", "print"])
@pytest.mark.parametrize(
    ("name", "least"),
    [("ink", 7), ("soft", 4.5), ("with", 4.5), ("loss", 4.5), ("without", 1.5)],
)
def test_contrast(scheme, name, least):
    """Words keep the contrast that is asked for, in light, dark and print."""
    palette = colors(scheme)
    bright, dark = sorted(
        (luminance(palette["paper"]), luminance(palette[name])), reverse=True
    )

    assert (bright + 0.05) / (dark + 0.05) >= least


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        pytest.param(None, "unknown", id="unknown"),
        pytest.param(0, "$0", id="zero"),
        pytest.param(0.0000001, "<$0.000001", id="next to nothing"),
        pytest.param(0.00002, "$0.000020", id="tiny"),
        pytest.param(0.5, "$0.5000", id="cents"),
        pytest.param(-12.5, "\N{MINUS SIGN}$12.50", id="lost"),
        pytest.param(37412.4, "$37,412", id="large"),
        pytest.param(123_456_789.0, "$123.46M", id="millions"),
    ],
)
def test_money(usd, text):
    """Money keeps enough digits to differ from nothing."""
    assert money(usd) == text


@pytest.mark.parametrize(
    ("width", "text"),
    [(60, "minute"), (900, "15 minutes"), (10_800, "3 hours"), (604_800, "7 days")],
)
def test_stretches(width, text):
    """Lengths of time are said in their largest unit."""
    assert stretch(width) == text


def test_moments_are_as_exact_as_needed():
    """Days need no hour."""
    assert moment(1_764_000_000, width=60) == "2025-11-24 16:00"
    assert moment(1_764_000_000, width=86_400) == "2025-11-24"


def test_markup():
    """Text is escaped, markup is not, and what would hide text is replaced."""
    shown = element("p", "a<b\u202e", Html("<b/>"), class_='x"y', data_label=None)

    assert shown == '<p class="x&quot;y">a&lt;b\N{REPLACEMENT CHARACTER}<b/></p>'
