"""Implicit caching: what is read without a word in the request."""

import pytest

from promptcache.emulator.rules.gemini import lucky

MODEL = "gemini-3.8-flash"


def test_a_prefix_that_was_sent(world, turn):
    """The longest prefix of an earlier request is read, to the last step."""
    kept = world()
    first = kept.ask(turn(5000))
    second = kept.ask(turn(5000), turn(300, "y"))

    assert (first.usage.read, first.hit) == (0, None)
    assert second.usage.read == 4992
    assert second.hit == "contents[0].parts[0]"
    assert kept.read(turn(5000), turn(300, "y"), turn(9)) == 5248


def test_inside_of_a_part(world, turn):
    """Two texts share what they begin with."""
    kept = world()
    shared = "x" * 4 * 4500
    kept.ask({"parts": [{"text": f"{shared}one question" + "a" * 2000}]})

    assert kept.read({"parts": [{"text": f"{shared}another" + "b" * 2000}]}) == 4480


@pytest.mark.parametrize(
    ("model", "tokens", "read"),
    [
        (MODEL, 4095, 0),
        (MODEL, 4096, 4096),
        ("gemini-2.5-flash", 2047, 0),
        ("gemini-2.5-flash", 2048, 2048),
        ("gemini-4-argon", 4096, 4096),
        ("gemini-9-neon", 4095, 0),
    ],
)
def test_minimums(world, turn, model, tokens, read):
    """Each model has its shortest prefix."""
    kept = world()
    kept.ask(turn(tokens), model=model)

    assert kept.read(turn(tokens), model=model) == read


def test_another_minimum(world, turn):
    """It can be set for all of them."""
    kept = world(implicit_minimum_tokens=10, implicit_step=1)
    kept.ask(turn(12))

    assert kept.read(turn(12)) == 12
    assert kept.read(turn(12, "y")) == 0


@pytest.mark.parametrize(
    ("after", "read"), [(299.9, 4992), (300.0, 0)], ids=["within", "over"]
)
def test_its_life(world, turn, after, read):
    """It lives from the last request that sent it."""
    kept = world()
    kept.ask(turn(5000))
    kept.now = 200.0
    kept.ask(turn(5000))
    kept.now += after

    assert kept.read(turn(5000)) == read


SYSTEM = {"systemInstruction": {"parts": [{"text": "s" * 20_000}]}}
TOOL = {"functionDeclarations": [{"name": "f", "description": "d"}]}
CHANGED = [
    pytest.param({}, 5120, id="nothing"),
    pytest.param({"systemInstruction": {"parts": [{"text": "s"}]}}, 0, id="system"),
    pytest.param({"tools": [{"googleSearch": {}}]}, 4992, id="tools"),
    pytest.param(
        {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}, 4992, id="choice"
    ),
    pytest.param({"generationConfig": {"temperature": 0.5}}, 5120, id="sampling"),
    pytest.param({"model": "gemini-3.6-flash"}, 0, id="model"),
]


@pytest.mark.parametrize(("fields", "read"), CHANGED)
def test_what_a_change_costs(world, turn, fields, read):
    """A change is read up to where it stands: instruction, tools, choice, contents."""
    kept = world()
    body = {**SYSTEM, "tools": [TOOL]}
    kept.ask(turn(200), **body)

    assert kept.read(turn(200), **{**body, **fields}) == read


def test_hosts_and_workspaces_share_nothing(world, turn):
    """What one has sent no other finds."""
    kept = world()
    kept.ask(turn(5000))
    for host, workspace in (("developer", "other"), ("vertex", "default")):
        kept.where = kept.place(host, workspace)
        assert kept.read(turn(5000)) == 0


@pytest.mark.parametrize(
    ("luck", "least", "most"), [(0.0, 0, 0), (0.5, 60, 140), (1.0, 200, 200)]
)
def test_luck(world, turn, luck, least, most):
    """So many of the requests that could read do, and the same ones each time."""
    runs = []
    for _ in range(2):
        kept = world(implicit_luck=luck, implicit_minimum_tokens=8, implicit_step=8)
        kept.ask(turn(8))
        runs.append([kept.read(turn(8)) for _ in range(200)])

    assert least <= sum(map(bool, runs[0])) <= most
    assert runs[0] == runs[1]


def test_luck_is_no_pattern():
    """Two conversations that take turns are not always lucky or unlucky."""
    lucks = [lucky(number, 0.5) for number in range(400)]

    assert 60 < sum(lucks[::2]) < 140
    assert 60 < sum(lucks[1::2]) < 140


def test_only_what_could_read_takes_luck(world, turn):
    """A request that finds nothing leaves the luck of the next ones alone."""
    runs = []
    for between in (False, True):
        kept = world(implicit_luck=0.5, implicit_minimum_tokens=8, implicit_step=8)
        kept.ask(turn(8))
        runs.append([])
        for number in range(40):
            if between:
                kept.ask(turn(7))
                kept.ask(turn(8, f"{number:02}"))
            runs[-1].append(kept.read(turn(8)))

    assert runs[0] == runs[1]


@pytest.mark.parametrize(
    ("beside", "read"), [(False, 5000), (True, 6144)], ids=["alone", "beside"]
)
def test_beside_a_cached_content(world, turn, beside, read):
    """With a cached content the count is of it alone, unless it is set otherwise."""
    kept = world(implicit_beside_explicit=beside)
    name = kept.create(5000).name
    kept.ask(turn(1200), turn(300), cachedContent=name)
    found = kept.ask(turn(1200), turn(300, "z"), cachedContent=name)

    assert found.usage.read == read
    assert found.hit == name


def test_modalities(world):
    """Tokens are told by what they are made of, those that were read as well."""
    image = {"inline_data": {"mime_type": "image/png", "data": "aaaa"}}
    sound = {"fileData": {"mimeType": "audio/wav", "fileUri": "files/1"}}
    contents = {"parts": [{"text": "x" * 16_000}, image, sound]}
    kept = world()
    first, second = kept.ask(contents), kept.ask(contents)
    total = {"TEXT": 1 + 4001, "IMAGE": 1601, "AUDIO": 3001}

    assert first.usage.total_by_modality == total
    assert first.usage.read_by_modality == {}
    assert second.usage.read == 8576
    assert second.usage.read_by_modality == {
        "TEXT": 4002,
        "IMAGE": 1601,
        "AUDIO": 8576 - 4002 - 1601,
    }


def test_images_of_the_same_length(world):
    """Another image is another prefix, wherever it differs."""
    kept = world(implicit_minimum_tokens=1, implicit_step=1)

    def picture(data):
        image = {"inlineData": {"mimeType": "image/png", "data": data}}
        return {"parts": [image, {"text": "what is it?"}]}

    kept.ask(picture("i" * 20_000 + "a"))
    assert kept.read(picture("i" * 20_000 + "b")) == 1


@pytest.mark.parametrize(
    "again",
    [
        pytest.param(
            {"functionCall": {"name": "f", "args": {"b": 1, "a": 2}}}, id="in"
        ),
        pytest.param(
            {
                "functionCall": {"name": "f", "args": {"a": 2, "b": 1}, "id": "1"},
                "thoughtSignature": "s",
            },
            id="out",
        ),
    ],
)
def test_what_is_not_rendered(world, turn, again):
    """Order of fields, ids and signatures make no other prefix."""
    kept = world(implicit_minimum_tokens=1, implicit_step=1)
    sent = {"function_call": {"args": {"a": 2, "b": 1}, "name": "f"}}
    total = kept.ask({"parts": [sent], "role": "model"}, turn(9)).usage.total
    used = kept.ask({"parts": [again], "role": "model"}, turn(9)).usage

    assert (used.read, used.total) == (total, total)


def test_spellings(world, turn):
    """Spellings that the server takes to be the same are the same prefix."""
    kept = world(implicit_minimum_tokens=1, implicit_step=1)
    schema = {"type": "OBJECT", "properties": {"a_b": {"type": "STRING"}}}
    declared = {"name": "f", "parameters": schema}
    numbers = {"type": 6, "properties": {"a_b": {"type": 1}}}
    total = kept.ask(
        turn(9),
        systemInstruction={"parts": [{"text": "s"}], "role": "user"},
        tools=[{"functionDeclarations": [declared]}],
        toolConfig={"functionCallingConfig": {"mode": "ANY"}},
    ).usage.total

    assert total == kept.read(
        {"parts": {"text": "x" * 4 * 7}},
        system_instruction={"parts": {"text": "s"}},
        tools={"function_declarations": {"name": "f", "parameters": numbers}},
        tool_config={"function_calling_config": {"mode": 2}},
    )
    other = {"type": 6, "properties": {"aB": {"type": 1}}}
    assert total != kept.read(
        turn(9),
        system_instruction={"parts": {"text": "s"}},
        tools={"function_declarations": {"name": "f", "parameters": other}},
        tool_config={"function_calling_config": {"mode": 2}},
    )
