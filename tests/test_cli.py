"""The `promptcache` command."""

import subprocess
import sys
from importlib import metadata

import pytest

from promptcache import cli
from promptcache.cli import COMMANDS, Command

ENTRY_POINT = "from promptcache.cli import main; main()"


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command line in this process; return its exit code and both outputs."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["promptcache", *arguments])
        with pytest.raises(SystemExit) as exit_info:
            cli.main()
        printed = capsys.readouterr()
        code = exit_info.value.code
        # A string is what Python prints to standard error, with exit code 1.
        if isinstance(code, str):
            return 1, printed.out, code
        return code or 0, printed.out, printed.err

    return run


@pytest.fixture
def plant(monkeypatch, tmp_path):
    """Add a subcommand `planted` whose module holds the given code."""

    def plant(code, extra="emulator"):
        (tmp_path / "planted_command.py").write_text(code)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "planted_command", raising=False)
        row = Command("planted_command:planted", extra, "A planted one.")
        monkeypatch.setattr(cli, "COMMANDS", {**COMMANDS, "planted": row})

    return plant


def test_version(run):
    """`--version` prints the version that is installed."""
    assert run("--version") == (
        0,
        f"promptcache {metadata.version('promptcache')}\n",
        "",
    )


def test_help_names_every_command(run):
    """`--help` has a line for every subcommand and loads none of them."""
    code, out, _ = run("--help")

    assert code == 0
    assert [name for name in COMMANDS if name not in out] == []


def test_subcommand_reads_its_own_options(run, plant):
    """A subcommand's options are those of its function's signature."""
    plant("def planted(*, often: int = 1) -> None:\n    print('ran' * often)\n")

    assert run("planted", "--often", "2") == (0, "ranran\n", "")


def test_wrong_value(run, plant):
    """A wrong value is a usage error with exit code 2."""
    plant("def planted(*, often: int = 1) -> None: ...\n")

    code, _, err = run("planted", "--often", "x")

    assert (code, "'--often'" in err) == (2, True)


def test_unknown_command(run):
    """A name close to a subcommand's is answered with that one."""
    code, _, err = run("dem")

    assert (code, "'demo'" in err) == (2, True)


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("import not_there", id="at its top"),
        pytest.param("def planted():\n    import not_there", id="when it runs"),
        pytest.param(
            "try:\n    import not_there\n"
            "except ImportError as error:\n    raise ImportError('no') from error",
            id="said by the module itself",
        ),
    ],
)
def test_missing_extra(run, plant, code):
    """A missing dependency is one sentence with the command that installs it."""
    plant(code)

    advice = (
        "`promptcache planted` needs the `emulator` extra, as `not_there` is not "
        "installed: pip install 'promptcache[emulator]'"
    )
    assert run("planted") == (1, "", advice)


def test_own_bug_is_no_missing_extra(monkeypatch, plant):
    """A module of ours that is missing is an error, not an advice."""
    plant("import promptcache.not_there")
    monkeypatch.setattr(sys, "argv", ["promptcache", "planted"])

    with pytest.raises(ModuleNotFoundError, match="not_there"):
        cli.main()


def test_without_typer():
    """Without the `cli` extra the command says how to install it."""
    hide = "import sys; sys.modules['typer'] = None; "

    done = subprocess.run(
        [sys.executable, "-c", hide + ENTRY_POINT],
        capture_output=True,
        text=True,
        check=False,
    )

    advice = (
        "`promptcache` needs the `cli` extra, as `typer` is not installed: "
        "pip install 'promptcache[cli]'\n"
    )
    assert (done.returncode, done.stdout, done.stderr) == (1, "", advice)
