"""What is loaded when, and what is said where LangChain's package is not there."""

import subprocess
import sys
import textwrap
from importlib.metadata import requires

import pytest


def run(script):
    subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)],
        check=True,
        timeout=60,
    )


def test_nothing_is_loaded_early():
    """The package itself, and a model of somebody else, load nothing of Google's."""
    run("""
        import sys, warnings
        from langchain_core.language_models import FakeListChatModel
        from langchain_promptcache import prompt_cached

        assert "PromptCachedChatGoogleGenerativeAI" in dir(sys.modules[
            "langchain_promptcache"])
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            prompt_cached(FakeListChatModel(responses=["yes"]))
        assert len(warned) == 1
        theirs = {"langchain_google_genai", "google.genai", "google.generativeai"}
        assert not sys.modules.keys() & theirs
    """)


def test_class_loads_no_other_partner():
    """Touching the class loads Google's packages, and those of nobody else."""
    run("""
        import sys
        from langchain_promptcache import PromptCachedChatGoogleGenerativeAI

        others = {"anthropic", "langchain_anthropic", "langchain_openai", "openai"}
        assert not sys.modules.keys() & others
    """)


def test_missing_package():
    """Where LangChain's package is missing, the error names the extra that has it."""
    run("""
        import sys
        sys.modules["langchain_google_genai"] = None
        import langchain_promptcache
        try:
            langchain_promptcache.PromptCachedChatGoogleGenerativeAI
        except ImportError as error:
            assert "`PromptCachedChatGoogleGenerativeAI`" in str(error)
            assert "pip install 'promptcache[langchain-google]'" in str(error)
        else:
            raise AssertionError
    """)


@pytest.mark.parametrize("missing", ["langchain_anthropic", "langchain_openai"])
def test_one_package_alone(missing):
    """A Gemini is cached where the packages of others are missing."""
    run(f"""
        import sys
        sys.modules["{missing}"] = None
        from langchain_google_genai import ChatGoogleGenerativeAI
        from langchain_promptcache import prompt_cached

        twin = prompt_cached(ChatGoogleGenerativeAI(model="any", api_key="key"))
        assert type(twin).__name__ == "PromptCachedChatGoogleGenerativeAI"
    """)


def test_extra_is_ours():
    """The extra that the error names is one of this distribution."""
    wanted = 'extra == "langchain-google"'
    assert any(wanted in one.replace("'", '"') for one in requires("promptcache"))
