"""Every class that sends requests, stock and cached, and each way to ask it.

A subject makes a model in a workspace; a way asks it and returns its answer's text.
`FAULTS=all` has tests go through all ways of each.
"""

import os

from faulty_asked import Subject
from faulty_google_sdks import GOOGLE_SDKS
from faulty_langchain import LANGCHAIN
from faulty_llamaindex import LLAMAINDEX
from faulty_sdks import SDKS

__all__ = ["NAMED", "SUBJECTS", "Subject", "cells", "is_async", "is_stream"]

_WANTS_ALL = os.environ.get("FAULTS") == "all"

SUBJECTS = [*LANGCHAIN, *LLAMAINDEX, *SDKS, *GOOGLE_SDKS]
NAMED = {subject.name: subject for subject in SUBJECTS}


def cells(subjects, *, streams_only=False):
    """Return the names of subjects and of the ways in which tests ask them.

    Those are two of each subject, one whole and one streamed, by turns the first
    synchronous or the second: what answers are read by is shared by both. Under
    `FAULTS=all` they are all ways there are.

    Args:
        subjects: The subjects.
        streams_only: Leave out what does not stream, unless all are wanted.
    """
    found = []
    for number, subject in enumerate(subjects):
        ways = list(subject.ways)
        if not _WANTS_ALL:
            whole = [it for it in ways if not is_stream(it)]
            streamed = [it for it in ways if is_stream(it)]
            ways = [whole[number % len(whole)], streamed[(number + 1) % len(streamed)]]
            ways = ways[1:] if streams_only else ways
        found += [(subject.name, way) for way in ways]
    return found


def is_stream(way):
    """Tell from its name whether a way streams."""
    return "stream" in way


def is_async(way):
    """Tell from its name whether a way is asynchronous."""
    return way.startswith("a")
