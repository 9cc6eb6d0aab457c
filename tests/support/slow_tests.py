"""Tests that are slow: they start processes, wait for time to pass, or make many cases.

They are a third of the time and a twentieth of the tests; `-m slow` is them alone.
"""

__all__ = ["is_slow"]

_SLOW = (
    "benchmarks/",
    "demo/test_cli.py::test_limit",
    "demo/test_cli.py::test_live[",
    "demo/test_cli.py::test_live_",
    "demo/test_comparison.py::test_answers_come_sooner",
    "demo/test_comparison.py::test_storage_at_speed",
    "docs/test_code.py::test_output",
    "docs/test_code.py::test_python",
    "docs/test_site.py",
    "emulator/openai/test_openai_planner_meets_judge.py",
    "emulator/openai/test_openai_planner_pays.py",
    "emulator/test_planner_meets_judge.py",
    "examples/",
    "faults/",
    "fuzz/test_conversations.py",
    "fuzz/test_streams.py",
    "google/test_google_packages.py",
    "langchain/test_packages.py",
    "llamaindex/test_packages.py",
    "migrate/test_dropped_streams.py",
    "openai/test_openai_packages.py",
    "places/",
    "providers/gemini/handles/test_handles_processes.py",
    "providers/gemini/test_sweep_processes.py",
    "providers/gemini/test_workers.py",
    "test_fanout.py::test_many_at_once",
    "test_fanout.py::test_nobody_waits_longer",
    "test_readme.py::test_demo_output",
    "test_typing.py",
)


def is_slow(node: str) -> bool:
    """Tell whether a test is slow, by its name with its path before it."""
    return any(f"/{it}" in f"/{node}" for it in _SLOW)
