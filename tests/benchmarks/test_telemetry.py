"""The benchmark of receipts and reports, with a few of them."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("typer", reason="the `cli` extra is not installed")

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "telemetry.py"
if not SCRIPT.exists():
    pytest.skip("the benchmarks are not in this copy", allow_module_level=True)


@pytest.fixture
def script(monkeypatch):
    spec = importlib.util.spec_from_file_location("benchmark_telemetry", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    # A process of its own would have to import a module that has no name.
    monkeypatch.setattr(module, "in_a_process", module.measured)
    return module


@pytest.fixture
def rows(script, capsys):
    def rows(case, size):
        script.main(["--json", "--case", case, "--size", str(size)])
        return json.loads(capsys.readouterr().out)

    return rows


@pytest.mark.parametrize("case", ["lines", "add", "report"])
def test_rows(rows, case):
    """Each row has a case, a value above zero and a unit."""
    found = rows(case, 200)

    assert [list(row) for row in found] == [["case", "value", "unit"]] * len(found)
    assert min(row["value"] for row in found) > 0
    assert {row["unit"] for row in found} <= {"bytes", "us", "s", "MB"}


def test_lines_are_short(rows):
    """No line of a usual receipt is longer than 600 bytes."""
    found = {row["case"]: row["value"] for row in rows("lines", 3000)}

    assert found["line, longest"] <= 600


def test_reports_are_of_all_receipts(script, tmp_path):
    """What is measured reads every line, and finds no damage."""
    from promptcache.analysis.report.files import ReceiptFiles  # noqa: PLC0415

    path = tmp_path / "receipts.jsonl"
    script.write(path, 500)
    files = ReceiptFiles(path)

    assert (len(list(files)), files.damaged) == (500, 0)
    assert {entry.whose for entry in ReceiptFiles(path)} == {"placed"}


def test_table(script, capsys):
    """Without `--json` it is a line for each figure."""
    script.main(["--case", "add", "--size", "50"])

    assert len(capsys.readouterr().out.splitlines()) == 3
