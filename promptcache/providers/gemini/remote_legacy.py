"""Cached contents at the provider, through `google-generativeai`.

Rule 1: as in `remote`: one request a call, every failure a `RemoteError`.
Rule 2: what is configured when a remote is made holds for all of its life.

The SDK's support ended in 2025, as it says when it is imported. That is for its user to
see: this module is imported for nobody else.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any, Literal, TypeVar

import orjson

try:
    import google.generativeai.client as configured
    from google.ai import generativelanguage as glm
    from google.api_core.exceptions import GoogleAPICallError
except ImportError as failure:
    raise ImportError(
        "`promptcache.providers.gemini.remote_legacy` needs the "
        "`google-generativeai` extra: pip install 'promptcache[google-generativeai]'"
    ) from failure

from promptcache.providers.gemini.own_client import TIMEOUT_SECONDS
from promptcache.providers.gemini.remote import (
    Held,
    RemoteError,
    scope_of,
    unanswered,
    without_path,
)

__all__ = ["LegacyRemote", "status_of", "words_of"]

Answer = TypeVar("Answer")

_PAGE_SIZE = 1_000
"""Cached contents on one page of a list: the most that is given."""

_NANO = 1e-9


class LegacyRemote:
    """Cached contents through `google-generativeai`, which knows the Developer API."""

    def __init__(self, model: Any = None) -> None:
        """Sign in as `genai.configure` was told, or as a model has been until now.

        Args:
            model: A `GenerativeModel`. One that has been asked before keeps the
                configuration of that time.
        """
        self.host: Literal["developer", "vertex"] = "developer"
        self._signed, self._metadata = _configuration(model)
        options = self._signed["client_options"]
        key = options.api_key or _account(self._signed.get("credentials"))
        self.scope = scope_of(self.host, key=key, server=options.api_endpoint)
        # By process: a connection must not be used on both sides of a fork.
        self._clients: dict[int, Any] = {}

    def create(
        self,
        model: str,
        members: Mapping[str, Any],
        *,
        seconds: float,
        display_name: str,
    ) -> Held:
        """Create a cached content. Raises `RemoteError`."""
        content = _content(members)
        content.model = model if "/" in model else f"models/{model}"
        content.display_name = display_name
        content.ttl = timedelta(seconds=seconds)
        request = glm.CreateCachedContentRequest(cached_content=content)
        return self._asked("create_cached_content", request, _read)

    def get(self, name: str) -> Held:
        """Return what there is under a name. Raises `RemoteError`."""
        request = glm.GetCachedContentRequest(name=_full(name))
        return self._asked("get_cached_content", request, _read)

    def listed(self) -> Iterator[Held]:
        """Yield all that there are. Raises `RemoteError`."""
        token = ""
        while True:
            request = glm.ListCachedContentsRequest(
                page_size=_PAGE_SIZE, page_token=token
            )
            held, following = self._asked("list_cached_contents", request, _page)
            yield from held
            if following in ("", token):
                return
            token = following

    def extend(self, name: str, *, seconds: float) -> Held:
        """Let it live so many seconds from now. Raises `RemoteError`."""
        content = glm.CachedContent(name=_full(name), ttl=timedelta(seconds=seconds))
        request = glm.UpdateCachedContentRequest(
            cached_content=content, update_mask={"paths": ["ttl"]}
        )
        return self._asked("update_cached_content", request, _read)

    def delete(self, name: str) -> None:
        """Delete it. Raises `RemoteError`."""
        request = glm.DeleteCachedContentRequest(name=_full(name))
        self._asked("delete_cached_content", request, lambda _nothing: None)

    def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        client = self._clients.pop(os.getpid(), None)
        if client is not None:
            client.transport.close()

    def _asked(
        self, method: str, request: Any, read: Callable[[Any], Answer]
    ) -> Answer:
        try:
            answer = getattr(self._connected(), method)(
                request, retry=None, timeout=TIMEOUT_SECONDS, metadata=self._metadata
            )
            return read(answer)
        except GoogleAPICallError as error:
            failure = RemoteError.of(status_of(error), words_of(error))
        except Exception as error:  # noqa: BLE001 - whatever the network raises
            failure = unanswered(error)
        # Outside of the handlers: the SDK's errors hold the request and the answer.
        raise failure

    def _connected(self) -> Any:
        process = os.getpid()
        client = self._clients.get(process)
        if client is None:
            made: Any = glm.CacheServiceClient(**self._signed)
            client = self._clients.setdefault(process, made)
            if client is not made:
                made.transport.close()
        return client


def _configuration(model: Any) -> tuple[dict[str, Any], tuple[Any, ...]]:
    """Return what makes a client, and what goes along with every call."""
    manager = configured._client_manager  # noqa: SLF001
    if not manager.client_config:
        configured.configure()
    signed, metadata = dict(manager.client_config), tuple(manager.default_metadata)
    used: Any = getattr(model, "_client", None) or getattr(model, "_async_client", None)
    # An asynchronous client is made around another one.
    options = getattr(getattr(used, "_client", used), "_client_options", None)
    if options is not None and used not in manager.clients.values():
        # Configured anew since: the model goes on as before.
        signed |= {"client_options": options, "transport": used.transport.kind}
        signed.pop("credentials", None)
        if not options.api_key:
            signed["credentials"] = used.transport._credentials  # noqa: SLF001
        metadata = ()
    if signed.get("transport") == "grpc_asyncio":
        # That channel belongs to one event loop; calls are made in threads.
        signed["transport"] = "grpc"
    return signed, metadata


def _content(members: Mapping[str, Any]) -> Any:
    try:
        # A field that the SDK does not know would be missing from every answer.
        return glm.CachedContent.from_json(orjson.dumps(dict(members)))
    except Exception as error:  # noqa: BLE001 - two libraries read it
        words = f"{type(error).__name__}: the SDK cannot express it"
    # Outside of the handler: the error may quote what could not be read.
    raise RemoteError(None, words, kind="refused")


def _account(credentials: Any) -> str | None:
    """Return what tells credentials apart, if they say."""
    for name in ("service_account_email", "client_id"):
        told = getattr(credentials, name, None)
        if isinstance(told, str):
            return told
    return None


def _full(name: str) -> str:
    return name if "/" in name else f"cachedContents/{name}"


def status_of(error: GoogleAPICallError) -> int | None:
    """Return the HTTP status of a refusal, which over gRPC the SDK derives."""
    return None if error.code is None else int(error.code)


def words_of(error: GoogleAPICallError) -> str | None:
    """Return the provider's words; over REST the SDK puts the address before them."""
    answer = error.response
    if not hasattr(answer, "json"):
        return str(error.message)
    try:
        words = answer.json()["error"]["message"]
    except (KeyError, TypeError, ValueError):
        return None
    return words if isinstance(words, str) else None


def _page(pager: Any) -> tuple[list[Held], str]:
    """Return what is on a page, and what names the next one."""
    page = next(iter(pager.pages))
    return [_read(it) for it in page.cached_contents], page.next_page_token


def _read(answer: Any) -> Held:
    content = glm.CachedContent.pb(answer)
    return Held(
        name=content.name,
        model=without_path(content.model),
        display_name=content.display_name,
        tokens=content.usage_metadata.total_token_count or None,
        created_at=_seconds(content.create_time),
        expires_at=_seconds(content.expire_time),
    )


def _seconds(time: Any) -> float:
    return float(time.seconds + time.nanos * _NANO)
