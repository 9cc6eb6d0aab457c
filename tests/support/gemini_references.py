"""The judge of references: every text that a request needs is there, or is held.

It knows requests only as they reached the emulator, and has no code of what sent them.
"""

import json
from collections import Counter

__all__ = ["REFUSED", "check_references", "reference", "texts_in"]

REFUSED = (400, 403, 404)
"""What a request gets whose cached content is gone: nobody has read it."""


def check_references(emulator, retrieved):
    """Check each request that asked a question for the documents it was asked with.

    Args:
        emulator: What the requests have reached.
        retrieved: Id and text of each document that was retrieved, by question.

    Returns:
        How many documents were sent in full, by reference, and in vain by reference.
    """
    made = {}
    for cache in emulator.caches:
        made.setdefault(cache.display_name, []).append(cache)
    held = {}
    counted = Counter()
    lacking = set()
    for row in emulator.ledger:
        if row.path.endswith("/cachedContents") and row.method == "POST":
            if row.status == 200:
                cache = made[row.body["displayName"]].pop(0)
                held[cache.name] = (cache, set(texts_in(row.body)))
            continue
        said = "\n".join(texts_in(row.body))
        question = max((it for it in retrieved if it in said), key=len, default=None)
        if question is None:
            continue
        lacking.discard(question)
        for name, text in retrieved[question].items():
            if text.strip() in said:
                counted["full"] += 1
                continue
            assert reference(name) in said, f"{name} is lost in {row.body}"
            cache, texts = held[row.body["cachedContent"]]
            kept = f"<document id={json.dumps(name)}>\n{text.strip()}\n</document>"
            assert kept in texts, f"{name} is not in {cache.name}"
            if row.status in REFUSED:
                counted["refused"] += 1
                lacking.add(question)
                continue
            assert row.at >= cache.created
            assert cache.deleted is None or row.at <= cache.deleted
            assert row.at < cache.expires
            counted["reference"] += 1
    # Whatever was refused was asked again, and then with all of its text.
    assert not lacking
    return counted


def reference(name):
    """Return what stands in place of a document."""
    return f"[The text of document {json.dumps(name)} is given above.]"


def texts_in(value):
    """Yield every string in a body."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from texts_in(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from texts_in(inner)
