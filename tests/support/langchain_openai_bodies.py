"""Bodies of OpenAI's two APIs: without what caching adds, and what it has added."""

import re

OURS = {
    "prompt_cache_breakpoint",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "stream_options",
}
# The emulator counts its ids on, whoever asks.
IDS = re.compile(r"\b(call|chatcmpl|fc|msg|resp)_\w+")


def stripped(value):
    """Return a body as it was built: one part of plain text is its text again."""
    if isinstance(value, list):
        items = [stripped(item) for item in value]
        return items[0]["text"] if _is_plain_text(items) else items
    if isinstance(value, dict):
        return {key: stripped(item) for key, item in value.items() if key not in OURS}
    return without_ids(value)


def marks(value, path=""):
    """Return the places of a body's breakpoints, with the lifetimes they name."""
    found = {}
    if isinstance(value, list):
        for number, item in enumerate(value):
            found |= marks(item, f"{path}[{number}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "prompt_cache_breakpoint":
                found[path] = item.get("ttl")
            else:
                found |= marks(item, f"{path}.{key}" if path else key)
    return found


def without_ids(value):
    """Return a value with every id of the emulator's made the same."""
    if isinstance(value, str):
        return IDS.sub(r"\1", value)
    if isinstance(value, (list, tuple)):
        return type(value)(without_ids(item) for item in value)
    if isinstance(value, dict):
        return {key: without_ids(item) for key, item in value.items()}
    return value


def _is_plain_text(items):
    return (
        len(items) == 1
        and isinstance(items[0], dict)
        and items[0].keys() == {"type", "text"}
    )
