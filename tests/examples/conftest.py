"""What holds for each example."""

import pytest
from forked_examples import run_forked
from running_examples import ALONE, EXAMPLES, run

MAX_LINES = 60


@pytest.fixture
def shown(tmp_path):
    """Return a function that runs an example as it stands, and tells what it prints.

    It is short, ends well, warns of nothing and prints what it shows.
    """

    def by(example):
        path = EXAMPLES[example]
        if example in ALONE:
            done = run(tmp_path, "-W", "error::DeprecationWarning:__main__", str(path))
        else:
            done = run_forked(path, tmp_path)

        assert (done.returncode, done.stderr) == (0, "")
        assert "read" in done.stdout or "breakpoints" in done.stdout
        assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES
        return done.stdout

    return by
