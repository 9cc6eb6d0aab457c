"""The wire forms of conversations that a test steers.

A conversation is legal as it is rendered here; only what its caller says of caching may
not be. Nothing here knows the planner or the judge.
"""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from fuzz_talks import Exchange, Talk

__all__ = ["WIRES", "Wire"]


class Wire:
    """How one API spells conversations and says what concerns its caches."""

    provider: str
    models: tuple[str, ...]
    ttls: tuple[str, ...] = ()
    policies: tuple[str, ...] = ("auto", "auto", "fixed", "off")
    forms: tuple[Any, ...] = ()
    """Markers of a caller, legal and not."""
    automatics: tuple[Any, ...] = ()
    fields: tuple[str, ...] = ()
    """Names of all that is no content."""
    refusal: tuple[str, str] = ("", "")
    """The field that a provider may not know, and what it says then."""
    statuses: tuple[int, int] = (400, 422)
    """What it answers with then."""

    def body(self, talk: Talk) -> dict[str, Any]:
        """Return the next request of a conversation, as a framework builds it."""
        body = deepcopy(self.render(talk))
        places = list(self.places(body))
        for place, form in talk.marks:
            if places:
                self.mark(places[place % len(places)], form)
        if talk.automatic is not None:
            body.update(deepcopy(talk.automatic))
        return body

    def render(self, talk: Talk) -> dict[str, Any]:
        """Return it without a word on caching."""
        raise NotImplementedError

    def places(self, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield whatever a caller may set a marker on, rightly or not."""
        raise NotImplementedError

    def mark(self, place: dict[str, Any], form: Any) -> None:
        """Set a marker."""
        place[self.fields[0]] = form

    def bare(self, value: Any) -> Any:
        """Return a body without markers, a single plain text block as its string."""
        if isinstance(value, list):
            made = [self.bare(it) for it in value]
            is_text = len(made) == 1 and isinstance(made[0], dict)
            kinds = ("text", "input_text")
            if is_text and set(made[0]) == {"type", "text"} and made[0]["text"]:
                return made[0]["text"] if made[0]["type"] in kinds else made
            return made
        if isinstance(value, dict):
            return {
                name: self.bare(it)
                for name, it in value.items()
                if name not in self.fields
            }
        return value


class Anthropic(Wire):
    """The Messages API."""

    provider = "anthropic"
    models = ("claude-sonnet-5-5", "claude-opus-5-5", "claude-haiku-4-5")
    ttls = ("5m", "1h")
    forms = (
        {"type": "ephemeral"},
        {"type": "ephemeral", "ttl": "5m"},
        {"type": "ephemeral", "ttl": "1h"},
        {"type": "ephemeral", "ttl": "2h"},
        {"type": "forever"},
        {"ttl": "5m"},
    )
    automatics = (
        {"cache_control": {"type": "ephemeral"}},
        {"cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"cache_control": {"type": "ephemeral", "ttl": "2h"}},
    )
    fields = ("cache_control",)
    refusal = ("cache_control", "cache_control: Extra inputs are not permitted")

    def render(self, talk: Talk) -> dict[str, Any]:
        """Return the body of a message."""
        messages: list[dict[str, Any]] = []
        pending: list[str] = []
        result = ""
        for it in talk.exchanges:
            content: list[dict[str, Any]] = [
                {"type": "tool_result", "tool_use_id": call, "content": result}
                for call in pending
            ]
            content += [_text(said) for said in it.question]
            if it.has_image:
                source = {"type": "url", "url": "https://example.com/i"}
                content.append({"type": "image", "source": source})
            plain = len(content) == 1 and not it.is_list
            messages.append(
                {"role": "user", "content": it.question[0] if plain else content}
            )
            pending, result = it.calls, it.result
            if it.answer is not None:
                said = [_text(it.answer)]
                called = [
                    {"type": "tool_use", "id": call, "name": "f0", "input": {"z": "x"}}
                    for call in it.calls
                ]
                whole: Any = [*said, *called] if called or it.is_list else it.answer
                messages.append({"role": "assistant", "content": whole})
        made: dict[str, Any] = {"model": talk.model, "max_tokens": 64}
        if talk.tools:
            made["tools"] = [
                {
                    "name": it["name"],
                    "description": it["description"],
                    "input_schema": it["schema"],
                }
                for it in talk.tools
            ]
        if talk.system:
            one = len(talk.system) == 1
            made["system"] = (
                talk.system[0] if one else [_text(said) for said in talk.system]
            )
        return {**made, "messages": messages}

    def places(self, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield tools, blocks and messages."""
        yield from body.get("tools", ())
        system = body.get("system", ())
        yield from () if isinstance(system, str) else system
        for message in body["messages"]:
            yield message
            if isinstance(message["content"], list):
                yield from message["content"]


class Chat(Wire):
    """Chat Completions."""

    provider = "openai"
    models = ("gpt-6.1-sol", "gpt-5.6-sol", "gpt-5.2", "gpt-4o")
    ttls = ("30m", "12h", "24h")
    policies = ("auto", "auto", "off")
    forms = (
        {"mode": "explicit"},
        {"mode": "explicit", "ttl": "30m"},
        {"mode": "explicit", "ttl": "12h"},
        {"mode": "implicit"},
        {"mode": "explicit", "ttl": "1h"},
        {"ttl": "30m"},
        "explicit",
    )
    automatics = (
        {"prompt_cache_key": "k" * 64},
        {"prompt_cache_key": "k" * 72},
        {"prompt_cache_options": {"mode": "explicit"}},
        {"prompt_cache_options": {"mode": "implicit", "ttl": "30m"}},
        {"prompt_cache_options": {"mode": "auto"}},
        {"prompt_cache_options": {"ttl": "5m"}},
        {"prompt_cache_retention": "24h"},
        {"prompt_cache_retention": "in_memory"},
    )
    fields = (
        "prompt_cache_breakpoint",
        "prompt_cache_options",
        "prompt_cache_key",
        "prompt_cache_retention",
    )
    refusal = (
        "prompt_cache_key",
        "Unrecognized request argument supplied: prompt_cache_key",
    )

    def render(self, talk: Talk) -> dict[str, Any]:
        """Return the body of a completion."""
        messages: list[dict[str, Any]] = [
            {"role": "system" if at else "developer", "content": said}
            for at, said in enumerate(talk.system)
        ]
        pending: list[str] = []
        result = ""
        for it in talk.exchanges:
            messages += [
                {"role": "tool", "tool_call_id": call, "content": result}
                for call in pending
            ]
            content: list[dict[str, Any]] = [_text(said) for said in it.question]
            if it.has_image:
                image = {"url": "https://example.com/i"}
                content.append({"type": "image_url", "image_url": image})
            plain = len(content) == 1 and not it.is_list
            messages.append(
                {"role": "user", "content": it.question[0] if plain else content}
            )
            pending, result = it.calls, it.result
            if it.answer is not None:
                said = {"role": "assistant", "content": it.answer}
                called = [
                    {
                        "id": call,
                        "type": "function",
                        "function": {"name": "f0", "arguments": "{}"},
                    }
                    for call in it.calls
                ]
                messages.append({**said, "tool_calls": called} if called else said)
        made: dict[str, Any] = {"model": talk.model, "messages": messages}
        if talk.tools:
            made["tools"] = [
                {"type": "function", "function": _declared(it)} for it in talk.tools
            ]
        return made

    def places(self, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield tools, messages, and the parts of messages."""
        for it in body.get("tools", ()):
            yield it
            yield it.get("function", it)
        for message in body.get("messages", body.get("input", ())):
            yield message
            for parts in (message.get("content"), message.get("output")):
                if isinstance(parts, list):
                    yield from parts


class Responses(Chat):
    """Responses, from the whole past or from an answer that is kept."""

    def render(self, talk: Talk) -> dict[str, Any]:
        """Return the body of a response."""
        follows = talk.answered is not None
        items: list[dict[str, Any]] = [
            {"role": "developer", "content": said} for said in talk.system[1:]
        ]
        if follows:
            items = []
        pending: list[str] = []
        result = ""
        for at, it in enumerate(talk.exchanges):
            if not follows or at >= talk.kept:
                items += [
                    {"type": "function_call_output", "call_id": call, "output": result}
                    for call in pending
                ]
                items.append(self._question(it))
            pending, result = it.calls, it.result
            if it.answer is not None and (not follows or at >= talk.kept):
                items.append({"role": "assistant", "content": it.answer})
                items += [
                    {
                        "type": "function_call",
                        "call_id": call,
                        "name": "f0",
                        "arguments": "{}",
                    }
                    for call in it.calls
                ]
        made: dict[str, Any] = {"model": talk.model, "input": items}
        if talk.system:
            made["instructions"] = talk.system[0]
        if talk.tools:
            made["tools"] = [{"type": "function", **_declared(it)} for it in talk.tools]
        if follows:
            made["previous_response_id"] = talk.answered
        return made

    def _question(self, it: Exchange) -> dict[str, Any]:
        parts: list[dict[str, Any]] = [
            {"type": "input_text", "text": said} for said in it.question
        ]
        if it.has_image:
            url = "https://example.com/i"
            image = {"type": "input_image", "image_url": url, "detail": "low"}
            parts.append(image)
        plain = len(parts) == 1 and not it.is_list
        return {"role": "user", "content": it.question[0] if plain else parts}


class Gemini(Wire):
    """`generateContent`; what a caller may say is the name of a cached content."""

    provider = "google"
    models = ("gemini-3.8-flash", "gemini-2.5-flash", "gemini-3.5-flash-lite")
    policies = ("auto", "auto", "off")
    refusal = ("cachedContent", "CachedContent not found (or permission denied)")
    statuses = (403, 404)

    def render(self, talk: Talk) -> dict[str, Any]:
        """Return the body of a request for content."""
        contents: list[dict[str, Any]] = []
        calls: list[str] = []
        result = ""
        for it in talk.exchanges:
            parts: list[dict[str, Any]] = [
                {"functionResponse": {"name": "f0", "response": {"output": result}}}
                for _ in calls
            ]
            parts += [{"text": said} for said in it.question]
            if it.has_image:
                image = {"fileUri": "https://example.com/i", "mimeType": "image/png"}
                parts.append({"fileData": image})
            contents.append({"parts": parts, "role": "user"})
            calls, result = it.calls, it.result
            if it.answer is not None:
                said: list[dict[str, Any]] = [{"text": it.answer}]
                said += [{"functionCall": {"name": "f0", "args": {}}} for _ in calls]
                contents.append({"parts": said, "role": "model"})
        made: dict[str, Any] = {"contents": contents}
        if talk.system:
            parts = [{"text": said} for said in talk.system]
            made["systemInstruction"] = {"parts": parts, "role": "user"}
        if talk.tools:
            named = [
                {
                    "name": it["name"],
                    "description": it["description"],
                    "parametersJsonSchema": it["schema"],
                }
                for it in talk.tools
            ]
            made["tools"] = [{"functionDeclarations": named}]
        return made

    def places(self, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield nothing: no part of a request is marked."""
        del body
        yield from ()

    def bare(self, value: Any) -> Any:
        """Return a body with its names spelled in one way, as the SDK has two."""
        if isinstance(value, list):
            return [self.bare(it) for it in value]
        if isinstance(value, dict):
            return {_camel(name): self.bare(it) for name, it in value.items() if it}
        return value


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def _text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


def _declared(it: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": it["name"],
        "description": it["description"],
        "parameters": it["schema"],
    }


WIRES = {
    "anthropic": Anthropic(),
    "chat": Chat(),
    "responses": Responses(),
    "gemini": Gemini(),
}
