"""What is checked of the emulator against what others have published."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

PATH = Path(__file__).parents[2] / "benchmarks" / "checks.py"
if not PATH.exists():
    pytest.skip("the benchmarks are not in this copy", allow_module_level=True)


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("benchmark_checks", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def rounds(*shares, session="one"):
    """Return what was billed: (total, uncached), each reading what was cached."""
    made, before = [], 500
    for total, uncached in shares:
        made.append(
            {
                "session": session,
                "provider": "claude",
                "input_tokens_total": total,
                "claude_uncached_input_tokens": uncached,
                "claude_cache_read_input_tokens": before,
                "claude_cache_creation_input_tokens": total - uncached - before,
            }
        )
        before = total - uncached
    return made


def test_the_lifetimes_cost_the_same_where_three_in_a_hundred_turns_pause(script):
    """Below that share of pauses five minutes are cheaper, above it an hour."""
    check = script.even()

    assert check.holds
    assert check.value == pytest.approx(0.033, abs=0.004)
    assert script.cost("5m", 5) < script.cost("1h", 5)
    assert script.cost("5m", 15) > script.cost("1h", 15)


def test_without_pauses_five_minutes_are_cheaper(script):
    """A session costs 15 to 18 % less."""
    assert script.no_pause().holds


def test_a_session_is_billed_as_it_was(script):
    """Each request reads what was cached of the one before, in two sessions."""
    rows = [
        *rounds((1000, 2), (1500, 100), (1700, 2)),
        *rounds((900, 2), (950, 2), session="two"),
    ]

    assert script.billed(rows).value == 1


def test_a_bill_that_is_another_one_is_seen(script):
    """A request that read less than was cached is not as the emulator has it."""
    rows = rounds((1000, 2), (1500, 100))
    rows[1]["claude_cache_read_input_tokens"] -= 8
    rows[1]["claude_cache_creation_input_tokens"] += 8

    check = script.billed(rows)

    assert check.value == 0.5
    assert not check.holds


def test_what_a_service_could_read(script, tmp_path):
    """Each block that was there before is read, whoever sent it."""
    asked = [[0, 1, 2], [0, 1, 3], [0, 4]]
    path = tmp_path / "service.jsonl"
    path.write_text(
        "".join(
            json.dumps(
                {"timestamp": n, "input_length": 512 * len(ids), "hash_ids": ids}
            )
            + "\n"
            for n, ids in enumerate(asked)
        )
    )

    assert script.shared(path).value == pytest.approx(3 / 8)
