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
        "print('llama_index.llms.openai' in sys.modules)\n"
        "from llamaindex_promptcache import PromptCachedOpenAIResponses\n"
        "print('llama_index.llms.openai' in sys.modules)\n"
        "print('llama_index.llms.anthropic' in sys.modules)"
    )

    assert done.stdout.split() == ["False", "True", "False"], done.stderr


@pytest.mark.parametrize("missing", ["llama_index.core", "llama_index.llms.openai"])
@pytest.mark.parametrize("name", ["PromptCachedOpenAI", "PromptCachedOpenAIResponses"])
def test_missing_package(missing, name):
    """A missing package is one sentence with the command that installs it."""
    done = python(
        f"import sys; sys.modules[{missing!r}] = None\n"
        f"from llamaindex_promptcache import {name}"
    )
    *_, last = done.stderr.splitlines()

    assert last.startswith("ImportError: `PromptCachedOpenAI`")
    assert last.endswith("pip install 'promptcache[llamaindex-openai]'")


def test_twin_without_the_other_package():
    """Either package is enough for twins of its LLMs."""
    done = python(
        "import sys\n"
        "sys.modules['llama_index.llms.anthropic'] = None\n"
        "from llama_index.llms.openai import OpenAI\n"
        "from llamaindex_promptcache import prompt_cached\n"
        "print(type(prompt_cached(OpenAI(api_key='any'))).__name__)"
    )

    assert done.stdout.strip() == "PromptCachedOpenAI", done.stderr
