"""What LangChain's model asks of the emulated one, over both APIs."""

import pytest

pytest.importorskip("langchain_openai")

from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel


@tool
def magic_function(number: int) -> int:
    """Apply magic to a number."""
    return number + 2


class Joke(BaseModel):
    """A joke to tell."""

    setup: str
    rating: int


@pytest.fixture(params=[False, True], ids=["chat", "responses"])
def model(request, emulator):
    return ChatOpenAI(
        model="gpt-5.6-sol",
        base_url=f"{emulator.url}/v1",
        api_key="any",
        max_retries=0,
        use_responses_api=request.param,
        stream_usage=True,
    )


def marked(text):
    part = {"type": "text", "text": text}
    return SystemMessage([{**part, "prompt_cache_breakpoint": {"mode": "explicit"}}])


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


def test_usage(model, emulator):
    """Reads and writes reach the framework as the ledger has them."""
    messages = [marked("s" * 8000), HumanMessage("Hello")]
    first = model.invoke(messages, prompt_cache_key="k")
    second = model.invoke(messages, prompt_cache_key="k")
    details = [it.usage_metadata["input_token_details"] for it in (first, second)]
    rows = emulator.ledger

    assert [row.total_input_tokens for row in rows] == [2006, 2006]
    assert details[0]["cache_creation"] == rows[0].cache_creation_input_tokens == 2006
    assert details[1]["cache_read"] == rows[1].cache_read_input_tokens == 2006


async def test_async_streams(model):
    """Async streams are answered, with usage at the end."""
    whole = None
    async for chunk in model.astream([marked("s" * 8000), HumanMessage("Hello")]):
        whole = chunk if whole is None else whole + chunk

    assert whole.text == "Understood. This is the emulator's answer."
    assert whole.usage_metadata["input_tokens"] == 2006


def test_a_streamed_tool_call(model):
    """Streamed arguments add up to the call."""
    whole = None
    for chunk in model.bind_tools([magic_function]).stream("magic_function of 3"):
        whole = chunk if whole is None else whole + chunk

    assert whole.tool_calls[0]["args"] == {"number": 3}


@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
def test_structured_output(model, emulator, method):
    """Each way to structured output is answered by its schema."""
    if method == "json_mode":
        emulator.answers.push('{"setup": "s", "rating": 7}')
    joke = model.with_structured_output(Joke, method=method).invoke("A joke rated 7")

    assert joke.rating == 7
