"""Requests to the real API, or to a server that speaks as it does."""

from collections.abc import Mapping
from typing import Any, cast

import anthropic

from promptcache.errors import OptionError
from promptcache.providers.anthropic import ANTHROPIC
from promptcache.receipts.usage import Usage

__all__ = ["OFFICIAL", "Client"]

OFFICIAL = "api.anthropic.com"
"""The server whose answers are kept: what another one says is not the provider's."""


class Client:
    """Sends bodies with the key that the SDK finds in the environment."""

    def __init__(self, base_url: str | None = None) -> None:
        """Send nothing yet.

        Args:
            base_url: Where to send to; else where the SDK does.
        """
        self._client = anthropic.Anthropic(base_url=base_url)

    @property
    def is_official(self) -> bool:
        """Whether it is the provider itself that is asked."""
        return self._client.base_url.host == OFFICIAL

    def send(self, body: Mapping[str, Any]) -> Usage:
        """Send a body, and return the usage that was reported.

        Raises:
            OptionError: There is no key, or the request failed.
        """
        try:
            message = self._client.messages.create(**cast("Any", body))
        except (anthropic.AnthropicError, TypeError) as error:
            # A missing key is a `TypeError` of the SDK's.
            told = " ".join(str(error).split())
            raise OptionError("probe", told, "a request that is answered") from error
        return ANTHROPIC.usage(message.usage.model_dump())
