"""Whether a request for an answer would be accepted at all."""

from collections.abc import Collection, Mapping
from typing import Any

from promptcache.emulator.rules.gemini_rejection import (
    GeminiRejectedError,
    bad_value,
    beside_cached,
    not_served,
    required_contents,
    unknown_name,
)
from promptcache.emulator.rules.gemini_spelling import Body, camel
from promptcache.providers.gemini.facts import Host

__all__ = ["IN_CACHED", "bare", "check_contents", "check_names", "check_request"]

# Source: request types of google-genai 2.34 and 3.4 and google-generativeai 0.8.6.
KNOWN = frozenset(
    [
        "cachedContent",
        "contents",
        "continuationToken",
        "generationConfig",
        "labels",
        "model",
        "modelArmorConfig",
        "outputConfig",
        "safetySettings",
        "serviceTier",
        "store",
        "systemInstruction",
        "toolConfig",
        "tools",
    ]
)
IN_CACHED = ("systemInstruction", "tools", "toolConfig")
"""What a request that uses a cached content may not have of its own."""
CONTENT = frozenset(["parts", "role"])
DATA = (
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
)
# Older clients send results of functions in a role of their own.
ROLES = ("user", "model", "function")


def bare(model: str) -> str:
    """Return a model's name without its path."""
    return model.rsplit("/", 1)[-1]


def check_request(
    body: Body, model: str, *, host: Host, version: str, method: str
) -> None:
    """Refuse what the provider refuses, caches aside.

    Args:
        body: The request.
        model: The model as the path names it.
        host: Who was called.
        version: The version of the API in the path.
        method: What was called of the model.

    Raises:
        GeminiRejectedError: The provider would refuse the request.
    """
    check_names(body, KNOWN)
    if not bare(model).startswith("gemini-"):
        raise not_served(host, model, version=version, method=method)
    contents = body.get("contents")
    if contents is None or contents == []:
        raise required_contents(host)
    check_contents(body)
    config = body.get("generationConfig") or {}
    _expect("generation_config", config, Mapping, "an object is expected")
    limit = config.get("maxOutputTokens")
    if limit is not None and (not isinstance(limit, int) or limit < 1):
        raise bad_value("generation_config.max_output_tokens", "1 or more is expected")
    _expect("generation_config.stop_sequences", config.get("stopSequences"), list)
    for schema in ("responseSchema", "responseJsonSchema"):
        _expect(f"generation_config.{schema}", config.get(schema), Mapping)
    cached = body.get("cachedContent")
    _expect("cached_content", cached, str, "a string is expected")
    if cached and any(_given(body.get(name)) for name in IN_CACHED):
        raise beside_cached(host)


def check_names(value: Body, known: Collection[str], path: str = "") -> None:
    """Refuse fields that are not known at their place.

    Raises:
        GeminiRejectedError: There is such a field.
    """
    for name in value:
        if camel(str(name)) not in known:
            raise unknown_name(str(name), path)


def check_contents(body: Body) -> None:
    """Refuse contents, instructions and tools of another form.

    Raises:
        GeminiRejectedError: The provider would refuse them.
    """
    contents = body.get("contents")
    _expect("contents", contents, list)
    for index, content in enumerate(contents or ()):
        path = f"contents[{index}]"
        _check_content(content, path)
        if (content.get("role") or "user") not in ROLES:
            # Source: CLIProxyAPI#2791.
            raise GeminiRejectedError("Please use a valid role: user, model.")
        if not content.get("parts"):
            # Source: chatwise-releases#250.
            msg = f"* GenerateContentRequest.{path}.parts: contents.parts must not be "
            raise GeminiRejectedError(f"{msg}empty.\n")
    instruction = body.get("systemInstruction")
    if instruction is not None:
        _check_content(instruction, "system_instruction")
        for part in instruction.get("parts") or ():
            if "text" not in part:
                raise bad_value("system_instruction", "only text is supported")
    _check_tools(body)


def _check_content(content: Any, path: str) -> None:
    _need(path, content, Mapping, "an object is expected")
    check_names(content, CONTENT, path)
    parts = content.get("parts")
    _expect(f"{path}.parts", parts, list)
    for number, part in enumerate(parts or ()):
        _check_part(part, f"{path}.parts[{number}]")


def _check_part(part: Any, path: str) -> None:
    _need(path, part, Mapping, "an object is expected")
    found = [name for name in DATA if name in part]
    if not found:
        # Source: boldsoftware/sketch#68.
        raise GeminiRejectedError(
            f"* GenerateContentRequest.{path}.data: required oneof field 'data' must "
            "have one initialized field\n"
        )
    if len(found) > 1:
        raise bad_value(path, "oneof field 'data' is already set")
    name = found[0]
    _need(f"{path}.{name}", part[name], str if name == "text" else Mapping)


def _check_tools(body: Body) -> None:
    tools = body.get("tools")
    _expect("tools", tools, list)
    for index, tool in enumerate(tools or ()):
        path = f"tools[{index}]"
        _need(path, tool, Mapping, "an object is expected")
        declared = tool.get("functionDeclarations")
        _expect(f"{path}.function_declarations", declared, list)
        for number, function in enumerate(declared or ()):
            where = f"{path}.function_declarations[{number}]"
            _need(where, function, Mapping, "an object is expected")
            if not isinstance(function.get("name"), str) or not function["name"]:
                raise bad_value(f"{where}.name", "a name is required")
            for schema in ("parameters", "parametersJsonSchema"):
                _expect(f"{where}.{schema}", function.get(schema), Mapping)
    config = body.get("toolConfig")
    _expect("tool_config", config, Mapping, "an object is expected")
    path = "tool_config.function_calling_config"
    calling = (config or {}).get("functionCallingConfig")
    _expect(path, calling, Mapping, "an object is expected")
    allowed = (calling or {}).get("allowedFunctionNames")
    _expect(f"{path}.allowed_function_names", allowed, list)


def _expect(
    path: str, value: Any, kind: type[Any], what: str = "another type is expected"
) -> None:
    if value is not None:
        _need(path, value, kind, what)


def _need(
    path: str, value: Any, kind: type[Any], what: str = "another type is expected"
) -> None:
    if not isinstance(value, kind):
        raise bad_value(path, what)


def _given(value: object) -> bool:
    # A list of nothing is no field at all; an object of nothing is one.
    return value is not None and value != []
