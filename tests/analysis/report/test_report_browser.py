"""The page in a real browser: readable on a phone, in the dark, on paper, and inert."""

import re
import zlib

import chromium
import pytest
from receipt_files import example
from receipt_pages import HOSTILE, receipt, told

PROGRAM = chromium.found()
if PROGRAM is None:
    pytest.skip("no Chromium is installed", allow_module_level=True)

from promptcache.analysis.report.page import page
from promptcache.receipts.miss import Miss
from promptcache.receipts.usage import Usage

WIDE, PHONE = 1280, 390


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium.browser(PROGRAM, tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page(told(example(), source="receipts.jsonl")), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def hostile_url(tmp_path_factory):
    """A page of names that try to run something, and are far too long."""
    name = f"{HOSTILE}{'x' * 400}"
    values = {
        "model": name,
        "usage": Usage(10**15, 9 * 10**14),
        "cost_usd": 123_456_789.12,
        "without_caching_usd": 987_654_321.0,
        "first_token_s": 1.0,
        "misses": (Miss("prefix_changed", "outline", name, None, "case", 5, 1e6),),
        "breakpoints": (name,),
    }
    path = tmp_path_factory.mktemp("hostile") / "report.html"
    shown = page(told([receipt(**values), receipt(model="m" * 500)], source=name))
    path.write_text(shown, encoding="utf-8")
    return path.as_uri()


@pytest.mark.parametrize("width", [WIDE, 800, PHONE])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_fits(browser, url, width, scheme, tmp_path):
    """Nothing overflows, nothing is complained about or fetched; a picture is kept."""
    browser.open(url, width=width, scheme=scheme)
    (tmp_path / f"report-{width}-{scheme}.png").write_bytes(browser.picture())

    assert browser.complaints() == []
    assert browser.value("document.documentElement.scrollWidth") == width
    assert browser.value("document.title") == "What prompt caching did"
    assert browser.value("document.querySelectorAll('h2').length") == 8


@pytest.mark.parametrize("width", [WIDE, PHONE])
def test_hostile_names_run_nothing_and_fit(browser, hostile_url, width, tmp_path):
    """Names are shown as they are, no script runs, and long ones do not overflow."""
    browser.open(hostile_url, width=width)
    (tmp_path / f"hostile-{width}.png").write_bytes(browser.picture())

    assert browser.complaints() == []
    assert browser.value("document.title") == "What prompt caching did"
    assert browser.value("document.querySelectorAll('script, img').length") == 0
    assert "<script>document.title" in browser.value("document.body.innerText")
    assert browser.value("document.documentElement.scrollWidth") == width


def test_policy_stops_what_escapes_would_let_through(browser, url, tmp_path):
    """Even markup that came through unescaped would run nothing."""
    path = tmp_path / "broken.html"
    text = page(told([receipt()])).replace(
        "<main>", "<main><script>document.title='ran'</script>"
    )
    path.write_text(text, encoding="utf-8")
    browser.open(path.as_uri(), width=WIDE)

    assert browser.value("document.querySelectorAll('script').length") == 1
    assert browser.value("document.title") == "What prompt caching did"
    assert browser.complaints() != []


def test_text_is_readable_on_a_phone(browser, url):
    """No words are smaller than 12 pixels."""
    browser.open(url, width=PHONE)
    smallest = browser.value(
        "Math.min(...[...document.querySelectorAll('body *')]"
        ".filter(it => it.innerText && it.children.length === 0)"
        ".map(it => parseFloat(getComputedStyle(it).fontSize)))"
    )

    assert smallest >= 12


def test_dark_differs_from_light(browser, url):
    """The page follows the colors that the reader prefers."""
    seen = []
    for scheme in ("light", "dark"):
        browser.open(url, width=PHONE, scheme=scheme)
        paper = browser.value("getComputedStyle(document.body).backgroundColor")
        seen.append(sum(map(int, re.findall(r"\d+", paper)[:3])))
    light, dark = seen

    assert light > 700
    assert dark < 100


def test_paper(browser, url):
    """It prints on a few pages, also for who prefers the dark."""
    browser.open(url, width=WIDE, scheme="dark")
    printed = browser.pdf()
    pages = len(re.findall(rb"/Type\s*/Page\b", printed))

    assert printed.startswith(b"%PDF")
    assert 2 <= pages <= 4
    assert inked(printed)


def inked(printed):
    """Tell whether bars have their color although backgrounds are not printed."""
    streams = re.findall(rb"stream\r?\n(.*?)endstream", printed, re.DOTALL)
    texts = []
    for stream in streams:
        try:
            texts.append(zlib.decompress(stream))
        except zlib.error:
            continue
    # #0a6b5e, the color of what was spent, as PDF writes it.
    return any(re.search(rb"\.0392\d* \.4196\d* \.3686\d* rg", it) for it in texts)


def test_drawings_have_names(browser, url):
    """What a screen reader is told of each drawing is not empty."""
    browser.open(url, width=WIDE)
    unnamed = browser.value(
        "[...document.querySelectorAll('svg[role=img]')].filter(it => "
        "!it.getAttribute('aria-label') && "
        "!document.getElementById(it.getAttribute('aria-labelledby'))).length"
    )

    assert browser.value("document.querySelectorAll('svg[role=img]').length") == 3
    assert unnamed == 0
