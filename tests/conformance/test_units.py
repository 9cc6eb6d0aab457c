"""LangChain's standard tests of what chat models do without sending anything."""

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

pytest.importorskip("langchain_tests", reason="it needs langchain-tests")
for _partner in ("anthropic", "google_genai", "openai"):
    pytest.importorskip(f"langchain_{_partner}", reason=f"it needs its {_partner} part")

from gemini_sdk import TRUST
from langchain_anthropic import ChatAnthropic
from langchain_core.load import dumpd, load
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_openai import AzureChatOpenAI, ChatOpenAI
from langchain_tests.unit_tests import ChatModelUnitTests
from standard_suites import Unserved

from langchain_promptcache import (
    PromptCachedAzureChatOpenAI,
    PromptCachedChatAnthropic,
    PromptCachedChatGoogleGenerativeAI,
    PromptCachedChatOpenAI,
)

TRUSTED = "client_args"


@pytest.mark.filterwarnings(
    # JSON mode is another name of it there.
    "ignore:Unrecognized structured output method:UserWarning",
)
class Anthropic(Unserved, ChatModelUnitTests):
    """The standard tests of units, on Claude."""

    stock = ChatAnthropic
    cached = PromptCachedChatAnthropic
    arguments: ClassVar[Mapping[str, Any]] = {"model": "claude-sonnet-4-6"}
    environment: ClassVar[Mapping[str, Any]] = {"ANTHROPIC_API_KEY": "a key"}
    read: ClassVar[Mapping[str, Any]] = {"anthropic_api_key": "a key"}


class OpenAI(Unserved, ChatModelUnitTests):
    """On GPTs."""

    stock = ChatOpenAI
    cached = PromptCachedChatOpenAI
    arguments: ClassVar[Mapping[str, Any]] = {"model": "gpt-6.1-sol"}
    environment: ClassVar[Mapping[str, Any]] = {
        "OPENAI_API_KEY": "a key",
        "OPENAI_ORG_ID": "a museum",
    }
    read: ClassVar[Mapping[str, Any]] = {
        "openai_api_key": "a key",
        "openai_organization": "a museum",
    }


class Azure(Unserved, ChatModelUnitTests):
    """On GPTs by a deployment."""

    stock = AzureChatOpenAI
    cached = PromptCachedAzureChatOpenAI
    arguments: ClassVar[Mapping[str, Any]] = {
        "model": "gpt-6.1-sol",
        "azure_deployment": "ours",
        "azure_endpoint": "http://127.0.0.1:9",
    }
    environment: ClassVar[Mapping[str, Any]] = {
        "AZURE_OPENAI_API_KEY": "a key",
        "OPENAI_API_VERSION": "2026-10-01",
    }
    read: ClassVar[Mapping[str, Any]] = {
        "openai_api_key": "a key",
        "openai_api_version": "2026-10-01",
    }


class Google(Unserved, ChatModelUnitTests):
    """On Gemini."""

    stock = ChatGoogleGenerativeAI
    cached = PromptCachedChatGoogleGenerativeAI
    arguments: ClassVar[Mapping[str, Any]] = {
        "model": "gemini-3.8-flash",
        TRUSTED: TRUST,
    }
    environment: ClassVar[Mapping[str, Any]] = {"GOOGLE_API_KEY": "a key"}
    read: ClassVar[Mapping[str, Any]] = {"google_api_key": "a key"}


class TestAnthropic(Anthropic):
    how = "class"


class TestAnthropicTwin(Anthropic):
    how = "twin"


class TestOpenAI(OpenAI):
    how = "class"


class TestOpenAITwin(OpenAI):
    how = "twin"


class TestAzure(Azure):
    how = "class"


class TestAzureTwin(Azure):
    how = "twin"


class TestGoogle(Google):
    how = "class"


class TestGoogleTwin(Google):
    how = "twin"


@pytest.mark.filterwarnings("ignore:The function `load` is in beta")
@pytest.mark.parametrize("suite", [Anthropic, OpenAI, Azure, Google])
def test_no_other_class_is_loaded(suite, monkeypatch):
    """`test_serdes` skips ours: LangChain loads no class that is not its own."""
    for name, value in suite.environment.items():
        monkeypatch.setenv(name, value)
    derived = type("Derived", (suite.stock,), {"__module__": __name__})
    said = {key: suite.arguments[key] for key in suite.arguments if key != TRUSTED}
    written = dumpd(derived(**said))

    with pytest.raises(ValueError, match=r"not allowed|Invalid"):
        load(written, allowed_objects="all", secrets_from_env=True)
