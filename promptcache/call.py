"""One call of a framework: what it said on the way in, what it used on the way out.

Rule 1: a call is entered around each step of a stream, never across a `yield`.
"""

from contextlib import AbstractContextManager, suppress
from contextvars import Token
from types import TracebackType
from typing import Any

from promptcache.options import CallOptions, current_options, entered
from promptcache.receipts.collect import Collector
from promptcache.receipts.receipt import Receipt
from promptcache.runs import current_run_id, identified

__all__ = ["Call", "current_run_id"]


class Call:
    """Carries options to the requests made inside it and collects their receipts.

    An adapter enters it around the framework's own code, again and again if that is
    a stream. One thread or task at a time may be inside.
    """

    def __init__(
        self,
        said: Any = None,
        *,
        defaults: CallOptions | None = None,
        run_id: str | None = None,
    ) -> None:
        """Make a call.

        Args:
            said: The options of this call: a dict, True, False or None.
            defaults: What holds where neither the call nor an enclosing
                `with options(...)` says anything.
            run_id: The framework's own id of the call, by which its traces know it.

        Raises:
            OptionError: An option is not allowed.
        """
        options = CallOptions.read(said).over(current_options())
        self._said = options if defaults is None else options.over(defaults)
        self._run_id = run_id
        self._collector = Collector()
        self._given = 0
        self._tokens: list[Token[Any]] = []
        self._identities: list[AbstractContextManager[None]] = []

    @property
    def options(self) -> CallOptions:
        """What holds for the requests that are made inside it."""
        return self._said

    def __enter__(self) -> "Call":  # noqa: PYI034 - Python 3.10 has no `Self`
        self._tokens.append(entered(self._said))
        self._identities.append(identified(self._run_id))
        self._identities[-1].__enter__()
        self._collector.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._collector.__exit__(kind, error, traceback)
        self._identities.pop().__exit__(kind, error, traceback)
        token = self._tokens.pop()
        # A coroutine may be closed in another context, which never had the options.
        with suppress(ValueError):
            token.var.reset(token)

    def take_receipt(self) -> Receipt | None:
        """Return the sum of the receipts since the last taking; None if none came."""
        fresh = self._collector.receipts[self._given :]
        self._given += len(fresh)
        return Receipt.sum(fresh) if fresh else None
