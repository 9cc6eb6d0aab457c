"""Each example runs as it stands, without a key; those with two bills do elsewhere."""

import pytest
from running_examples import COMPARING, EXAMPLES


def test_there_are_examples():
    """The folder is found, and each that compares."""
    assert set(COMPARING) < set(EXAMPLES)


@pytest.mark.parametrize("example", [it for it in EXAMPLES if it not in COMPARING])
def test_example(example, shown):
    """An example is short, ends well and prints what it shows."""
    assert shown(example)
