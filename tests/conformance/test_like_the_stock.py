"""What a class says of itself, which standard tests and other tools go by."""

from inspect import signature

import pytest

pytest.importorskip("langchain_anthropic", reason="it needs langchain-anthropic")
pytest.importorskip("langchain_google_genai", reason="it needs langchain-google-genai")
pytest.importorskip("langchain_openai", reason="it needs langchain-openai")

from langchain_anthropic import ChatAnthropic
from langchain_core.runnables import RunnableBinding
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_openai import AzureChatOpenAI, ChatOpenAI

from langchain_promptcache import (
    PromptCachedAzureChatOpenAI,
    PromptCachedChatAnthropic,
    PromptCachedChatGoogleGenerativeAI,
    PromptCachedChatOpenAI,
    prompt_cached,
)

PAIRS = [
    pytest.param(ChatAnthropic, PromptCachedChatAnthropic, id="anthropic"),
    pytest.param(ChatOpenAI, PromptCachedChatOpenAI, id="openai"),
    pytest.param(AzureChatOpenAI, PromptCachedAzureChatOpenAI, id="azure"),
    pytest.param(
        ChatGoogleGenerativeAI, PromptCachedChatGoogleGenerativeAI, id="google"
    ),
]


@pytest.mark.parametrize("name", ["bind_tools", "with_structured_output"])
@pytest.mark.parametrize(("stock", "cached"), PAIRS)
def test_signatures(stock, cached, name):
    """A method takes what the stock class's takes, and says so, in derived classes."""
    theirs, ours = getattr(stock, name), getattr(cached, name)
    derived = type("Derived", (cached,), {"__module__": __name__})

    assert signature(ours) == signature(theirs)
    assert ours.__doc__ == theirs.__doc__
    assert ours.__name__ == name
    assert signature(getattr(derived, name)) == signature(theirs)


def test_a_method_of_the_callers_own():
    """A derived class's own method is called, and says of itself what it says."""

    class Derived(PromptCachedChatAnthropic):
        def bind_tools(self, tools, *, only=None):
            """Bind a tool."""
            return super().bind_tools(tools, tool_choice=only)

    class Further(Derived):
        pass

    model = Further(model="claude-sonnet-4-6", api_key="any")
    tool = {"name": "t", "description": "", "input_schema": {"type": "object"}}
    bound = model.bind_tools([tool], only="t")

    assert isinstance(bound, RunnableBinding)
    assert bound.kwargs["tool_choice"] == {"type": "tool", "name": "t"}
    assert Further.bind_tools is Derived.bind_tools
    assert list(signature(Further.bind_tools).parameters) == ["self", "tools", "only"]


def test_the_twin_of_a_derived_class():
    """A twin of a class of the caller's own shows that class's methods."""

    class Derived(ChatAnthropic):
        def bind_tools(self, tools, *, only=None):
            """Bind a tool."""
            return super().bind_tools(tools, tool_choice=only)

    twin = prompt_cached(Derived(model="claude-sonnet-4-6", api_key="any"))

    assert signature(type(twin).bind_tools) == signature(Derived.bind_tools)
