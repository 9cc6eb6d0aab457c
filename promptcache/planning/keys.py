"""The key under which requests that share a prefix come together.

Rule 1: a key is the same in every process and after every restart.
Rule 2: requests that can share a prefix have one key, split only where too many come.
Rule 3: the provider sees it, so it holds a digest, never a name.
"""

from hashlib import blake2b

from promptcache.options import CallOptions
from promptcache.outline import Outline
from promptcache.planning.past import Past
from promptcache.planning.slots import Rules

__all__ = ["cache_key", "conversation_digest"]

_PREFIX = "promptcache-"
_DIGEST_BYTES = 16


def cache_key(
    outline: Outline, *, rules: Rules, past: Past, options: CallOptions
) -> str | None:
    """Return the key of a request, or None if it is better sent without one.

    Where keys part caches, a tenant has one; else it is the digest of what the head
    begins with. A request without a head gets none: what it shares with others, if
    anything, the provider finds by itself.
    """
    if not rules.takes_key:
        return None
    if outline.trail is not None:
        # The caches of what the provider puts before are under that request's key.
        return outline.trail.key
    tenant = (options.tenant or "").encode("utf-8", "surrogatepass")
    if tenant and rules.tenant_key:
        return _PREFIX + _hex(b"tenant\0" + tenant)
    if not outline.head_key:
        return None
    key = _PREFIX + _hex(b"head\0" + outline.head_key + tenant)
    digest = conversation_digest(outline, options)
    shard = int.from_bytes(digest[:8], "big") % past.shards
    # The first shard goes on under the key of all, so that half of them stay where
    # they are when one becomes two.
    return f"{key}-{shard}" if shard else key


def conversation_digest(outline: Outline, options: CallOptions) -> bytes:
    """Return what all requests of a conversation have: its name, or its first turn."""
    name = options.conversation
    if name is None:
        return outline.opening_digest
    said = name.encode("utf-8", "surrogatepass")
    return blake2b(said, digest_size=_DIGEST_BYTES).digest()


def _hex(content: bytes) -> str:
    return blake2b(content, digest_size=_DIGEST_BYTES).hexdigest()
