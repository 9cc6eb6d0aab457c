"""What an LLM was given as `prompt_cache`, in a form that goes where the LLM goes."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from promptcache import CallOptions, PromptCache, read_choice

__all__ = ["Choice"]


@dataclass(frozen=True, slots=True)
class Choice:
    """Which cache plans an LLM's requests, and what goes with each of them."""

    cache: PromptCache
    options: CallOptions
    provider: Any
    """Whose lifetimes may be asked for."""

    @classmethod
    def read(cls, said: Any, *, provider: Any) -> "Choice":
        """Read what a caller gave as `prompt_cache=`, or a choice as it is.

        Raises:
            OptionError: It is not allowed.
        """
        if isinstance(said, cls):
            return said
        cache, options = read_choice(said, provider=provider)
        return cls(cache, options, provider)

    def saying(self, said: CallOptions) -> "Choice":
        """Return this choice with more said, which wins."""
        return replace(self, options=said.over(self.options))

    def __deepcopy__(self, memo: dict[int, Any]) -> "Choice":
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        # What a cache has learned stays in its process; another one has its policy.
        said = {"policy": self.cache.policy, **asdict(self.options)}
        return _read_there, (said, self.provider)


def _read_there(said: dict[str, Any], provider: Any) -> Choice:
    return Choice.read(said, provider=provider)
