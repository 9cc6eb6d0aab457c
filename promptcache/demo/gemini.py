"""What both frameworks need of Gemini's SDK, loaded only where Gemini is asked."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["failures", "look_up", "on_the_developer_api"]

NOT_FOUND = 404
OTHER_HOST = ("GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GENAI_USE_ENTERPRISE")


@contextmanager
def on_the_developer_api() -> Iterator[None]:
    """Make clients for the API that the key is for, whatever the environment says."""
    said = {it: os.environ.pop(it) for it in OTHER_HOST if it in os.environ}
    try:
        yield
    finally:
        os.environ.update(said)


def look_up(client: Any, model: str) -> None:
    """Ask for a model, which costs nothing; a gateway may not serve that.

    Raises:
        google.genai.errors.APIError: The provider refuses the key.
        httpx.HTTPError: It cannot be reached.
    """
    from google.genai.errors import ClientError  # noqa: PLC0415 - see above

    try:
        client.models.get(model=model)
    except ClientError as error:
        if error.code != NOT_FOUND:
            raise


def failures() -> tuple[type[Exception], ...]:
    """Return what the SDK raises where a request fails."""
    import httpx  # noqa: PLC0415 - see above
    from google.genai.errors import APIError  # noqa: PLC0415

    return (APIError, httpx.HTTPError)
