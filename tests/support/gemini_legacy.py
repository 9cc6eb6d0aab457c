"""Ways to ask through `google-generativeai`, over REST and over gRPC.

The emulator has no gRPC: a server in between asks it over REST, through the SDK itself.
"""

import copy
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

with warnings.catch_warnings():
    # It says on import that its support has ended.
    warnings.simplefilter("ignore")
    genai = pytest.importorskip(
        "google.generativeai", reason="google-generativeai is not installed"
    )

import grpc
from google.ai import generativelanguage as glm
from google.ai.generativelanguage_v1beta.services.generative_service import (
    transports,
)
from google.api_core.exceptions import GoogleAPICallError
from google.generativeai import client as configured

from promptcache.emulator import ToolCall

MODEL = "gemini-3.8-flash"
LONG = "word " * 4000
HEAD = ("systemInstruction", "tools", "toolConfig")

# It asks its kit for something by an older name, and closes no connection.
FORGIVEN = "ignore:The argument `including_default_value_fields`:DeprecationWarning"


def configure(url, **fields):
    """Tell the SDK where to ask; this is the line before the article's own."""
    options = {"api_endpoint": url, "api_key": "any"}
    genai.configure(**{"transport": "rest", "client_options": options, **fields})


@contextmanager
def as_before():
    """Leave what is configured in this process as it was."""
    manager = configured._client_manager
    kept = {name: copy.copy(value) for name, value in vars(manager).items()}
    try:
        yield
    finally:
        for client in manager.clients.values():
            if client.transport.kind == "rest":
                client.transport.close()
        vars(manager).update(kept)


@contextmanager
def bridge(url):
    """Serve gRPC in front of an emulator; yield the address."""
    options = {"api_endpoint": url, "api_key": "any"}
    rest = glm.GenerativeServiceClient(transport="rest", client_options=options)
    with ThreadPoolExecutor(4) as pool:
        server = grpc.server(pool, handlers=[_Bridge(rest)])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.stop(None).wait()
            rest.transport.close()


class _Bridge(grpc.GenericRpcHandler):
    def __init__(self, rest):
        self._rest = rest

    def service(self, details):
        method = details.method.rsplit("/", 1)[-1]
        if method == "CountTokens":
            kinds, answers = (glm.CountTokensRequest, glm.CountTokensResponse), False
        else:
            kinds = (glm.GenerateContentRequest, glm.GenerateContentResponse)
            answers = method.startswith("Stream")
        serve = grpc.unary_unary_rpc_method_handler
        ask = self._whole
        if answers:
            serve, ask = grpc.unary_stream_rpc_method_handler, self._chunks
        name = {"GenerateContent": "generate_content", "CountTokens": "count_tokens"}
        call = getattr(self._rest, name.get(method, "stream_generate_content"))
        return serve(
            lambda request, context: ask(call, request, context),
            request_deserializer=kinds[0].deserialize,
            response_serializer=kinds[1].serialize,
        )

    def _whole(self, call, request, context):
        try:
            return call(request, retry=None)
        except GoogleAPICallError as error:
            return self._refuse(error, context)

    def _chunks(self, call, request, context):
        try:
            yield from list(call(request, retry=None))
        except GoogleAPICallError as error:
            self._refuse(error, context)

    def _refuse(self, error, context):
        said = error.response.json()["error"]
        return context.abort(grpc.StatusCode[said["status"]], said["message"])


def over_grpc(address):
    """Have models of the SDK ask over gRPC, which the SDK does only with TLS."""
    made = transports.GenerativeServiceGrpcTransport(
        channel=grpc.insecure_channel(address)
    )
    client = glm.GenerativeServiceClient(transport=made)
    configured._client_manager.clients["generative"] = client
    return made


def over_grpc_asyncio(address):
    """The same for what is asynchronous; in the loop that is going to ask."""
    made = transports.GenerativeServiceGrpcAsyncIOTransport(
        channel=grpc.aio.insecure_channel(address)
    )
    client = glm.GenerativeServiceAsyncClient(transport=made)
    configured._client_manager.clients["generative_async"] = client
    return made


def get_weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"Sunny in {city}."


LOOK_UP = {
    "name": "look_up",
    "description": "Look something up.",
    "parameters": {
        "type": "OBJECT",
        "properties": {"query": {"type": "STRING"}},
        "required": ["query"],
    },
}


def model_of(**fields):
    return genai.GenerativeModel(MODEL, **{"system_instruction": LONG, **fields})


# Every way to ask, each as a function from what attaches to the text of the answer.


def generate(attached):
    return attached(model_of()).generate_content("hello").text


def stream(attached):
    chunks = attached(model_of()).generate_content("hello", stream=True)
    return "".join(chunk.text for chunk in chunks) + chunks.text


def resolved(attached):
    answer = attached(model_of()).generate_content(["a", "b"], stream=True)
    answer.resolve()
    return answer.text


def with_a_configuration(attached):
    model = attached(model_of(generation_config={"temperature": 0.2}))
    said = {"max_output_tokens": 99, "candidate_count": 1}
    return model.generate_content("hello", generation_config=said).text


def structured(attached):
    said = {"response_mime_type": "application/json", "response_schema": list[str]}
    model = attached(model_of(generation_config=said))
    return model.generate_content("which?").text


def with_an_image(attached):
    image = {"mime_type": "image/png", "data": bytes(range(256))}
    return attached(model_of()).generate_content(["what is it?", image]).text


def declared_tools(attached):
    model = attached(model_of(tools=[{"function_declarations": [LOOK_UP]}]))
    return model.generate_content(
        "hello", tool_config={"function_calling_config": {"mode": "AUTO"}}
    ).text


def chat(attached):
    session = attached(model_of()).start_chat()
    first = session.send_message("hello").text
    return first + session.send_message("more").text + str(len(session.history))


def chat_stream(attached):
    history = [{"role": "user", "parts": ["a"]}, {"role": "model", "parts": ["b"]}]
    session = attached(model_of()).start_chat(history=history)
    first = "".join(it.text for it in session.send_message("hello", stream=True))
    return first + "".join(it.text for it in session.send_message("more", stream=True))


def called_functions(attached):
    model = attached(model_of(tools=[get_weather]))
    session = model.start_chat(enable_automatic_function_calling=True)
    return session.send_message("weather?").text + str(len(session.history))


WAYS = [
    generate,
    stream,
    resolved,
    with_a_configuration,
    structured,
    with_an_image,
    declared_tools,
    chat,
    chat_stream,
    called_functions,
]


async def agenerate(attached):
    return (await attached(model_of()).generate_content_async("hello")).text


async def astream(attached):
    chunks = await attached(model_of()).generate_content_async("hello", stream=True)
    return "".join([chunk.text async for chunk in chunks]) + chunks.text


async def achat(attached):
    session = attached(model_of()).start_chat()
    first = (await session.send_message_async("hello")).text
    return first + (await session.send_message_async("more")).text


async def acalled_functions(attached):
    model = attached(model_of(tools=[get_weather]))
    session = model.start_chat(enable_automatic_function_calling=True)
    answer = await session.send_message_async("weather?")
    return answer.text + str(len(session.history))


ASYNC_WAYS = [agenerate, astream, achat, acalled_functions]


def order(emulator, way):
    """Have the emulator call a function first, if that is what a way is about."""
    if "called" in way.__name__:
        emulator.answers.push([ToolCall("get_weather", {"city": "Bonn"})])


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
