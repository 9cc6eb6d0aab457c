"""Answers of `promptcache probe` in their file."""

import sys

import pytest

from promptcache.errors import StoreError
from promptcache.state.probed import path_of_answers, recalled, remember

ONE, TWO = ("anthropic", "a", "anthropic"), ("anthropic", "b", "vertex")


@pytest.fixture(autouse=True)
def cache_home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "home"))


def test_nothing_kept():
    """Without a file nothing is known, and none is made."""
    assert recalled() == {}
    assert not path_of_answers().parent.exists()


def test_answers_beside_each_other():
    """Each place has its last answer."""
    remember(ONE, keeps=True, at=1.0)
    remember(TWO, keeps=True, at=2.0)
    remember(ONE, keeps=False, at=3.0)

    assert recalled() == {ONE: False, TWO: True}
    assert [path.name for path in path_of_answers().parent.iterdir()] == ["probed.json"]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("{oops", id="no JSON"),
        pytest.param("{}", id="no list"),
        pytest.param('[1, {"keeps": true}, {"model": 3, "keeps": 1}]', id="no answers"),
        pytest.param("", id="empty"),
    ],
)
def test_a_file_that_says_nothing(content):
    """What is no answer is passed over, and the next answer takes its place."""
    path = path_of_answers()
    path.parent.mkdir(parents=True)
    path.write_text(content)

    assert recalled() == {}
    remember(ONE, keeps=True, at=1.0)
    assert recalled() == {ONE: True}


def test_no_home(monkeypatch):
    """Whoever has no home has no answers."""
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("LOCALAPPDATA")

    def gone(*_):
        raise RuntimeError

    monkeypatch.setattr("pathlib.Path.expanduser", gone)

    assert recalled() == {}
    with pytest.raises(StoreError):
        remember(ONE, keeps=True, at=1.0)


@pytest.mark.skipif(sys.platform == "win32", reason="a path of another kind")
def test_a_home_that_is_no_directory(tmp_path):
    """What cannot be written is an error that names the file."""
    (tmp_path / "home").write_text("")

    assert recalled() == {}
    with pytest.raises(StoreError, match=r"probed\.json"):
        remember(ONE, keeps=True, at=1.0)
