"""Matching at breakpoints: gpt-5.6 and later."""

import pytest

MARK = {"mode": "explicit"}
LONG = {"mode": "explicit", "ttl": "12h"}


def chat(*messages, model="gpt-6.1-sol", **fields):
    return {"model": model, "messages": list(messages), **fields}


def options(**fields):
    return {"prompt_cache_options": fields}


def parts(count, marks, tokens=1000, **fields):
    """Return a body of one user message of text parts, some of them marked."""
    content = [
        {"type": "text", "text": f"{number:<8}" + "x" * 4 * (tokens - 3)}
        for number in range(1, count + 1)
    ]
    for number in marks:
        content[number - 1]["prompt_cache_breakpoint"] = MARK
    return chat({"role": "user", "content": content}, **fields)


def test_the_example_of_the_guide(world, said):
    """12,000 tokens are written, then read, and 3,000 more are written."""
    judge = world()
    first = said("user", 12_000)

    assert judge.figures(chat(first)) == (0, 12_000, 0, 0)
    more = chat(first, said("assistant", 1000), said("user", 2000, "y"))
    assert judge.figures(more) == (12_000, 3000, 0, 0)


def test_explicit_mode_leaves_the_tail(world, said):
    """What follows the last explicit breakpoint is plain input."""
    judge = world()
    body = chat(
        said("system", 1258, mark=MARK), said("user", 23), **options(mode="explicit")
    )

    assert judge.figures(body) == (0, 1258, 0, 23)
    assert judge.figures(body) == (1258, 0, 0, 23)


@pytest.mark.parametrize(("trailing", "uncached"), [(0, 0), (2, 2), (3, 3)])
def test_trailing_tokens(world, said, trailing, uncached):
    """The template's last tokens are never cached, where there are any."""
    judge = world(trailing_tokens=trailing)

    assert judge.figures(chat(said("user", 1279))) == (0, 1279, 0, uncached)
    assert judge.figures(chat(said("user", 1279))) == (1279, 0, 0, uncached)


def test_explicit_without_breakpoints_caches_nothing(world, said):
    """The documented way to opt out."""
    judge = world()
    body = chat(said("user", 5000), **options(mode="explicit"))

    assert [judge.figures(body) for _ in range(2)] == [(0, 0, 0, 5000)] * 2


@pytest.mark.parametrize(
    ("tokens", "written"),
    [pytest.param(1023, 0, id="below"), pytest.param(1024, 1024, id="at")],
)
def test_the_minimum_is_silent(world, said, tokens, written):
    """Below 1,024 visible tokens nothing is cached and nothing is refused."""
    assert world().figures(chat(said("user", tokens)))[1] == written


@pytest.mark.parametrize(
    ("first", "second", "read"),
    [
        pytest.param(
            lambda said: [said("developer", 2000), said("user", 50, "a")],
            lambda said: [said("developer", 2000), said("user", 50, "b")],
            0,
            id="shared-developer-unwritten",
        ),
        pytest.param(
            lambda said: [said("developer", 2000, mark=MARK), said("user", 50, "a")],
            lambda said: [said("developer", 2000), said("user", 50, "b")],
            2000,
            id="shared-developer-written",
        ),
        pytest.param(
            lambda said: [said("user", 2000)],
            lambda said: [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "x" * 7992},
                        {"type": "text", "text": "more"},
                    ],
                }
            ],
            0,
            id="last-message-extended",
        ),
        pytest.param(
            lambda said: [said("user", 2000)],
            lambda said: [said("user", 2000), said("developer", 9), said("user", 9)],
            2000,
            id="later-developer-message",
        ),
    ],
)
def test_what_a_second_request_reads(world, said, first, second, read):
    """Only what was written is found, and only at a boundary."""
    judge = world()
    judge.judge(chat(*first(said)))

    assert judge.read(chat(*second(said))) == read


def test_a_later_developer_message_is_no_boundary(world, said):
    """The implicit breakpoint stays at the user message before it."""
    judge = world()
    body = chat(said("user", 2000), said("assistant", 9), said("developer", 100))

    assert judge.figures(body) == (0, 2000, 0, 109)


def test_from_implicit_to_explicit(world, said):
    """The switch misses, unless an explicit breakpoint is on the same boundary."""
    judge = world()
    judge.judge(chat(said("user", 2000)))
    follow = [said("assistant", 9), said("user", 9)]

    assert (
        judge.read(chat(said("user", 2000), *follow, **options(mode="explicit"))) == 0
    )
    marked = chat(said("user", 2000, mark=MARK), *follow, **options(mode="explicit"))
    assert judge.read(marked) == 2000


def test_the_last_of_a_group_of_results_is_eligible(world, said):
    """The implicit breakpoint is at the end of the group, not inside of it."""
    calls = [
        {"id": name, "type": "function", "function": {"name": "f", "arguments": "{}"}}
        for name in ("one", "two")
    ]
    results = [{**said("tool", 700), "tool_call_id": name} for name in ("one", "two")]
    asked = {"role": "assistant", "content": None, "tool_calls": calls}
    found = world().judge(chat(said("user", 50), asked, *results))

    assert found.breakpoints == ("messages[3]",)


@pytest.mark.parametrize(
    ("mode", "slots"),
    [
        pytest.param("explicit", [3, 4, 5, 6], id="latest-four"),
        pytest.param("implicit", [4, 5, 6, 8], id="latest-three-and-implicit"),
    ],
)
def test_write_slots(world, mode, slots):
    """Surplus breakpoints are no error; they are not written."""
    found = world().judge(parts(8, range(1, 7), **options(mode=mode)))

    expected = tuple(f"messages[0].content[{number - 1}]" for number in slots)
    assert found.breakpoints == expected


@pytest.mark.parametrize(
    ("settings", "count", "written", "hit"),
    [
        pytest.param({}, 60, 2, 2, id="the-first-two"),
        pytest.param({}, 60, 11, 11, id="the-latest-fifty"),
        pytest.param({}, 60, 10, None, id="between"),
        pytest.param(
            {"latest_breakpoints": 80, "first_breakpoints": 0}, 60, 10, 10, id="eighty"
        ),
        pytest.param({"first_breakpoints": 0}, 60, 2, None, id="latest-only"),
    ],
)
def test_the_read_window(world, settings, count, written, hit):
    """The first 2 and the latest 50 explicit breakpoints are looked up."""
    judge = world(minimum_tokens=1, **settings)
    mode = options(mode="explicit")
    judge.judge(parts(count, [written], tokens=10, **mode))
    found = judge.hit(parts(count, range(1, count + 1), tokens=10, **mode))

    assert found == (None if hit is None else f"messages[0].content[{hit - 1}]")


@pytest.mark.parametrize(
    ("turns", "read"),
    [pytest.param(20, 2000, id="twenty"), pytest.param(21, 0, id="twenty-one")],
)
def test_earlier_endings(world, said, turns, read):
    """Implicit mode looks up 20 message endings before the latest."""
    judge = world()
    judge.judge(chat(said("user", 2000)))
    more = [said("user", 10, chr(97 + index)) for index in range(turns)]

    assert judge.read(chat(said("user", 2000), *more)) == read


@pytest.mark.parametrize(
    ("marks", "figures"),
    [
        pytest.param((MARK, MARK), (0, 3000, 0, 100), id="both-short"),
        pytest.param((LONG, MARK), (0, 1000, 2000, 100), id="long-then-short"),
        pytest.param((MARK, LONG), (0, 0, 3000, 100), id="short-then-long"),
    ],
)
def test_lifetimes_of_writes(world, said, marks, figures):
    """Each token is written once, for as long as the last 12h breakpoint covers it."""
    body = chat(
        said("system", 2000, mark=marks[0]),
        said("user", 1000, mark=marks[1]),
        said("assistant", 100),
        **options(mode="explicit"),
    )

    assert world().figures(body) == figures


@pytest.mark.parametrize(
    ("mark", "after", "read"),
    [
        pytest.param(MARK, 1799, 2000, id="30m-alive"),
        pytest.param(MARK, 1800, 0, id="30m-over"),
        pytest.param(LONG, 43_199, 2000, id="12h-alive"),
        pytest.param(LONG, 43_200, 0, id="12h-over"),
    ],
)
def test_lifetimes(world, said, mark, after, read):
    """An entry lives its lifetime, taken at its word."""
    judge = world()
    body = chat(said("user", 2000, mark=mark), **options(mode="explicit"))
    judge.judge(body)
    judge.now = after

    assert judge.read(body) == read


def test_a_read_refreshes(world, said):
    """Reuse makes an entry last, without a charge for writing."""
    judge = world()
    judge.judge(chat(said("user", 2000)))
    for _ in range(5):
        judge.now += 1700

        assert judge.figures(chat(said("user", 2000))) == (2000, 0, 0, 0)


@pytest.mark.parametrize(("refresh", "read"), [(False, 0), (True, 2000)])
def test_refresh_of_earlier_entries(world, said, refresh, read):
    """Whether a longer read keeps the shorter entry alive is a setting."""
    judge = world(refresh_earlier=refresh)
    short, more = said("user", 2000), [said("assistant", 9), said("user", 9)]
    judge.judge(chat(short))
    judge.judge(chat(short, *more))
    judge.now = 1700
    judge.judge(chat(short, *more))
    judge.now = 3400

    assert judge.read(chat(short)) == read


@pytest.mark.parametrize(("rewrites", "written"), [(False, 0), (True, 2000)])
def test_a_longer_lifetime_for_what_is_cached(world, said, rewrites, written):
    """Whether a 12h breakpoint writes a live 30m entry anew is a setting."""
    judge = world(longer_ttl_rewrites=rewrites)
    mode = options(mode="explicit")
    judge.judge(chat(said("user", 2000, mark=MARK), **mode))

    assert judge.figures(chat(said("user", 2000, mark=LONG), **mode))[2] == written


@pytest.mark.parametrize(("stamps", "read"), [(True, 1500), (False, 0)])
def test_writes_inside_of_what_is_read(world, said, stamps, read):
    """Whether a breakpoint before the hit becomes findable is a setting."""
    judge = world(writes_inside_read=stamps)
    plain = [said("system", 1500), said("user", 1000)]
    marked = [said("system", 1500, mark=MARK), said("user", 1000)]
    judge.judge(chat(*plain))

    assert judge.figures(chat(*marked)) == (2500, 0, 0, 0)
    assert judge.read(chat(marked[0], said("user", 1000, "y"))) == read


@pytest.mark.parametrize(
    ("change", "read"),
    [
        pytest.param({"prompt_cache_key": "b"}, 0, id="key"),
        pytest.param({"model": "gpt-6-sol"}, 0, id="model"),
        pytest.param({"parallel_tool_calls": False}, 0, id="parallel-tools"),
        pytest.param({"reasoning_effort": "high"}, 0, id="effort"),
        pytest.param({"verbosity": "low"}, 0, id="verbosity"),
        pytest.param({"service_tier": "flex"}, 0, id="tier"),
        pytest.param({"response_format": {"type": "json_object"}}, 0, id="format"),
        pytest.param(
            {"tools": [{"type": "function", "function": {"name": "f"}}]}, 0, id="tools"
        ),
        pytest.param({"metadata": {"a": "b"}}, 2000, id="metadata"),
        pytest.param({"temperature": 0.5}, 2000, id="temperature"),
        pytest.param({"tool_choice": "none"}, 2000, id="no-tool"),
        pytest.param({"stream": True}, 2000, id="stream"),
    ],
)
def test_what_breaks_the_prefix(world, said, change, read):
    """Fields that are rendered break the prefix, the others do not."""
    judge = world()
    body = chat(said("user", 2000), prompt_cache_key="a")
    judge.judge(body)

    assert judge.read({**body, **change}) == read


def test_tools_are_inside_the_prefix(world, said):
    """Their order matters, and a breakpoint on the first message covers them."""
    judge = world()
    tools = [
        {"type": "function", "function": {"name": name, "description": "d" * 4000}}
        for name in ("f", "g")
    ]
    body = chat(
        said("system", 10, mark=MARK),
        said("user", 9),
        tools=tools,
        **options(mode="explicit"),
    )
    written = judge.figures(body)[1]

    assert written > 2000
    assert judge.read(body) == written
    assert judge.read({**body, "tools": tools[::-1]}) == 0


@pytest.mark.parametrize(("partitions", "read"), [(True, 0), (False, 2000)])
def test_keys_partition(world, said, partitions, read):
    """Another `prompt_cache_key` shares nothing, as documented."""
    judge = world(key_partitions=partitions)
    judge.judge(chat(said("user", 2000), prompt_cache_key="a"))

    assert judge.read(chat(said("user", 2000), prompt_cache_key="b")) == read


@pytest.mark.parametrize(
    ("settings", "shared"),
    [
        pytest.param({}, True, id="as-one-part"),
        pytest.param({"string_is_part": False}, False, id="of-its-own"),
    ],
)
def test_strings(world, said, settings, shared):
    """String content is the same prefix as one text part, unless told otherwise."""
    judge = world(**settings)
    judge.judge(chat(said("user", 2000, mark=MARK)))

    assert judge.read(chat(said("user", 2000))) == (2000 if shared else 0)


@pytest.mark.parametrize(
    ("settings", "read"),
    [({}, 2000), ({"system_is_developer": False}, 0)],
    ids=["as-developer", "of-its-own"],
)
def test_system_messages(world, said, settings, read):
    """A system message ends the initial developer group, unless told otherwise."""
    judge = world(**settings)
    judge.judge(chat(said("system", 2000, mark=MARK), said("user", 9)))

    assert judge.read(chat(said("system", 2000), said("user", 9, "y"))) == read


def test_the_detail_of_an_image_breaks_the_prefix(world):
    """An image is part of the prefix with all its fields, its breakpoint aside."""
    judge = world()

    def body(detail, **mark):
        image = {"type": "image_url", "image_url": {"url": "u", "detail": detail}}
        return chat({"role": "user", "content": [{**image, **mark}]})

    judge.judge(body("low", prompt_cache_breakpoint=MARK))

    assert judge.read(body("low")) > 1024
    assert judge.read(body("high")) == 0
