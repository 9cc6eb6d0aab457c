"""What it means when Gemini refuses something that is about a cached content.

Rule 1: words are compared without case, spaces and signs: the two hosts write "cached
content", "CachedContent" and "therequest".
Rule 2: what was refused in unknown words is refused; only what passes by is busy.
Rule 3: what is shown of a refusal ends where it begins to quote.
"""

import re
from typing import Literal

__all__ = ["Kind", "kind_of", "minimum_in", "names_cache", "shown"]

Kind = Literal["gone", "too_small", "no_quota", "unsupported", "busy", "refused"]
"""What there is to do about a refusal.

`gone`: it is deleted, expired or another's: forget it. `too_small`: never try this
prefix again. `no_quota`: this key may not cache. `unsupported`: this model has no
cached contents. `busy`: try again later. `refused`: anything else, which stays.
"""

_FIRST_ERROR, _FIRST_SERVER_ERROR = 400, 500
_PASSING = frozenset({408, 425, 429})
_TOO_MANY = 429

# Sources of the words: measurements and reports on both hosts; where "assumed" is
# said, no source has any and these are likely ones.
_TOO_SMALL = re.compile(
    # Developer API, measured 2026-09-07; the second is Vertex AI's (adk-python#5847).
    r"cachedcontentistoosmall|mintotaltokencount|minimumtokencounttostartcaching"
)
_GONE = re.compile(
    # Developer API, measured: deleted, expired and another's are told alike.
    r"cachedcontentnotfound"
    # Vertex AI, reports of three projects.
    r"|notfoundcachedcontent"
    r"|cached?contents?[0-9a-z]{0,120}?(?:isnotfound|isexpired)"
    r"|invalidresourcestateforcache"
)
_UNSUPPORTED = re.compile(
    r"notsupportedforcreatecachedcontent"
    # Vertex AI, truefoundry/models#946.
    r"|publishermodel[0-9a-z]*?wasnotfound"
    # Assumed.
    r"|model[0-9a-z]{0,120}?doesnotsupport[0-9a-z]{0,40}?cach"
    r"|cach[0-9a-z]{0,60}?notsupported[0-9a-z]{0,40}?model"
)
_FREE_TIER = "totalcachedcontentstoragetokenspermodelfreetier"
_ANY_CACHE = re.compile(r"cached?content|(?:context|explicit|prompt)cach")

_NUMBER = r"(\d{1,3}(?:,\d{3})+|\d{1,9})(?!\d)"
_LIMIT = re.compile(rf"\blimit\s*[=:]\s*{_NUMBER}", re.IGNORECASE)
_MINIMUM = re.compile(
    r"(?:min[\s_]*total[\s_]*token[\s_]*count\s*[=:]"
    r"|minimum\s+token\s+count\s+to\s+start\s+caching\s+is)"
    rf"\s*{_NUMBER}",
    re.IGNORECASE,
)

_MOST_SHOWN = 200


def kind_of(status: int | None, message: str | None) -> Kind:
    """Return what a refusal to create, read, extend or delete means.

    Args:
        status: The HTTP status; None if no answer came.
        message: The provider's words, as many as there are.
    """
    words = _squashed(message)
    if status == _TOO_MANY and _FREE_TIER in words:
        return "busy" if _has_quota(message) else "no_quota"
    if not _is_settled(status):
        return "busy"
    if _TOO_SMALL.search(words):
        return "too_small"
    if _GONE.search(words):
        return "gone"
    return "unsupported" if _UNSUPPORTED.search(words) else "refused"


def names_cache(status: int | None, message: str | None) -> bool:
    """Tell whether a request was refused for the cached content that it named.

    It may be gone, of another model, or beside a field that it forbids. Words that are
    not known count if they speak of a cache: one more request costs less than an
    answer that never comes.
    """
    return _is_settled(status) and bool(_ANY_CACHE.search(_squashed(message)))


def minimum_in(message: str | None) -> int | None:
    """Return the fewest tokens of a cached content, if the refusal says so."""
    found = _MINIMUM.search(message or "")
    return _number(found[1]) if found else None


def shown(message: str | None) -> str:
    """Return as much of a refusal as may be shown: in short, and no value of a prompt.

    Values that a provider does not like stand in double quotes.
    """
    words = " ".join((message or "").split())
    told, quote, _ = words.partition('"')
    if quote:
        told = f"{told.rstrip()} ..."
    return told if len(told) <= _MOST_SHOWN else f"{told[:_MOST_SHOWN].rstrip()} ..."


def _is_settled(status: int | None) -> bool:
    """Tell whether asking again would be refused again."""
    if status is None or status in _PASSING:
        return False
    return _FIRST_ERROR <= status < _FIRST_SERVER_ERROR


def _has_quota(message: str | None) -> bool:
    found = _LIMIT.search(message or "")
    return found is not None and _number(found[1]) > 0


def _number(digits: str) -> int:
    return int(digits.replace(",", ""))


def _squashed(message: str | None) -> str:
    return re.sub(r"[^0-9a-z]+", "", (message or "").casefold())
