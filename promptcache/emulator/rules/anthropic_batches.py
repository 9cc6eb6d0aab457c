"""What a batch, and a request inside of one, may be.

Source: batch-processing and prompt-caching pages of the documentation; the texts of
these refusals are in no source.
"""

from collections.abc import Mapping
from typing import Any

from promptcache.emulator.rules.rejection import RejectedError

__all__ = ["check_batch", "check_params"]


def check_batch(body: Mapping[str, Any]) -> None:
    """Refuse what is no list of named requests.

    Raises:
        RejectedError: The batch as a whole is refused.
    """
    requests = body.get("requests")
    if not isinstance(requests, list) or not requests:
        raise RejectedError("requests: at least one request is required")
    for index, item in enumerate(requests):
        if not isinstance(item, Mapping):
            raise RejectedError(f"requests.{index}: Input should be an object")
        if not isinstance(item.get("custom_id"), str):
            raise RejectedError(f"requests.{index}.custom_id: Field required")
        if not isinstance(item.get("params"), Mapping):
            raise RejectedError(f"requests.{index}.params: Field required")
    names = [item["custom_id"] for item in requests]
    if len(set(names)) < len(names):
        raise RejectedError("requests: custom_id must be unique")


def check_params(params: Mapping[str, Any]) -> None:
    """Refuse what a single request may be and one of a batch may not.

    Raises:
        RejectedError: It streams, or it would only pre-warm.
    """
    if params.get("stream"):
        raise RejectedError("stream: cannot be true inside a batch")
    if params.get("max_tokens") == 0:
        raise RejectedError("max_tokens: cannot be 0 inside a batch")
