"""What LangChain's standard tests are given: a model made in one of three ways.

Rule 1: the stock class and ours run one suite, so that a failure expected of ours is
one of the stock class, which fails there, too.
Rule 2: no test reaches beyond this machine.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
from langchain_core.messages import HumanMessage, SystemMessage

from langchain_promptcache import prompt_cached

__all__ = ["STOCK", "Made", "Served", "Unserved", "joined"]

STOCK = "stock"
"""LangChain's own class; beside it there are ours, `class`, and its `twin`."""


class Made:
    """Stands for a chat model's class where a suite makes models."""

    def __init__(self, stock, cached, how, cache=None, note=None):
        self._stock, self._cached = stock, cached
        self._how, self._cache = how, cache
        self._note = note or (lambda model: None)

    def __call__(self, **arguments):
        if self._how == "class":
            model = self._cached(prompt_cache=self._cache, **arguments)
        else:
            model = self._stock(**arguments)
        self._note(model)
        if self._how == "twin":
            return prompt_cached(model, self._cache)
        return model

    def __getattr__(self, name):
        return getattr(self._stock if self._how == STOCK else self._cached, name)


class Unserved:
    """Mixed in before a suite of units: its models send nothing."""

    how: ClassVar[str]
    stock: ClassVar[Any]
    cached: ClassVar[Any]
    arguments: ClassVar[Mapping[str, Any]]
    environment: ClassVar[Mapping[str, str]]
    read: ClassVar[Mapping[str, str]]
    """What a model has taken from that environment."""

    @pytest.fixture(autouse=True)
    def _environment(self, monkeypatch):
        for name, value in self.environment.items():
            monkeypatch.setenv(name, value)

    @property
    def chat_model_class(self):
        return Made(self.stock, self.cached, self.how)

    @property
    def chat_model_params(self):
        return self.arguments

    @property
    def init_from_env_params(self):
        return self.environment, self.arguments, self.read


class Served:
    """Mixed in before a suite, it has the suite's models ask the emulator."""

    how: ClassVar[str] = STOCK
    stock: ClassVar[Any]
    cached: ClassVar[Any]
    head: ClassVar[str] = "You are a careful clerk of a railway museum. " * 180
    """About 2,000 tokens, which are enough to be cached."""
    methods: ClassVar[tuple[str, ...]] = ("function_calling", "json_schema")
    """How structured output is asked for."""
    refused: ClassVar[Mapping[str, str]] = {}
    """Tests that the stock class fails, and why; `name` or `name[parameters]`."""
    stock_writes: ClassVar[bool] = True
    """Whether the provider caches what nobody has marked."""
    stock_reads: ClassVar[bool] = True
    """Whether it finds a head again that nobody has marked."""
    repeats: ClassVar[bool] = False
    """Whether other suites have shown most of it, so that all is run on demand only."""
    writes: ClassVar[bool] = True
    """Whether LangChain reports what was written."""

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        own = [name for name in vars(cls) if name.startswith(("refused", "test_"))]
        # What is expected to fail is said of the suite, so of the stock class, too.
        assert not ("how" in vars(cls) and own), own

    @pytest.fixture(autouse=True)
    def _served(self, emulator, cache, note, request):
        self.emulator, self.cache, self.note = emulator, cache, note
        yield
        if request.node.get_closest_marker("xfail") is None:
            assert [row.error for row in emulator.ledger if row.status != 200] == []

    @pytest.fixture(autouse=True)
    def _structured(self, structured):
        self.method = structured

    @property
    def chat_model_class(self):
        return Made(self.stock, self.cached, self.how, self.cache, self.note)

    @property
    def structured_output_kwargs(self):
        return {"method": self.method} if self.method else {}

    @property
    def supported_usage_metadata_details(self):
        details = ["cache_read_input"]
        if self.writes:
            details.append("cache_creation_input")
        return {"invoke": details, "stream": details}

    @property
    def supports_anthropic_inputs(self):
        return True

    @property
    def supports_audio_inputs(self):
        return True

    @property
    def supports_image_inputs(self):
        return True

    @property
    def supports_image_tool_message(self):
        return True

    @property
    def supports_image_urls(self):
        return True

    @property
    def supports_json_mode(self):
        return True

    @property
    def supports_pdf_inputs(self):
        return True

    @property
    def supports_pdf_tool_message(self):
        return True

    @property
    def enable_vcr_tests(self):
        return True

    def invoke_with_cache_creation_input(self, *, stream=False):
        """Return the first answer under a head that nobody has sent before."""
        head = f"{'stream' if stream else 'invoke'}: {self.head}"
        answers = [self._asked(head, number, stream) for number in range(2)]
        written = sum(map(_written, answers))
        assert (written > 0) == (self.how != STOCK or self.stock_writes)
        return answers[0]

    def invoke_with_cache_read_input(self, *, stream=False):
        """Return an answer under a head that was sent before."""
        answers = [self._asked(self.head, number, stream) for number in range(3)]
        last = answers[-1].usage_metadata["input_token_details"].get("cache_read", 0)
        assert (last > 0) == (self.how != STOCK or self.stock_reads)
        return answers[-1]

    def _asked(self, head, number, stream):
        arguments = {**self.standard_chat_model_params, **self.chat_model_params}
        model = self.chat_model_class(**arguments)
        prompt = [SystemMessage(head), HumanMessage(f"What is a tender? ({number})")]
        return joined(model.stream(prompt)) if stream else model.invoke(prompt)


def joined(chunks):
    """Return the sum of all chunks of a stream."""
    first, *rest = chunks
    return sum(rest, first)


def _written(answer):
    """Return the tokens that an answer says were written, whatever their lifetime."""
    details = answer.usage_metadata["input_token_details"]
    # `cache_creation` is 0 where LangChain tells the lifetimes apart.
    split = [details[key] for key in details if key.startswith("ephemeral_")]
    return details["cache_creation"] + sum(split)
