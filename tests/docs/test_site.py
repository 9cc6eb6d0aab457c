"""The site is built without a warning, and needs nothing from elsewhere to be read."""

import os
import re
import subprocess
import sys

import pytest
from docs_pages import PAGES, ROOT

pytest.importorskip("mkdocs", reason="needs the `docs` extra")

FETCHED = re.compile(
    r"""<(?:script|link|img|iframe|source)\b[^>]*?(?:src|href)=["']?((?:https?:)?//[^"'\s>]+)"""
)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_pages(site):
    """Each page is in the site; what makes them is not."""
    built = {path.parent.name for path in site.rglob("index.html")}

    assert {page.removesuffix(".md") for page in PAGES} - {"index"} <= built
    assert [*site.rglob("*.py"), *site.rglob("*.toml")] == []


def test_nothing_is_fetched(site):
    """No page asks another server for a script, a font, a style or an image."""
    fetched = {
        (path.relative_to(site).as_posix(), address)
        for path in site.rglob("*.html")
        for address in FETCHED.findall(path.read_text(encoding="utf-8"))
    }

    assert fetched == set()


def test_api_is_there(site):
    """The reference has signatures and the meaning of arguments."""
    text = (site / "api" / "index.html").read_text(encoding="utf-8")

    assert 'id="promptcache.PromptCache"' in text
    assert "What makes plans, or its name." in text


@pytest.mark.parametrize(
    ("html", "found"),
    [
        pytest.param('<script src="https://x.test/a.js">', ["https://x.test/a.js"]),
        pytest.param("<link href=//x.test/a.css>", ["//x.test/a.css"]),
        pytest.param('<a href="https://x.test">', []),
        pytest.param('<script src="../a.js">', []),
    ],
)
def test_what_is_fetched(html, found):
    """Addresses of another server count, links of a text do not."""
    assert FETCHED.findall(html) == found
