"""How Gemini says no: a status, its name, and words that differ by host.

Each function names its source; where it names none, the words are plain ones of this
project, since no source has the provider's.
"""

from collections.abc import Mapping

from promptcache.emulator.rules.rejection import RejectedError
from promptcache.providers.gemini.facts import Host

__all__ = [
    "STATUSES",
    "GeminiRejectedError",
    "bad_value",
    "beside_cached",
    "expired",
    "gone",
    "not_served",
    "other_model",
    "over_free_tier",
    "required_contents",
    "too_small",
    "unknown_name",
    "unsigned",
]

STATUSES: Mapping[int, str] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
LEARN = "https://cloud.google.com/vertex-ai/generative-ai/docs"


class GeminiRejectedError(RejectedError):
    """Gemini would refuse the request."""

    def __init__(self, message: str, *, status: int = 400) -> None:
        kind = STATUSES.get(status, "UNKNOWN")
        super().__init__(message, kind=kind, status=status)


def unsigned(host: Host) -> GeminiRejectedError:
    """Return the refusal of a request without a key. Source: xtekky/gpt4free#1632."""
    if host == "vertex":
        msg = "Request is missing required authentication credential."
        return GeminiRejectedError(msg, status=401)
    msg = (
        "Method doesn't allow unregistered callers (callers without established "
        "identity). Please use API Key or other form of API consumer identity to call "
        "this API."
    )
    return GeminiRejectedError(msg, status=403)


def not_served(
    host: Host, model: str, *, version: str, method: str
) -> GeminiRejectedError:
    """Return the refusal of a model that there is not, or not for a method.

    Source: wwardaww/gnome-gemini-ai#22; truefoundry/models#946 for Vertex AI. That a
    model without cached contents is refused in these words is assumed.
    """
    if host == "vertex":
        msg = (
            f"Publisher Model `{model}` was not found or your project does not have "
            f"access to it. Please ensure you are using a valid model version. For "
            f"more information, see: {LEARN}/learn/model-versions"
        )
    else:
        msg = (
            f"{model} is not found for API version {version}, or is not supported for "
            f"{method}. Call ListModels to see the list of available models and their "
            f"supported methods."
        )
    return GeminiRejectedError(msg, status=404)


def required_contents(host: Host) -> GeminiRejectedError:
    """Return the refusal of a request with nothing new to say.

    Source: googleapis/js-genai#912; crewAIInc/crewAI#3277 for Vertex AI.
    """
    if host == "vertex":
        return GeminiRejectedError(
            "Unable to submit request because at least one contents field is "
            f"required. Learn more: {LEARN}/model-reference/gemini"
        )
    return GeminiRejectedError(
        "* GenerateContentRequest.contents: contents is not specified\n"
    )


def unknown_name(name: str, path: str = "") -> GeminiRejectedError:
    """Return the refusal of a field that is not known at its place.

    Source: gera2ld/ai.nvim#13, fishjar/kiss-translator#256.
    """
    at = f" at '{path}'" if path else ""
    return GeminiRejectedError(
        f'Invalid JSON payload received. Unknown name "{name}"{at}: Cannot find field.'
    )


def bad_value(path: str, what: str) -> GeminiRejectedError:
    """Return the refusal of a value of another form."""
    return GeminiRejectedError(f"Invalid value at '{path}': {what}.")


def too_small(host: Host, tokens: int, minimum: int) -> GeminiRejectedError:
    """Return the refusal to cache so little.

    Source: `PROBE` of the facts; adk-python#5847 for Vertex AI.
    """
    if host == "vertex":
        return GeminiRejectedError(
            f"The cached content is of {tokens} tokens. The minimum token count to "
            f"start caching is {minimum}."
        )
    return GeminiRejectedError(
        f"Cached content is too small. total_token_count={tokens}, "
        f"min_total_token_count={minimum}"
    )


def over_free_tier(model: str, tokens: int) -> GeminiRejectedError:
    """Return the refusal to cache for nothing. Source: a report on the quota."""
    return GeminiRejectedError(
        "TotalCachedContentStorageTokensPerModelFreeTier limit exceeded for model "
        f"{model}: limit=0, requested={tokens}",
        status=429,
    )


def beside_cached(host: Host) -> GeminiRejectedError:
    """Return the refusal of what a cached content may have and its user may not.

    Source: beeai-framework#1367 and `PROBE` of the facts; adk-python#211 for Vertex AI,
    whose words run together like this.
    """
    if host == "vertex":
        return GeminiRejectedError(
            "Tool config, tools and system instruction should not be set in therequest "
            "when using cached content."
        )
    return GeminiRejectedError(
        "CachedContent can not be used with GenerateContent request setting "
        "system_instruction, tools or tool_config.\n\nProposed fix: move those values "
        "to CachedContent from GenerateContent request."
    )


def other_model(asked: str, cached: str) -> GeminiRejectedError:
    """Return the refusal of a model that is not the cached content's.

    Source: code comments on live calls to the Developer API; Vertex AI's words are
    assumed to be the same.
    """
    return GeminiRejectedError(
        f"Model used by GenerateContent request ({asked}) and CachedContent ({cached}) "
        "has to be the same."
    )


def gone(host: Host, name: str, *, update: bool = False) -> GeminiRejectedError:
    """Return the refusal of a cached content that is not there, or not the caller's.

    Source: `PROBE` of the facts; reports of three projects for Vertex AI.
    """
    if host == "developer":
        msg = "CachedContent not found (or permission denied)"
        return GeminiRejectedError(msg, status=403)
    number = name.rsplit("/", 1)[-1]
    if update:
        return GeminiRejectedError(f"Cached content {number} is not found.", status=404)
    msg = f"Not found: cached content metadata for {number}."
    return GeminiRejectedError(msg, status=404)


def expired(host: Host, name: str, *, update: bool = False) -> GeminiRejectedError:
    """Return the refusal of a cached content whose time is over. Source: as `gone`."""
    if host == "developer" or update:
        return gone(host, name, update=update)
    number = name.rsplit("/", 1)[-1]
    return GeminiRejectedError(f"Cache content {number} is expired.")
