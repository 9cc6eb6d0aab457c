"""Runs the Python of the docs' pages, in a process of its own.

Pages close nothing that they open, as an application that goes on would not; what they
leave to the collector is nobody's here.

    python docs_run.py PAGE...      # prints, for each page, what its blocks print
"""

import ast
import asyncio
import contextlib
import faulthandler
import inspect
import io
import json
import os
import sys
import tempfile
import traceback

from docs_pages import ROOT, blocks, parts, read
from docs_scenes import Filled, Made

from promptcache import defaults
from promptcache.emulator import Emulator

README = "README.md"
PATIENCE = 200
"""Seconds for all pages; on an idle machine it takes some ten."""


def text_of(page):
    return (ROOT / README).read_text(encoding="utf-8") if page == README else read(page)


def of_kind(page, kind):
    return [
        (block, text)
        for block in blocks(text_of(page))
        for found, text in parts(block)
        if found == kind
    ]


def run(text, page, made):
    """Run one block, and return what it prints."""
    tree = ast.parse(text)
    made.supply(tree)
    tree = ast.fix_missing_locations(Filled(page, made.names).visit(tree))
    made.supply(tree)
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        waiting = eval(compile(tree, page, "exec", flags=flags), made.names)
        if inspect.iscoroutine(waiting):
            asyncio.run(waiting)
    return out.getvalue()


def run_page(page, emulator):
    """Run the blocks of a page one after the other, as a reader would type them."""
    made, printed = Made(page, emulator), []
    for block, text in of_kind(page, "python"):
        try:
            printed.append((block.line, run(text, page, made)))
        except Exception:  # noqa: BLE001  whatever it is, the test shows it
            return {"line": block.line, "error": traceback.format_exc()}
    return {"printed": printed}


def main(pages):
    """Run pages on one emulator that each of them finds new."""
    # A page that waits for ever says where.
    faulthandler.dump_traceback_later(PATIENCE, exit=True)
    results = {}
    with Emulator() as emulator, tempfile.TemporaryDirectory() as folder:
        os.environ.update(
            {
                "ANTHROPIC_API_KEY": "emulated",
                "ANTHROPIC_BASE_URL": emulator.url,
                "GOOGLE_API_KEY": "emulated",
                "GOOGLE_GEMINI_BASE_URL": emulator.url,
                "OPENAI_API_BASE": f"{emulator.url}/v1",
                "OPENAI_API_KEY": "emulated",
                "OPENAI_BASE_URL": f"{emulator.url}/v1",
                "XDG_CACHE_HOME": folder,
            }
        )
        os.chdir(folder)
        for page in pages:
            defaults._made_cache.cache_clear()
            emulator.reset()
            results[page] = run_page(page, emulator)
        os.chdir(ROOT)
    json.dump(results, sys.stdout)
    sys.stdout.flush()
    # Clients that nobody closed are not waited for.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
