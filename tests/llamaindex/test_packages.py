"""What is loaded when, and what is said of a package that is missing or too new."""

import subprocess
import sys
import warnings

import anthropic
import pytest
from llama_index.llms.anthropic import Anthropic

from llamaindex_promptcache import PromptCachedAnthropic, prompt_cached
from promptcache import PromptCacheError, UnsupportedClientError

FIX = r"pip install 'promptcache\[llamaindex-anthropic\]'"


def python(code):
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("code", "loaded"),
    [
        pytest.param("import llamaindex_promptcache", False, id="package"),
        pytest.param(
            "from llamaindex_promptcache import prompt_cached", False, id="twin"
        ),
        pytest.param(
            "from llamaindex_promptcache import PromptCacheEvent", False, id="event"
        ),
        pytest.param(
            "from llamaindex_promptcache import PromptCachedAnthropic", True, id="class"
        ),
    ],
)
def test_partner_is_loaded_when_its_class_is_touched(code, loaded):
    """Nothing but the class itself loads the partner package."""
    done = python(
        f"{code}\nimport sys; print('llama_index.llms.anthropic' in sys.modules)"
    )

    assert done.stdout.strip() == str(loaded), done.stderr


@pytest.mark.parametrize(
    ("missing", "name"),
    [
        ("llama_index.core", "prompt_cached"),
        ("llama_index_instrumentation", "PromptCacheEvent"),
        ("llama_index.core", "PromptCachedAnthropic"),
        ("llama_index.llms.anthropic", "PromptCachedAnthropic"),
    ],
)
def test_missing_package(missing, name):
    """A missing package is one sentence with the command that installs it."""
    done = python(
        f"import sys; sys.modules[{missing!r}] = None\n"
        f"from llamaindex_promptcache import {name}"
    )
    *_, last = done.stderr.splitlines()

    assert last.startswith("ImportError: `")
    assert "pip install 'promptcache[llamaindex-anthropic]'" in last


@pytest.mark.parametrize("version", ["1.0.0", "1.17.0", "2.12.0"])
def test_newer_sdk(version, monkeypatch, arguments, plain):
    """An SDK that LlamaIndex fails with is told of at construction, with the fix."""
    monkeypatch.setattr(anthropic, "__version__", version)
    with pytest.raises(PromptCacheError, match=FIX) as info:
        PromptCachedAnthropic(**arguments("cached"))

    assert version in str(info.value)
    assert "anthropic>=0.120,<1" in str(info.value)
    assert not isinstance(info.value, (ValueError, TypeError))
    with pytest.raises(UnsupportedClientError, match=FIX):
        prompt_cached(plain, strict=True)
    with pytest.warns(UserWarning, match=FIX):
        assert prompt_cached(plain) is plain


def test_nothing_is_patched(plain, cached, prompt):
    """LlamaIndex's own class and module have no trace of us."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cached.chat(prompt())

    assert Anthropic.chat is not PromptCachedAnthropic.chat
    assert type(plain) is Anthropic
    assert Anthropic.__module__ == "llama_index.llms.anthropic.base"
