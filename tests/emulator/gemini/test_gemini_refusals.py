"""What Gemini refuses, in which words, on both hosts."""

import pytest

from promptcache.emulator.gemini_replies import gemini_reply
from promptcache.errors import OptionError

MODEL = "gemini-3.8-flash"
LEARN = "https://cloud.google.com/vertex-ai/generative-ai/docs"
TOOL = {"functionDeclarations": [{"name": "f", "description": "d" * 20_000}]}
CHOICE = {"functionCallingConfig": {"mode": "AUTO"}}
SAID = {"parts": [{"text": "s" * 20_000}]}


def no(status, kind, message):
    return status, kind, message


def invalid(message):
    return no(400, "INVALID_ARGUMENT", message)


GONE = {
    "developer": (
        403,
        "PERMISSION_DENIED",
        "CachedContent not found (or permission denied)",
    ),
    "vertex": (404, "NOT_FOUND", "Not found: cached content metadata for 7."),
}
BESIDE = {
    "developer": invalid(
        "CachedContent can not be used with GenerateContent request setting "
        "system_instruction, tools or tool_config.\n\nProposed fix: move those values "
        "to CachedContent from GenerateContent request."
    ),
    "vertex": invalid(
        "Tool config, tools and system instruction should not be set in therequest "
        "when using cached content."
    ),
}
EMPTY = {
    "developer": invalid(
        "* GenerateContentRequest.contents: contents is not specified\n"
    ),
    "vertex": invalid(
        "Unable to submit request because at least one contents field is required. "
        f"Learn more: {LEARN}/model-reference/gemini"
    ),
}
SMALL = {
    "developer": invalid(
        "Cached content is too small. total_token_count=16, min_total_token_count=4096"
    ),
    "vertex": invalid(
        "The cached content is of 16 tokens. The minimum token count to start caching "
        "is 4096."
    ),
}


def named(host, identity="7"):
    place = "projects/p/locations/l/" if host == "vertex" else ""
    return f"{place}cachedContents/{identity}"


def test_too_small(world, host):
    """A cached content has the minimum of its model."""
    kept = world(host)

    assert kept.refusal(kept.create, 16) == SMALL[host]
    assert kept.create(4096).tokens == 4096
    assert kept.create(2048, model="gemini-2.5-flash").tokens == 2048


@pytest.mark.parametrize(
    ("host", "model", "settings", "minimum"),
    [
        ("developer", "gemini-3.6-flash", {}, 4096),
        ("developer", "gemini-3.6-flash", {"minimums": "measured"}, 1024),
        ("vertex", "gemini-3.6-flash", {"minimums": "measured"}, 4096),
        ("developer", "gemini-2.5-pro", {"minimums": "measured"}, 2048),
        ("vertex", "gemini-2.5-pro", {"minimum_tokens": 3}, 3),
    ],
)
def test_which_minimum(world, host, model, settings, minimum):
    """The document's minimum holds, or what others have seen, or what is set."""
    kept = world(host, **settings)
    message = kept.refusal(kept.create, minimum - 1, model=model)[2]

    assert str(minimum) in message
    assert kept.create(minimum, model=model).tokens == minimum


@pytest.mark.parametrize(
    "own",
    [
        pytest.param({"systemInstruction": SAID}, id="system"),
        pytest.param({"tools": [TOOL]}, id="tools"),
        pytest.param({"toolConfig": CHOICE}, id="choice"),
        pytest.param({"system_instruction": SAID}, id="snake-case"),
        pytest.param({"toolConfig": {}}, id="empty-object"),
    ],
)
def test_beside_a_cached_content(world, turn, host, own):
    """What a cached content has, its user may not have, however equal it is."""
    kept = world(host)
    held = {"systemInstruction": SAID, "tools": [TOOL], "toolConfig": CHOICE}
    name = kept.create(**held).name
    found = kept.refusal(kept.ask, turn(9), cachedContent=name, **own)

    assert found == BESIDE[host]
    assert kept.read(turn(9), cachedContent=name, tools=[]) > 4096


def test_another_model(world, turn, host):
    """The model of the request is that of the cached content."""
    kept = world(host)
    cached = kept.create(model="gemini-2.5-flash")
    asked, held = kept.named(MODEL), kept.named("gemini-2.5-flash")

    assert kept.refusal(kept.ask, turn(9), cachedContent=cached.name) == invalid(
        f"Model used by GenerateContent request ({asked}) and CachedContent ({held}) "
        "has to be the same."
    )


def test_nothing_to_say(world, host):
    """A request needs contents, whatever is cached."""
    kept = world(host)
    name = kept.create().name

    assert kept.refusal(kept.ask, cachedContent=name) == EMPTY[host]


def test_a_cached_content_that_is_not_there(world, turn, host):
    """It is told as one that the caller may not use."""
    kept = world(host)
    name = named(host)

    assert kept.refusal(kept.ask, turn(9), cachedContent=name) == GONE[host]
    assert kept.refusal(kept.get, name) == GONE[host]
    assert kept.refusal(kept.delete, name) == GONE[host]


def test_one_that_is_over(world, turn, host):
    """Only Vertex AI says that its time is over, and never of an update."""
    kept = world(host)
    name = kept.create(ttl="60s").name
    kept.now = 60
    number = name.rsplit("/", 1)[-1]
    over = invalid(f"Cache content {number} is expired.")
    lost = (404, "NOT_FOUND", f"Cached content {number} is not found.")
    developer = host == "developer"

    assert kept.refusal(kept.get, name) == (GONE[host] if developer else over)
    assert kept.refusal(kept.ask, turn(9), cachedContent=name) == (
        GONE[host] if developer else over
    )
    assert kept.refusal(kept.update, name, {"ttl": "60s"}) == (
        GONE[host] if developer else lost
    )


def test_one_that_was_deleted(world, turn, host):
    """It is gone, not over."""
    kept = world(host)
    name = kept.create(ttl="60s").name
    kept.delete(name)
    kept.now = 99
    status, kind, message = kept.refusal(kept.ask, turn(9), cachedContent=name)

    assert (status, kind) == GONE[host][:2]
    assert message == GONE[host][2].replace(" 7.", f" {name.rsplit('/', 1)[-1]}.")


def test_one_of_another(world, turn, host):
    """Another workspace, and on Vertex AI another location, finds nothing."""
    kept = world(host)
    name = kept.create().name
    kept.where = kept.place(host, "other", "projects/q/locations/l")

    assert kept.refusal(kept.ask, turn(9), cachedContent=name)[0] == GONE[host][0]


def test_the_free_tier(world):
    """Its quota of cached tokens is 0, if it is set to have one."""
    free, vertex = world(free_tier=True), world("vertex", free_tier=True)

    assert free.refusal(free.create, 5000, model="gemini-3.5-flash-lite") == no(
        429,
        "RESOURCE_EXHAUSTED",
        "TotalCachedContentStorageTokensPerModelFreeTier limit exceeded for model "
        "gemini-3.5-flash-lite: limit=0, requested=5000",
    )
    assert vertex.create().tokens == 5000


@pytest.mark.parametrize("model", ["gemini-4-argon", "gemini-9-neon"])
def test_models_without_cached_contents(world, model):
    """A model that nobody says has them has none, unless it is set to."""
    kept, set_to = world(), world(explicit_models=(model,))

    assert kept.refusal(kept.create, model=model) == no(
        404,
        "NOT_FOUND",
        f"models/{model} is not found for API version v1beta, or is not supported for "
        "createCachedContent. Call ListModels to see the list of available models and "
        "their supported methods.",
    )
    if model == "gemini-4-argon":
        assert set_to.create(model=model).tokens == 5000


def test_models_that_there_are_not(world, turn):
    """Each host has its words for it."""
    here, vertex = world(), world("vertex")

    assert here.refusal(here.ask, turn(9), model="gpt-5") == no(
        404,
        "NOT_FOUND",
        "models/gpt-5 is not found for API version v1beta, or is not supported for "
        "generateContent. Call ListModels to see the list of available models and "
        "their supported methods.",
    )
    assert vertex.refusal(vertex.ask, turn(9), model="gpt-5") == no(
        404,
        "NOT_FOUND",
        f"Publisher Model `{vertex.named('gpt-5')}` was not found or your project does "
        "not have access to it. Please ensure you are using a valid model version. For "
        f"more information, see: {LEARN}/learn/model-versions",
    )


EXPIRATION = "Invalid value at 'cached_content.expiration'"
CREATED = [
    pytest.param({"ttl": "3600"}, "Invalid value at 'cached_content.ttl'", id="ttl"),
    pytest.param({"ttl": 60}, "Invalid value at 'cached_content.ttl'", id="number"),
    pytest.param(
        {"ttl": "1.0000000001s"},
        "Invalid value at 'cached_content.ttl'",
        id="ten-digits",
    ),
    pytest.param(
        {"expireTime": "soon"},
        "Invalid value at 'cached_content.expire_time'",
        id="no-time",
    ),
    pytest.param(
        {"expireTime": "2026-13-01T00:00:00Z"},
        "Invalid value at 'cached_content.expire_time'",
        id="no-such-month",
    ),
    pytest.param({"ttl": "-1s"}, EXPIRATION, id="negative"),
    pytest.param({"expireTime": "1969-12-31T23:59:59Z"}, EXPIRATION, id="past"),
    pytest.param(
        {"ttl": "60s", "expireTime": "2030-01-01T00:00:00Z"},
        "Invalid value at 'cached_content' (oneof), oneof field 'expiration' is "
        "already set. Cannot set 'expireTime'",
        id="both",
    ),
    pytest.param(
        {"displayName": "n" * 129},
        "Invalid value at 'cached_content.display_name'",
        id="long-name",
    ),
    pytest.param(
        {"display_name": 5},
        "Invalid value at 'cached_content.display_name'",
        id="no-name",
    ),
    pytest.param(
        {"model": ""}, "Invalid value at 'cached_content.model'", id="no-model"
    ),
    pytest.param(
        {"temperature": 1},
        'Invalid JSON payload received. Unknown name "temperature": Cannot find field.',
        id="unknown",
    ),
    pytest.param(
        {"encryption_spec": {"kmsKeyName": "k"}},
        'Invalid JSON payload received. Unknown name "encryptionSpec": Cannot find '
        "field.",
        id="only-on-vertex",
    ),
    pytest.param(
        {"systemInstruction": {"parts": [{"inlineData": {}}]}},
        "Invalid value at 'system_instruction': only text is supported.",
        id="instruction-of-an-image",
    ),
    pytest.param(
        {"contents": []}, "CachedContent must have at least one content.", id="nothing"
    ),
]


@pytest.mark.parametrize(("fields", "message"), CREATED)
def test_creation(world, fields, message):
    """What a cached content may not be made of."""
    kept = world()
    fields = {"contents": [SAID], **fields}
    name = fields.pop("model", None)
    if name is not None:
        kept.named = lambda _model: name
    found = kept.refusal(kept.create, **fields)

    assert found[:2] == (400, "INVALID_ARGUMENT")
    assert found[2].startswith(message)


def test_the_shortest_life(world):
    """Vertex AI has a minimum of one minute, the Developer API none."""
    here, vertex = world(), world("vertex")

    assert here.create(ttl="0.5s").expires == 0.5
    assert vertex.refusal(vertex.create, ttl="59.9s") == invalid(
        f"{EXPIRATION}: 60 s are the minimum."
    )
    name = vertex.create(ttl="60s").name
    assert vertex.refusal(vertex.update, name, {"ttl": "59s"})[0] == 400


def test_the_most_inline_bytes(world):
    """Vertex AI takes 10 MB, whatever they are; the Developer API states no limit."""
    image = {"inlineData": {"mimeType": "image/png", "data": "i" * 10_000_000}}
    contents = [{"parts": [image, image, {"text": "x" * 20_000}]}]
    here, vertex = world(), world("vertex")

    assert "10000000 bytes" in vertex.refusal(vertex.create, contents=contents)[2]
    assert here.create(contents=contents).tokens > 5000


def test_contents_may_be_required(world):
    """Whether an instruction alone can be cached is a choice."""
    alone, strict = world(), world(contents_required=True)

    assert alone.create(systemInstruction=SAID).tokens == 5002
    assert strict.refusal(strict.create, systemInstruction=SAID) == invalid(
        "CachedContent must have at least one content."
    )


UPDATED = [
    pytest.param(
        {"name": "cachedContents/7", "ttl": "60s"},
        None,
        "Invalid value at 'cached_content' (oneof), oneof field '_name' is already "
        "set. Cannot set 'name'",
        id="name",
    ),
    pytest.param(
        {"displayName": "n"},
        None,
        "Invalid value at 'cached_content.displayName'",
        id="display-name",
    ),
    pytest.param(
        {"contents": [SAID], "ttl": "60s"},
        None,
        "Invalid value at 'cached_content.contents'",
        id="contents",
    ),
    pytest.param({}, None, "Invalid value at 'cached_content'", id="nothing"),
    pytest.param(
        {"ttl": "60s"},
        "expireTime",
        "Invalid value at 'cached_content'",
        id="masked-out",
    ),
    pytest.param(
        {"ttl": "60s"},
        "ttl,display_name",
        "Invalid value at 'cached_content.displayName'",
        id="mask-of-a-fixed-field",
    ),
    pytest.param({"ttl": "0s"}, None, EXPIRATION, id="now"),
]


@pytest.mark.parametrize(("body", "mask", "message"), UPDATED)
def test_updates(world, body, mask, message):
    """Only its expiration can be updated."""
    kept = world()
    cached = kept.create()
    found = kept.refusal(kept.update, cached.name, body, mask)

    assert found[:2] == (400, "INVALID_ARGUMENT")
    assert found[2].startswith(message)
    assert kept.get(cached.name) == cached


BAD = "Invalid value at "
ASKED = [
    pytest.param(
        {"contents": [{"parts": [{"text": "x"}], "role": "system"}]},
        "Please use a valid role: user, model.",
        id="role",
    ),
    pytest.param(
        {"contents": [{"role": "user"}]},
        "* GenerateContentRequest.contents[0].parts: contents.parts must not be empty."
        "\n",
        id="no-parts",
    ),
    pytest.param(
        {"contents": [{"parts": [{"thought": True}]}]},
        "* GenerateContentRequest.contents[0].parts[0].data: required oneof field "
        "'data' must have one initialized field\n",
        id="empty-part",
    ),
    pytest.param(
        {"contents": [{"parts": [{"text": "x", "inlineData": {}}]}]},
        f"{BAD}'contents[0].parts[0]': oneof field 'data' is already set.",
        id="two-kinds",
    ),
    pytest.param(
        {"contents": [{"parts": [{"text": 1}]}]},
        f"{BAD}'contents[0].parts[0].text': another type is expected.",
        id="text",
    ),
    pytest.param(
        {"contents": [{"parts": [{"text": "x"}], "name": "n"}]},
        "Invalid JSON payload received. Unknown name \"name\" at 'contents[0]': Cannot "
        "find field.",
        id="unknown-name",
    ),
    pytest.param(
        {"contents": "x"}, f"{BAD}'contents': another type is expected.", id="contents"
    ),
    pytest.param(
        {"system": "x"},
        'Invalid JSON payload received. Unknown name "system": Cannot find field.',
        id="unknown-field",
    ),
    pytest.param(
        {"generationConfig": {"maxOutputTokens": 0}},
        f"{BAD}'generation_config.max_output_tokens': 1 or more is expected.",
        id="no-output",
    ),
    pytest.param(
        {"tools": [{"functionDeclarations": [{"description": "d"}]}]},
        f"{BAD}'tools[0].function_declarations[0].name': a name is required.",
        id="no-name",
    ),
    pytest.param(
        {"toolConfig": {"functionCallingConfig": "ANY"}},
        f"{BAD}'tool_config.function_calling_config': an object is expected.",
        id="choice",
    ),
    pytest.param(
        {"cachedContent": 7},
        f"{BAD}'cached_content': a string is expected.",
        id="cached-content",
    ),
]


@pytest.mark.parametrize(("fields", "message"), ASKED)
def test_requests(world, turn, fields, message):
    """What a request may not be."""
    kept = world()

    assert kept.refusal(kept.ask, turn(9), **fields) == invalid(message)


def test_what_is_not_refused_beside_a_cached_content(world, turn):
    """Schemas, thinking and safety are the request's own."""
    kept = world()
    name = kept.create().name
    config = {"responseSchema": {"type": "OBJECT"}, "thinkingConfig": {}}
    fields = {"generationConfig": config, "safetySettings": [{}]}

    assert kept.read(turn(9), cachedContent=name, **fields) == 5000


@pytest.mark.parametrize(
    "settings",
    [
        {"minimums": "guessed"},
        {"storage_until": "never"},
        {"early_usage": "none"},
        {"implicit_luck": 1.1},
        {"implicit_step": 0},
        {"page_size": 0},
    ],
)
def test_settings(world, settings):
    """A setting outside of its values is refused by name."""
    with pytest.raises(OptionError, match=next(iter(settings))):
        world(**settings)


def test_a_reply_needs_no_choice(turn):
    """Whatever is accepted can be answered."""
    assert gemini_reply({"contents": [turn(9)]}, None, iter("")).stop_reason
