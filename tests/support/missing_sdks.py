"""Conversations through the real SDKs, for the ways to miss in `missing`."""

from collections.abc import Callable
from typing import Any

from missing import spoken

from promptcache import MemoryStore, PromptCache, options

__all__ = ["ANTHROPIC", "GOOGLE", "MARKED", "WIRES", "sender"]

ANTHROPIC = ("claude-sonnet-5-5", "claude-opus-5-5")
MARKED = ("gpt-6.1-sol", "gpt-6-sol")
MATCHED = ("gpt-5.2", "gpt-5.4")
GOOGLE = ("gemini-3.8-flash", "gemini-2.5-pro")


def sender(wire: str, emulator: Any, **fields: Any) -> Any:
    """Return the `send` of a wire; its cache is `send.cache`."""
    cache = PromptCache(
        **{"clock": emulator.clock, "strict": True, "store": MemoryStore(), **fields}
    )
    return _Sender(cache, *WIRES[wire], emulator)


class _Sender:
    def __init__(self, cache: PromptCache, make: Any, models: Any, emulator: Any):
        self.cache = cache
        self._models = dict(zip(("usual", "other"), models, strict=True))
        self._ask = make(cache, emulator)

    def __call__(
        self, system: str, turns: Any, *, model: str = "usual", **said: Any
    ) -> Any:
        with options(**{"gemini_caches": False, **said}), self.cache.collect() as got:
            self._ask(self._models[model], system, spoken(turns))
        return got[-1]


def _anthropic(cache: PromptCache, emulator: Any) -> Callable[..., Any]:
    import anthropic  # noqa: PLC0415 - only where it is asked for

    client: Any = cache.attach(
        anthropic.Anthropic(api_key="any", base_url=emulator.url, max_retries=0)
    )

    def ask(model: str, system: str, turns: Any) -> Any:
        return client.messages.create(
            model=model,
            max_tokens=16,
            system=system,
            messages=[
                {"role": "user" if users else "assistant", "content": text}
                for users, text in turns
            ],
        )

    return ask


def _openai(cache: PromptCache, emulator: Any) -> Any:
    import openai  # noqa: PLC0415 - only where it is asked for

    return cache.attach(
        openai.OpenAI(api_key="any", base_url=f"{emulator.url}/v1", max_retries=0)
    )


def _chat(cache: PromptCache, emulator: Any) -> Callable[..., Any]:
    client = _openai(cache, emulator)

    def ask(model: str, system: str, turns: Any) -> Any:
        said = [
            {"role": "user" if users else "assistant", "content": text}
            for users, text in turns
        ]
        messages = [{"role": "system", "content": system}, *said]
        return client.chat.completions.create(model=model, messages=messages)

    return ask


def _responses(cache: PromptCache, emulator: Any) -> Callable[..., Any]:
    client = _openai(cache, emulator)

    def ask(model: str, system: str, turns: Any) -> Any:
        said = [
            {"role": "user" if users else "assistant", "content": text}
            for users, text in turns
        ]
        items = [{"role": "developer", "content": system}, *said]
        return client.responses.create(model=model, input=items)

    return ask


def _google(cache: PromptCache, emulator: Any) -> Callable[..., Any]:
    from gemini_sdk import client_of  # noqa: PLC0415 - only where it is asked for

    client = cache.attach(client_of(emulator.url))

    def ask(model: str, system: str, turns: Any) -> Any:
        contents = [
            {"role": "user" if users else "model", "parts": [{"text": text}]}
            for users, text in turns
        ]
        return client.models.generate_content(
            model=model, contents=contents, config={"system_instruction": system}
        )

    return ask


WIRES: dict[str, tuple[Callable[..., Any], tuple[str, str]]] = {
    "anthropic": (_anthropic, ANTHROPIC),
    "openai-chat": (_chat, MARKED),
    "openai-responses": (_responses, MARKED),
    "openai-prefix": (_chat, MATCHED),
    "google": (_google, GOOGLE),
}
