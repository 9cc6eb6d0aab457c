"""Prompt caching for an agent of `create_agent` or deepagents, whatever its model.

Rule 1: translate, delegate: what is cached is decided where requests are sent.
Rule 2: the agent's model stays as it is; its twin is made once.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
from langchain_core.language_models import BaseChatModel
from langchain_core.tools import BaseTool

from langchain_promptcache.chat_models.base import PromptCachedChatModel
from langchain_promptcache.kept_tools import Call, KeptTools
from langchain_promptcache.locks import ForkSafeLock
from langchain_promptcache.twins import prompt_cached
from promptcache import is_switched_off, options, read_choice

__all__ = ["PromptCacheMiddleware"]

_BUILTIN = "AnthropicPromptCachingMiddleware"
_MAX_TWINS = 64

Handler = Callable[[ModelRequest[Any]], ModelResponse[Any]]
AsyncHandler = Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]


class PromptCacheMiddleware(AgentMiddleware[Any, Any, Any]):
    """Plans every model call of an agent, also after a switch of models.

    Instructions that change from call to call, from `@dynamic_prompt` for example, are
    moved behind what does not change if they were given out by `volatile`. Tools are
    sent in one order. Each such change is in the notes of the receipt, which is at
    `response_metadata["prompt_cache"]` of the answer.

    Of several middlewares give it last, so that it sees the model that is asked.
    """

    def __init__(
        self,
        prompt_cache: Any = None,
        *,
        replaces_builtin: bool = True,
        stable_tools: bool = True,
        keep_tools: bool | Sequence[BaseTool | Callable[..., Any]] = False,
    ) -> None:
        """Set it up; a model's twin is made when that is called first.

        Args:
            prompt_cache: What `prompt_cached` takes under this name. A model that is
                cached already keeps its own.
            replaces_builtin: Take the place of the middleware that deepagents brings
                for Anthropic's models, which would place breakpoints of its own.
            stable_tools: Send the tools in one order, and the keys of their schemas.
            keep_tools: For agents that choose tools for each call: send the ones that
                were chosen before as well, so that the prefix stays. OpenAI's models
                are told which to choose from; a call of another is answered with an
                error, and never made. Tools given here, as `create_agent` has them, are
                sent from the first call on.

        Raises:
            OptionError: `prompt_cache` is not allowed.
        """
        super().__init__()
        self._cache, _ = read_choice(prompt_cache)
        self._prompt_cache = prompt_cache
        self._name = _BUILTIN if replaces_builtin else type(self).__name__
        self._tools = True if stable_tools else None
        given = () if isinstance(keep_tools, bool) else keep_tools
        self._kept = None if keep_tools is False else KeptTools(given)
        self._twins: OrderedDict[int, tuple[Any, Any]] = OrderedDict()
        self._lock = ForkSafeLock()

    @property
    def name(self) -> str:
        """The name by which agents tell middlewares apart."""
        return self._name

    def report(self) -> Any:
        """Return what was read, written and saved so far, by model."""
        return self._cache.report()

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Handler
    ) -> ModelResponse[Any]:
        """Have the twin of the request's model called."""
        call = self._call(request)
        with options(stable_tools=self._tools, withheld_tools=call.withheld or None):
            return call.answered(handler(self._cached(call.request)))

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: AsyncHandler
    ) -> ModelResponse[Any]:
        """Have the twin of the request's model called."""
        call = self._call(request)
        with options(stable_tools=self._tools, withheld_tools=call.withheld or None):
            return call.answered(await handler(self._cached(call.request)))

    def _call(self, request: ModelRequest[Any]) -> Call:
        is_off = is_switched_off() or self._cache.policy.name == "off"
        if self._kept is None or is_off:
            return Call(request)
        return self._kept.call(request)

    def _cached(self, request: ModelRequest[Any]) -> ModelRequest[Any]:
        model = request.model
        if isinstance(model, PromptCachedChatModel):
            return request
        return request.override(model=self._twin(model))

    def _twin(self, model: BaseChatModel) -> BaseChatModel:
        """Return the twin of a model, the same one as before."""
        with self._lock:
            known = self._twins.get(id(model))
            if known is None:
                # The model is kept too, as its id may be another's once it is gone.
                known = self._twins[id(model)] = (
                    model,
                    prompt_cached(model, self._prompt_cache),
                )
            self._twins.move_to_end(id(model))
            while len(self._twins) > _MAX_TWINS:
                self._twins.popitem(last=False)
            twin: BaseChatModel = known[1]
        return twin
