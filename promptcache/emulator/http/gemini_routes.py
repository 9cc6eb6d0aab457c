"""Where Gemini is served: by its Developer API and by Vertex AI."""

from collections.abc import Awaitable, Callable

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from promptcache.emulator.gemini_service import GeminiService
from promptcache.emulator.http.gemini import ModelsApi
from promptcache.emulator.http.gemini_caches import CachedContentsApi
from promptcache.emulator.http.gemini_calls import GeminiGuard
from promptcache.emulator.machine import Machine

__all__ = ["gemini_routes"]

DEVELOPER = ("/v1", "/v1beta", "/v1alpha")
VERTEX = ("/v1", "/v1beta1")
PLACE = "/projects/{project}/locations/{location}"
PUBLISHED = "/publishers/google/models/{model}"


def gemini_routes(machine: Machine) -> list[Route]:
    """Return the routes of both hosts, and of the emulator's own list of caches."""
    service, guard = GeminiService(machine), GeminiGuard(machine)
    models = ModelsApi(machine, service, guard)
    caches = CachedContentsApi(machine, service, guard)
    places = [f"{version}{PLACE}" for version in VERTEX]
    called = [
        *(f"{version}/models/{{model}}" for version in DEVELOPER),
        *(f"{place}{PUBLISHED}" for place in places),
    ]
    # One client asks after a model without saying where.
    described = [*called, *(f"{version}{PUBLISHED}" for version in VERTEX)]
    return [
        *(
            Route(f"{path}:{method}", endpoint, methods=["POST"])
            for path in called
            for method, endpoint in models.methods.items()
        ),
        *(Route(path, models.get, methods=["GET"]) for path in described),
        *(
            Route(f"{root}/cachedContents{path}", endpoint, methods=[method])
            for root in (*DEVELOPER, *places)
            for method, path, endpoint in caches.endpoints
        ),
        Route("/_emulator/caches", _caches(machine), methods=["GET"]),
    ]


def _caches(machine: Machine) -> Callable[[Request], Awaitable[Response]]:
    async def caches(_request: Request) -> Response:
        """Answer with every cached content and what its storage came to."""
        rows = machine.gemini.rows(machine.clock.now())
        body = orjson.dumps([row.as_dict() for row in rows])
        return Response(body, media_type="application/json")

    return caches
