"""LangChain's standard tests of chat models, on both APIs of OpenAI and on Azure."""

from collections.abc import Mapping
from typing import ClassVar

import pytest

pytest.importorskip("langchain_tests", reason="it needs langchain-tests")
pytest.importorskip("langchain_openai", reason="it needs langchain-openai")

import openai
from langchain_openai import AzureChatOpenAI, ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests
from standard_suites import Served

from langchain_promptcache import PromptCachedAzureChatOpenAI, PromptCachedChatOpenAI

MODEL = "gpt-6.1-sol"


@pytest.fixture(scope="session")
def pool():
    with openai.DefaultHttpxClient() as client:
        yield client


@pytest.fixture(scope="session")
async def async_pool():
    async with openai.DefaultAsyncHttpxClient() as client:
        yield client


@pytest.mark.filterwarnings(
    # What the stock classes say of these tests.
    "ignore:Received a Pydantic BaseModel V1 schema:UserWarning",
    "ignore:OpenAI may require a filename:UserWarning",
    "ignore:Pydantic serializer warnings:UserWarning",
)
class Suite(Served, ChatModelIntegrationTests):
    """The standard tests, with a model that takes breakpoints."""

    stock = ChatOpenAI
    cached = PromptCachedChatOpenAI
    stock_reads = False
    responses = False

    @property
    def chat_model_params(self):
        return {
            "model": MODEL,
            "api_key": "any",
            "base_url": f"{self.emulator.url}/v1",
            "use_responses_api": self.responses,
            "stream_usage": True,
        }

    @property
    def model_override_value(self):
        return "gpt-6-luna"


class ChatSuite(Suite):
    """On Chat Completions."""

    refused: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("test_image_tool_message", "test_pdf_tool_message"),
        "`ChatOpenAI` sends files in a tool's message, where the API takes text only",
    )


class TestStockChat(ChatSuite):
    how = "stock"


class TestClassChat(ChatSuite):
    how = "class"


class TestTwinChat(ChatSuite):
    how = "twin"


class TestStockResponses(Suite):
    how, responses = "stock", True


class TestClassResponses(Suite):
    how, responses = "class", True


class TestTwinResponses(Suite):
    how, responses = "twin", True


class AzureSuite(ChatSuite):
    """On Chat Completions of a deployment."""

    stock = AzureChatOpenAI
    cached = PromptCachedAzureChatOpenAI

    @pytest.fixture(autouse=True)
    def _pooled(self, pool, async_pool):
        # Each stock `AzureChatOpenAI` makes connections that it never closes.
        self.pools = {"http_client": pool, "http_async_client": async_pool}

    @property
    def chat_model_params(self):
        return {
            "model": MODEL,
            "api_key": "any",
            "azure_endpoint": self.emulator.url,
            "azure_deployment": MODEL,
            "api_version": "2026-10-01-preview",
            "use_responses_api": self.responses,
            "stream_usage": True,
            **self.pools,
        }


class TestStockAzure(AzureSuite):
    how = "stock"


class TestClassAzure(AzureSuite):
    how = "class"


class TestTwinAzure(AzureSuite):
    how = "twin"


class AzureResponsesSuite(AzureSuite):
    """On Responses of a deployment, which take files in a tool's message, too."""

    responses = True
    repeats = True
    refused: ClassVar[Mapping[str, str]] = {}


class TestStockAzureResponses(AzureResponsesSuite):
    how = "stock"


class TestClassAzureResponses(AzureResponsesSuite):
    how = "class"


class TestTwinAzureResponses(AzureResponsesSuite):
    how = "twin"
