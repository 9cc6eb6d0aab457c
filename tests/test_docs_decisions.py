"""What the page on decisions says is what the code has."""

from pathlib import Path
from typing import get_args

import pytest

from promptcache.planning.chances import Chance
from promptcache.planning.policies import Policy
from promptcache.planning.reasons import Reason
from promptcache.planning.terms import Terms
from promptcache.planning.warming import INTERVAL
from promptcache.planning.ways import GAPS, PAUSES, PRIOR, SESSION_TOKENS, WAYS
from promptcache.planning.worth import DOUBT, break_even
from promptcache.planning.writing import (
    FRESH_PRIORS,
    HEAD_PRIOR,
    LATER,
    LATER_PRIOR,
    SEEN_PRIOR,
    SLIGHT,
)
from promptcache.state.gate import SHARE

PAGE = Path(__file__).parent.parent / "docs" / "how-it-decides.md"
TEXT = " ".join(PAGE.read_text(encoding="utf-8").split())


def percent(share):
    return f"{100 * share:.0f} %"


SAID = {
    "head": f"on every call | {percent(HEAD_PRIOR)} |",
    "seen": f"has shown before | {percent(SEEN_PRIOR)} |",
    "agents": f"an agent {percent(FRESH_PRIORS['agent'])}, ",
    "tools": f"a first question with tools {percent(FRESH_PRIORS['tools'])}, ",
    "chats": f"a chat {percent(FRESH_PRIORS['chat'])}, a single question",
    "singles": f"answer of forced form {percent(FRESH_PRIORS['forced'])} |",
    "later-start": f"{percent(LATER_PRIOR)} at least, unless its answer",
    "slight": f"less than {percent(SLIGHT)} of the request",
    "later": f"`1 - (1 - p) ** {LATER}`",
    "break-evens": (
        f"{percent(Terms().break_even('5m'))} for the short lifetime at `r` = 0.1, and "
        f"{percent(Terms().break_even('1h'))} for an hour"
    ),
    "break-even-late": (
        f"there {percent(break_even(Chance(0.0, 0.0), '1h', Terms()))} are enough"
    ),
    "doubt": f"`p` less {DOUBT} errors",
    "bills": f"are {PRIOR[0]:g}, {PRIOR[1]:.2f}, {PRIOR[2]:.2f} and {PRIOR[3]:.2f} of",
    "weight": f"`n0` = {SESSION_TOKENS / 1e6:g} million tokens",
    "pauses": f"`q = ({PAUSES} + pauses) / ({GAPS} + gaps)`",
    "pings": f"`max_tokens: 0` every {INTERVAL:g} seconds",
    "allowance": f"{Policy.auto().allowance:,.0f} tokens, unless `Policy.auto(",
    "share": f"allowance + {SHARE} * tokens sent",
}


@pytest.mark.parametrize("said", SAID.values(), ids=SAID.keys())
def test_figures(said):
    """Each figure of the page is that of the code."""
    assert said in TEXT


@pytest.mark.parametrize("name", [*get_args(Reason), *WAYS])
def test_names(name):
    """Each reason and each way is on the page."""
    assert f"`{name}`" in TEXT
