"""All endpoints as one ASGI application."""

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from promptcache.emulator.anthropic_messages import error_body
from promptcache.emulator.anthropic_service import AnthropicService
from promptcache.emulator.control import control_routes
from promptcache.emulator.http.anthropic import MessagesApi
from promptcache.emulator.http.batches import BatchesApi
from promptcache.emulator.http.dropping import Dropping
from promptcache.emulator.http.gemini_routes import gemini_routes
from promptcache.emulator.http.openai import OpenAIApi
from promptcache.emulator.machine import Machine

__all__ = ["build_app"]

MESSAGES = "/v1/messages"
VERTEX = "/v1/projects/{project}/locations/{location}/publishers/anthropic/models"
BEDROCK = "/model/{model:path}/invoke"
AZURE = "/openai"


def build_app(machine: Machine) -> ASGIApp:
    """Return the application that serves a machine."""
    request_ids = machine.ids("req")

    async def unknown(request: Request, _error: Exception) -> Response:
        body = error_body("not_found_error", request.url.path, next(request_ids))
        return Response(
            orjson.dumps(body), status_code=404, media_type="application/json"
        )

    app = Starlette(
        routes=[
            *_anthropic_routes(machine),
            *_openai_routes(machine),
            *gemini_routes(machine),
            *control_routes(machine),
        ],
        exception_handlers={404: unknown},
    )
    return Dropping(app)


def _anthropic_routes(machine: Machine) -> list[Route]:
    service = AnthropicService(machine)
    messages = MessagesApi(machine, service)
    batches = BatchesApi(machine, service)
    batch = f"{MESSAGES}/batches/{{id}}"
    return [
        Route(MESSAGES, messages.create, methods=["POST"]),
        Route(f"{MESSAGES}/count_tokens", messages.count_tokens, methods=["POST"]),
        Route(f"{MESSAGES}/batches", batches.create, methods=["POST"]),
        Route(batch, batches.retrieve, methods=["GET"]),
        Route(f"{batch}/results", batches.results, methods=["GET"]),
        Route(
            f"{VERTEX}/count-tokens:rawPredict",
            messages.vertex_count_tokens,
            methods=["POST"],
        ),
        Route(f"{VERTEX}/{{model}}:rawPredict", messages.vertex, methods=["POST"]),
        Route(
            f"{VERTEX}/{{model}}:streamRawPredict", messages.vertex, methods=["POST"]
        ),
        Route(BEDROCK, messages.bedrock, methods=["POST"]),
        Route(f"{BEDROCK}-with-response-stream", messages.bedrock, methods=["POST"]),
    ]


def _openai_routes(machine: Machine) -> list[Route]:
    """Return the routes with and without `/v1`, as base URLs have it or not."""
    api = OpenAIApi(machine)
    endpoints = {
        "/chat/completions": api.chat,
        "/responses": api.responses,
        "/responses/input_tokens": api.input_tokens,
    }
    return [
        *(
            Route(f"{root}{path}", endpoint, methods=["POST"])
            for root in ("/v1", "", f"{AZURE}/v1")
            for path, endpoint in endpoints.items()
        ),
        Route(
            f"{AZURE}/deployments/{{deployment}}/chat/completions",
            api.azure_chat,
            methods=["POST"],
        ),
        Route(f"{AZURE}/responses", api.azure_responses, methods=["POST"]),
        *(
            Route(f"{root}/responses/{{id}}", api.retrieve, methods=["GET"])
            for root in ("/v1", "", f"{AZURE}/v1", AZURE)
        ),
    ]
