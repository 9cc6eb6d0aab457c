"""How much more than not caching the requests of a tenant may have cost so far.

    excess = what writing cost beyond plain input - what reading saved
    a request may be planned while
        excess + the most that it may cost <= allowance + share * (settled + its tokens)

so whatever the traffic does, the bill stays below `(1 + share) * none + allowance`.

Rule 1: what a request may cost at most, which is all that it names written anew, counts
from the moment it is planned, since others are planned before its answer is there.
Rule 2: what the provider says takes the place of what was planned. Only then its tokens
count as sent: what was not answered was not billed.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass

__all__ = ["ALLOWANCE", "SHARE", "Gate", "Pass"]

SHARE = 0.01
"""Part of all tokens sent by which the bill may exceed that of not caching."""

ALLOWANCE = 200_000.0
"""Input tokens by which a bill may exceed that of not caching, on top of that."""

ANSWERED_WITHIN = 3600.0
"""Seconds after which a request is taken to have failed."""

MAX_KEYS = 10_000
MAX_UNANSWERED = 10_000


@dataclass(slots=True)
class _Account:
    excess: float = 0.0
    sent: float = 0.0


@dataclass(slots=True, eq=False)
class Pass:
    """A request that was planned, until its answer is there."""

    account: "_Account"
    premium: float
    """The most that it may cost beyond plain input."""
    planned: float
    """When it was planned."""
    is_open: bool = True


class Gate:
    """Accounts of excess, by whose traffic it is; its user holds a lock."""

    def __init__(self, allowance: float = ALLOWANCE) -> None:
        """Begin with nothing spent.

        Args:
            allowance: What learning may cost, in input tokens.
        """
        self._allowance = allowance
        self._accounts: OrderedDict[object, _Account] = OrderedDict()
        self._unanswered: deque[Pass] = deque()

    def room(self, whose: object, tokens: float, *, now: float) -> float:
        """Return what a request of so many tokens may cost beyond plain input."""
        self._give_up(now)
        account = self._accounts.get(whose) or _Account()
        allowed = self._allowance + SHARE * (account.sent + tokens)
        return max(allowed - account.excess, 0.0)

    def plan(self, whose: object, premium: float, *, now: float) -> Pass:
        """Enter the most that a request may cost beyond plain input."""
        made = Pass(self._account(whose), premium, now, is_open=premium > 0)
        if made.is_open:
            made.account.excess += premium
            self._unanswered.append(made)
            if len(self._unanswered) > MAX_UNANSWERED:
                # It stays entered, and may be answered still.
                self._unanswered.popleft()
        return made

    def settle(self, made: Pass, *, tokens: float, excess: float) -> None:
        """Replace what was planned of a request by what it was.

        Args:
            made: What `plan` returned.
            tokens: Those of its prompt.
            excess: What it has cost beyond plain input, less than 0 if it saved.
        """
        _return(made)
        made.account.sent += tokens
        made.account.excess += excess

    def _account(self, whose: object) -> _Account:
        account = self._accounts.setdefault(whose, _Account())
        self._accounts.move_to_end(whose)
        if len(self._accounts) > MAX_KEYS:
            self._accounts.popitem(last=False)
        return account

    def _give_up(self, now: float) -> None:
        """Return what is kept for requests that will not be answered any more."""
        waiting = self._unanswered
        while waiting and (
            not waiting[0].is_open or waiting[0].planned + ANSWERED_WITHIN <= now
        ):
            _return(waiting.popleft())


def _return(made: Pass) -> None:
    if made.is_open:
        made.account.excess -= made.premium
    made.is_open = False
