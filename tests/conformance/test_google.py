"""LangChain's standard tests of chat models, on `ChatGoogleGenerativeAI`."""

import weakref
from collections.abc import Mapping
from typing import ClassVar

import pytest

pytest.importorskip("langchain_tests", reason="it needs langchain-tests")
pytest.importorskip("langchain_google_genai", reason="it needs langchain-google-genai")

from gemini_sdk import TRUST
from google.genai import Client
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_tests.integration_tests import ChatModelIntegrationTests
from standard_suites import Served

from langchain_promptcache import PromptCachedChatGoogleGenerativeAI


@pytest.fixture
async def note():
    """Return what is told of each model, to close its connections in the end."""
    made = []
    yield lambda model: made.append(weakref.ref(model))
    for reference in made:
        model = reference()
        if isinstance(getattr(model, "client", None), Client):
            await model.client.aio.aclose()


class Suite(Served, ChatModelIntegrationTests):
    """The standard tests; Gemini reports no writes."""

    stock = ChatGoogleGenerativeAI
    cached = PromptCachedChatGoogleGenerativeAI
    head = "You are a careful clerk of a railway museum. " * 560
    writes = False
    refused: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(
            (
                "test_invoke_with_model_override",
                "test_ainvoke_with_model_override",
                "test_stream_with_model_override",
                "test_astream_with_model_override",
            ),
            "`ChatGoogleGenerativeAI` takes no `model` for a call",
        ),
        "test_anthropic_inputs": (
            "`ChatGoogleGenerativeAI` takes no picture in Anthropic's form"
        ),
    }

    @property
    def chat_model_params(self):
        return {
            "model": "gemini-3.8-flash",
            "api_key": "any",
            "base_url": self.emulator.url,
            "client_args": TRUST,
        }

    @property
    def model_override_value(self):
        return "gemini-3.5-flash"


class TestStock(Suite):
    how = "stock"


class TestClass(Suite):
    how = "class"


class TestTwin(Suite):
    how = "twin"
