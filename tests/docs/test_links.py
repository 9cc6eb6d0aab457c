"""Every link of the docs and the README leads somewhere."""

import re

import pytest
from docs_pages import DOCS, IMAGE, LINK, PAGES, ROOT, anchors, prose

SOURCES = {
    **PAGES,
    **{name: ROOT / name for name in ("README.md", "CONTRIBUTING.md")},
}
IS_WEB = re.compile(r"https?://[a-z0-9.-]+\.[a-z]+(/\S*)?$")


def broken(text, folder):
    """Return the links of a page that lead nowhere."""
    return [link for link in LINK.findall(prose(text)) if not leads(link, text, folder)]


def leads(link, text, folder):
    if ":" in link:
        return IS_WEB.match(link)
    name, _, anchor = link.partition("#")
    if not name:
        return anchor in anchors(text)
    path = folder / name
    if not path.exists():
        return False
    return not anchor or anchor in anchors(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("source", SOURCES)
def test_links(source):
    """Each page, file and anchor that a page leads to is there."""
    path = SOURCES[source]

    assert broken(path.read_text(encoding="utf-8"), path.parent) == []


@pytest.mark.parametrize("source", SOURCES)
def test_images(source):
    """Each image of a page is there."""
    path = SOURCES[source]
    found = IMAGE.findall(path.read_text(encoding="utf-8"))

    assert [it for it in found if not (path.parent / it).is_file()] == []


@pytest.mark.parametrize("page", PAGES)
def test_pages_stay_inside(page):
    """No page leads out of the site's folder: what is there is not published."""
    links = LINK.findall(prose(SOURCES[page].read_text(encoding="utf-8")))

    assert [link for link in links if link.startswith(("../", "/"))] == []


def test_navigation():
    """The site's navigation has each page once, and none that is not there."""
    told = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    named = re.findall(r": ([a-z-]+\.md)$", told, re.MULTILINE)

    assert sorted(named) == sorted(PAGES)


@pytest.mark.parametrize(
    ("text", "links"),
    [
        pytest.param("[a](nowhere.md)", ["nowhere.md"], id="page"),
        pytest.param("[a](index.md#nothing)", ["index.md#nothing"], id="anchor"),
        pytest.param("# Here\n[a](#there)", ["#there"], id="own anchor"),
        pytest.param("[a](http:/x)", ["http:/x"], id="address"),
        pytest.param("# Here\n[a](#here) [b](index.md#install)", [], id="whole"),
        pytest.param("`[a](x.md)`\n\n```text\n[a](x.md)\n```\n", [], id="code"),
        pytest.param("## A\n## A\n[a](#a_1)", [], id="twice"),
    ],
)
def test_what_is_broken(text, links):
    """A link is broken if its page, its anchor or its address is none."""
    assert broken(text, DOCS) == links
