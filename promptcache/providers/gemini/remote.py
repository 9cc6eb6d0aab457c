"""Cached contents at the provider, through `google-genai`.

Rule 1: each call is one request, never repeated here: a creation that is sent twice may
be paid for twice.
Rule 2: the connections are our own; those of the client that this was made from may be
closed at any time, and are never closed by us.
Rule 3: every failure is a `RemoteError`, and none holds what was sent.
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol, TypeVar
from urllib.parse import urlencode, urlsplit

import orjson

from promptcache.errors import PromptCacheError
from promptcache.providers.gemini.own_client import own_client, own_options
from promptcache.providers.gemini.refusals import Kind, kind_of, shown

__all__ = [
    "GenaiRemote",
    "Held",
    "Remote",
    "RemoteError",
    "scope_of",
    "unanswered",
    "without_path",
]

Answer = TypeVar("Answer")

_PAGE_SIZE = 1_000
"""Cached contents on one page of a list: the most that the Developer API gives."""

_OWN_SERVER = re.compile(
    r"generativelanguage(\.mtls)?\.googleapis\.com"
    r"|([a-z0-9-]+-)?aiplatform(\.[a-z0-9-]+\.rep)?(\.mtls)?\.googleapis\.com"
)
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)"
)


@dataclass(frozen=True, slots=True)
class Held:
    """What the provider says of a cached content; never what is in it."""

    name: str
    """What a request calls it by; on Vertex AI with project and location."""
    model: str
    """The model without its path."""
    display_name: str
    tokens: int | None
    """How many it holds; None if it is not said."""
    created_at: float
    """In UTC seconds."""
    expires_at: float
    """In UTC seconds."""


class Remote(Protocol):
    """The cached contents that one key or project has at one server.

    Every method sends at least one request and waits for the answer; all may be called
    from many threads, and each raises `RemoteError`.
    """

    scope: str
    """Whose and where, without secrets: equal for two clients that see the same."""
    host: Literal["developer", "vertex"]

    def create(
        self,
        model: str,
        members: Mapping[str, Any],
        *,
        seconds: float,
        display_name: str,
    ) -> Held:
        """Create a cached content that lives so many seconds.

        Args:
            model: The model, with or without its path.
            members: What it holds, as the wire has it.
            seconds: How long from now.
            display_name: At most 128 characters.
        """
        ...

    def get(self, name: str) -> Held:
        """Return what there is under a name."""
        ...

    def listed(self) -> Iterator[Held]:
        """Yield all that there are; whole pages are asked for on the way."""
        ...

    def extend(self, name: str, *, seconds: float) -> Held:
        """Let it live so many seconds from now."""
        ...

    def delete(self, name: str) -> None:
        """Delete it."""
        ...

    def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        ...


class RemoteError(PromptCacheError):
    """The provider refused something about a cached content, or did not answer.

    Its message holds the provider's words in short, never what was sent.
    """

    def __init__(self, status: int | None, message: str, *, kind: Kind) -> None:
        said = f" ({status})" if status else ""
        super().__init__(f"The cached content failed as {kind}{said}: {message}")
        self.status = status
        self.message = message
        self.kind = kind

    @classmethod
    def of(cls, status: int | None, message: str | None) -> "RemoteError":
        """Return the error of an answer with its whole words, None if unreadable."""
        said = shown(message) or "the answer says no more"
        return cls(status, said, kind=kind_of(status, message))


class GenaiRemote:
    """Cached contents through `google-genai`, signed in as another client is.

    It takes what it needs when it is made and keeps neither that client nor anything
    around it alive.
    """

    def __init__(self, api_client: Any) -> None:
        """Sign in as a client does; nothing is sent or opened yet.

        Args:
            api_client: What a `google.genai.Client` has as `_api_client`, 2.20 to 3.x.
        """
        is_vertex = bool(api_client.vertexai)
        self.host: Literal["developer", "vertex"] = (
            "vertex" if is_vertex else "developer"
        )
        options = own_options(api_client._http_options)  # noqa: SLF001
        project, location = api_client.project, api_client.location
        self._signed: dict[str, Any] = {
            "vertexai": is_vertex,
            "api_key": api_client.api_key,
            "http_options": options,
        }
        self._place = ""
        if is_vertex:
            self._signed["credentials"] = api_client._credentials  # noqa: SLF001
            self._signed |= {"project": project, "location": location}
            if project or location:
                self._place = f"projects/{project}/locations/{location}"
        who = f"{project}/{location}" if self._place else None
        key = _key(api_client.api_key, options.headers or {})
        self.scope = scope_of(self.host, who=who, key=key, server=options.base_url)
        # By process: a connection must not be used on both sides of a fork. A dict,
        # since its `setdefault` needs no lock that a fork could leave locked.
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
        body = {
            **members,
            "model": self._model(model),
            "ttl": _duration(seconds),
            "displayName": display_name,
        }
        return self._asked("post", "cachedContents", body, _read)

    def get(self, name: str) -> Held:
        """Return what there is under a name. Raises `RemoteError`."""
        return self._asked("get", _path(name), {}, _read)

    def listed(self) -> Iterator[Held]:
        """Yield all that there are. Raises `RemoteError`."""
        query: dict[str, Any] = {"pageSize": _PAGE_SIZE}
        while True:
            path = f"cachedContents?{urlencode(query)}"
            held, token = self._asked("get", path, {}, _page)
            yield from held
            if not token or token == query.get("pageToken"):
                return
            query["pageToken"] = token

    def extend(self, name: str, *, seconds: float) -> Held:
        """Let it live so many seconds from now. Raises `RemoteError`."""
        body: dict[str, Any] = {"ttl": _duration(seconds)}
        return self._asked("patch", _path(name), body, _read)

    def delete(self, name: str) -> None:
        """Delete it. Raises `RemoteError`."""
        self._asked("delete", _path(name), {}, lambda _nothing: None)

    def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        client = self._clients.pop(os.getpid(), None)
        if client is not None:
            client.close()

    def _asked(
        self,
        method: str,
        path: str,
        body: dict[str, Any],
        read: Callable[[Mapping[str, Any]], Answer],
    ) -> Answer:
        """Send one request; the SDK may write to the body, so it is a fresh one."""
        # Who has a client of the SDK has the SDK; nobody else gets here.
        from google.genai import errors  # noqa: PLC0415

        try:
            answer = self._connected().request(method, path, body)
            return read(_object(answer.body))
        except errors.APIError as error:
            failure = RemoteError.of(error.code, _words(error))
        except Exception as error:  # noqa: BLE001 - whatever the network raises
            failure = unanswered(error)
        # Outside of the handlers: the SDK's errors hold the request and the answer.
        raise failure

    def _connected(self) -> Any:
        process = os.getpid()
        client = self._clients.get(process)
        if client is None:
            made = own_client(self._signed)
            client = self._clients.setdefault(process, made)
            if client is not made:
                made.close()
        return client._api_client  # noqa: SLF001

    def _model(self, model: str) -> str:
        """Return a model's full name: Vertex AI caches for no shorter one."""
        if self.host == "developer":
            return model if "/" in model else f"models/{model}"
        if model.startswith("projects/"):
            return model
        if not model.startswith("publishers/"):
            model = f"publishers/google/models/{model.removeprefix('models/')}"
        return f"{self._place}/{model}" if self._place else model


def scope_of(
    host: Literal["developer", "vertex"],
    *,
    who: str | None = None,
    key: str | None,
    server: str | None,
) -> str:
    """Return whose cached contents a client sees and where, without any secret.

    Args:
        host: The API.
        who: Project and location, where there are any.
        key: What the client signs in with otherwise; a digest stands for it.
        server: The address; nothing stands for the provider's own.
    """
    if who is None:
        who = _digest(key) if key else "-"
    return f"{host}/{who}{_elsewhere(server or '')}"


def unanswered(error: Exception) -> RemoteError:
    """Return the error of a call without a usable answer; its words may be private."""
    return RemoteError.of(None, f"no usable answer: {type(error).__name__}")


def without_path(model: str) -> str:
    """Return a model's name alone."""
    return model.rpartition("/")[2]


def _elsewhere(server: str) -> str:
    parts = urlsplit(server if "//" in server else f"//{server}")
    name = parts.hostname or ""
    if not name or _OWN_SERVER.fullmatch(name):
        return ""
    port = f":{parts.port}" if parts.port else ""
    # A gateway may tell its users apart by a path, which may hold a token.
    path = parts.path.strip("/")
    return f"@{name}{port}" + (f"/{_digest(path)}" if path else "")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _key(api_key: str | None, headers: Mapping[str, str]) -> str:
    """Return what signs requests in: headers of the caller's go over the key."""
    given = {name.lower(): value for name, value in headers.items()}
    signed = (given.get("x-goog-api-key") or api_key, given.get("authorization"))
    return "\n".join(filter(None, signed))


def _path(name: str) -> str:
    return name if "/" in name else f"cachedContents/{name}"


def _duration(seconds: float) -> str:
    digits = f"{seconds:.3f}".rstrip("0").rstrip(".")
    return f"{digits}s"


def _object(body: str | None) -> Mapping[str, Any]:
    answer = orjson.loads(body) if body else {}
    if not isinstance(answer, Mapping):
        raise TypeError
    return answer


def _words(error: Any) -> str | None:
    """Return the provider's words; a page of something in between has none of them."""
    details = error.details
    said = details.get("error") if isinstance(details, Mapping) else None
    words = said.get("message") if isinstance(said, Mapping) else None
    return words if isinstance(words, str) else None


def _page(answer: Mapping[str, Any]) -> tuple[list[Held], str]:
    """Return what is on a page, and what names the next one."""
    held = []
    for item in answer.get("cachedContents") or ():
        try:
            held.append(_read(item))
        except (KeyError, TypeError, ValueError):
            # Whatever it is, it is nothing that was made here.
            continue
    return held, str(answer.get("nextPageToken") or "")


def _read(answer: Any) -> Held:
    if not isinstance(answer, Mapping):
        raise TypeError
    usage = answer.get("usageMetadata")
    counted = usage.get("totalTokenCount") if isinstance(usage, Mapping) else None
    return Held(
        name=str(answer["name"]),
        model=without_path(str(answer["model"])),
        display_name=str(answer.get("displayName") or ""),
        tokens=counted if isinstance(counted, int) else None,
        created_at=_seconds(answer["createTime"]),
        expires_at=_seconds(answer["expireTime"]),
    )


def _seconds(time: str) -> float:
    """Return a time of the wire, with up to nine digits, in UTC seconds."""
    found = _TIME.fullmatch(time)
    if found is None:
        raise ValueError
    day, hour, fraction, zone = found.groups()
    zone = "+00:00" if zone in "Zz" else zone
    whole = datetime.fromisoformat(f"{day}T{hour}{zone}").timestamp()
    return whole + float(fraction or 0)
