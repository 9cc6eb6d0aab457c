"""How OpenAI says no: a refusal names the field, and has a code."""

from collections.abc import Sequence

from promptcache.emulator.rules.rejection import RejectedError

__all__ = ["OpenAIRejectedError", "bad_value", "missing", "unknown", "unsupported"]


class OpenAIRejectedError(RejectedError):
    """OpenAI would refuse the request."""

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        kind: str = "invalid_request_error",
        status: int = 400,
    ) -> None:
        super().__init__(message, kind=kind, status=status)
        self.param = param
        self.code = code


def bad_value(param: str, value: object, allowed: Sequence[str]) -> OpenAIRejectedError:
    """Return the refusal of a value outside of a closed set.

    Source: Amazon Bedrock's recipe for `gpt-5.6-terra`, for a `ttl`.
    """
    quoted = [f"'{name}'" for name in allowed]
    listed = quoted[0]
    if len(quoted) > 1:
        comma = "," if len(quoted) > 2 else ""  # noqa: PLR2004  # as English has it
        listed = f"{', '.join(quoted[:-1])}{comma} and {quoted[-1]}"
    msg = f"Invalid value: '{value}'. Supported values are: {listed}."
    return OpenAIRejectedError(msg, param=param, code="invalid_value")


def missing(param: str) -> OpenAIRejectedError:
    """Return the refusal of a request without a field that it needs."""
    msg = f"Missing required parameter: '{param}'."
    return OpenAIRejectedError(msg, param=param, code="missing_required_parameter")


def unknown(param: str) -> OpenAIRejectedError:
    """Return the refusal of a field that is not known at its place."""
    msg = f"Unknown parameter: '{param}'."
    return OpenAIRejectedError(msg, param=param, code="unknown_parameter")


def unsupported(field: str) -> OpenAIRejectedError:
    """Return the refusal of a field that the model does not have.

    Source: openai/codex#39442 for the whole body, with `prompt_cache_retention`.
    """
    msg = f"{field} is not supported on this model"
    return OpenAIRejectedError(msg, param=field, code="invalid_parameter")
