"""Runs scripts in forks of a process that has imported the frameworks already.

To import them takes longer than most scripts do. What a script does is what it would do
in a process of its own, but for what Python itself does at the very end of one.
"""

import multiprocessing
import os
import runpy
import sys
import warnings
from importlib.util import find_spec
from subprocess import CompletedProcess

__all__ = ["run_forked"]

FRAMEWORKS = (
    "deepagents",
    "langchain.agents",
    "langchain_anthropic",
    "langchain_google_genai",
    "langchain_openai",
    "llama_index.core",
    "llama_index.llms.anthropic",
    "llama_index.llms.google_genai",
    "llama_index.llms.openai",
    "promptcache.emulator",
)


def found(name):
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def run_forked(path, folder):
    """Return what a script did in a folder, and what it printed."""
    context = multiprocessing.get_context("forkserver")
    # What is imported when the first of them is asked for, by whatever test.
    context.set_forkserver_preload([it for it in FRAMEWORKS if found(it)])
    texts = [folder / "printed.txt", folder / "errors.txt"]
    process = context.Process(target=_run, args=(str(path), str(folder), *texts))
    process.start()
    process.join()
    out, errors = (it.read_text(encoding="utf-8") for it in texts)
    return CompletedProcess([str(path)], process.exitcode, out, errors)


def _run(path, folder, *texts):
    for stream, text in zip((sys.stdout, sys.stderr), texts, strict=True):
        file = os.open(text, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, stream.fileno())
        os.close(file)
    os.chdir(folder)
    sys.argv = [path]
    warnings.filterwarnings("error", category=DeprecationWarning, module="__main__")
    runpy.run_path(path, run_name="__main__")
