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

__all__ = ["OpenAICall"]

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

    async def read(self, request: Request) -> None:
        """Take in the body.

        Raises:
            OpenAIRejectedError: There is no key, or no JSON object.
        """
        if not _key(request):
            raise OpenAIRejectedError("You didn't provide an API key.", status=401)
        try:
            body = orjson.loads(await request.body())
        except orjson.JSONDecodeError as error:
            msg = "We could not parse the JSON body of your request."
            raise OpenAIRejectedError(msg) from error
        if not isinstance(body, dict):
            raise OpenAIRejectedError("The request body must be a JSON object.")
        self.body = body
        self.row = replace(
            self.row,
            model=str(body.get("model", "")),
            stream=bool(body.get("stream")),
            body=body,
        )
        named = request.headers.get("x-emulator-conversation")
        user = body.get("safety_identifier") or body.get("user")
        self.conversation = named or (str(user) if user else None)


def _key(request: Request) -> str:
    """Return what the client signs in with; any of it is taken."""
    bearer = request.headers.get("authorization", "").removeprefix("Bearer")
    return bearer.strip() or request.headers.get("api-key", "")
