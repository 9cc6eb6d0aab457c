"""The corpus of the demo."""

import sysconfig

import pytest

from promptcache.demo import library
from promptcache.demo.errors import DemoError
from promptcache.demo.library import MODULES, Library, stdlib

SIZE = 2_400


@pytest.fixture(scope="module")
def books():
    return stdlib()


def test_modules(books):
    """Every module of the list is on this Python, and documented."""
    assert {passage.module for passage in books.passages} == set(MODULES)


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("n largest elements of an iterable", "heapq.nlargest"),
        ("side by side comparison in HTML", "difflib.HtmlDiff"),
        ("NamedTemporaryFile", "tempfile.NamedTemporaryFile"),
        ("remove leading whitespace common to every line", "textwrap.dedent"),
    ],
)
def test_best(books, query, name):
    """The passage that a query is about comes first."""
    assert books.best(query, count=3)[0].name == name


def test_deterministic(books):
    """A library that is read again finds the same."""
    stdlib.cache_clear()
    again = stdlib()

    assert again is not books
    assert again.passages == books.passages
    assert again.search("merge sorted inputs") == books.search("merge sorted inputs")


def test_search_is_cut(books):
    """A result has no more characters than it may, and a common word fills it."""
    assert len(books.search("return the value", chars=SIZE)) == SIZE


def test_search_finds_nothing(books):
    """A query that fits nothing gets a hint."""
    assert "other words" in books.search("xyzzy qwertz")


def test_handbook_is_cut(books):
    """The handbook has the size that was asked for and names every module."""
    text = books.handbook(chars=100_000, each=400)

    assert [name for name in MODULES if name not in text] == []
    assert len(books.handbook(chars=5_000, each=400)) == 5_000


def test_ascii(books):
    """A character is a byte, so that sizes are the same for everybody."""
    assert all(passage.text.isascii() for passage in books.passages)


def test_empty():
    """A library without passages finds nothing."""
    assert "other words" in Library(()).search("heap")


def test_sources_are_missing(monkeypatch, tmp_path):
    """A Python without its sources is told so in one sentence."""
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {"stdlib": str(tmp_path)})
    library.stdlib.cache_clear()

    with pytest.raises(DemoError, match="lacks them"):
        library.stdlib()
