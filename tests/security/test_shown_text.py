"""Names that are shown run nothing, steer no terminal and are no markup.

Models, tenants, tags, reasons, notes, places and files: each is filled with what a page
would run, a terminal would obey and `rich` would take for markup.
"""

import ast
import io
import logging
import re
import sys
from dataclasses import fields, replace
from pathlib import Path

import chromium
import pytest
from receipt_pages import HOSTILE

from promptcache import PromptCache, options
from promptcache.providers import Request
from promptcache.providers.anthropic import ANTHROPIC
from promptcache.receipts.lines import to_line
from promptcache.receipts.miss import Miss
from promptcache.receipts.receipt import Receipt
from promptcache.receipts.report import Report
from promptcache.receipts.usage import Usage

ROOT = Path(__file__).parents[2]
PACKAGES = ("promptcache", "langchain_promptcache", "llamaindex_promptcache")
HTML = re.compile(r"</?(a|body|div|html|img|p|script|span|style|t[dhr]|table)\b[^>]*>")
EMITS_HTML = {"promptcache/receipts/table.py"}
"""What has tags in its texts; those of the page are made by `markup.element`."""

TITLE = "What prompt caching did"
STEERING = "\x1b[31m\x9b31m\x1b]8;;http://evil\x07\b\r\n\u202e\x7f"
MARKUP = "[red]r[/red] [link=http://evil]l[/link] :boom: [/]"
LOUD = f"{MARKUP}{STEERING}{HOSTILE}"


def filled(text):
    """Return a receipt whose every text is this one."""
    miss = Miss("prefix_changed", "outline", text, None, "case", 5, 1.0)
    values = {
        "at": 1_764_000_000.0,
        "usage": Usage(100, 50, 10, output_tokens=1),
        "cost_usd": 1.0,
        "without_caching_usd": 2.0,
        "first_token_s": 0.5,
        "misses": (miss, replace(miss, cause="expired")),
        "credits": ("placed",),
        "facts": "assumed",
    }
    several = {"breakpoints": (text, f"system[0] {text}"), "notes": (text,)}
    names = {it.name for it in fields(Receipt)} - set(values) - set(several)
    texts = {name: text for name in names if name not in ("total_s", "requests")}
    del texts["attempts"]
    return Receipt(**values, **several, **texts)


@pytest.fixture
def run(monkeypatch, capsys):
    """Return a function that runs the command, and what it printed."""
    pytest.importorskip("typer", reason="the `cli` extra is not installed")
    from promptcache import cli  # noqa: PLC0415

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["promptcache", *map(str, arguments)])
        with pytest.raises(SystemExit):
            cli.main()
        printed = capsys.readouterr()
        return printed.out + printed.err

    return run


@pytest.fixture
def folder(tmp_path):
    """Return a folder of receipts, all of whose names are hostile."""
    made = tmp_path / "<img src=x onerror=document.title=1> [red]r[\x1b[31m"
    made.mkdir()
    name = "<script>document.title=2<\u2215script>[link=x]\x1b[31m.jsonl"
    lines = to_line(filled(HOSTILE)) + to_line(filled(MARKUP)) + to_line(filled(LOUD))
    (made / name).write_bytes(lines + b"{damaged\n")
    return made


def steers(text):
    """Return what a terminal would take for something else than words."""
    return sorted({c for c in text if not c.isprintable() and c != "\n"})


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    program = chromium.found()
    if program is None:
        pytest.skip("no Chromium is installed")
    with chromium.browser(program, tmp_path_factory.mktemp("profile")) as started:
        yield started


def looked_at(browser, path):
    """Open a page, and check that nothing in it ran or became an element."""
    browser.open(path.as_uri(), width=1280)
    count = "document.querySelectorAll('script, img, a, iframe, object').length"
    assert browser.complaints() == []
    assert browser.value(count) == 0
    handlers = "[...document.querySelectorAll('*')].flatMap(it => [...it.attributes])"
    on = f"{handlers}.filter(it => it.name.startsWith('on')).length"
    assert browser.value(on) == 0
    return browser.value("document.title"), browser.value("document.body.innerText")


def test_the_page(run, folder, browser, tmp_path):
    """The command's page, of hostile files with hostile receipts, is inert."""
    path = tmp_path / "page.html"
    printed = run("report", folder, "--html", path)
    title, text = looked_at(browser, path)

    assert steers(printed) == []
    assert title == TITLE
    assert "<script>document.title='x'</script>" in text
    assert "<img src=x onerror=document.title=1>" in text
    assert MARKUP in text


def test_a_notebook(browser, tmp_path):
    """So is the report in a notebook, which no policy of its own guards."""
    report = Report(by=LOUD)
    report.add(filled(LOUD), (LOUD, f"{HOSTILE} tag", "</td></table>"))
    report.add_storage(LOUD, LOUD, 1.0, 1.0)
    path = tmp_path / "notebook.html"
    shown = f"<!DOCTYPE html><meta charset=utf-8><title>{TITLE}</title>"
    path.write_text(shown + report._repr_html_(), encoding="utf-8")
    title, text = looked_at(browser, path)

    assert title == TITLE
    assert "<script>document.title='x'</script>" in text
    assert "</td></table>" in text


def test_the_look_at_pages_sees_what_runs(browser, tmp_path):
    """The same text unescaped does run: else the tests above could not fail."""
    path = tmp_path / "broken.html"
    runs = HOSTILE.replace("alert(1)", "console.log(1)")
    path.write_text(f"<title>{TITLE}</title><p>{runs}", encoding="utf-8")

    with pytest.raises(AssertionError):
        looked_at(browser, path)
    assert browser.value("document.title") == "x"


def test_pages_are_made_in_known_places():
    """No other module has tags in its texts, so what is to be escaped is there."""
    found = set()
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            source = path.read_text(encoding="utf-8")
            if not HTML.search(source):
                continue
            tree = ast.parse(source)
            said = {id(it.value) for it in ast.walk(tree) if isinstance(it, ast.Expr)}
            texts = (it for it in ast.walk(tree) if isinstance(it, ast.Constant))
            for it in texts:
                is_text = isinstance(it.value, str) and id(it) not in said
                if is_text and HTML.search(it.value):
                    found.add(str(path.relative_to(ROOT)))

    assert found == EMITS_HTML


@pytest.mark.parametrize("name", [LOUD, MARKUP])
def test_reports_in_a_terminal(name):
    """Plain text and `rich` show names as they are, and nothing steers."""
    console = pytest.importorskip("rich.console", reason="`rich` is not installed")
    report = Report(by=name)
    report.add(filled(name), name)
    file = io.StringIO()
    terminal = {"force_terminal": True, "color_system": None, "width": 400}
    console.Console(file=file, **terminal).print(report)

    for shown in (str(report), file.getvalue(), str(filled(name))):
        assert steers(shown) == []
        assert MARKUP[:10] in shown


@pytest.mark.parametrize("extra", [(), ("--model", LOUD), ("--host", LOUD)])
def test_explanations_in_a_terminal(run, extra, tmp_path):
    """Names of models, and the text of blocks where it is asked for, likewise."""
    body = {
        "model": LOUD,
        "system": LOUD * 900,
        "tools": [{"name": LOUD, "input_schema": {}}],
        "messages": [{"role": "user", "content": LOUD}],
    }
    path = tmp_path / f"[red]{STEERING[:5]}.json"
    import orjson  # noqa: PLC0415 - only here

    path.write_bytes(orjson.dumps([body, {**body, "model": "claude-sonnet-5-5"}]))
    printed = run("explain", path, "--text", *extra)

    assert printed
    assert steers(printed) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("estimate", "--model", LOUD, "--tokens", "5000"),
        ("report", f"none{LOUD[:30]}"),
        ("replay", f"none{STEERING}", "--format", "messages", "--model", LOUD),
        ("probe", "--provider", LOUD),
        ("probe", "anthropic", "--model", LOUD),
    ],
    ids=lambda it: it[0],
)
def test_refusals_in_a_terminal(run, arguments, tmp_path, monkeypatch):
    """What a command was given is told back without its power."""
    monkeypatch.chdir(tmp_path)
    printed = run(*arguments)

    assert printed
    assert steers(printed) == []


def test_remote_caches_in_a_terminal():
    """What others have called theirs at the provider likewise."""
    console = pytest.importorskip("rich.console", reason="`rich` is not installed")
    pytest.importorskip("google.genai", reason="`google-genai` is not installed")
    from promptcache.caches_table import Shown  # noqa: PLC0415
    from promptcache.providers.gemini.remote import Held  # noqa: PLC0415
    from promptcache.providers.gemini.standing import Row  # noqa: PLC0415

    held = Held(
        name=LOUD,
        model=LOUD,
        display_name=LOUD,
        tokens=5,
        created_at=1.0,
        expires_at=9.0,
    )
    file = io.StringIO()
    shown = Shown([Row("foreign", held, None, None)], at=2.0)
    terminal = {"force_terminal": True, "color_system": None, "width": 400}
    console.Console(file=file, **terminal).print(shown.table())

    assert MARKUP[:10] in file.getvalue()
    assert steers(file.getvalue()) == []


def test_logs(caplog):
    """A record is one line of words, whatever models and tenants are called."""
    cache = PromptCache(policy="auto")
    body = {
        "model": f"claude-sonnet-5-5{LOUD}",
        "system": "You help. " * 900,
        "messages": [{"role": "user", "content": "hello"}],
    }
    with (
        caplog.at_level(logging.DEBUG, logger="promptcache"),
        options(tenant=LOUD, conversation=LOUD),
    ):
        for usage in ({"input_tokens": 9, LOUD + "_tokens": -1}, None):
            prepared = cache.prepare(Request(ANTHROPIC, body, LOUD))
            cache.refuse(prepared, 400, f"cache_control: {LOUD}")
            cache.settle(prepared, usage, model=LOUD, message_id=LOUD, tier=LOUD)
    cache.close()

    assert len(caplog.records) > 6
    assert [it.message for it in caplog.records if steers(it.message + "\n")] == []
    assert not any("\n" in it.message for it in caplog.records)
