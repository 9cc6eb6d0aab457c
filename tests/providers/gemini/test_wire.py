"""What a body of Gemini's says, and what of it may be cached."""

import copy

import pytest

from promptcache.errors import UnreadableBodyError
from promptcache.providers.gemini import GEMINI
from promptcache.providers.gemini.wire import (
    bare,
    cuts,
    end_of,
    members,
    named,
    outline,
    rest,
)

WEATHER = {"name": "get_weather", "parameters": {"type": "OBJECT"}}
NEWS = {"name": "get_news", "description": "Read the news."}
IMAGE = {"inlineData": {"mimeType": "image/png", "data": "aaaa"}}


def user(*texts):
    return {"role": "user", "parts": [{"text": text} for text in texts]}


def model(*texts):
    return {"role": "model", "parts": [{"text": text} for text in texts]}


def body(**fields):
    return {
        "systemInstruction": {"parts": [{"text": "Be kind."}, {"text": "Be brief."}]},
        "tools": [{"functionDeclarations": [WEATHER, NEWS]}, {"googleSearch": {}}],
        "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}},
        "contents": [user("a", "b"), model("c"), user("d")],
        "generationConfig": {"temperature": 0.5},
        **fields,
    }


def read(given, *, name="gemini-3.8-flash", tenant=None):
    return outline(given, model=name, tenant=tenant)


def digest(given, **fields):
    read_ = read(given, **fields)
    return read_.digest_before(read_.length)


def test_blocks():
    """Tools, their choice, instruction, contents: a block for each of their parts."""
    found = read(body())
    places = [str(found.place(at)) for at in range(found.length)]

    assert found.blocks.kinds == [
        "functionDeclaration",
        "functionDeclaration",
        "googleSearch",
        "toolConfig",
        "text",
        "text",
        "text",
        "text",
        "text",
        "text",
    ]
    assert places[3:7] == [
        "tools[3]",
        "system[0]",
        "system[1]",
        "messages[0].content[0]",
    ]
    assert found.roles == ("user", "assistant", "user")
    assert found.starts == (6, 8, 9)
    assert set(found.blocks.refusals) == {"named"}
    assert found.markers == {}


def test_a_content_without_parts():
    """It is a block of its own, of no size."""
    found = read({"contents": [{"role": "user"}, {"role": "model", "parts": []}]})

    assert found.blocks.kinds == ["empty", "empty"]
    assert found.total_tokens == 0


EQUAL = {
    "order of fields": body(
        tools=[
            {"functionDeclarations": [dict(reversed(WEATHER.items())), NEWS]},
            {"googleSearch": {}},
        ]
    ),
    "role of the instruction": body(
        systemInstruction={
            "role": "user",
            "parts": [{"text": "Be kind."}, {"text": "Be brief."}],
        }
    ),
    "tools in other groups": body(
        tools=[
            {"functionDeclarations": [WEATHER]},
            {"functionDeclarations": [NEWS], "googleSearch": {}},
        ]
    ),
    "no role": body(
        contents=[
            {"parts": [{"text": "a"}, {"text": "b"}]},
            model("c"),
            {"role": "", "parts": [{"text": "d"}]},
        ]
    ),
    "how to answer": body(generationConfig={"temperature": 1}, safetySettings=[{}]),
    "fields of the SDK": {**body(), "_url": {"model": "x"}, "_query": {}},
    "another spelling": {
        **{key: it for key, it in body().items() if key != "systemInstruction"},
        "system_instruction": body()["systemInstruction"],
    },
}


@pytest.mark.parametrize("other", EQUAL.values(), ids=EQUAL.keys())
def test_what_is_no_change(other):
    """Bodies that make one prompt have one digest."""
    assert digest(other) == digest(body())


OTHER = {
    "instruction": body(systemInstruction={"parts": [{"text": "Be kind.Be brief."}]}),
    "no instruction": {
        key: it for key, it in body().items() if key != "systemInstruction"
    },
    "tools": body(tools=[{"functionDeclarations": [WEATHER]}]),
    "order of tools": body(
        tools=[{"functionDeclarations": [NEWS, WEATHER]}, {"googleSearch": {}}]
    ),
    "tool config": body(toolConfig={"functionCallingConfig": {"mode": "ANY"}}),
    "role": body(contents=[user("a", "b"), user("c"), user("d")]),
    "parts in other contents": body(contents=[user("a"), user("b"), model("c")]),
    "a thought": body(
        contents=[
            user("a", "b"),
            {"role": "model", "parts": [{"text": "c", "thought": True}]},
            user("d"),
        ]
    ),
    "named": body(cachedContent="cachedContents/x"),
}


@pytest.mark.parametrize("other", OTHER.values(), ids=OTHER.keys())
def test_what_is_a_change(other):
    """Bodies that make another prompt have another digest."""
    assert digest(other) != digest(body())


def test_whose_prompt_it_is():
    """Model and tenant are part of every digest; how a model is spelled is not."""
    spellings = {
        digest(body(), name=name)
        for name in (
            "gemini-3.8-flash",
            "models/gemini-3.8-flash",
            "projects/p/locations/l/publishers/google/models/gemini-3.8-flash",
        )
    }

    assert len(spellings) == 1
    assert digest(body(), name="gemini-3.6-flash") not in spellings
    assert digest(body(), tenant="a") not in spellings
    assert digest(body(), tenant="a") != digest(body(), tenant="b")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gemini-3.8-flash", "gemini-3.8-flash"),
        ("models/g", "g"),
        ("publishers/google/models/g", "g"),
        ("projects/p/locations/l/publishers/google/models/g", "g"),
        ("tunedModels/g", "tunedModels/g"),
        ("projects/p/locations/l/endpoints/7", "projects/p/locations/l/endpoints/7"),
    ],
)
def test_names_of_models(name, expected):
    """Only what all of the provider's models have before their names is left out."""
    assert bare(name) == expected


CUTS = {
    "a chat": (body(), (0, 2)),
    "no head": ({"contents": [user("a"), model("b"), user("c")]}, (2,)),
    "tools alone": ({"tools": [{"googleSearch": {}}], "contents": [user("a")]}, (0,)),
    "an empty list of tools": ({"tools": [], "contents": [user("a")]}, ()),
    "a choice alone": ({"toolConfig": {}, "contents": [user("a")]}, (0,)),
    "the model is to go on": ({"contents": [user("a"), model("b")]}, ()),
    "turns of functions": (
        {
            "contents": [
                user("a"),
                {"role": "model", "parts": [{"functionCall": {"name": "f"}}]},
                {"role": "function", "parts": [{"functionResponse": {}}]},
            ]
        },
        (2,),
    ),
    "turns without a role": ({"contents": [{"parts": []}, {"parts": []}]}, (1,)),
    "a name of the caller's": (body(cachedContent="cachedContents/x"), ()),
    "the same in another spelling": (body(cached_content="cachedContents/x"), ()),
    "no contents": ({"systemInstruction": {"parts": []}}, ()),
}


@pytest.mark.parametrize(("given", "expected"), CUTS.values(), ids=CUTS.keys())
def test_cuts(given, expected):
    """What stays begins with a turn of the user's, and is never nothing."""
    assert cuts(given) == expected


@pytest.mark.parametrize(
    ("cut", "end", "kinds"), [(0, 6, "text"), (2, 9, "text")], ids=["head", "turns"]
)
def test_ends(cut, end, kinds):
    """A cut ends behind the last block that it holds."""
    found = read(body())

    assert end_of(found, cut) == end
    assert found.blocks.kinds[end - 1] == kinds


def test_the_end_without_contents():
    """A body without contents holds all that it has."""
    found = read({"systemInstruction": {"parts": [{"text": "a"}]}})

    assert end_of(found, 0) == found.length == 1


def test_both_parts_of_a_body():
    """What is cached moves, all else stays, and both are the very objects."""
    given = body(
        labels={"a": "b"},
        safetySettings=[{"category": "x"}],
        serviceTier="flex",
        _url={"model": "m"},
    )
    before = copy.deepcopy(given)
    held, kept = members(given, 2), rest(given, 2, "cachedContents/x")

    assert set(held) == {"systemInstruction", "tools", "toolConfig", "contents"}
    assert held["contents"] == given["contents"][:2]
    assert held["tools"] is given["tools"]
    assert kept == {
        "contents": given["contents"][2:],
        "generationConfig": given["generationConfig"],
        "labels": given["labels"],
        "safetySettings": given["safetySettings"],
        "serviceTier": "flex",
        "cachedContent": "cachedContents/x",
    }
    assert kept["generationConfig"] is given["generationConfig"]
    assert given == before


def test_a_head_alone():
    """At the first cut all contents stay."""
    assert "contents" not in members(body(), 0)
    assert rest(body(), 0, "x")["contents"] == body()["contents"]


def test_other_spellings():
    """What a caller spells otherwise moves as well, in the spelling of the API."""
    given = {
        "system_instruction": {"parts": [{"text": "a"}]},
        "tool_config": {"functionCallingConfig": {}},
        "contents": [user("a")],
    }

    assert members(given, 0) == {
        "systemInstruction": given["system_instruction"],
        "toolConfig": given["tool_config"],
    }
    assert rest(given, 0, "x") == {"contents": [user("a")], "cachedContent": "x"}


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"cachedContent": "a"}, "a"),
        ({"cached_content": "a"}, "a"),
        ({"cachedContent": ""}, None),
        ({"cachedContent": None}, None),
        ({"cachedContent": 7}, "7"),
        ({}, None),
    ],
)
def test_names(given, name):
    """A body that names nothing may have ours named in it."""
    assert named(given) == name


SIZES = {
    "text": ({"text": "x" * 400}, 100),
    "a signed text": ({"text": "x" * 400, "thoughtSignature": "y" * 999}, 100),
    "other alphabets": ({"text": "\u00e9" * 200}, 100),
    "image": ({"inlineData": {"mimeType": "image/png", "data": "a" * 10**6}}, 1024),
    "document": (
        {"inlineData": {"mimeType": "application/pdf", "data": "a" * 12 * 8192}},
        2048,
    ),
    "small document": (
        {"inlineData": {"mimeType": "application/pdf", "data": "a"}},
        1024,
    ),
    "sound": (
        {"inline_data": {"mime_type": "audio/mp3", "data": "a" * 160 * 8192}},
        2048,
    ),
    "file": ({"fileData": {"fileUri": "gs://a/b", "mimeType": "video/mp4"}}, 1024),
    "call": ({"functionCall": {"name": "f"}}, 8),
}


@pytest.mark.parametrize(("part", "tokens"), SIZES.values(), ids=SIZES.keys())
def test_sizes(part, tokens):
    """Tokens are estimated by what a part stands for, not by how it is sent."""
    found = read({"contents": [{"role": "user", "parts": [part]}]})

    assert found.total_tokens == tokens


ENDLESS = []
ENDLESS.append(ENDLESS)
UNREADABLE = {
    "list": [],
    "contents": {"contents": "hello"},
    "content": {"contents": ["hello"]},
    "parts": {"contents": [{"parts": "hello"}]},
    "instruction": {"systemInstruction": "hello"},
    "tools": {"tools": {"functionDeclarations": []}},
    "tool": {"tools": ["googleSearch"]},
    "declarations": {"tools": [{"functionDeclarations": {}}]},
    "two spellings": {"toolConfig": {}, "tool_config": {}},
    "no JSON": {"contents": [{"parts": [{"text": object()}]}]},
    "endless": {"contents": [{"parts": [ENDLESS]}]},
}


@pytest.mark.parametrize("given", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_unreadable(given):
    """Another shape is an error that says where, and quotes nothing."""
    with pytest.raises(UnreadableBodyError) as caught:
        read(given)

    assert "hello" not in str(caught.value)


def test_what_only_slow_json_takes():
    """Lone surrogates and long integers are read, as the SDK sends them."""
    args = {"text": "\ud800", "number": 2**80}
    call = {"functionCall": {"name": "f", "args": args}}

    assert read({"contents": [{"parts": [call, {"text": "\ud800"}]}]}).length == 2


def test_the_provider_reads_bodies_so():
    """The core asks the provider, which is told the model beside the body."""
    asked = GEMINI.outline(body(), model="models/m", host="developer", tenant="a")

    assert asked.blocks.digests == read(body(), name="m", tenant="a").blocks.digests
