"""What is asked of every class, and what a class to be asked is."""

import ssl
from dataclasses import dataclass
from functools import cache
from typing import Any

__all__ = [
    "CLAUDE",
    "GEMINI",
    "GPT",
    "LONG_SYSTEM",
    "SYSTEM",
    "Subject",
    "by_name",
    "key",
    "trusted",
    "turns",
]

# Some 2,000 tokens, and 6,000 for Gemini, whose minimum is 4,096.
SYSTEM = "You are a careful clerk of a railway museum. " * 180
LONG_SYSTEM = "You are a careful clerk of a railway museum. " * 560
CLAUDE, GPT, GEMINI = "claude-sonnet-4-6", "gpt-6.1-sol", "gemini-3.8-flash"


@dataclass(frozen=True, slots=True)
class Subject:
    """A class, or an SDK with its client attached, and what it is asked by."""

    name: str
    provider: str
    make: Any
    """Takes a URL, a workspace, a cache or None, the seconds of the time-out and the
    number of retries; returns a model."""
    ways: Any
    """Functions of a model and questions and answers so far, by their names."""
    close: Any
    """Closes a model's connections; awaited."""


@cache
def trusted():
    """Return what each client would read from disk again."""
    return {"verify": ssl.create_default_context()}


def key(workspace):
    """Return an API key that names a workspace to the emulator."""
    return f"ws-{workspace}-key"


def by_name(*ways):
    """Return ways by their names."""
    return {way.__name__.lstrip("_"): way for way in ways}


def turns(talk, roles, part):
    """Return questions and answers as messages of an API."""
    return [
        {"role": roles[number % 2], **part(text)} for number, text in enumerate(talk)
    ]
