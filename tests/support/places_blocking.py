"""What blocks an event loop while code of ours is on its stack, told instead of raised.

`blockbuster` raises where a loop would stand still. Here the call is let through as
well and told, so that one run tells of all, and is compared with the stock class's.
"""

from contextlib import contextmanager

import blockbuster

import langchain_promptcache
import llamaindex_promptcache
import promptcache
import promptcache.emulator

__all__ = ["no_blocking"]

OURS = [promptcache, langchain_promptcache, llamaindex_promptcache]


@contextmanager
def no_blocking(modules=OURS):
    """Raise in whoever blocks a running loop beneath code of ours, and tell of it."""
    told = []

    class ToldError(blockbuster.BlockingError):
        def __init__(self, func):
            super().__init__(func)
            told.append(func)

    raised = blockbuster.blockbuster.BlockingError
    blockbuster.blockbuster.BlockingError = ToldError
    # The emulator stands in for servers far away, and has a loop and thread of its own.
    watching = blockbuster.BlockBuster(modules, excluded_modules=[promptcache.emulator])
    # LlamaIndex and the SDKs ask for their own versions; so do their stock classes.
    versions = "importlib/metadata/__init__.py"
    for name in ("os.stat", "os.scandir", "os.listdir", "io.TextIOWrapper.read"):
        if name in watching.functions:
            watching.functions[name].can_block_in(
                versions, {"mtime", "search", "children", "read_text", "lookup"}
            )
    # Where log records go is up to the application.
    for name in ("io.TextIOWrapper.write", "io.BufferedWriter.write"):
        watching.functions[name].can_block_in("logging/__init__.py", {"emit"})
    watching.activate()
    try:
        yield told
    finally:
        watching.deactivate()
        blockbuster.blockbuster.BlockingError = raised
