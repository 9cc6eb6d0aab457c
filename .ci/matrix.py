"""Runs the legs of the version matrix, each in a new environment of its own.

Rule 1: the wheel is tested, from away of the source tree, as a user has it.
Rule 2: it needs Python and pip, and nothing else.
Rule 3: the page is made of what was found, and only if nothing failed that may not.

    python .ci/matrix.py                            # all legs
    python .ci/matrix.py --leg 'Python 3.12'        # one leg
    python .ci/matrix.py --write docs/versions.md   # all legs, and the page
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import page
import wheels
from legs import LEGS, PACKAGES, Leg

ROOT = Path(__file__).resolve().parents[1]
HERE = ".".join(map(str, sys.version_info[:2]))

_LONGEST_SECONDS = 1_200
"""For one command; a leg takes a tenth of it."""
_COUNTS = re.compile(r"(\d+) (passed|skipped|failed|errors?|xfailed)")
_SKIPPED = re.compile(r"SKIPPED \[\d+] \S+ (.+)")
_NOISE = re.compile(
    r"\s*(Collecting|Downloading|Looking|Obtaining|Requirement|Using|WARNING: Loc)"
)
_SHOWN_LINES = 60
"""Of what a command says that fails."""
_FOUND = """
import json, platform, sys
from importlib.metadata import PackageNotFoundError, version
from packaging.requirements import Requirement

def found(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None

shown, holds, without = json.loads(sys.argv[1])
broken = [it for it in without if found(it)]
for said in holds:
    need = Requirement(said)
    if not found(need.name) or not need.specifier.contains(found(need.name)):
        broken.append(f"{need.name} {found(need.name)} is not {said}")
versions = {it: found(it) for it in shown if found(it)}
print(json.dumps([platform.python_version(), versions, broken]))
"""


class LegFailedError(Exception):
    """A command of a leg failed; the message is what it said."""


@dataclass(slots=True)
class Result:
    """What came of a leg."""

    leg: Leg
    python: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    skips: list[str] = field(default_factory=list)
    """Why tests were skipped."""
    seconds: float = 0.0
    skipped: str = ""
    """Why the leg was not run."""
    failure: str = ""

    @property
    def is_refused(self) -> bool:
        """Whether it failed and may not."""
        return bool(self.failure) and not self.leg.may_fail


class Matrix:
    """Legs, the wheel that they test and where they do it."""

    def __init__(self, work: Path, wheel: Path) -> None:
        """Make no environment yet.

        Args:
            work: A folder for the environments.
            wheel: What is tested.
        """
        self._work = work
        self._wheel = wheel
        self._needs = wheels.needs(wheel)

    def run(self, leg: Leg) -> Result:
        """Return what comes of a leg; no failure of it is raised."""
        result, begun = Result(leg), time.monotonic()
        python = interpreter(leg.python)
        if python is None:
            result.skipped = f"Python {leg.python} is not on this machine"
            return result
        place = self._work / re.sub(r"\W+", "-", leg.name)
        try:
            self._install(leg, python, place)
            self._look(leg, place, result)
            self._test(leg, place, result)
        except LegFailedError as failure:
            result.failure = str(failure)
        result.seconds = time.monotonic() - begun
        shutil.rmtree(place, ignore_errors=True)
        return result

    def _install(self, leg: Leg, python: str, place: Path) -> None:
        self._said(place, [python, "-m", "venv", str(place)])
        extras = f"[{','.join(leg.extras)}]" if leg.extras else ""
        wanted = [f"{self._wheel}{extras}", *leg.requires]
        wanted += wheels.test_tools(self._needs, leg.tests)
        command = ["python", "-m", "pip", "install", "--no-compile"]
        if leg.is_lowest:
            held = place / "constraints.txt"
            lines = wheels.lowest(self._needs, leg.extras)
            held.write_text("\n".join(lines) + "\n", encoding="utf-8")
            command += ["--constraint", str(held)]
        self._said(place, [*command, *wanted])
        if not leg.may_fail:
            self._said(place, ["python", "-m", "pip", "check"])

    def _look(self, leg: Leg, place: Path, result: Result) -> None:
        told = json.dumps([PACKAGES, leg.holds, leg.without])
        said = self._said(place, ["python", "-c", _FOUND, told])
        result.python, result.versions, broken = json.loads(said.splitlines()[-1])
        if broken:
            raise LegFailedError(f"not what was to be installed: {', '.join(broken)}")

    def _test(self, leg: Leg, place: Path, result: Result) -> None:
        command = ["python", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        command += ["--config-file", str(ROOT / "pyproject.toml")]
        command += ["--rootdir", str(ROOT)]
        for warning in leg.forgiven:
            command += ["-W", warning]
        if leg.leaves_out:
            command += ["-k", f"not {leg.leaves_out}"]
        said = self._said(place, [*command, *(str(ROOT / it) for it in leg.tests)])
        last = said.strip().splitlines()[-1]
        result.counts = {name: int(count) for count, name in _COUNTS.findall(last)}
        if not result.counts.get("passed"):
            raise LegFailedError(f"no test was run: {last}")
        result.skips = sorted({*_SKIPPED.findall(said)})
        if {"langchain-core", "google-genai", "openai"} <= {*result.versions}:
            self._said(place, ["python", str(ROOT / ".ci" / "smoke.py")])

    def _said(self, place: Path, command: list[str]) -> str:
        """Return what a command says, run away from the source tree."""
        aside = {"PYTHONPATH", "VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE"}
        environment = {k: v for k, v in os.environ.items() if k not in aside}
        # Both are written where nothing is left behind; what is compiled is shared.
        environment["PYTHONPYCACHEPREFIX"] = str(self._work / "compiled")
        environment["PATH"] = f"{place / 'bin'}{os.pathsep}{environment['PATH']}"
        inside = place / "bin" / command[0]
        program = str(inside) if inside.exists() else command[0]
        with TemporaryDirectory(dir=self._work) as elsewhere:
            done = subprocess.run(  # noqa: S603 - the commands are those above
                [program, *command[1:]],
                cwd=elsewhere,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=_LONGEST_SECONDS,
                check=False,
            )
        if done.returncode:
            raise LegFailedError(done.stdout)
        return done.stdout


def interpreter(version: str | None) -> str | None:
    """Return a Python of a version; None if this machine has none."""
    if version in {None, HERE}:
        return sys.executable
    roots = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    kept = sorted(map(str, roots.glob(f"versions/{version}.*/bin/python")))
    for candidate in (f"python{version}", *kept):
        path = shutil.which(candidate)
        # The name alone may be a shim of a version that is switched off.
        if (
            path
            and not subprocess.run(  # noqa: S603 - as above
                [path, "-c", "import venv"], check=False, capture_output=True
            ).returncode
        ):
            return path
    return None


def told(result: Result) -> str:
    """Return a result in the words of a terminal: name, versions and time."""
    head = f"\n== {result.leg.name}"
    if result.skipped:
        return f"{head}\nSKIPPED: {result.skipped}"
    versions = ", ".join(f"{name} {it}" for name, it in result.versions.items())
    lines = [head, f"Python {result.python}: {versions}"]
    if result.failure:
        said = (it for it in result.failure.splitlines() if not _NOISE.match(it))
        lines += [*said][-_SHOWN_LINES:]
    lines += [f"skipped: {why}" for why in result.skips]
    ended = ", ".join(f"{count} {name}" for name, count in result.counts.items())
    if result.failure:
        ended = "WARNING: failed, which it may" if result.leg.may_fail else "FAILED"
    return "\n".join([*lines, f"-- {result.leg.name}: {ended}; {result.seconds:.0f} s"])


def built(work: Path) -> Path:
    """Return a wheel of this tree, made in a folder."""
    tree = work / "tree"
    unwanted = shutil.ignore_patterns(
        ".git", ".venv", "__pycache__", ".*_cache", "dist"
    )
    shutil.copytree(ROOT, tree, ignore=unwanted)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    subprocess.run([*command, "-w", str(work), str(tree)], check=True)  # noqa: S603
    return next(work.glob("*.whl"))


def chosen(names: Iterable[str], but: str | None) -> list[Leg]:
    """Return the legs of these names, or all of them but those of one Python."""
    found = [leg for leg in LEGS if leg.name in names] if names else [*LEGS]
    return [leg for leg in found if leg.name != f"Python {but}"]


def main() -> int:
    """Run what the arguments say; 1 if a leg failed that may not."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    known = [leg.name for leg in LEGS]
    parser.add_argument("--leg", action="append", choices=known, default=[])
    parser.add_argument("--but-python", help="tested already by who calls this")
    parser.add_argument("--wheel", type=Path, help="else one is built")
    parser.add_argument("--jobs", type=int, default=min(os.cpu_count() or 1, 4))
    parser.add_argument("--write", type=Path, help="the page; all legs are run")
    asked = parser.parse_args()
    if asked.write and (asked.leg or asked.but_python):
        parser.error("the page has all legs")
    with TemporaryDirectory() as folder:
        work = Path(folder)
        matrix = Matrix(work, (asked.wheel or built(work)).resolve())
        results = []
        with ThreadPoolExecutor(asked.jobs) as pool:
            for result in pool.map(matrix.run, chosen(asked.leg, asked.but_python)):
                print(told(result), flush=True)
                results.append(result)
    if any(result.is_refused for result in results):
        return 1
    if asked.write:
        asked.write.write_text(page.page(results), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
