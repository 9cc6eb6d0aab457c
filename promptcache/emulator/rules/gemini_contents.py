"""The life of a cached content: created, extended, used, and over.

Rule 1: all but its expiration is fixed when it is created, and of what it holds only
the count of tokens is ever told. Source: google-ai-generativelanguage 0.6.15.
Rule 2: it lives by the clock and not by its use. Source: `CLOUD` of the facts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

from promptcache.emulator.rules.gemini_prompt import Segment
from promptcache.emulator.rules.gemini_rejection import bad_value, expired, gone
from promptcache.emulator.rules.gemini_spelling import Body
from promptcache.emulator.rules.gemini_times import timestamp
from promptcache.providers.gemini.facts import Host

__all__ = [
    "CachedContent",
    "Contents",
    "billed_seconds",
    "content_name",
    "found",
    "page",
]

ID_LENGTH = 40
TEXTS = (b"text", b"thought")
TOLD = ("displayName", "model")


@dataclass(frozen=True, slots=True)
class CachedContent:
    """A prefix that the provider keeps under a name."""

    name: str
    host: Host
    body: Body
    """What was sent to create it, in one spelling."""
    segments: tuple[Segment, ...]
    """What it holds, rendered."""
    tokens: int
    """All tokens that it holds."""
    created: float
    updated: float
    expires: float
    deleted: float | None = None

    @property
    def model(self) -> str:
        """The model as it was named."""
        return str(self.body["model"])

    def live(self, now: float) -> bool:
        """Whether it can be used."""
        return self.deleted is None and now < self.expires

    def until(self, expires: float, *, now: float) -> "CachedContent":
        """Return it with another expiration."""
        return replace(self, expires=expires, updated=now)

    def emptied(self) -> "CachedContent":
        """Return what is to be known of it once its life is over."""
        kept = {name: self.body[name] for name in TOLD if name in self.body}
        return replace(self, body=kept, segments=())

    def resource(self) -> dict[str, Any]:
        """Return what the API says of it: never what it holds."""
        told = {
            "name": self.name,
            "model": self.model,
            "createTime": timestamp(self.created),
            "updateTime": timestamp(self.updated),
            "expireTime": timestamp(self.expires),
            "displayName": self.body.get("displayName") or "",
            "usageMetadata": self._usage(),
        }
        if "encryptionSpec" in self.body:
            told["encryptionSpec"] = self.body["encryptionSpec"]
        return told

    def _usage(self) -> dict[str, int]:
        usage = {"totalTokenCount": self.tokens}
        if self.host == "vertex":
            texts = (it.content for it in self.segments if it.lead in TEXTS)
            usage["textCount"] = sum(
                len(text.decode("utf-8", "surrogatepass")) for text in texts
            )
            images = sum(it.modality == "IMAGE" for it in self.segments)
            if images:
                usage["imageCount"] = images
        return usage


Contents = Mapping[str, CachedContent]
"""All that were created in one place, by name, those that are over included."""


def content_name(host: Host, parent: str, number: int) -> str:
    """Return a fresh name.

    Args:
        host: Who keeps it.
        parent: The project and location; empty on the Developer API.
        number: A number that no other name was made of.
    """
    digest = blake2b(b"%d" % number, digest_size=ID_LENGTH // 2)
    if host == "developer":
        return f"cachedContents/{digest.hexdigest()}"
    identity = int.from_bytes(digest.digest()[:8], "big") | 1 << 62
    return f"{parent}/cachedContents/{identity}"


def found(
    name: str, contents: Contents, *, host: Host, now: float, update: bool = False
) -> CachedContent:
    """Return a cached content that is live.

    Raises:
        GeminiRejectedError: It is not there, its time is over, or it is another's.
    """
    content = contents.get(name)
    if content is None or content.deleted is not None:
        raise gone(host, name, update=update)
    if not content.live(now):
        raise expired(host, name, update=update)
    return content


def billed_seconds(content: CachedContent, *, now: float, until: str) -> float:
    """Return for how long its storage is billed so far.

    Args:
        content: The cached content.
        now: The time.
        until: Whether a deletion ends the bill ("delete"), or what was asked for is
            owed then ("expiry").
    """
    if content.deleted is None:
        end = min(now, content.expires)
    else:
        end = content.expires if until == "expiry" else content.deleted
    return max(0.0, end - content.created)


def page(
    contents: Contents,
    *,
    size: object,
    token: object,
    now: float,
    usual: int,
    most: int,
) -> dict[str, Any]:
    """Return a page of those that are live, oldest first; an empty one is `{}`.

    Args:
        contents: All there are.
        size: How many the request asks for; more than the most is coerced to it.
        token: Where the previous page ended.
        now: The time.
        usual: How many there are on a page of a request that does not say.
        most: How many there are at most.

    Raises:
        GeminiRejectedError: The size is no number, or the token was never given.
    """
    try:
        wanted = int(str(size or 0))
    except ValueError as error:
        raise bad_value("page_size", "a number is expected") from error
    if wanted < 0:
        raise bad_value("page_size", "0 or more is expected")
    names = list(contents)
    if token and token not in names:
        raise bad_value("page_token", "it is not known")
    start = names.index(str(token)) + 1 if token else 0
    live = [name for name in names[start:] if contents[name].live(now)]
    taken = live[: min(wanted or usual, most)]
    told: dict[str, Any] = {}
    if taken:
        told["cachedContents"] = [contents[name].resource() for name in taken]
    if len(live) > len(taken):
        told["nextPageToken"] = taken[-1]
    return told
