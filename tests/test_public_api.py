"""The names that users type."""

from importlib import import_module, metadata
from types import ModuleType

import pytest

PACKAGES = ("promptcache", "langchain_promptcache", "llamaindex_promptcache")


def reading_order(name):
    """Constants, then classes, then functions, as the linter sorts them."""
    return (not name.isupper(), not name[0].isupper(), name)


@pytest.fixture(params=PACKAGES)
def package(request):
    return import_module(request.param)


def test_all_is_sorted(package):
    """`__all__` is sorted and names nothing twice."""
    assert list(package.__all__) == sorted(set(package.__all__), key=reading_order)


def test_all_is_importable(package):
    """Every name in `__all__` is there."""
    assert [it for it in package.__all__ if getattr(package, it, None) is None] == []


def test_dir_shows_the_public_names(package):
    """`dir()` shows what `__all__` promises and, of the rest, modules only."""
    shown = {
        name
        for name in {*dir(package), *package.__all__}
        if not name.startswith("_")
        and not isinstance(getattr(package, name), ModuleType)
    }

    assert shown == set(package.__all__)


def test_unknown_name(package):
    """A name that is not there is an `AttributeError` that says so."""
    with pytest.raises(AttributeError, match="no_such_name"):
        getattr(package, "no_such_name")  # noqa: B009  the name is the subject


def test_version():
    """The installed version is the one that packages are resolved by."""
    assert metadata.version("promptcache").count(".") == 2
