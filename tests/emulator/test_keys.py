"""What a change invalidates: the documentation's table, row by row."""

import pytest

MARK = {"type": "ephemeral"}
TOOLS = [
    {"name": "e", "description": "a short one", "input_schema": {"type": "object"}},
    {
        "name": "f",
        "description": "d" * 3000,
        "input_schema": {"type": "object"},
        "cache_control": MARK,
    },
]
SYSTEM = [{"type": "text", "text": "s" * 3000, "cache_control": MARK}]
TOOLS_END, SYSTEM_END, ALL = "tools.1", "system.0", "messages.0.content.9"

OPUS, OLD, HAIKU = "claude-opus-5-5", "claude-opus-5", "claude-haiku-4-5"

IMAGE = {"type": "image", "source": {"type": "url", "url": "https://example.com/a"}}
DOCUMENT = {
    "type": "document",
    "source": {"type": "text", "media_type": "text/plain", "data": "x"},
}
CITED = {**DOCUMENT, "citations": {"enabled": True}}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}
FETCH = {"type": "web_fetch_20250910", "name": "web_fetch"}
DEFERRED = {"name": "g", "input_schema": {"type": "object"}, "defer_loading": True}
BUDGET = {"type": "enabled", "budget_tokens": 1024}
ADAPTIVE = {"type": "adaptive"}
FORCED = {"type": "any"}
NAMED = {"type": "tool", "name": "f"}
SERIAL = {"type": "auto", "disable_parallel_tool_use": True}
FORMAT = {"format": {"type": "json_schema", "schema": {"type": "object"}}}
CLEARING = {"edits": [{"type": "clear_tool_uses_20250919"}]}


def effort(value):
    return {"output_config": {"effort": value}}


def task_budget(tokens):
    return {"output_config": {"task_budget": {"type": "tokens", "total": tokens}}}


def tool(**fields):
    return {"tools": [TOOLS[0], {**TOOLS[1], **fields}]}


DOCUMENTED = [
    pytest.param(OPUS, {}, ALL, id="nothing"),
    pytest.param(OPUS, {"model": "claude-opus-5"}, None, id="model"),
    pytest.param(OPUS, {"model": "claude-fable-5-1"}, None, id="model-like-it"),
    pytest.param(OPUS, {"speed": "fast"}, None, id="speed"),
    pytest.param(OPUS, {"speed": "standard"}, ALL, id="default-speed"),
    pytest.param(OPUS, tool(description="e" * 3000), None, id="tool-description"),
    pytest.param(OPUS, tool(name="g"), None, id="tool-name"),
    pytest.param(OPUS, tool(input_schema={}), None, id="tool-schema"),
    pytest.param(OPUS, {"tools": TOOLS[1:]}, None, id="tool-removed"),
    pytest.param(OPUS, {"tools": TOOLS[::-1]}, None, id="tools-in-another-order"),
    pytest.param(
        OPUS,
        {"tools": [*TOOLS, {**TOOLS[0], "name": "h"}]},
        TOOLS_END,
        id="tool-added-at-the-end",
    ),
    pytest.param(OPUS, {"system": "t" * 3000}, TOOLS_END, id="system"),
    # It has no text among the tools, so it ends the same prefix as the tool before.
    pytest.param(OPUS, {"tools": [*TOOLS, SEARCH]}, "tools.2", id="web-search"),
    pytest.param(OPUS, {"tools": [*TOOLS, FETCH]}, "tools.2", id="web-fetch"),
    pytest.param(OPUS, {"output_config": FORMAT}, TOOLS_END, id="output-format"),
    pytest.param(OPUS, task_budget(9), SYSTEM_END, id="task-budget"),
    pytest.param(OPUS, {"tool_choice": FORCED}, SYSTEM_END, id="any-tool"),
    pytest.param(OPUS, {"tool_choice": NAMED}, SYSTEM_END, id="named-tool"),
    pytest.param(OPUS, {"tool_choice": {"type": "none"}}, SYSTEM_END, id="no-tool"),
    pytest.param(OPUS, {"tool_choice": {"type": "auto"}}, ALL, id="default-choice"),
    pytest.param(OPUS, {"tool_choice": SERIAL}, SYSTEM_END, id="parallel"),
    pytest.param(OPUS, {"thinking": BUDGET}, SYSTEM_END, id="thinking"),
    pytest.param(OPUS, {"thinking": ADAPTIVE}, SYSTEM_END, id="adaptive-thinking"),
    pytest.param(OPUS, {"thinking": {"type": "disabled"}}, ALL, id="no-thinking"),
    pytest.param(HAIKU, {"thinking": BUDGET}, SYSTEM_END, id="thinking-on-haiku"),
    pytest.param(OLD, {"thinking": BUDGET}, None, id="thinking-rendered-first"),
    pytest.param(OPUS, effort("low"), SYSTEM_END, id="effort"),
    pytest.param(HAIKU, effort("low"), SYSTEM_END, id="effort-on-haiku"),
    pytest.param(OLD, effort("low"), None, id="effort-rendered-first"),
    pytest.param(OPUS, effort("medium"), ALL, id="default-medium"),
    pytest.param(OPUS, effort("high"), SYSTEM_END, id="high-is-not-the-default"),
    pytest.param(OLD, effort("high"), ALL, id="default-high"),
    pytest.param(
        OPUS, {"context_management": CLEARING}, SYSTEM_END, id="context-management"
    ),
    pytest.param(OPUS, {"stream": True}, ALL, id="stream"),
    pytest.param(OPUS, {"max_tokens": 4000}, ALL, id="max-tokens"),
    pytest.param(OPUS, {"metadata": {"user_id": "u"}}, ALL, id="metadata"),
    pytest.param(OPUS, {"temperature": 0.5}, ALL, id="temperature"),
    pytest.param(OPUS, {"stop_sequences": ["x"]}, ALL, id="stop-sequences"),
    pytest.param(OPUS, {"service_tier": "auto"}, ALL, id="service-tier"),
    pytest.param(OPUS, {"inference_geo": "us"}, ALL, id="inference-geo"),
    pytest.param(
        OPUS, {"diagnostics": {"previous_message_id": None}}, ALL, id="diagnostics"
    ),
    pytest.param(OPUS, {"tools": [*TOOLS, DEFERRED]}, ALL, id="deferred-tool"),
    pytest.param(OPUS, tool(cache_control=None), ALL, id="one-marker-less"),
]
MEASURED = [
    pytest.param(OPUS, effort("low"), ALL, id="effort-after-the-prompt"),
    pytest.param(OPUS, {"thinking": BUDGET}, ALL, id="thinking-after-the-prompt"),
    pytest.param(HAIKU, effort("low"), SYSTEM_END, id="effort-before-messages"),
    pytest.param(OLD, effort("low"), None, id="effort-before-tools"),
    pytest.param(OPUS, {"tool_choice": {"type": "none"}}, ALL, id="auto-to-none"),
    pytest.param(OPUS, {"tool_choice": FORCED}, SYSTEM_END, id="auto-to-any"),
    pytest.param(OPUS, {"tool_choice": SERIAL}, ALL, id="parallel"),
    pytest.param(OPUS, {"output_config": FORMAT}, None, id="output-format"),
]


@pytest.fixture
def body(make):
    def build(model, fields=None):
        start = {"model": model, "max_tokens": 2000, "tools": TOOLS, "system": SYSTEM}
        return make(10, [10], **{**start, **(fields or {})})

    return build


def test_the_table_is_whole(world, body):
    """Every prefix of the cases below is long enough to be written on its own."""
    here = world(minimum_tokens=1)

    assert here.judge(body(OPUS)).breakpoints == (TOOLS_END, SYSTEM_END, ALL)
    assert len(here.judge(body(OPUS)).written) == 3


@pytest.mark.parametrize(("model", "change", "hit"), DOCUMENTED)
def test_documented_invalidation(world, body, model, change, hit):
    """A change leaves exactly the sections before it readable, also when undone."""
    here, back = world(minimum_tokens=1), world(minimum_tokens=1)
    here.call(body(model))
    back.call(body(model, change))

    assert here.hit(body(model, change)) == hit
    if not {"tools", "system"} & set(change):
        assert back.hit(body(model)) == hit


@pytest.mark.parametrize(("model", "change", "hit"), MEASURED)
def test_measured_invalidation(world, body, model, change, hit):
    """The measured table forgives what was seen to change nothing."""
    here = world(parameters="measured", minimum_tokens=1)
    here.call(body(model))

    assert here.hit(body(model, change)) == hit


@pytest.mark.parametrize(
    ("parameters", "before", "after", "hit"),
    [
        pytest.param("documented", FORCED, NAMED, SYSTEM_END, id="any-to-named"),
        pytest.param("measured", FORCED, NAMED, ALL, id="any-to-named-measured"),
        pytest.param(
            "measured",
            FORCED,
            {**FORCED, "disable_parallel_tool_use": True},
            SYSTEM_END,
            id="parallel-under-force-measured",
        ),
    ],
)
def test_between_forced_choices(world, body, parameters, before, after, hit):
    """Between two forced choices the tables differ."""
    here = world(parameters=parameters)
    here.call(body(OPUS, {"tool_choice": before}))

    assert here.hit(body(OPUS, {"tool_choice": after})) == hit


def test_another_task_budget(world, body):
    """A budget that is counted down misses the messages each time."""
    here = world()
    here.call(body(OPUS, task_budget(9000)))

    assert here.hit(body(OPUS, task_budget(8000))) == SYSTEM_END
    assert here.hit(body(OPUS, task_budget(9000))) == ALL


def test_how_thinking_is_shown(world, body):
    """`thinking.display` is not part of the prompt."""
    here = world()
    here.call(body(OPUS, {"thinking": BUDGET}))

    shown = {"thinking": {**BUDGET, "display": "omitted"}}
    assert here.hit(body(OPUS, shown)) == ALL
    more = {"thinking": {**BUDGET, "budget_tokens": 1500}}
    assert here.hit(body(OPUS, more)) == SYSTEM_END


@pytest.mark.parametrize(
    ("unplaced", "hit"),
    [
        pytest.param("messages", SYSTEM_END, id="messages"),
        pytest.param("system", TOOLS_END, id="system"),
        pytest.param("tools", None, id="tools"),
        pytest.param("none", ALL, id="none"),
    ],
)
def test_what_no_source_places(world, body, unplaced, hit):
    """A setting says what a change of betas or of `context_management` invalidates."""
    here = world(unplaced=unplaced)
    here.call(body(OPUS), ["a-2026-01-01"])

    assert here.hit(body(OPUS), ["a-2026-01-01"]) == ALL
    assert here.hit(body(OPUS), ["a-2026-01-01", "b-2026-01-01"]) == hit
    managed = body(OPUS, {"context_management": CLEARING})
    assert here.hit(managed, ["a-2026-01-01"]) == hit


@pytest.mark.parametrize(
    "betas",
    [
        pytest.param(["b-2026-01-01", "a-2026-01-01"], id="another-order"),
        pytest.param(
            ["a-2026-01-01", "b-2026-01-01", "extended-cache-ttl-2025-04-11"],
            id="one-of-a-generally-available-feature",
        ),
    ],
)
def test_the_active_betas(world, body, betas):
    """Only the set of betas that still activate something counts."""
    here = world()
    here.call(body(OPUS), ["a-2026-01-01", "b-2026-01-01"])

    assert here.hit(body(OPUS), betas) == ALL


@pytest.mark.parametrize(
    ("block", "parameters", "hit"),
    [
        pytest.param(IMAGE, "documented", SYSTEM_END, id="image-documented"),
        pytest.param(IMAGE, "measured", ALL, id="image-measured"),
        pytest.param(CITED, "documented", TOOLS_END, id="citations"),
        pytest.param(CITED, "measured", TOOLS_END, id="citations-measured"),
        pytest.param(DOCUMENT, "documented", ALL, id="document-without-citations"),
    ],
)
def test_content_that_changes_earlier_sections(world, body, block, parameters, hit):
    """A new image or cited document reaches back as far as the table says."""
    here = world(parameters=parameters)
    here.call(body(OPUS))
    later = body(OPUS)
    later["messages"] += [
        {"role": "assistant", "content": "yes"},
        {"role": "user", "content": [{**block, "cache_control": MARK}]},
    ]

    assert here.hit(later) == hit


@pytest.mark.parametrize(
    ("block", "hit"),
    [
        pytest.param(0, SYSTEM_END, id="the-first-block"),
        pytest.param(4, "messages.0.content.3", id="after-a-breakpoint"),
        pytest.param(9, "messages.0.content.3", id="the-last-block"),
    ],
)
def test_an_edited_message(world, make, block, hit):
    """What stands before an edit is still read, the rest is missed."""

    def body():
        return make(10, [4, 10], tools=TOOLS, system=SYSTEM)

    here, edited = world(), body()
    edited["messages"][0]["content"][block]["text"] = "edited"
    here.call(body())

    assert here.hit(edited) == hit


@pytest.mark.parametrize(
    ("model", "documented", "measured"),
    [
        pytest.param("claude-opus-5-5", SYSTEM_END, ALL, id="opus-5-5"),
        pytest.param("claude-fable-5-1", SYSTEM_END, ALL, id="fable-5-1"),
        pytest.param("claude-haiku-4-5", SYSTEM_END, SYSTEM_END, id="haiku-4-5"),
        pytest.param("claude-fable-5", None, None, id="fable-5"),
        pytest.param("claude-opus-4-8", None, None, id="opus-4-8"),
        pytest.param("claude-sonnet-5", None, None, id="sonnet-5"),
        pytest.param("claude-sonnet-4-6", None, None, id="sonnet-4-6"),
        # Not measured: the documentation advises to expect that all starts over.
        pytest.param("claude-sonnet-5-5", None, None, id="sonnet-5-5"),
        pytest.param("claude-haiku-5-5", None, None, id="haiku-5-5"),
    ],
)
@pytest.mark.parametrize("field", ["thinking", "output_config"])
def test_where_models_render_effort_and_thinking(
    world, body, field, model, documented, measured
):
    """Messages always miss by the document, and by measurement not always."""
    change = {"thinking": {"thinking": BUDGET}, "output_config": effort("low")}[field]
    hits = []
    for parameters in ("documented", "measured"):
        here = world(parameters=parameters, minimum_tokens=1)
        here.call(body(model))
        hits.append(here.hit(body(model, change)))

    assert hits == [documented, measured]


def test_the_order_of_input_keys_matters(world, make):
    """The same call with its input in another order is another prefix."""
    here = world()

    def body(arguments):
        call = {"type": "tool_use", "id": "t", "name": "f", "input": arguments}
        result = {"type": "tool_result", "tool_use_id": "t", "cache_control": MARK}
        built = make(10)
        built["messages"] += [
            {"role": "assistant", "content": [call]},
            {"role": "user", "content": [{**result, "content": "ok"}]},
        ]
        return built

    here.call(body({"a": 1, "b": 2}))

    assert here.hit(body({"a": 1, "b": 2})) is not None
    assert here.hit(body({"b": 2, "a": 1})) is None


def test_two_markers_around_a_server_tool(world, make):
    """A web search tool ends the same prefix as the tool before it."""
    here = world()
    search = {**SEARCH, "cache_control": MARK}
    first = here.call(make(1, tools=[*TOOLS, search]))
    again = here.call(make(1, tools=[*TOOLS, search]))

    assert again.read == first.written_5m
    assert again.written_5m == 0
