"""The plot of the bill against the gap: it is the one in the docs, and says what is."""

import importlib.util
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT, PLOT = ROOT / "benchmarks/gap_plot.py", ROOT / "docs/images/bill-by-gap.svg"
if not (SCRIPT.exists() and PLOT.exists()):
    pytest.skip("the benchmarks are not in this copy", allow_module_level=True)


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("gap_plot", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_docs_have_it(script):
    """What is committed is what the formulas give now."""
    assert PLOT.read_text(encoding="utf-8") == script.plot()


def test_all_is_inside(script):
    """Every point of every curve is on the panel."""
    root = ET.fromstring(script.plot())
    curves = [it for it in root if it.tag.endswith("polyline")]
    points = [
        tuple(map(float, point.split(",")))
        for curve in curves
        for point in curve.attrib["points"].split()
    ]

    assert len(curves) == len(script.DRAWN)
    assert len(points) == script.POINTS * len(curves)
    assert all(script.LEFT <= x <= script.WIDTH - script.RIGHT for x, _ in points)
    assert all(script.TOP <= y <= script.HEIGHT - script.BOTTOM for _, y in points)


def test_what_it_shows(script):
    """Each choice is the cheapest somewhere, or near it, and dear elsewhere."""
    fast, slow, lost = (script.shares(it) for it in (15, 1_200, 14_400))

    assert fast["short"] < fast["long"] < fast["none"]
    assert slow["long"] < slow["pings"] < slow["short"]
    assert lost["none"] == 1 == min(lost.values())
    assert fast["promote"] <= 1.02 * fast["short"]
    assert script.shares(300)["promote"] < script.shares(300)["long"]
