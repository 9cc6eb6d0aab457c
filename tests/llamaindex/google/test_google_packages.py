"""What is loaded when, and what is said of a package that is missing."""

import subprocess
import sys

import pytest


def python(code):
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        check=False,
    )


def test_partner_is_loaded_when_its_class_is_touched():
    """Nothing but a class itself loads its partner package, and that one alone."""
    done = python(
        "import sys\n"
        "from llamaindex_promptcache import prompt_cached, PromptCacheEvent\n"
        "print('google.genai' in sys.modules)\n"
        "from llamaindex_promptcache import PromptCachedGoogleGenAI\n"
        "print('llama_index.llms.google_genai' in sys.modules)\n"
        "print('llama_index.llms.openai' in sys.modules)\n"
        "print('llama_index.llms.anthropic' in sys.modules)"
    )

    assert done.stdout.split() == ["False", "True", "False", "False"], done.stderr


@pytest.mark.parametrize(
    "missing", ["llama_index.core", "llama_index.llms.google_genai", "google.genai"]
)
def test_missing_package(missing):
    """A missing package is one sentence with the command that installs it."""
    done = python(
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from llamaindex_promptcache import PromptCachedGoogleGenAI"
    )
    *_, last = done.stderr.splitlines()

    assert last.startswith("ImportError: `PromptCachedGoogleGenAI` needs")
    assert last.endswith("pip install 'promptcache[llamaindex-google]'")


@pytest.mark.parametrize(
    "name", ["prompt_cached", "PromptCacheEvent"], ids=["twin", "event"]
)
def test_missing_framework(name):
    """Where LlamaIndex itself is missing, each extra that brings it is named."""
    missing = (
        "llama_index.core" if name == "prompt_cached" else "llama_index_instrumentation"
    )
    done = python(
        f"import sys; sys.modules[{missing!r}] = None\n"
        f"from llamaindex_promptcache import {name}"
    )
    *_, last = done.stderr.splitlines()

    for extra in ("anthropic", "google", "openai"):
        assert f"'promptcache[llamaindex-{extra}]'" in last


def test_twin_without_the_other_packages():
    """Either package is enough for twins of its LLMs."""
    done = python(
        "import sys\n"
        "sys.modules['llama_index.llms.anthropic'] = None\n"
        "sys.modules['llama_index.llms.openai'] = None\n"
        "from llama_index.llms.google_genai import GoogleGenAI\n"
        "from llamaindex_promptcache import prompt_cached\n"
        "llm = GoogleGenAI(api_key='any', max_tokens=9, context_window=99)\n"
        "print(type(prompt_cached(llm)).__name__)"
    )

    assert done.stdout.strip() == "PromptCachedGoogleGenAI", done.stderr
