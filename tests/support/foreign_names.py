"""What our code relies on in the packages of others that these do not promise.

A row says who has a name and how it is called; what relies on it is the test's to say.
"""

import importlib
import inspect
import warnings
from typing import NamedTuple

__all__ = ["ROWS", "Row", "lacking"]

_CALLS = ("self", "http_method", "path", "request_dict", "http_options")
_REQUEST = ("self", "cast_to", "options", "stream", "stream_cls")


class Row(NamedTuple):
    """Names that something of a distribution has."""

    package: str
    """The distribution."""
    user: str
    """The module of ours that relies on them, or the package of several."""
    owner: str
    """`module:Class`, or a module."""
    names: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    """What each is called with, from the first; empty where it is no function."""


def _rows(package, user, *told):
    return [Row(package, user, *one) for one in told]


_GENERATE = ("self", "messages", "stop", "run_manager")
_LLM_CLIENTS = ("_client", "_aclient")
_CHATS = ("_chat", "_achat", "_stream_chat", "_astream_chat")
_ENGINES = "llama_index.core.chat_engine"
_SERVICE = "google.ai.generativelanguage_v1beta.services.generative_service"

ROWS = [
    *_rows(
        "anthropic",
        "promptcache/providers/anthropic/seam.py",
        ("anthropic:Anthropic", ("with_middleware", "middleware")),
        ("anthropic:AsyncAnthropic", ("with_middleware", "middleware")),
        (
            "anthropic:Middleware",
            ("handle", "handle_async"),
            ("self", "request", "call_next"),
        ),
        (
            "anthropic._middleware:APIRequest",
            ("options", "stream", "retries_taken"),
        ),
        (
            "anthropic._models:FinalRequestOptions",
            (
                "extra_json",
                "headers",
                "idempotency_key",
                "json_data",
                "method",
                "post_parser",
                "url",
            ),
        ),
        (
            "anthropic._response:BaseAPIResponse",
            ("_options", "http_response", "retries_taken"),
        ),
        ("anthropic", ("Omit",)),
    ),
    *_rows(
        "anthropic",
        "promptcache/providers/streams.py",
        ("anthropic:Stream", ("_iterator", "close", "response")),
        ("anthropic:AsyncStream", ("_iterator", "close", "response")),
    ),
    *_rows(
        "anthropic",
        "promptcache/providers/anthropic/instrumented.py",
        ("anthropic._base_client:SyncAPIClient", ("request",), _REQUEST),
        ("anthropic._base_client:AsyncAPIClient", ("request",), _REQUEST),
    ),
    *_rows(
        "openai",
        "promptcache/providers/openai/seam.py",
        ("openai:OpenAI", ("copy", "with_options", "base_url")),
        ("openai:AsyncOpenAI", ("copy", "with_options", "base_url")),
        ("openai:OpenAI", ("_prepare_options",), ("self", "options")),
        ("openai:AsyncOpenAI", ("_prepare_options",), ("self", "options")),
        ("openai:OpenAI", ("_strict_response_validation",)),
        ("openai:AzureOpenAI", ("_azure_deployment", "_azure_endpoint")),
        ("openai:AsyncAzureOpenAI", ("_azure_deployment", "_azure_endpoint")),
        (
            "openai._models:FinalRequestOptions",
            ("extra_json", "json_data", "method", "post_parser", "url"),
        ),
        ("openai", ("APIResponseValidationError", "APIStatusError", "Omit")),
    ),
    *_rows(
        "openai",
        "promptcache/providers/streams.py",
        ("openai:Stream", ("_iterator", "close", "response")),
        ("openai:AsyncStream", ("_iterator", "close", "response")),
    ),
    *_rows(
        "openai",
        "promptcache/providers/openai/instrumented.py",
        ("openai._base_client:SyncAPIClient", ("request",), _REQUEST),
        ("openai._base_client:AsyncAPIClient", ("request",), _REQUEST),
    ),
    *_rows(
        "openai",
        "langchain_promptcache/chat_models/openai.py",
        ("openai.resources.chat:Completions", ("_client",)),
        ("openai.resources.chat:AsyncCompletions", ("_client",)),
    ),
    *_rows(
        "google-genai",
        "promptcache/providers/gemini/seam.py",
        (
            "google.genai._api_client:BaseApiClient",
            ("request", "request_streamed", "async_request", "async_request_streamed"),
            _CALLS,
        ),
        (
            "google.genai._api_client:BaseApiClient",
            ("_request_once", "_async_request_once"),
            ("self", "http_request"),
        ),
        (
            "google.genai._api_client:BaseApiClient",
            (
                "_credentials",
                "_http_options",
                "api_key",
                "location",
                "project",
                "vertexai",
            ),
        ),
        ("google.genai._api_client:HttpRequest", ("data",)),
        ("google.genai._common", ("recursive_dict_update",)),
        ("google.genai.types:HttpResponse", ("body",)),
        ("google.genai.errors:APIError", ("code", "message")),
        ("google.genai:Client", ("_api_client", "aio", "models")),
        ("google.genai.client:AsyncClient", ("_api_client", "models")),
        ("google.genai.models:Models", ("_api_client",)),
        ("google.genai.models:AsyncModels", ("_api_client",)),
    ),
    *_rows(
        "google-genai",
        "promptcache/providers/gemini/own_client.py",
        (
            "google.genai.types:HttpOptions",
            (
                "aiohttp_client",
                "async_client_args",
                "base_url",
                "client_args",
                "extra_body",
                "headers",
                "httpx_async_client",
                "retry_options",
                "timeout",
            ),
        ),
    ),
    *_rows(
        "google-generativeai",
        "promptcache/providers/gemini/seam_legacy.py",
        (
            "google.generativeai.generative_models:GenerativeModel",
            ("_client", "_async_client", "_prepare_request"),
        ),
        (
            "google.generativeai.client",
            (
                "_client_manager",
                "get_default_generative_async_client",
                "get_default_generative_client",
            ),
        ),
        (
            "google.generativeai.client:_ClientManager",
            ("client_config", "clients", "default_metadata"),
        ),
        ("google.generativeai.caching:CachedContent", ("_from_obj",)),
        (
            "google.ai.generativelanguage:GenerativeServiceClient",
            ("generate_content", "stream_generate_content"),
            ("self", "request", "model", "contents", "retry", "timeout", "metadata"),
        ),
        (
            "google.ai.generativelanguage:GenerativeServiceClient",
            ("_client_options", "api_endpoint", "transport"),
        ),
        (
            "google.ai.generativelanguage:GenerativeServiceAsyncClient",
            ("_client", "api_endpoint", "transport"),
        ),
        ("google.api_core.gapic_v1.method:_GapicCallable", ("_timeout",)),
        (
            f"{_SERVICE}.transports.base:GenerativeServiceTransport",
            ("_credentials", "_wrapped_methods"),
        ),
    ),
    *_rows(
        "langchain-core",
        "langchain_promptcache/chat_models/base.py",
        (
            "langchain_core.language_models:BaseChatModel",
            ("_generate", "_agenerate", "_stream", "_astream"),
            _GENERATE,
        ),
        (
            "langchain_core.language_models:BaseChatModel",
            ("_generate_with_cache", "_agenerate_with_cache"),
            _GENERATE,
        ),
        (
            "langchain_core.language_models:BaseChatModel",
            ("_get_llm_string",),
            ("self", "stop"),
        ),
        (
            "langchain_core.language_models:BaseChatModel",
            ("_convert_cached_generations",),
            ("self", "cache_val"),
        ),
        (
            "langchain_core.language_models:BaseChatModel",
            ("_get_ls_params", "_serialized"),
        ),
    ),
    *_rows(
        "langchain",
        "langchain_promptcache/twins.py",
        (
            "langchain.chat_models.base:_ConfigurableModel",
            ("_model", "_queued_declarative_operations", "bind", "with_config"),
        ),
    ),
    *_rows(
        "langchain",
        "langchain_promptcache/summarization.py",
        (
            "langchain.agents.middleware:SummarizationMiddleware",
            (
                "_acreate_summary",
                "_build_new_messages",
                "_create_summary",
                "_determine_cutoff_index",
                "_normalize_trigger",
                "_should_summarize",
                "_trigger_clauses",
            ),
        ),
    ),
    *_rows(
        "langchain-anthropic",
        "langchain_promptcache/chat_models/anthropic.py",
        ("langchain_anthropic:ChatAnthropic", ("_client", "_async_client")),
    ),
    *_rows(
        "langchain-openai",
        "langchain_promptcache/chat_models/openai.py",
        (
            "langchain_openai.chat_models.base:BaseChatOpenAI",
            ("async_client", "client", "root_async_client", "root_client"),
        ),
    ),
    *_rows(
        "langchain-google-genai",
        "langchain_promptcache/chat_models/google.py",
        ("langchain_google_genai:ChatGoogleGenerativeAI", ("client",)),
    ),
    *_rows(
        "llama-index-core",
        "llamaindex_promptcache/chat_engines.py",
        (
            f"{_ENGINES}:ContextChatEngine",
            (
                "_context_refine_template",
                "_context_template",
                "_get_response_synthesizer",
                "_llm",
                "_prefix_messages",
            ),
        ),
        (
            f"{_ENGINES}:CondensePlusContextChatEngine",
            (
                "_condense_prompt_template",
                "_context_prompt_template",
                "_context_refine_prompt_template",
                "_get_response_synthesizer",
                "_llm",
                "_skip_condense",
                "_system_prompt",
            ),
        ),
        (
            f"{_ENGINES}:CondensePlusContextChatEngine",
            ("_condense_question", "_acondense_question"),
            ("self", "chat_history", "latest_message"),
        ),
        (
            "llama_index.core.prompts:BasePromptTemplate",
            ("_map_all_vars",),
            ("self", "kwargs"),
        ),
    ),
    *_rows(
        "llama-index-instrumentation",
        "llamaindex_promptcache/llms/base.py",
        (
            "llama_index_instrumentation.dispatcher",
            ("DISPATCHER_SPAN_DECORATED_ATTR", "active_instrument_tags"),
        ),
    ),
    *_rows(
        "llama-index-llms-anthropic",
        "llamaindex_promptcache/llms/anthropic.py",
        ("llama_index.llms.anthropic:Anthropic", ("_get_all_kwargs", *_LLM_CLIENTS)),
    ),
    *_rows(
        "llama-index-llms-openai",
        "llamaindex_promptcache/llms/openai.py",
        ("llama_index.llms.openai:OpenAI", _CHATS, ("self", "messages")),
        (
            "llama_index.llms.openai:OpenAI",
            ("_get_aclient", "_get_client", "_get_model_kwargs", *_LLM_CLIENTS),
        ),
        ("llama_index.llms.openai:OpenAIResponses", _CHATS, ("self", "messages")),
        (
            "llama_index.llms.openai:OpenAIResponses",
            ("_get_model_kwargs", *_LLM_CLIENTS),
        ),
    ),
    *_rows(
        "llama-index-llms-google-genai",
        "llamaindex_promptcache/llms/google.py",
        ("llama_index.llms.google_genai:GoogleGenAI", _CHATS, ("self", "messages")),
        ("llama_index.llms.google_genai:GoogleGenAI", ("_client",)),
        (
            "llama_index.llms.google_genai:GoogleGenAI",
            ("_prepare_chat_with_tools",),
            ("self", "tools", "user_msg", "chat_history", "verbose"),
        ),
    ),
    *_rows(
        "openinference-instrumentation-llama-index",
        "llamaindex_promptcache/spans.py",
        (
            "openinference.instrumentation.llama_index._handler:_SpanHandler",
            ("_export_queue",),
        ),
        (
            "openinference.instrumentation.llama_index._handler:_Span",
            ("_otel_span", "_span_kind"),
        ),
    ),
    *_rows(
        "openinference-instrumentation",
        "promptcache/receipts/otel.py",
        (
            "openinference.instrumentation._spans:OpenInferenceSpan",
            ("_self_important_attributes",),
        ),
    ),
]


def lacking(row):
    """Return the first name of a row that is not as it is relied on, and how.

    Returns:
        The name and what is there instead, or None if all is there.
    """
    module, _, inner = row.owner.partition(":")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = importlib.import_module(module)
        owner = getattr(found, inner) if inner else found
    except (AttributeError, ImportError):
        return f"`{row.owner}` is not there"
    for name in row.names:
        if not _has(owner, name):
            return f"`{row.owner}` has no `{name}`"
        if row.arguments:
            taken = tuple(inspect.signature(getattr(owner, name)).parameters)
            if taken[: len(row.arguments)] != row.arguments:
                return f"`{row.owner}.{name}` takes {taken}, not {row.arguments}"
    return None


def _has(owner, name):
    """Tell whether something has a name, or its constructor gives it that."""
    if hasattr(owner, name):
        return True
    if not isinstance(owner, type):
        return False
    told = set()
    for kind in owner.__mro__:
        told |= {*inspect.get_annotations(kind)}
        # What methods of its own set; a constructor may leave that to others of them.
        functions = [it for it in vars(kind).values() if inspect.isfunction(it)]
        for function in functions:
            told |= _set_by(function)
    told |= {*getattr(owner, "__private_attributes__", ())}
    told |= {*getattr(owner, "model_fields", ())}
    return name in told


def _set_by(function):
    """Return the attributes that a function may set."""
    # Wrappers of decorators hide the code that they call.
    return set(inspect.unwrap(function).__code__.co_names)
