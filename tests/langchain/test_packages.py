"""What is loaded when, and what is said where a partner package is not there."""

import subprocess
import sys
import textwrap

import pytest

PARTNERS = (
    "anthropic",
    "google.genai",
    "langchain_anthropic",
    "langchain_google_genai",
    "langchain_openai",
    "openai",
)


def run(script):
    subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)],
        check=True,
        timeout=60,
    )


def test_nothing_is_loaded_early():
    """The package, its handler and a model of nobody's load no partner package."""
    run(f"""
        import sys, warnings
        from langchain_core.language_models import FakeListChatModel
        from langchain_promptcache import PromptCacheCallbackHandler, prompt_cached

        handler = PromptCacheCallbackHandler(insert=True)
        FakeListChatModel(responses=["yes"], callbacks=[handler]).invoke("Hi.")
        assert len(handler.calls) == 1
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            prompt_cached(FakeListChatModel(responses=["yes"]))
        assert len(warned) == 1
        assert not sys.modules.keys() & set({PARTNERS!r})
    """)


@pytest.mark.parametrize(
    ("name", "package"),
    [
        pytest.param("PromptCachedChatAnthropic", "anthropic", id="anthropic"),
        pytest.param("PromptCachedChatOpenAI", "openai", id="openai"),
        pytest.param("PromptCachedAzureChatOpenAI", "openai", id="azure"),
    ],
)
def test_missing_package(name, package):
    """Where the partner package is missing, the error names the extra that has it."""
    run(f"""
        import sys
        sys.modules["langchain_{package}"] = None
        import langchain_promptcache
        try:
            langchain_promptcache.{name}
        except ImportError as error:
            assert "`{name}`" in str(error)
            assert "pip install 'promptcache[langchain-{package}]'" in str(error)
        else:
            raise AssertionError
    """)


@pytest.mark.parametrize(
    ("model", "other"),
    [
        pytest.param("ChatAnthropic", "openai", id="anthropic"),
        pytest.param("ChatOpenAI", "anthropic", id="openai"),
    ],
)
def test_one_package_alone(model, other):
    """A model of one partner package is cached where the other one is missing."""
    package = model.removeprefix("Chat").lower()
    run(f"""
        import sys
        sys.modules["langchain_{other}"] = None
        from langchain_{package} import {model}
        from langchain_promptcache import prompt_cached

        twin = prompt_cached({model}(model="any", api_key="key"))
        assert type(twin).__name__ == "PromptCached{model}"
    """)
