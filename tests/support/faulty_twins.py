"""How a call ends, so that two of them can be compared."""

import re

__all__ = ["ended"]

_IDS = re.compile(
    r"(req|msg|chatcmpl|resp)[_-]\w+|0x[0-9a-f]+|:\d{4,5}\b|ws-\w+-key"
    # What depends on the usage within an answer, which may differ.
    r"|received \d+ (bytes, expected|of) \d+|IncompleteRead\([^)]*\)"
    r"|(?<=Raw response: ).*|(?<=Unfinished stream: ).*",
    re.DOTALL,
)


async def ended(way, model, talk):
    """Return what a call ends with: its text, or what it raises and from what."""
    try:
        return "answer", await way(model, talk)
    except Exception as error:  # noqa: BLE001 - that is what is compared
        return "error", *_chain(error)


def _chain(error):
    told = [_one(error)]
    while (error := error.__cause__) is not None:
        told.append(type(error).__name__)
    return told


def _one(error):
    kind = f"{type(error).__module__}.{type(error).__qualname__}"
    status = getattr(error, "status_code", getattr(error, "code", None))
    shown = status if isinstance(status, int) else None
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    return kind, shown, _IDS.sub("…", str(error)), headers.get("retry-after")
