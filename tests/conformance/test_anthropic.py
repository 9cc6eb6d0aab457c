"""LangChain's standard tests of chat models, on `ChatAnthropic` and what caches it."""

from collections.abc import Mapping
from typing import ClassVar

import pytest

pytest.importorskip("langchain_tests", reason="it needs langchain-tests")
pytest.importorskip("langchain_anthropic", reason="it needs langchain-anthropic")

from langchain_anthropic import ChatAnthropic
from langchain_tests.integration_tests import ChatModelIntegrationTests
from standard_suites import Served

from langchain_promptcache import PromptCachedChatAnthropic


@pytest.mark.filterwarnings(
    # JSON mode is another name of it there.
    "ignore:Unrecognized structured output method:UserWarning",
)
class Suite(Served, ChatModelIntegrationTests):
    """The standard tests, with a model that may be forced to use a tool."""

    stock = ChatAnthropic
    cached = PromptCachedChatAnthropic
    stock_writes = stock_reads = False
    refused: ClassVar[Mapping[str, str]] = {
        "test_audio_inputs": "`ChatAnthropic` takes no audio",
        "test_structured_output_pydantic_2_v1[json_schema]": (
            "`ChatAnthropic` makes no JSON schema of a class of Pydantic 1"
        ),
    }

    @property
    def chat_model_params(self):
        return {
            "model": "claude-sonnet-4-6",
            "api_key": "any",
            "base_url": self.emulator.url,
        }

    @property
    def model_override_value(self):
        return "claude-haiku-4-5"


class TestStock(Suite):
    how = "stock"


class TestClass(Suite):
    how = "class"


class TestTwin(Suite):
    how = "twin"
