"""The pages of the API have every public name, and no other."""

import re
from importlib import import_module
from types import FunctionType

import pytest
from docs_pages import ROOT, read

PACKAGES = {
    "api.md": "promptcache",
    "api-langchain.md": "langchain_promptcache",
    "api-llamaindex.md": "llamaindex_promptcache",
    "api-emulator.md": "promptcache.emulator",
}
SHADOWED = {"promptcache.options.options": "promptcache.options"}
"""Where a module has the name of what it exports, the page names the latter in it."""


@pytest.mark.parametrize(("page", "package"), PACKAGES.items())
def test_public_names(page, package):
    """Each name of `__all__` is on the page once."""
    named = re.findall(r"^::: (\S+)$", read(page), re.MULTILINE)
    plain = [SHADOWED.get(name, name) for name in named]

    assert sorted(plain) == sorted(
        f"{package}.{name}" for name in import_module(package).__all__
    )


@pytest.mark.parametrize("package", PACKAGES.values())
def test_shadows(package):
    """A public name that is a module's, too, is known to be."""
    folder = ROOT / package.replace(".", "/")
    names = (f"{package}.{name}" for name in import_module(package).__all__)
    shadows = [
        name
        for name in names
        if (folder / f"{name.rpartition('.')[2]}.py").exists()
        or (folder / name.rpartition(".")[2] / "__init__.py").exists()
    ]

    assert [name for name in shadows if name not in SHADOWED.values()] == []


@pytest.mark.parametrize("package", PACKAGES.values())
def test_docstrings(package):
    """Each public class and function says what it is."""
    module = import_module(package)
    bare = [
        name
        for name in module.__all__
        if isinstance(getattr(module, name), type | FunctionType)
        and not (getattr(module, name).__doc__ or "").strip()
    ]

    assert bare == []
