"""Which service tier a request is answered on.

Source: `openai` 3.54, `types/responses/service_tier.py` and the docstring of
`service_tier` in `types/chat/completion_create_params.py`.
"""

from collections.abc import Mapping

from promptcache.emulator.rules.openai_rejection import bad_value
from promptcache.emulator.rules.openai_turns import Api, Body

__all__ = ["check_tier", "tier_used"]

_SHARED = ("auto", "default", "flex", "scale", "priority", "fast")
TIERS: Mapping[Api, tuple[str, ...]] = {
    "chat": _SHARED,
    "responses": (*_SHARED, "ultrafast"),
}
# A project whose tier was never changed has the default one.
USED: Mapping[str, str] = {"auto": "default", "fast": "priority"}


def check_tier(api: Api, body: Body) -> None:
    """Refuse a tier that there is not.

    Raises:
        OpenAIRejectedError: The provider would refuse the request.
    """
    asked = body.get("service_tier")
    if asked is not None and asked not in TIERS[api]:
        raise bad_value("service_tier", asked, TIERS[api])


def tier_used(body: Body) -> str:
    """Return the tier that the answer names."""
    asked = str(body.get("service_tier") or "auto")
    return USED.get(asked, asked)
