"""An HTTP request to OpenAI's APIs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
from starlette.requests import Request
from starlette.types import Scope

from promptcache.emulator.faults import Fault
from promptcache.emulator.ledger import LedgerRow
from promptcache.emulator.openai_service import OpenAIAsked
from promptcache.emulator.rules.openai_rejection import OpenAIRejectedError
from promptcache.emulator.rules.openai_turns import Api

__all__ = ["OpenAICall", "check_key"]

WORKSPACE_KEY = re.compile(r"ws-([^-]+)-")
HEADERS_OF_INTEREST = ("openai-beta", "openai-organization", "user-agent")
NO_FAULT = Fault()


@dataclass(slots=True)
class OpenAICall:
    """One HTTP request on its way through."""

    scope: Scope
    row: LedgerRow
    api: Api
    body: Mapping[str, Any] = field(default_factory=dict)
    conversation: str | None = None
    fault: Fault = NO_FAULT

    @property
    def headers(self) -> dict[str, str]:
        """What every answer carries."""
        return {"x-request-id": self.row.id, "openai-version": "2020-10-01"}

    @property
    def asked(self) -> OpenAIAsked:
        """The request, freed from how it was sent."""
        return OpenAIAsked(
            api=self.api,
            body=self.body,
            workspace=self.row.workspace,
            at=self.row.at,
            conversation=self.conversation,
        )

    @classmethod
    def of(cls, request: Request, api: Api, row: LedgerRow) -> "OpenAICall":
        """Return the call that a request makes, its body not read yet.

        A key `ws-NAME-...` belongs to the workspace NAME: the emulator's own
        convention.
        """
        headers = {
            name: request.headers[name]
            for name in HEADERS_OF_INTEREST
            if name in request.headers
        }
        found = WORKSPACE_KEY.match(_key(request))
        workspace = found[1] if found else "default"
        row = replace(row, path=request.url.path, headers=headers, workspace=workspace)
        return cls(request.scope, row, api)

    async def read(self, request: Request, *, versioned: bool = False) -> None:
        """Take in the body.

        Args:
            request: What was sent.
            versioned: Whether the query must name the API's version.

        Raises:
            OpenAIRejectedError: There is no key, no version, or no JSON object.
        """
        check_key(request)
        if versioned and not request.query_params.get("api-version"):
            msg = "The query must name an `api-version`."
            raise OpenAIRejectedError(msg, param="api-version")
        try:
            body = orjson.loads(await request.body())
        except orjson.JSONDecodeError as error:
            msg = "We could not parse the JSON body of your request."
            raise OpenAIRejectedError(msg) from error
        if not isinstance(body, dict):
            raise OpenAIRejectedError("The request body must be a JSON object.")
        deployment = request.path_params.get("deployment")
        self.body = body
        if deployment is not None and body.get("model") is None:
            self.body = {**body, "model": deployment}
        self.row = replace(
            self.row,
            model=str(self.body.get("model", "")),
            stream=bool(body.get("stream")),
            body=body,
        )
        named = request.headers.get("x-emulator-conversation")
        user = body.get("safety_identifier") or body.get("user")
        self.conversation = named or (str(user) if user else None)


def check_key(request: Request) -> None:
    """Refuse a client that does not sign in.

    Raises:
        OpenAIRejectedError: There is no key.
    """
    if not _key(request):
        raise OpenAIRejectedError("You didn't provide an API key.", status=401)


def _key(request: Request) -> str:
    """Return what the client signs in with; any of it is taken."""
    bearer = request.headers.get("authorization", "").removeprefix("Bearer")
    return bearer.strip() or request.headers.get("api-key", "")
