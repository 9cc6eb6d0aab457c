"""The version matrix: its table, what it reads from a wheel, and its page."""

import importlib
import re
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / ".ci"
if not SCRIPTS.is_dir():
    pytest.skip("the matrix is not in this copy", allow_module_level=True)

PAGE = ROOT / "docs" / "versions.md"
METADATA = """\
Metadata-Version: 2.4
Name: some
Requires-Dist: orjson<4,>=3.10
Requires-Dist: tomli<3,>=2; python_version < '3.11'
Requires-Dist: openai<4,>=2.45; extra == 'one'
Requires-Dist: openai<3,>=2.100; extra == 'two'
Requires-Dist: langchain<2,>=1.4; extra == 'all'
Requires-Dist: pytest<10,>=9; extra == 'dev'
Requires-Dist: deepagents>=0.7; (python_version >= '3.11') and extra == 'dev'
Requires-Dist: ruff<0.18,>=0.17; extra == 'dev'
"""


@pytest.fixture(scope="module")
def scripts():
    """Return a function that loads a script of the matrix, as it loads the others."""
    kept = {*sys.modules}
    sys.path.insert(0, str(SCRIPTS))
    try:
        yield importlib.import_module
    finally:
        sys.path.remove(str(SCRIPTS))
        for name in {"legs", "matrix", "page", "wheels"} - kept:
            sys.modules.pop(name, None)


@pytest.fixture
def legs(scripts):
    return {leg.name: leg for leg in scripts("legs").LEGS}


@pytest.fixture
def found(scripts, tmp_path):
    wheel = tmp_path / "some-1-py3-none-any.whl"
    with ZipFile(wheel, "w") as made:
        made.writestr("some-1.dist-info/METADATA", METADATA)
    return scripts("wheels").needs(wheel)


def rows(text, head):
    """Return the first cells of the table whose head begins so."""
    table = text.partition(f"| {head} |")[2].partition("\n\n")[0]
    return re.findall(r"^\| ([^|]+?) \|", table, re.MULTILINE)[1:]


def test_page_has_the_legs(legs):
    """The page was made by a run of the very legs that there are."""
    text = PAGE.read_text(encoding="utf-8")

    assert rows(text, "leg | Python") == [*legs]
    assert {*rows(text, "leg | anthropic")} == {*legs}


def test_legs_are_told_apart(legs, scripts):
    """Each leg has a name of its own."""
    assert len(legs) == len(scripts("legs").LEGS)


def test_tests_exist(legs):
    """What a leg runs is there."""
    for leg in legs.values():
        assert leg.tests, leg.name
        for path in leg.tests:
            assert (ROOT / path).exists(), f"{leg.name}: {path}"


def test_every_call_path_is_run(legs):
    """Each file of call paths is run by a leg that must not fail."""
    paths = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tests").rglob("test_*call_paths.py")
    }
    run = {it for leg in legs.values() if not leg.may_fail for it in leg.tests}

    assert paths != set()
    assert paths <= run
    assert "tests/conformance" in run


def test_pythons_are_those_of_the_package(legs):
    """There is a leg for each Python that the package names."""
    said = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    named = re.findall(r"Python :: (3\.\d+)\"", said)

    assert named == [leg.python for leg in legs.values() if leg.extras == ("all",)]


def test_every_leg_sees_the_seams(legs):
    """A version that moves what a seam sits on is known by its leg."""
    without = [it.name for it in legs.values() if "seams" not in " ".join(it.tests)]

    assert without == []


def test_lower_bounds(scripts, found):
    """All that the extras name is held at its lower bound, the higher of two."""
    held = scripts("wheels").lowest(found, ("one", "two"))

    assert held == [
        "langchain==1.4",
        "openai==2.100",
        "orjson==3.10",
        "tomli==2",
    ]


def test_a_need_without_a_lower_bound(scripts, found):
    """Lowest versions of everything are found, or their lack is told."""
    unbound = found[0]._replace(bounds="<4")

    with pytest.raises(ValueError, match="orjson has no lower bound"):
        scripts("wheels").lowest([unbound], ())


@pytest.mark.parametrize(
    ("tests", "tools"),
    [
        (
            ("tests/langchain/test_call_paths.py",),
            ["pytest<10,>=9", "deepagents>=0.7; python_version >= '3.11'"],
        ),
        (("tests/llamaindex/test_call_paths.py",), ["pytest<10,>=9"]),
    ],
)
def test_tools(scripts, found, tests, tools):
    """Tests get what they need, and no linter; deepagents is for newer Pythons."""
    assert [*scripts("wheels").test_tools(found, tests)] == tools


def test_a_python_that_is_not_there(scripts, legs):
    """A leg whose Python this machine lacks is skipped by name."""
    matrix = scripts("matrix")
    result = matrix.Result(legs["Python 3.10"])
    result.skipped = "Python 3.10 is not on this machine"

    assert matrix.interpreter("3.99") is None
    assert "SKIPPED: Python 3.10 is not on this machine" in matrix.told(result)
    assert "not run: Python 3.10" in scripts("page").page([result])


@pytest.mark.parametrize("name", ["SDKs alone", "SDKs, no upper bound"])
def test_a_leg_that_fails(scripts, legs, name):
    """A failure is told by what failed; one that is allowed refuses nothing."""
    matrix = scripts("matrix")
    leg = legs[name]
    result = matrix.Result(leg, failure="of a test\n1 failed, 2 passed in 2s\n")
    said = matrix.told(result)

    assert result.is_refused is not leg.may_fail
    gone = matrix.Result(leg, failure="ERROR: none at /a/b for it\n")

    assert "1 failed" in said
    assert "may: cannot be installed |" in scripts("page").page([gone])
    assert ("WARNING: failed, which it may" in said) is leg.may_fail
    assert "may: 1 failed, 2 passed |" in scripts("page").page([result])


def test_a_leg_is_run(scripts, legs, tmp_path, monkeypatch):
    """Wheel, versions and tests are asked for in that order, away from the tree."""
    matrix = scripts("matrix")
    asked = []

    def said(_self, _place, command):
        asked.append(command)
        if "-c" in command:
            return '["3.13.0", {"anthropic": "2.0"}, []]'
        return (
            "SKIPPED [2] tests/test_any.py:7: no key\n"
            "12 passed, 2 skipped, 3 deselected in 4.00s\n"
        )

    monkeypatch.setattr(matrix.Matrix, "_said", said)
    monkeypatch.setattr(matrix.wheels, "needs", lambda _: [])
    result = matrix.Matrix(tmp_path, Path("some.whl")).run(legs["SDKs alone"])
    page = scripts("page").page([result])

    assert result.failure == ""
    assert result.counts == {"passed": 12, "skipped": 2}
    assert [it[2] for it in asked] == ["venv", "pip", "pip", asked[3][2], "pytest"]
    assert "some.whl[cli,emulator]" in asked[1]
    assert "anthropic>=2,<3" in asked[1]
    assert "| SDKs alone | 3.13.0 | 12 passed, 2 skipped |" in page
    assert "| no key | SDKs alone |" in page
    assert "| SDKs alone | 2.0 |  |  |  |" in page


@pytest.mark.parametrize(
    ("versions", "ended", "why"),
    [
        ('["3.13.0", {}, ["openai 2.9 is not openai>=3"]]', "1 passed", "openai>=3"),
        ('["3.13.0", {}, []]', "2 skipped in 1s", "no test was run"),
    ],
)
def test_a_leg_that_shows_nothing(
    scripts, legs, tmp_path, monkeypatch, versions, ended, why
):
    """Other versions than are named, or no test that ran, are failures."""
    matrix = scripts("matrix")
    monkeypatch.setattr(matrix.wheels, "needs", lambda _: [])
    monkeypatch.setattr(
        matrix.Matrix,
        "_said",
        lambda _self, _place, command: versions if "-c" in command else ended,
    )
    result = matrix.Matrix(tmp_path, Path("some.whl")).run(legs["SDKs alone"])

    assert result.is_refused
    assert why in result.failure
