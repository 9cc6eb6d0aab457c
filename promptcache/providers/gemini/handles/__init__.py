"""The handles of cached contents, created, shared and ended under leases."""

from promptcache.providers.gemini.handles.book import Handles
from promptcache.providers.gemini.handles.creation import Creation

__all__ = ["Creation", "Handles"]
