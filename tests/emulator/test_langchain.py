"""What LangChain's model asks of the emulated one."""

import pytest

pytest.importorskip("langchain_anthropic")

from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel, Field

from promptcache.emulator import ToolCall


@tool
def magic_function(number: int) -> int:
    """Apply magic to a number."""
    return number + 2


class Joke(BaseModel):
    """A joke to tell."""

    setup: str = Field(description="The question.")
    punchline: str = Field(description="The answer.")
    rating: int | None = None


@pytest.fixture
def model(emulator):
    return ChatAnthropic(
        # This model may be forced to use a tool, which newer ones may not.
        model="claude-haiku-4-5",
        base_url=emulator.url,
        api_key="any",
        max_retries=0,
        max_tokens=200,
    )


def test_a_tool_loop(model):
    """The tool is called for its name, and its result ends the loop."""
    bound = model.bind_tools([magic_function])
    question = HumanMessage("What is the value of magic_function(3)? Use the tool.")
    first = bound.invoke([question])
    (call,) = first.tool_calls
    result = ToolMessage("5", tool_call_id=call["id"])

    second = bound.invoke([question, first, result])

    assert (call["name"], call["args"]) == ("magic_function", {"number": 3})
    assert second.tool_calls == []


def test_a_streamed_tool_call(model):
    """Streamed arguments add up to the call."""
    bound = model.bind_tools([magic_function])
    whole = None
    for chunk in bound.stream("What is magic_function of 3?"):
        whole = chunk if whole is None else whole + chunk

    (call,) = whole.tool_calls
    assert call["args"] == {"number": 3}


@pytest.mark.parametrize("method", ["function_calling", "json_schema"])
def test_structured_output(model, method):
    """Both ways of structured output give a valid object."""
    structured = model.with_structured_output(Joke, method=method)

    assert isinstance(structured.invoke("Tell me a joke about cats."), Joke)


def test_usage_reaches_the_message(model, emulator):
    """What the ledger bills is what LangChain reports."""
    emulator.answers.push("Hi.")
    emulator.answers.push(ToolCall("magic_function", {"number": 1}))

    message = model.invoke("Hello " * 4000, cache_control={"type": "ephemeral"})
    called = model.bind_tools([magic_function]).invoke("Hello")

    row = emulator.ledger[0]
    assert message.usage_metadata["input_tokens"] == row.total_input_tokens
    details = message.usage_metadata["input_token_details"]
    assert details["ephemeral_5m_input_tokens"] == row.cache_creation_5m_input_tokens
    assert called.tool_calls[0]["args"] == {"number": 1}


async def test_async_streams(model):
    """Async streams are answered, with usage at the end."""
    whole = None
    async for chunk in model.astream("Hello"):
        whole = chunk if whole is None else whole + chunk

    assert whole.usage_metadata["output_tokens"] > 0
