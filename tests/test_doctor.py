"""What `promptcache doctor` finds, with all in place and with things missing."""

import json
import subprocess
import sys
from importlib import import_module, metadata
from pathlib import Path

import pytest

from promptcache import cli, doctor
from promptcache.doctor import Finding, findings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SDKS = {
    "anthropic": "promptcache.providers.anthropic.seam",
    "openai": "promptcache.providers.openai.seam",
    "google-genai": "promptcache.providers.gemini.seam",
    "google-generativeai": "promptcache.providers.gemini.seam_legacy",
}
INSTALLED = {
    package.metadata["Name"].lower().replace("_", "-")
    for package in metadata.distributions()
}
HERE = [
    pytest.param(
        name,
        module,
        id=name,
        marks=pytest.mark.skipif(name not in INSTALLED, reason=f"no {name}"),
    )
    for name, module in SDKS.items()
]
PACKAGES = (*SDKS, *doctor._CLASSES)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Take the classes of the frameworks as loaded: other tests load them."""
    monkeypatch.setattr(doctor, "_CLASSES", {})


@pytest.fixture
def found():
    """Return what is found of one name, or of all names."""

    def found(name):
        (row,) = [row for row in findings() if row.name == name]
        return row

    return found


@pytest.fixture
def run(monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["promptcache", "doctor", *arguments])
        with pytest.raises(SystemExit) as exit_info:
            cli.main()
        return exit_info.value.code or 0, capsys.readouterr().out

    return run


def hide(monkeypatch, *packages):
    """Let packages be as if they were not installed."""
    plain = metadata.version

    def version(name):
        if name in packages:
            raise metadata.PackageNotFoundError(name)
        return plain(name)

    monkeypatch.setattr(doctor.metadata, "version", version)


@pytest.mark.parametrize(("name", "module"), HERE)
def test_an_sdk_that_is_served(name, module, found):
    """Its seam finds all that it relies on, and the range that was tested is told."""
    row = found(name)

    assert (row.kind, row.state) == ("sdk", "active")
    assert row.version == metadata.version(name)
    assert import_module(module).TESTED in row.why


@pytest.mark.parametrize(("name", "module"), HERE)
def test_an_sdk_that_lacks_something(name, module, found, monkeypatch):
    """What its seam misses is why, with the range that was tested."""
    seam = import_module(module)
    monkeypatch.setattr(seam, "check", lambda: f"{name} 9 has no `stream`")
    row = found(name)

    assert row.state == "inactive"
    assert row.why == f"{name} 9 has no `stream`; tested with {seam.TESTED}"


BROKEN = [
    pytest.param(
        "anthropic", "anthropic:AsyncAnthropic", "with_middleware", None, id="anthropic"
    ),
    pytest.param("openai", "openai:OpenAI", "request", lambda self: 0, id="openai"),
    pytest.param("openai", "openai:AsyncOpenAI", "copy", ..., id="openai async"),
    pytest.param(
        "google-genai",
        "google.genai._api_client:BaseApiClient",
        "request_streamed",
        lambda self: 0,
        id="genai call",
    ),
    pytest.param(
        "google-genai",
        "google.genai._api_client:BaseApiClient",
        "__init__",
        lambda self: None,
        id="genai attribute",
    ),
    pytest.param(
        "google-generativeai",
        "google.generativeai:GenerativeModel",
        "__init__",
        lambda self: None,
        id="generativeai attribute",
    ),
]


@pytest.mark.parametrize(("name", "kind", "attribute", "instead"), BROKEN)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_seam_looks_at_the_classes(
    name, kind, attribute, instead, found, monkeypatch
):
    """A version of an SDK that differs is found out without a client or a key."""
    pytest.importorskip(kind.partition(":")[0])
    module, _, owner = kind.partition(":")
    owner = getattr(import_module(module), owner)
    assert found(name).state == "active"
    if instead is ...:
        bases = [it for it in owner.__mro__ if attribute in vars(it)]
        monkeypatch.delattr(bases[0], attribute)
    else:
        monkeypatch.setattr(owner, attribute, instead)
    row = found(name)

    assert row.state == "inactive"
    assert row.why.startswith(f"{name} {row.version} has ")


@pytest.mark.parametrize(("name", "module"), HERE)
def test_an_sdk_that_cannot_be_loaded(name, module, found, monkeypatch):
    """Whatever it raises is a finding, in one line."""
    monkeypatch.setitem(sys.modules, module, None)
    row = found(name)

    assert row.state == "inactive"
    assert row.why.startswith("cannot be loaded: ModuleNotFoundError")
    assert "pip install 'promptcache[" in row.fix


@pytest.mark.parametrize("name", PACKAGES)
def test_what_is_not_installed(name, monkeypatch):
    """It is missing, with the command that installs it, and no reason to fail."""
    monkeypatch.undo()
    classes = {key: it for key, it in doctor._CLASSES.items() if key == name}
    monkeypatch.setattr(doctor, "_CLASSES", classes)
    hide(monkeypatch, name)
    (row,) = [row for row in findings() if row.name == name]

    assert (row.state, row.version, row.why) == ("missing", None, "not installed")
    assert row.fix.startswith("pip install 'promptcache[")


def test_extras_that_are_named_exist():
    """Every extra that is advised is one of the project's."""
    path = Path(__file__).parent.parent / "pyproject.toml"
    project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    given = {*project["optional-dependencies"]}
    advised = {*doctor._EXTRAS, *(it[2] for it in doctor._CLASSES.values())}
    advised |= {extra for sdk in doctor._SDKS for extra in sdk.extras}

    assert advised <= given


def test_an_extra_without_a_package(monkeypatch, found):
    """The packages that it lacks are named."""
    hide(monkeypatch, "uvicorn")
    row = found("emulator")

    assert (row.state, row.why) == ("missing", "not installed: uvicorn")
    assert row.fix == "pip install 'promptcache[emulator]'"


def test_a_class_that_cannot_be_loaded(monkeypatch, found):
    """A framework's package whose class fails is not active."""
    row = ("promptcache", "NoSuchClass", "langchain-openai")
    monkeypatch.setattr(doctor, "_CLASSES", {"orjson": row})
    (shown,) = [it for it in findings() if it.kind == "framework" and it.why]

    assert shown.state == "inactive"
    assert shown.why.startswith("NoSuchClass cannot be loaded: AttributeError")


def test_a_class_that_is_there(monkeypatch):
    """A framework's package whose class loads is active."""
    row = ("promptcache", "PromptCache", "langchain-openai")
    monkeypatch.setattr(doctor, "_CLASSES", {"orjson": row})
    (shown,) = [it for it in findings() if it.kind == "framework" and it.why]

    assert (shown.state, shown.why) == ("active", "promptcache.PromptCache")


def test_switched_off(monkeypatch, found, run):
    """With `PROMPTCACHE=off` nothing is active, and that is why."""
    monkeypatch.setattr(doctor, "is_switched_off", lambda: True)
    monkeypatch.setenv("PROMPTCACHE", "off")
    states = {row.state for row in findings() if row.kind == "sdk"}

    assert found("PROMPTCACHE").state == "inactive"
    assert states <= {"inactive", "missing"}
    assert run()[0] == 1


@pytest.mark.parametrize(
    ("text", "state"),
    [
        pytest.param("[claude-sonnet-5-5]\nminimum_tokens = 9\n", "active", id="right"),
        pytest.param("[claude-sonnet-5-5]\nminimums = 9\n", "inactive", id="field"),
        pytest.param("x", "inactive", id="no TOML"),
        pytest.param(None, "inactive", id="no file"),
    ],
)
def test_facts(text, state, found, monkeypatch, tmp_path):
    """The file that `PROMPTCACHE_FACTS` names is read, and what is wrong is told."""
    path = tmp_path / "facts.toml"
    if text is not None:
        path.write_text(text)
    monkeypatch.setenv("PROMPTCACHE_FACTS", str(path))
    row = found("PROMPTCACHE_FACTS")

    assert row.state == state
    assert ("claude-sonnet-5-5" in row.why) == (text is not None and text != "x")


def test_a_secret_is_never_shown(monkeypatch, run):
    """It is told that there is one, not what it is."""
    monkeypatch.setenv("PROMPTCACHE_SECRET", "hunter2")
    _, text = run()
    _, rows = run("--json")

    assert "hunter2" not in text + rows
    (row,) = [it for it in json.loads(rows) if it["name"] == "PROMPTCACHE_SECRET"]
    assert row["why"] == "set"


@pytest.fixture
def home(monkeypatch, tmp_path):
    """Return where the default store is looked for."""
    path = tmp_path / "promptcache" / "state.db"
    monkeypatch.setattr(doctor, "default_path", lambda: path)
    return path


def test_a_store_that_is_not_there_yet(home, found):
    """It would be made, and looking makes nothing."""
    row = found("default store")

    assert (row.state, row.why) == ("active", f"{home}, made at its first use")
    assert not home.parent.exists()


def test_a_store_that_is_there(home, found):
    """It is told where, and left as it is."""
    home.parent.mkdir()
    home.write_bytes(b"as it was")
    row = found("default store")

    assert (row.state, row.why) == ("active", f"{home}, there")
    assert home.read_bytes() == b"as it was"
    assert [*home.parent.iterdir()] == [home]


def test_a_store_whose_directory_is_a_file(home, found):
    """It cannot be made, and where handles stay then is told."""
    home.parent.write_text("")
    row = found("default store")

    assert row.state == "inactive"
    assert row.why == f"{home.parent} is no directory: handles stay in memory"


@pytest.mark.parametrize("what", ["file", "directory"])
def test_a_store_without_rights(what, home, found, monkeypatch):
    """Rights that are lacking are told; root has them all, so they are made up."""
    home.parent.mkdir()
    if what == "file":
        home.touch()
    monkeypatch.setattr(doctor.os, "access", lambda path, mode: False)
    row = found("default store")

    lacking = home if what == "file" else home.parent
    assert row.state == "inactive"
    assert row.why.startswith(f"{lacking} cannot be written")


def test_no_home(found, monkeypatch):
    """A user without a home has no file."""

    def homeless():
        raise OSError("there is no home")

    monkeypatch.setattr(doctor, "default_path", homeless)

    assert found("default store").state == "inactive"


def test_no_sqlite(found, monkeypatch):
    """Some builds of Python have no SQLite."""
    monkeypatch.setattr(doctor.util, "find_spec", lambda name: None)

    assert "no sqlite3" in found("default store").why


def test_limits(found):
    """What cached contents may cost by default is told."""
    assert found("limits").why.startswith("8 cached contents live, $0.10 an hour")


def test_the_table(run):
    """All that is installed here is active: exit code 0, and a line for each."""
    code, out = run()

    assert code == 0
    lines = out.splitlines()
    assert f"promptcache {metadata.version('promptcache')}" in out
    assert len(lines) == len(findings())
    assert "NOT ACTIVE" not in out


def test_json(run):
    """With `--json` it is a list of rows with the same keys."""
    code, out = run("--json")
    rows = json.loads(out)

    assert code == 0
    assert {tuple(row) for row in rows} == {
        ("kind", "name", "state", "version", "why", "fix")
    }
    assert len(rows) == len(findings())


def test_a_package_that_everything_needs(monkeypatch, run):
    """Without the price list costs are unknown, so it fails."""
    hide(monkeypatch, "genai-prices")
    code, out = run()

    assert code == 1
    assert "genai-prices" in out
    assert "NOT ACTIVE: not installed: pip install 'promptcache'" in out


FAKE = """
import sys, types
from importlib import metadata

real = metadata.version
def version(name):
    if name == "anthropic":
        return "0.50.0"
    if name.startswith(("langchain", "llama", "openai", "google", "langgraph")):
        raise metadata.PackageNotFoundError(name)
    return real(name)
metadata.version = version
fake = types.ModuleType("anthropic")
fake.__version__ = "0.50.0"
class Client: pass
class Stream:
    def __init__(self): pass
fake.Anthropic = fake.AsyncAnthropic = Client
fake.Stream = Stream
sys.modules["anthropic"] = fake
sys.argv = ["promptcache", "doctor", "--json"]
from promptcache.cli import main
main()
"""


def test_an_old_sdk_in_a_process_of_its_own(tmp_path):
    """An SDK before middleware is found out, and nothing is created."""
    home = tmp_path / "home"
    home.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", FAKE],
        env={"HOME": str(home), "XDG_CACHE_HOME": str(home), "PATH": ""},
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    rows = {row["name"]: row for row in json.loads(done.stdout)}

    assert (done.returncode, done.stderr) == (1, "")
    assert rows["anthropic"]["state"] == "inactive"
    assert rows["anthropic"]["why"].startswith(
        "anthropic 0.50.0 has no `with_middleware`; tested with anthropic "
    )
    assert rows["openai"]["state"] == "missing"
    assert [*home.iterdir()] == []


def test_a_row():
    """A finding is a value with all of its fields."""
    row = Finding("sdk", "x", "missing")

    assert row.as_dict()["state"] == "missing"
