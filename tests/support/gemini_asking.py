"""Ways to ask through `google-genai`, and what was sent."""

from google.genai import types
from pydantic import BaseModel

from promptcache.emulator import ToolCall

MODEL = "gemini-3.8-flash"
LONG = "word " * 4000
HEAD = ("systemInstruction", "tools", "toolConfig")


class Weather(BaseModel):
    city: str


def get_weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"Sunny in {city}."


DECLARED = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(
            name="look_up",
            description="Look something up.",
            parameters_json_schema={
                "type": "object",
                "properties": {"query": {"type": "string"}},
            },
        )
    ]
)


def config(**fields):
    return types.GenerateContentConfig(system_instruction=LONG, **fields)


def asked(emulator):
    """Return the requests for answers that were accepted, oldest first."""
    rows = (row for row in emulator.ledger if "enerateContent" in row.path)
    return [row for row in rows if row.status == 200]


def is_like(receipt, row):
    """Tell whether a receipt says what the emulator billed."""
    usage = receipt.usage
    return (
        usage.input_tokens,
        usage.read_tokens,
        usage.written_tokens,
        usage.output_tokens,
    ) == (row.total_input_tokens, row.cache_read_input_tokens, 0, row.output_tokens)


def texts(answer):
    """Return the text of an answer or of the chunks of one."""
    chunks = answer if isinstance(answer, list) else [answer]
    return "".join(chunk.text or "" for chunk in chunks)


# Every way to ask, each as a function that returns the text of the answer.


def generate(client):
    return texts(
        client.models.generate_content(model=MODEL, contents="hello", config=config())
    )


def generate_long_name(client):
    name = f"publishers/google/models/{MODEL}" if client.vertexai else f"models/{MODEL}"
    return texts(
        client.models.generate_content(model=name, contents="hello", config=config())
    )


def with_a_dict(client):
    said = {"system_instruction": LONG, "temperature": 0.2, "max_output_tokens": 99}
    return texts(
        client.models.generate_content(model=MODEL, contents=["a", "b"], config=said)
    )


def stream(client):
    chunks = client.models.generate_content_stream(
        model=MODEL, contents="hello", config=config()
    )
    return texts(list(chunks))


def chat(client):
    session = client.chats.create(model=MODEL, config=config())
    return texts(session.send_message("hello")) + texts(session.send_message("more"))


def chat_stream(client):
    session = client.chats.create(model=MODEL, config=config())
    first = texts(list(session.send_message_stream("hello")))
    return first + texts(list(session.send_message_stream("more")))


def declared_tools(client):
    fields = config(
        tools=[DECLARED],
        tool_config=types.ToolConfig(
            function_calling_config=types.FunctionCallingConfig(mode="AUTO")
        ),
    )
    return texts(
        client.models.generate_content(model=MODEL, contents="hello", config=fields)
    )


def called_functions(client):
    return texts(
        client.models.generate_content(
            model=MODEL, contents="weather?", config=config(tools=[get_weather])
        )
    )


def called_functions_stream(client):
    chunks = client.models.generate_content_stream(
        model=MODEL, contents="weather?", config=config(tools=[get_weather])
    )
    return texts(list(chunks))


def structured(client):
    answer = client.models.generate_content(
        model=MODEL,
        contents="where?",
        config=config(response_schema=Weather, response_mime_type="application/json"),
    )
    assert isinstance(answer.parsed, Weather)
    return texts(answer)


def extra_body(client):
    options = types.HttpOptions(
        extra_body={
            "system_instruction": {"parts": [{"text": f"Be brief. {LONG}"}]},
            "generationConfig": {"temperature": 0.1},
        }
    )
    fields = config(http_options=options, temperature=0.9)
    return texts(
        client.models.generate_content(model=MODEL, contents="hello", config=fields)
    )


def raw(client):
    answer = client.models.generate_content(
        model=MODEL,
        contents="hello",
        config=config(should_return_http_response=True),
    )
    return answer.sdk_http_response.body


def several_candidates(client):
    fields = config(candidate_count=2)
    chunks = client.models.generate_content_stream(
        model=MODEL, contents="hello", config=fields
    )
    return texts(list(chunks))


WAYS = [
    generate,
    generate_long_name,
    with_a_dict,
    stream,
    chat,
    chat_stream,
    declared_tools,
    called_functions,
    called_functions_stream,
    structured,
    extra_body,
    raw,
    several_candidates,
]


async def agenerate(client):
    answer = await client.aio.models.generate_content(
        model=MODEL, contents="hello", config=config()
    )
    return texts(answer)


async def astream(client):
    chunks = await client.aio.models.generate_content_stream(
        model=MODEL, contents="hello", config=config()
    )
    return texts([chunk async for chunk in chunks])


async def achat(client):
    session = client.aio.chats.create(model=MODEL, config=config())
    first = texts(await session.send_message("hello"))
    return first + texts(await session.send_message("more"))


async def achat_stream(client):
    session = client.aio.chats.create(model=MODEL, config=config())
    chunks = await session.send_message_stream("hello")
    return texts([chunk async for chunk in chunks])


async def acalled_functions(client):
    answer = await client.aio.models.generate_content(
        model=MODEL, contents="weather?", config=config(tools=[get_weather])
    )
    return texts(answer)


async def astructured(client):
    answer = await client.aio.models.generate_content(
        model=MODEL,
        contents="where?",
        config=config(response_schema=Weather, response_mime_type="application/json"),
    )
    return texts(answer)


async def aextra_body(client):
    options = types.HttpOptions(extra_body={"labels": {"team": "a"}})
    answer = await client.aio.models.generate_content(
        model=MODEL, contents="hello", config=config(http_options=options)
    )
    return texts(answer)


ASYNC_WAYS = [
    agenerate,
    astream,
    achat,
    achat_stream,
    acalled_functions,
    astructured,
    aextra_body,
]


def order(emulator, way):
    """Have the emulator call a function first, if that is what a way is about."""
    if "called" in way.__name__:
        emulator.answers.push([ToolCall("get_weather", {"city": "Bonn"})])
