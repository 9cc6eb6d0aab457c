"""An HTTP request to the Messages API, read as its platform spells it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from promptcache.emulator.anthropic_service import Asked
from promptcache.emulator.faults import Fault
from promptcache.emulator.http.anthropic_events import encoded
from promptcache.emulator.http.event_stream import MEDIA_TYPE, framed
from promptcache.emulator.ledger import LedgerRow
from promptcache.emulator.rules.rejection import RejectedError
from promptcache.emulator.rules.settings import Settings

__all__ = ["BEDROCK", "DIRECT", "OK", "VERTEX", "Call", "Platform", "json_response"]

WORKSPACE_KEY = re.compile(r"ws-([^-]+)-")
HEADERS_OF_INTEREST = ("anthropic-beta", "anthropic-version", "user-agent")
ORGANIZATION = "00000000-0000-4000-8000-000000000000"
OK = 200
NO_FAULT = Fault()


@dataclass(frozen=True, slots=True)
class Platform:
    """How a platform spells requests and streams."""

    host: str | None
    """The host whose rules hold; None for the one in the settings."""
    version_in_body: bool
    """Whether the API's version and the betas stand in the body."""
    encoded: Callable[[Mapping[str, Any]], bytes] = encoded
    stream_type: str = "text/event-stream; charset=utf-8"


DIRECT = Platform(host=None, version_in_body=False)
VERTEX = Platform(host="vertex", version_in_body=True)
BEDROCK = Platform("bedrock", True, framed, MEDIA_TYPE)  # noqa: FBT003  # as above


@dataclass(slots=True)
class Call:
    """One HTTP request on its way through."""

    scope: Scope
    row: LedgerRow
    platform: Platform = DIRECT
    body: Mapping[str, Any] = field(default_factory=dict)
    betas: tuple[str, ...] = ()
    conversation: str | None = None
    host: str = "anthropic"
    fault: Fault = NO_FAULT

    @property
    def headers(self) -> dict[str, str]:
        """What every answer carries."""
        return {"request-id": self.row.id, "anthropic-organization-id": ORGANIZATION}

    @property
    def asked(self) -> Asked:
        """The request, freed from how it was sent."""
        return Asked(
            body=self.body,
            host=self.host,
            workspace=self.row.workspace,
            at=self.row.at,
            betas=self.betas,
            conversation=self.conversation,
        )

    @classmethod
    def of(
        cls, request: Request, platform: Platform, settings: Settings, row: LedgerRow
    ) -> "Call":
        """Return the call that a request makes, its body not read yet."""
        host = platform.host or settings.host
        headers = {
            name: request.headers[name]
            for name in HEADERS_OF_INTEREST
            if name in request.headers
        }
        scope = replace(settings, host=host).scope
        workspace = _sharers(request, scope)
        row = replace(row, path=request.url.path, headers=headers, workspace=workspace)
        return cls(request.scope, row, platform, host=host)

    async def read(self, request: Request, **fields: Any) -> None:
        """Take in the body.

        Args:
            request: What was sent.
            fields: What the platform says outside of the body.

        Raises:
            RejectedError: There is no key, or no JSON object.
        """
        if not _key(request):
            msg = "x-api-key header is required"
            raise RejectedError(msg, kind="authentication_error", status=401)
        try:
            body = orjson.loads(await request.body())
        except orjson.JSONDecodeError as error:
            msg = f"The request body is not valid JSON: {error}"
            raise RejectedError(msg) from error
        if not isinstance(body, dict):
            raise RejectedError("The request body must be a JSON object")
        body |= fields
        named = _beta_names(request.headers.get("anthropic-beta"))
        version = request.headers.get("anthropic-version")
        missing = "anthropic-version: header is required"
        if self.platform.version_in_body:
            named += _beta_names(body.pop("anthropic_beta", None))
            version = body.pop("anthropic_version", None)
            missing = "anthropic_version: Field required"
        self.betas = named
        self.body = body
        self.row = replace(
            self.row,
            model=str(body.get("model", "")),
            stream=bool(body.get("stream")),
            body=body,
        )
        self.conversation = _conversation(request, body)
        if not version:
            raise RejectedError(missing)


def json_response(
    body: Mapping[str, Any], *, headers: dict[str, str], status: int = OK
) -> Response:
    """Return a body as JSON."""
    return Response(
        orjson.dumps(body),
        status_code=status,
        headers=headers,
        media_type="application/json",
    )


def _key(request: Request) -> str:
    """Return what the client signs in with; any of it is taken."""
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
    return request.headers.get("x-api-key") or bearer


def _sharers(request: Request, scope: str) -> str:
    """Return the name of those who share a cache with this request.

    A key `ws-NAME-...` belongs to the workspace NAME: the emulator's own convention.
    """
    if scope == "organization":
        return "organization"
    if scope == "project":
        return str(request.path_params.get("project", "default"))
    found = WORKSPACE_KEY.match(_key(request))
    return found[1] if found else "default"


def _beta_names(value: object) -> tuple[str, ...]:
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list):
        return ()
    return tuple(str(name).strip() for name in names if str(name).strip())


def _conversation(request: Request, body: Mapping[str, Any]) -> str | None:
    named = request.headers.get("x-emulator-conversation")
    metadata = body.get("metadata")
    user = metadata.get("user_id") if isinstance(metadata, Mapping) else None
    return named or user
