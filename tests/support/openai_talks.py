"""Conversations with OpenAI's models, made at random, in the form of both APIs.

What is made is legal but for what the caller says of caching: breakpoints, options,
keys and retention that stand anywhere, in any number and form.
"""

import random
from typing import Any

__all__ = ["CACHING", "HOSTS", "MARK", "MATCHED", "MODELS", "Talk", "bare", "copied"]

MARK = "prompt_cache_breakpoint"
MARKED = ("gpt-6.1-sol", "gpt-6-luna", "gpt-5.6-sol")
MATCHED = ("gpt-5.2", "gpt-5.5", "gpt-4o", "gpt-9")
MODELS = (*MARKED, *MARKED, *MATCHED)
HOSTS = ("openai", "openai", "openai", "azure", "local", "bedrock", "azure-ptu")
CACHING = ("prompt_cache_key", "prompt_cache_options", "prompt_cache_retention")

_FORMS = (
    {"mode": "explicit"},
    {"mode": "explicit", "ttl": "30m"},
    {"mode": "explicit", "ttl": "12h"},
)
_ODD_FORMS = (
    {"mode": "implicit"},
    {"mode": "explicit", "ttl": "1h"},
    {"mode": "explicit", "type": "ephemeral"},
    {"ttl": "30m"},
    "explicit",
)
_OPTIONS = (
    {"mode": "explicit"},
    {"mode": "implicit"},
    {"ttl": "30m"},
    {"mode": "explicit", "ttl": "12h"},
    {"mode": "implicit", "ttl": "30m"},
    {},
)
_ODD_OPTIONS = (
    {"mode": "auto"},
    {"ttl": "5m"},
    {"mode": "explicit", "ttl": "24h"},
    {"ttl": 30},
)
_SCHEMA = {"type": "object", "properties": {"z": {}, "a": {}}}
_HEADS = 30


class Talk:
    """A conversation that grows by a question and an answer at a time."""

    def __init__(
        self, rng: random.Random, number: int, *, plain: bool = False, **fixed: Any
    ) -> None:
        """Begin one.

        Args:
            rng: Where chance comes from.
            number: Which conversation it is.
            plain: Whether the caller says nothing of caching, and no answer is forced.
            fixed: What is not left to chance: api, model, host, tools.
        """
        self.rng = rng
        self.number = number
        self.plain = plain
        self.api = fixed.get("api") or rng.choice(["chat", "responses"])
        self.model = fixed.get("model") or rng.choice(MODELS)
        self.host = fixed.get("host") or rng.choice(HOSTS)
        self.tenant = rng.choice([None, None, None, "acme", "zoo"])
        self.name = f"talk-{number}" if self.chance(0.3) else None
        lives = [None, None, None, None, "30m", "12h", "24h"]
        self.ttl = None if plain else rng.choice(lives)
        self.follows = self.api == "responses" and not plain and self.chance(0.3)
        """Whether the provider keeps what was said, and each request goes on from the
        last answer."""
        self.answered: list[dict[str, Any]] = []
        """The last answer, as items."""
        self.ids = 0
        self.pending: list[str] = []
        self.messages: list[dict[str, Any]] = []
        self.parameters: dict[str, Any] = {}
        # A few heads, so that conversations share them.
        self.head = random.Random(fixed.get("head", rng.randrange(_HEADS)))
        number_of_tools = fixed.get("tools", self.head.choice([0, 0, 1, 6]))
        self.tools = [self._tool(index) for index in range(number_of_tools)]
        self.system = self._system()

    def chance(self, share: float) -> bool:
        """Return whether something of that likelihood happens."""
        return self.rng.random() < share

    def words(self, most: int = 60) -> str:
        """Return text that is said only once."""
        return f"{self.rng.random():.9f} " + "word " * self.rng.randint(1, most)

    def grow(self) -> None:
        """Add what the model said, and what the user says to it."""
        if self.messages:
            self.messages.append(self._answer())
            self.answered = _items(self.messages[-1])
        self.messages += self._question()
        if not self.plain and self.chance(0.05):
            self._change()

    def body(self, *, caching: int = 0) -> dict[str, Any]:
        """Return the next request.

        Args:
            caching: How many breakpoints of the caller's stand on it; if any, options,
                key and retention may, too.
        """
        made = self._chat() if self.api == "chat" else self._responses()
        made = copied({"model": self.model, **made, **self.parameters})
        if not caching:
            return made
        odd = self.chance(0.1)
        for _ in range(caching):
            place = self.rng.choice(list(_places(made, anywhere=odd)))
            place[MARK] = self.rng.choice(_ODD_FORMS if odd else _FORMS)
        if self.chance(0.4):
            forms = _ODD_OPTIONS if self.chance(0.1) else _OPTIONS
            made["prompt_cache_options"] = dict(self.rng.choice(forms))
        if self.chance(0.1):
            made["prompt_cache_key"] = "k" * self.rng.choice([1, 64, 64, 72])
        if self.chance(0.1):
            kept = self.rng.choice(["24h", "24h", "in_memory"])
            made["prompt_cache_retention"] = kept
        return made

    def _change(self) -> None:
        """Change a parameter; most of them are part of the prefix."""
        effort = self.rng.choice(["low", "high"])
        schema = {"type": "json_schema", "name": "s", "schema": _SCHEMA}
        chat: list[dict[str, Any]] = [
            {"reasoning_effort": effort},
            {"response_format": {"type": "json_schema", "json_schema": schema}},
        ]
        other: list[dict[str, Any]] = [
            {"reasoning": {"effort": effort}},
            {"text": {"format": schema, "verbosity": "low"}},
        ]
        tier = {"service_tier": self.rng.choice(["flex", "auto", "default"])}
        found = chat if self.api == "chat" else other
        self.parameters |= self.rng.choice([*found, tier, {"temperature": 0}])

    def _tool(self, index: int) -> dict[str, Any]:
        size = self.head.choice([10, 300])
        return {
            "name": f"t{index}",
            "description": f"{self.head.random()} " + "x " * size,
            "parameters": _SCHEMA,
        }

    def _system(self) -> list[tuple[str, Any]]:
        found: list[tuple[str, Any]] = []
        for _ in range(self.head.choice([0, 1, 1, 3])):
            role = self.head.choice(["system", "developer"])
            size = self.head.choice([5, 900])
            said = f"{self.head.random()} " + "You help. " * size
            found.append((role, said if self.head.random() < 0.7 else [said, "More."]))
        return found

    def _answer(self) -> dict[str, Any]:
        self.pending = []
        calls = self.rng.choice([0, 0, 1, 1, 3]) if self.tools else 0
        for _ in range(calls):
            self.ids += 1
            self.pending.append(f"call_{self.number}_{self.ids}")
        said = self.words() if not calls or self.chance(0.4) else None
        split = self.chance(0.3)
        return {"role": "assistant", "said": said, "calls": self.pending, "list": split}

    def _question(self) -> list[dict[str, Any]]:
        results = [
            {
                "role": "tool",
                "call": name,
                "said": [self.words(120) for _ in range(self.rng.choice([1, 1, 3]))],
                "list": self.chance(0.3),
            }
            for name in self.pending
        ]
        self.pending = []
        if results and self.chance(0.7):
            return results
        many = 60 if self.chance(0.02) else self.rng.randint(1, 3)
        question = {
            "role": "user",
            "said": [self.words() for _ in range(many)],
            "image": self.chance(0.05),
            "list": self.chance(0.4),
        }
        later = []
        if self.chance(0.05):
            later = [{"role": "developer", "said": [self.words()], "list": False}]
        return [*results, question, *later]

    def _chat(self) -> dict[str, Any]:
        messages: list[dict[str, Any]] = []
        for role, said in self.system:
            content = said if isinstance(said, str) else _texts("text", said)
            messages.append({"role": role, "content": content})
        for turn in self.messages:
            content = _content(turn, "text", "text")
            message = {"role": turn["role"], "content": content}
            if turn["role"] == "tool":
                message["tool_call_id"] = turn["call"]
            if turn.get("calls"):
                message["tool_calls"] = [_call(name) for name in turn["calls"]]
            messages.append(message)
        made: dict[str, Any] = {"messages": messages}
        if self.tools:
            made["tools"] = [{"type": "function", "function": it} for it in self.tools]
        return made

    def _responses(self) -> dict[str, Any]:
        made: dict[str, Any] = {}
        items: list[dict[str, Any]] = []
        for index, (role, said) in enumerate(self.system):
            if index == 0 and isinstance(said, str) and self.number % 2:
                made["instructions"] = said
                continue
            content = said if isinstance(said, str) else _texts("input_text", said)
            items.append({"role": role, "content": content})
        for turn in self.messages:
            items += _items(turn)
        if self.tools:
            made["tools"] = [{"type": "function", **it} for it in self.tools]
        if [*items[:1], self.number % 3] == [*items, 0] and items[0]["role"] == "user":
            text = items[0]["content"]
            return {**made, "input": text if isinstance(text, str) else items}
        return {**made, "input": items}


def _content(turn: dict[str, Any], text: str, answer: str) -> Any:
    said = turn["said"]
    if turn["role"] == "assistant":
        return said if said is None or not turn["list"] else _texts(answer, [said])
    if len(said) == 1 and not turn["list"] and not turn.get("image"):
        return said[0]
    parts = _texts(text, said)
    if turn.get("image"):
        url = "https://example.com/i"
        chat = {"type": "image_url", "image_url": {"url": url}}
        other = {"type": "input_image", "image_url": url, "detail": "low"}
        parts.append(chat if text == "text" else other)
    return parts


def _items(turn: dict[str, Any]) -> list[dict[str, Any]]:
    content = _content(turn, "input_text", "output_text")
    if turn["role"] == "tool":
        kind = {"type": "function_call_output", "call_id": turn["call"]}
        return [{**kind, "output": content}]
    items = [] if content is None else [{"role": turn["role"], "content": content}]
    named = {"type": "function_call", "name": "t0", "arguments": "{}"}
    return items + [{**named, "call_id": name} for name in turn.get("calls", ())]


def _texts(kind: str, said: list[str]) -> list[dict[str, Any]]:
    return [{"type": kind, "text": text} for text in said]


def _call(name: str) -> dict[str, Any]:
    function = {"name": "t0", "arguments": "{}"}
    return {"id": name, "type": "function", "function": function}


def _places(body: dict[str, Any], *, anywhere: bool) -> Any:
    """Yield what a breakpoint can be set on, rightly or, if `anywhere`, not."""
    spots = []
    items = body.get("input", ())
    items = () if isinstance(items, str) else items
    for item in [*body.get("messages", ()), *items]:
        if anywhere:
            spots.append(item)
        for parts in (item.get("content"), item.get("output")):
            listed = isinstance(parts, list)
            if listed and (anywhere or item.get("role") != "assistant"):
                spots += parts
    tools = body.get("tools", ()) if anywhere else ()
    spots += [place for tool in tools for place in (tool, tool.get("function", tool))]
    return spots or [{}]


def copied(value: Any) -> Any:
    """Return JSON that shares nothing with a value."""
    if isinstance(value, dict):
        return {key: copied(value[key]) for key in value}
    return [copied(item) for item in value] if isinstance(value, list) else value


def bare(value: Any, *, names: tuple[str, ...] = (MARK, "prompt_cache_options")) -> Any:
    """Return JSON without fields of those names."""
    if isinstance(value, dict):
        kept = {key: it for key, it in value.items() if key not in names}
        return {key: bare(it, names=names) for key, it in kept.items()}
    if isinstance(value, list):
        return [bare(item, names=names) for item in value]
    return value
