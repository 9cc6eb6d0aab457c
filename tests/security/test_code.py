"""No data is run: nothing that reads it can make code of it."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("promptcache", "langchain_promptcache", "llamaindex_promptcache")

CALLS = {"eval", "exec", "compile", "__import__"}
MODULES = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "code"}
METHODS = {
    "yaml.load",
    "yaml.load_all",
    "yaml.unsafe_load",
    "yaml.full_load",
    "os.system",
    "os.popen",
}


def dangers(tree):
    """Yield where data could become code, and by what."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [it.name for it in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            names = []
        for name in names:
            if name.partition(".")[0] in MODULES:
                yield node.lineno, name
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in CALLS | METHODS:
                yield node.lineno, called
            for it in node.keywords:
                is_true = isinstance(it.value, ast.Constant) and it.value.value is True
                if it.arg == "shell" and is_true:
                    yield node.lineno, "shell=True"


@pytest.mark.parametrize("package", PACKAGES)
def test_no_data_becomes_code(package):
    """No `eval`, `exec`, pickle, marshal, unsafe YAML or shell in what is shipped."""
    files = sorted((ROOT / package).rglob("*.py"))
    found = [
        (str(path.relative_to(ROOT)), *where)
        for path in files
        for where in dangers(ast.parse(path.read_text(encoding="utf-8")))
    ]

    assert len(files) > 5
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "eval(text)",
        "exec(text)",
        "import pickle",
        "from marshal import loads",
        "import yaml\nyaml.load(text)",
        "import subprocess\nsubprocess.run(text, shell=True)",
        "import os\nos.system(text)",
    ],
)
def test_each_is_seen(source):
    """The look at the code sees what it is to see."""
    assert list(dangers(ast.parse(source)))
