"""What only LlamaIndex needs errors for.

PromptCacheError
    CallError                the caller: an option of a call that is not allowed
    UnsupportedClientError
        UnsupportedSdkError  the caller: an SDK that LlamaIndex itself fails with
"""

from promptcache import PromptCacheError, UnsupportedClientError

__all__ = ["CallError", "UnsupportedSdkError"]


class CallError(PromptCacheError):
    """A call cannot be made the way it was asked for.

    It is neither a `ValueError` nor a `TypeError`: the response synthesizers of
    LlamaIndex take those for an answer that says nothing, and return "Empty Response".
    """


class UnsupportedSdkError(UnsupportedClientError):
    """LlamaIndex's own class fails with the installed SDK, whatever we do."""

    def __init__(self, *, sdk: str, installed: str, supported: str, extra: str) -> None:
        Exception.__init__(
            self,
            f"LlamaIndex works with {supported}, but {sdk} {installed} is installed: "
            f"pip install 'promptcache[{extra}]'",
        )
        self.installed = installed
        self.supported = supported
