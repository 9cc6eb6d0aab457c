"""`GeminiCacheKeeper`: cached contents for people who say themselves what to cache.

Rule 1: what was created for a hold is deleted with the last of those who hold it.
Rule 2: a prefix is held under the key that a request with it has, so requests that are
built as always name what is held.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any

from promptcache.cache import PromptCache
from promptcache.defaults import default_cache
from promptcache.errors import HoldError, OptionError
from promptcache.providers.gemini import facts, spelling, wire
from promptcache.providers.gemini.handles import Creation
from promptcache.providers.gemini.life import LONGEST_SECONDS
from promptcache.providers.gemini.remote import Remote, RemoteError
from promptcache.providers.gemini.tending import Tended
from promptcache.providers.gemini.terms import terms_of
from promptcache.state.stores import Handle
from promptcache.ttl import read_seconds

if TYPE_CHECKING:
    from promptcache.providers.gemini.keeper import Keeper

__all__ = ["GeminiCacheKeeper", "Hold"]

_WAIT_SECONDS = 30.0
"""How long a hold waits for another worker that is creating the same."""

_QUESTION = {"role": "user", "parts": [{"text": "?"}]}


class GeminiCacheKeeper:
    """Creates cached contents on request and keeps them alive while they are held.

    Requests of clients that are attached to the same cache, and that begin with what is
    held, name it by themselves. It is safe from many threads.
    """

    def __init__(self, client: Any = None, *, cache: PromptCache | None = None) -> None:
        """Make a keeper; nothing is sent or created yet.

        Args:
            client: A `google.genai.Client`, attached or not; None for what
                `google.generativeai.configure` was told.
            cache: Whose store and limits hold; else the cache of this process.
        """
        self.cache = default_cache() if cache is None else cache
        self._client = client
        self._remote: Remote | None = None

    def hold(
        self,
        model: str,
        *,
        contents: Any = None,
        system: Any = None,
        tools: Sequence[Any] | None = None,
        tool_config: Any = None,
        ttl: str | float | timedelta = "1h",
        tenant: str | None = None,
    ) -> "Hold":
        """Return a context manager, asynchronous too, for the handle of a prefix.

        Args:
            model: The model that requests will ask.
            contents: What their contents begin with, as the SDK takes it.
            system: Their system instruction.
            tools: Their tools.
            tool_config: Their choice of tools.
            ttl: For how long storage is ordered at a time: seconds, a timedelta, or
                text such as `"10m"`. At most an hour; while it is held it is extended.
            tenant: Whose it is.

        Raises:
            OptionError: `ttl` is not allowed, or there is nothing to hold.
        """
        seconds = read_seconds(ttl)
        members = spelling.members(
            self._client,
            model,
            contents=contents,
            system=system,
            tools=tools,
            tool_config=tool_config,
        )
        if not members:
            raise OptionError("hold", None, "contents, system, tools or tool_config")
        return Hold(self, wire.bare(model), members, seconds, tenant)

    def adopt(self, name: str, *, ttl: str | float | timedelta = "1h") -> "Hold":
        """Return a context manager that keeps alive what somebody else has created.

        It is not deleted at the end.

        Raises:
            OptionError: `ttl` is not allowed.
        """
        return Hold(self, "", {}, read_seconds(ttl), None, name=name)

    def generative_model(self, handle: Handle | str) -> Any:
        """Return a `google.generativeai.GenerativeModel` that names a handle.

        Its requests have receipts.
        """
        from promptcache.providers.gemini import seam_legacy  # noqa: PLC0415

        return seam_legacy.generative_model(handle, self.cache)

    @property
    def remote(self) -> Remote:
        """The cached contents of the client's key or project."""
        if self._remote is None:
            self._remote = _remote_of(self._client)
        return self._remote

    @property
    def keeper(self) -> "Keeper":
        """What keeps the handles of the cache."""
        return self.cache.keeper


class Hold:
    """A prefix in a cached content, for as long as the `with` lasts."""

    def __init__(
        self,
        keeper: GeminiCacheKeeper,
        model: str,
        members: Mapping[str, Any],
        seconds: float,
        tenant: str | None,
        *,
        name: str | None = None,
    ) -> None:
        self._keeper = keeper
        self._model = model
        self._members = members
        self._seconds = seconds
        self._tenant = tenant
        self._name = name
        self._handle: Handle | None = None

    def __enter__(self) -> Handle:
        """Return the handle, created if nobody has.

        Raises:
            HoldError: There is none and none could be created; it says why.
        """
        handle = self._found() if self._name is None else self._adopted(self._name)
        self._handle = handle
        keeper = self._keeper
        keeper.keeper.hold(
            Tended(handle, keeper.remote, ahead=min(self._seconds, LONGEST_SECONDS))
        )
        return handle

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            is_kept = self._name is not None
            remote = self._keeper.remote
            self._keeper.keeper.release(handle, remote, delete=not is_kept)

    async def __aenter__(self) -> Handle:
        """Return the handle; see `__enter__`."""
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.__exit__, kind, error, traceback)

    def _found(self) -> Handle:
        cache, remote = self._keeper.cache, self._keeper.remote
        handles = self._keeper.keeper.handles
        contents = list(self._members.get("contents") or ())
        body = {**self._members, "contents": [*contents, _QUESTION]}
        outline = wire.outline(body, model=self._model, tenant=self._tenant)
        length = wire.end_of(outline, len(contents))
        tokens = outline.blocks.tokens[length - 1]
        key = handles.key(remote.scope, outline.digest_before(length))
        row = facts.model_facts(self._model, cache.facts)
        terms = terms_of(
            cache.prices, self._model, row, tokens=tokens, at=cache.clock.now()
        )
        creation = Creation(
            remote=remote,
            model=self._model,
            members=self._members,
            tokens=tokens,
            seconds=min(self._seconds, LONGEST_SECONDS),
            terms=terms,
            tenant=self._tenant,
        )
        handle = self._keeper.keeper.create(key, creation)
        if handle is None:
            handle = handles.await_handle(key, _WAIT_SECONDS)
        if handle is None:
            raise HoldError(self._model, refused=handles.backed_off(key))
        return handle

    def _adopted(self, name: str) -> Handle:
        remote = self._keeper.remote
        try:
            held = remote.get(name)
        except RemoteError as error:
            raise HoldError(name, refused=True) from error
        handle = self._keeper.keeper.handles.adopt(held, remote)
        if handle is None:
            raise HoldError(name, refused=False)
        return handle


def _remote_of(client: Any) -> Remote:
    if client is None:
        from promptcache.providers.gemini.remote_legacy import (  # noqa: PLC0415
            LegacyRemote,
        )

        return LegacyRemote()
    from promptcache.providers.gemini.remote import GenaiRemote  # noqa: PLC0415

    return GenaiRemote(client._api_client)  # noqa: SLF001 - no public place
