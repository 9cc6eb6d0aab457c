"""`prompt_cached(model)`: the caching twin of a model that exists already.

Rule 1: the model that is passed in stays as it is.
Rule 2: what cannot be cached comes back as it is, with one warning that says so.
"""

import sys
import warnings
from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from typing import Any, TypeVar, cast

from langchain_core.language_models import BaseLanguageModel
from langchain_core.runnables import Runnable, RunnableBinding, RunnableSerializable
from langchain_core.tools import BaseTool
from pydantic import BaseModel

from langchain_promptcache.chat_models.base import PromptCachedChatModel
from promptcache import UnsupportedClientError, is_switched_off

__all__ = ["prompt_cached"]

Model = TypeVar("Model", bound=Runnable[Any, Any])

SUPPORTED = (
    "ChatAnthropic, ChatOpenAI, AzureChatOpenAI, ChatGoogleGenerativeAI, and classes "
    "derived from them or from BaseChatOpenAI"
)

_ADAPTERS: Mapping[str, str] = {
    "langchain_anthropic": "langchain_promptcache.chat_models.anthropic",
    "langchain_google_genai": "langchain_promptcache.chat_models.google",
    "langchain_openai": "langchain_promptcache.chat_models.openai",
}


def prompt_cached(
    model: Model, prompt_cache: Any = None, *, strict: bool = False
) -> Model:
    """Return the twin of a model whose prompts are cached.

    The twin is an instance of the same class with clients of its own, which share
    the connections of the model's. Models inside bindings, retries, fallbacks,
    sequences and configurable models are found. With `PROMPTCACHE=off` in the
    environment the model itself is returned.

    Caching a Gemini chooses cached contents, as `PromptCachedChatGoogleGenerativeAI`
    says; `{"gemini_caches": False}` leaves implicit caching.

    Args:
        model: A chat model, or a runnable with chat models in it.
        prompt_cache: What `PromptCachedChatAnthropic`, `PromptCachedChatOpenAI` and
            `PromptCachedChatGoogleGenerativeAI` take under this name.
        strict: Raise for a model that cannot be cached, instead of warning.

    Raises:
        OptionError: `prompt_cache`, or what is bound to a model, is not allowed.
        AttachedError: A model was made with clients that serve another cache.
        UnsupportedClientError: A model cannot be cached, and `strict` is on.
    """
    if is_switched_off():
        return model
    search = _Search(prompt_cache)
    twin = search.twin(model)
    if search.found and not search.refused:
        return cast("Model", twin)
    error = UnsupportedClientError(search.refused or model, SUPPORTED)
    if strict:
        raise error
    warnings.warn(f"prompt_cached: {error}", stacklevel=2)
    return cast("Model", twin)


class _Search:
    """Looks for chat models in a runnable, and rebuilds what holds them."""

    def __init__(self, prompt_cache: Any) -> None:
        self._prompt_cache = prompt_cache
        self.found = False
        self.refused: Any = None

    def twin(self, part: Any) -> Any:
        """Return the part with every model in it cached; itself if there is none."""
        if isinstance(part, BaseLanguageModel):
            return self._model(part)
        if isinstance(part, RunnableSerializable) and not isinstance(part, BaseTool):
            return self._holder(part)
        if _is_configurable(part):
            self.found = True
            return _configurable_twin(part, self._prompt_cache)
        if isinstance(part, (list, tuple)):
            twins = [self.twin(item) for item in part]
            changed = any(old is not new for old, new in zip(part, twins, strict=True))
            return type(part)(twins) if changed else part
        if isinstance(part, dict):
            items = {key: self.twin(item) for key, item in part.items()}
            return items if any(items[key] is not part[key] for key in part) else part
        return part

    def _holder(self, part: RunnableSerializable[Any, Any]) -> Any:
        changes = {}
        for name in type(part).model_fields:
            value = getattr(part, name)
            if isinstance(value, (Runnable, list, tuple, dict)):
                twin = self.twin(value)
                if twin is not value:
                    changes[name] = twin
        bound = changes.get("bound")
        if isinstance(part, RunnableBinding) and isinstance(
            bound, PromptCachedChatModel
        ):
            bound.check_bound(part.kwargs)
        return part.model_copy(update=changes) if changes else part

    def _model(self, model: BaseLanguageModel[Any]) -> Any:
        twin_class = _twin_class(type(model))
        if twin_class is None:
            self.refused = model
            return model
        self.found = True
        if isinstance(model, twin_class) and self._prompt_cache is None:
            return model
        return _model_twin(model, twin_class, self._prompt_cache)


@lru_cache(maxsize=256)
def _twin_class(kind: type) -> type | None:
    """Return the cached class of a model class, or None if it cannot be cached."""
    packages = {base.__module__.partition(".")[0] for base in kind.__mro__}
    name = next(
        (_ADAPTERS[package] for package in _ADAPTERS if package in packages), ""
    )
    if not name:
        return None
    adapter = import_module(name)
    if issubclass(kind, adapter.MIXIN):
        return kind
    if kind in adapter.TWINS:
        return cast("type", adapter.TWINS[kind])
    if issubclass(kind, adapter.ROOT):
        bases = (adapter.MIXIN, kind)
        return type(f"PromptCached{kind.__name__}", bases, {"__module__": __name__})
    return None


def _model_twin(
    model: BaseLanguageModel[Any], twin_class: type, prompt_cache: Any
) -> Any:
    twin = model.model_copy()
    # A cached property: it would keep the name of the model's class.
    twin.__dict__.pop("_serialized", None)
    object.__setattr__(twin, "__class__", twin_class)
    twin.__dict__["prompt_cache"] = prompt_cache
    private = dict(cast("BaseModel", twin).__pydantic_private__ or {})
    object.__setattr__(twin, "__pydantic_private__", private)
    cast("Any", twin).become_twin(model)
    return twin


def _is_configurable(part: Any) -> bool:
    base = sys.modules.get("langchain.chat_models.base")
    kind = getattr(base, "_ConfigurableModel", None)
    return kind is not None and isinstance(part, kind)


def _configurable_twin(model: Any, prompt_cache: Any) -> Any:
    kind = _configurable_class(cast("Any", type(model)))
    # Not `copy.copy`: it asks for attributes that such a model builds models for.
    twin = cast("Any", object.__new__(kind))
    twin.__dict__.update(model.__dict__, _prompt_cache=prompt_cache)
    return twin


@lru_cache(maxsize=8)
def _configurable_class(kind: type) -> type:
    """Return a class that caches each model that a configurable model makes."""
    if hasattr(kind, "_prompt_cached_twin"):
        return kind

    def _model(self: Any, config: Any = None) -> Any:
        # Cached first, bound then: a plain model's bindings would lose our options.
        bare = cast("Any", object.__new__(kind))
        bare.__dict__.update(self.__dict__, _queued_declarative_operations=())
        plain = bare._model(config)  # noqa: SLF001 - the method that this replaces
        model = prompt_cached(plain, self._prompt_cache)
        for name, args, kwargs in self._queued_declarative_operations:
            model = getattr(model, name)(*args, **kwargs)
        return model

    def bind(self: Any, **kwargs: Any) -> Any:
        if "prompt_cache" not in kwargs:
            return kind.bind(self, **kwargs)  # type: ignore[attr-defined]
        bound = _configurable_twin(self, self._prompt_cache)
        said = {"prompt_cache": kwargs.pop("prompt_cache")}
        queued = (*self._queued_declarative_operations, ("bind", (), said))
        bound.__dict__["_queued_declarative_operations"] = queued
        return bound.bind(**kwargs) if kwargs else bound

    def with_config(self: Any, config: Any = None, **kwargs: Any) -> Any:
        derived = kind.with_config(self, config, **kwargs)  # type: ignore[attr-defined]
        return _configurable_twin(derived, self._prompt_cache)

    def __getattr__(self: Any, name: str) -> Any:  # noqa: N807 - Python's own name
        value = kind.__getattr__(self, name)  # type: ignore[attr-defined]
        if getattr(value, "__name__", None) != "queue":
            return value

        def queued(*args: Any, **kwargs: Any) -> Any:
            return _configurable_twin(value(*args, **kwargs), self._prompt_cache)

        return queued

    members = {
        "__getattr__": __getattr__,
        "__module__": __name__,
        "_model": _model,
        "_prompt_cached_twin": True,
        "bind": bind,
        "with_config": with_config,
    }
    return type(f"PromptCached{kind.__name__.lstrip('_')}", (kind,), members)
