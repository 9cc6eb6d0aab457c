"""What a refusal means, in the words of both hosts."""

import pytest

from promptcache.providers.gemini.refusals import (
    kind_of,
    minimum_in,
    names_cache,
    shown,
)

FREE = "TotalCachedContentStorageTokensPerModelFreeTier"
BESIDE = (
    "CachedContent can not be used with GenerateContent request setting "
    "system_instruction, tools or tool_config.\n\nProposed fix: move those values to "
    "CachedContent from GenerateContent request."
)
# Run together as the provider writes it.
VERTEX_BESIDE = (
    "Tool config, tools and system instruction should not be set in therequest when "
    "using cached content."
)
OTHER_MODEL = (
    "Model used by GenerateContent request (models/gemini-3.8-flash) and CachedContent "
    "(models/gemini-2.5-flash) has to be the same."
)

# status, words, what it means, whether it is about the cached content.
CASES = {
    "too small": (
        400,
        "Cached content is too small. total_token_count=16, min_total_token_count=1024",
        "too_small",
        True,
    ),
    "too small, vertex": (
        400,
        (
            "The cached content is of 900 tokens. The minimum token count to start "
            "caching is 4096."
        ),
        "too_small",
        True,
    ),
    "gone": (403, "CachedContent not found (or permission denied)", "gone", True),
    "expired, vertex": (400, "Cache content 123 is expired.", "gone", True),
    "gone, vertex": (
        404,
        "Not found: cached content metadata for 123.",
        "gone",
        True,
    ),
    "gone at update, vertex": (404, "Cached content 123 is not found.", "gone", True),
    "gone by its full name": (
        404,
        "Cached content projects/p/locations/l/cachedContents/123 is not found.",
        "gone",
        True,
    ),
    "of no use, vertex": (
        400,
        "Invalid resource state for cache content 123.",
        "gone",
        True,
    ),
    "beside": (400, BESIDE, "refused", True),
    "beside, vertex": (400, VERTEX_BESIDE, "refused", True),
    "another model": (400, OTHER_MODEL, "refused", True),
    "no quota": (
        429,
        (
            f"{FREE} limit exceeded for model gemini-3.5-flash-lite: limit=0, "
            "requested=1081"
        ),
        "no_quota",
        False,
    ),
    "no quota, no limit named": (429, f"Quota exceeded: {FREE}", "no_quota", False),
    "quota used up": (
        429,
        f"{FREE} limit exceeded for model m: limit=1000000, requested=1081",
        "busy",
        False,
    ),
    "another quota": (
        429,
        "GenerateRequestsPerMinutePerProject limit exceeded: limit=0",
        "busy",
        False,
    ),
    "cached, but too many": (429, "Too many cachedContents requests.", "busy", False),
    "no caching for this model": (
        404,
        (
            "models/gemini-4-argon is not found for API version v1beta, or is not "
            "supported for createCachedContent. Call ListModels to see the list of "
            "available models and their supported methods."
        ),
        "unsupported",
        True,
    ),
    "no such model, vertex": (
        404,
        (
            "Publisher Model `projects/p/locations/l/publishers/google/models/x-1` "
            "was not found or your project does not have access to it."
        ),
        "unsupported",
        False,
    ),
    "no caching, in plain words": (
        400,
        "Model gemini-x-1 does not support cached content.",
        "unsupported",
        True,
    ),
    "no caching, the other way round": (
        400,
        "Explicit caching is not supported for this model.",
        "unsupported",
        True,
    ),
    "no such model to ask": (
        404,
        (
            "models/x is not found for API version v1beta, or is not supported for "
            "generateContent."
        ),
        "refused",
        False,
    ),
    "bad key": (
        400,
        "API key not valid. Please pass a valid API key.",
        "refused",
        False,
    ),
    "not signed in": (401, "Request is missing required credential.", "refused", False),
    "field unknown here": (
        400,
        (
            'Invalid JSON payload received. Unknown name "cachedContent": Cannot find '
            "field."
        ),
        "refused",
        True,
    ),
    "unknown words": (418, "I am a teapot.", "refused", False),
    "no words": (400, None, "refused", False),
    "timed out": (408, "CachedContent not found", "busy", False),
    "too early": (425, "", "busy", False),
    "broken": (500, "CachedContent not found", "busy", False),
    "away": (503, None, "busy", False),
    "no answer": (None, "CachedContent not found", "busy", False),
    "an answer that cannot be read": (200, "", "busy", False),
}


@pytest.mark.parametrize(
    ("status", "words", "kind", "about"), CASES.values(), ids=CASES.keys()
)
@pytest.mark.parametrize(
    "written",
    [
        pytest.param(lambda words: words, id="as it is"),
        pytest.param(str.upper, id="in capitals"),
        pytest.param(lambda words: words.replace(" ", "  \n"), id="far apart"),
    ],
)
def test_meaning(status, words, kind, about, written):
    """A refusal means the same in any case and spacing."""
    words = words and written(words)

    assert kind_of(status, words) == kind
    assert names_cache(status, words) is about


MINIMUMS = {
    "developer": (CASES["too small"][1], 1024),
    "vertex": (CASES["too small, vertex"][1], 4096),
    "far apart": ("MIN_TOTAL_TOKEN_COUNT = 2048", 2048),
    "in words": ("Min total token count: 2,048, yours is 16", 2048),
    "followed by a comma": ("min_total_token_count=1024, x", 1024),
    "other numbers": ("total_token_count=16", None),
    "no number of tokens": ("min_total_token_count=12345678901", None),
    "no number": ("min_total_token_count=", None),
    "none": (None, None),
}


@pytest.mark.parametrize(("words", "minimum"), MINIMUMS.values(), ids=MINIMUMS.keys())
def test_minimum(words, minimum):
    """The fewest tokens are read from where they are named, and from nowhere else."""
    assert minimum_in(words) == minimum


SHOWN = {
    "as it is": ("Cache content 123 is expired.", "Cache content 123 is expired."),
    "lines": ("a.\n\n  b", "a. b"),
    "a value": (
        'Invalid value at \'contents[0].parts[0].text\' (TYPE), "my \\"own\\" words"',
        "Invalid value at 'contents[0].parts[0].text' (TYPE), ...",
    ),
    "a value that is cut": ('Unknown name "my own words', "Unknown name ..."),
    "long": ("a" * 1000, "a" * 200 + " ..."),
    "nothing": (None, ""),
}


@pytest.mark.parametrize(("words", "told"), SHOWN.values(), ids=SHOWN.keys())
def test_shown(words, told):
    """What is shown is short and ends where the provider quotes."""
    assert shown(words) == told
