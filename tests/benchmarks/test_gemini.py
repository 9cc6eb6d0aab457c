"""The benchmark of resident documents, on a small knowledge base."""

import gzip
import importlib.util
import json
import random
import sys
from pathlib import Path

import pytest

PATH = Path(__file__).parents[2] / "benchmarks" / "gemini.py"
if not PATH.exists():
    pytest.skip("the benchmarks are not in this copy", allow_module_level=True)


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("benchmark_gemini", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Forty documents; each question needs the same three and two others."""
    folder = tmp_path_factory.mktemp("knowledge")
    chance = random.Random(7)
    names = [f"document {number}" for number in range(40)]
    rows = [{"id": name, "content": f"{name} " * 400} for name in names]
    tasks = [
        {
            "instructions": "What now? " * 20,
            "required_documents": [*names[:3], *chance.sample(names[3:], 2)],
        }
        for _ in range(30)
    ]
    for file, lines in (("documents", rows), ("tasks", tasks)):
        with gzip.open(folder / f"{file}.jsonl.gz", "wt") as out:
            out.writelines(json.dumps(line) + "\n" for line in lines)
    heads = ("policy_header", "additional_instructions")
    prompts = {f"components/{name}.md": "Be careful. " * 200 for name in heads}
    (folder / "prompts.json").write_text(json.dumps(prompts))
    return folder


def bills(script, data, rate, luck, *, days=2):
    times = script.arrivals(data, rate, days)
    knowledge = script.Knowledge.read(data)
    return {
        strategy: script.Week(knowledge, luck, strategy).run(times)
        for strategy in script.STRATEGIES
    }


@pytest.mark.parametrize(
    ("rate", "luck"), [("1", 0.0), ("20", 0.0), ("60", 0.5), ("60", 0.95)]
)
def test_auto_is_hardly_dearer_than_the_cheapest(script, data, rate, luck):
    """Whatever the rate and the luck, and while it learns, too."""
    found = bills(script, data, rate, luck)
    fixed = [bill for strategy, bill in found.items() if strategy != "auto"]

    assert found["auto"][0] <= 1.05 * min(bill for bill, _ in fixed)
    assert found["auto"][1] <= 1.25 * min(first_day for _, first_day in fixed)


def test_auto_keeps_what_pays(script, data):
    """Three documents that every question needs are worth a cached content."""
    found = bills(script, data, "60", 0.0)

    assert found["auto"][0] < 0.7 * found["inline"][0]


def test_nights_are_silent(script, data):
    """Eight hours of each day nobody asks."""
    times = script.arrivals(data, "50", 3)

    assert times == sorted(times)
    assert 50 * 16 * 3 * 0.85 < len(times) < 50 * 16 * 3 * 1.15
    assert all(at % 86_400 < 16 * 3600 for at in times)
