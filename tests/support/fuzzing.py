"""How long fuzzing takes: seconds in every run, as long as wanted by `FUZZ`.

    FUZZ=100 python -m pytest --timeout 0 tests/fuzz

makes a hundred times as many examples, at random, and goes on after each finding.
"""

import os

from hypothesis import HealthCheck, Phase, settings

__all__ = ["TIMES", "fuzzed"]

TIMES = int(os.environ.get("FUZZ", "1"))
_UNHEALTHY = (
    HealthCheck.too_slow,
    HealthCheck.data_too_large,
    HealthCheck.filter_too_much,
    HealthCheck.function_scoped_fixture,
)


def fuzzed(examples: int, *, steps: int | None = None) -> settings:
    """Return settings for so many examples in the default run.

    Args:
        examples: How many are made where `FUZZ` says nothing.
        steps: Calls of rules in each, where there are rules.
    """
    more = {} if steps is None else {"stateful_step_count": steps}
    if TIMES == 1:
        # What is found at every change must be there again at the next look.
        more |= {"derandomize": True, "database": None}
        more["phases"] = (Phase.explicit, Phase.generate, Phase.shrink)
    return settings(
        max_examples=examples * TIMES,
        deadline=None,
        suppress_health_check=_UNHEALTHY,
        **more,
    )
