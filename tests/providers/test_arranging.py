"""Volatile text moved and strings split, on every wire: what reaches the model."""

import json
from functools import partial
from itertools import product

import anthropic
import openai
import pytest
from gemini_sdk import client_of
from hypothesis import given
from hypothesis import strategies as st

from promptcache import PromptCache, document, noted, options, volatile
from promptcache.emulator import Emulator, Fault, GeminiSettings
from promptcache.planning.volatile import SYSTEM_NOTE
from promptcache.prompts import parts
from promptcache.prompts.arrangement import noted_in
from promptcache.providers import Request
from promptcache.providers.anthropic import ANTHROPIC
from promptcache.providers.gemini import GEMINI
from promptcache.providers.openai import CHAT, RESPONSES
from promptcache.settling import _read_again

RULES = "Answer as a careful clerk of a railway museum would answer. "
DATES = [f"It is the {day}th of November in the year 2026." for day in range(10, 20)]
DOCUMENTS = [
    f"The T {number} was built in 1911, and has been on show." for number in range(6)
]


def said(value):
    """Every text of a body, in order, but for the caches' own fields."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        skipped = ("type", "role", "cache_control", "prompt_cache_breakpoint", "model")
        return [it for name in value if name not in skipped for it in said(value[name])]
    if isinstance(value, list):
        return [text for it in value for text in said(it)]
    return []


OPENED = []


@pytest.fixture(autouse=True)
def _closing():
    """Close the clients that a test has opened."""
    yield
    while OPENED:
        OPENED.pop().close()


def opened(client):
    OPENED.append(client)
    return client


def find(text, *, lasting=False):
    return parts.found(text, lasting=lasting)


def arranged(provider, body, **how):
    hosts = {"anthropic": "anthropic", "openai": "openai", "google": "developer"}
    model = str(body.get("model", "gemini-3.8-flash"))
    return provider.arranged(
        body,
        find,
        model=model,
        host=hosts[provider.name],
        overrides=None,
        **{"splits": True, **how},
    )


def anthropic_body(system, turns, *, model="claude-sonnet-5-5"):
    roles = ["user", "assistant"] * len(turns)
    messages = [
        {"role": role, "content": text}
        for role, text in zip(roles, turns, strict=False)
    ]
    return {"model": model, "max_tokens": 9, "system": system, "messages": messages}


def chat_body(system, turns):
    body = anthropic_body(system, turns, model="gpt-6.1-sol")
    first = {"role": "system", "content": system}
    return {"model": body["model"], "messages": [first, *body["messages"]]}


def input_body(system, turns):
    body = anthropic_body(system, turns, model="gpt-6.1-sol")
    return {"model": body["model"], "instructions": system, "input": body["messages"]}


def gemini_body(system, turns):
    contents = [
        {"role": role, "parts": [{"text": text}]}
        for role, text in zip(["user", "model"] * len(turns), turns, strict=False)
    ]
    return {"systemInstruction": {"parts": [{"text": system}]}, "contents": contents}


BODIES = {
    "anthropic": (ANTHROPIC, anthropic_body),
    "chat": (CHAT, chat_body),
    "responses": (RESPONSES, input_body),
    "gemini": (GEMINI, gemini_body),
}


@pytest.fixture(params=BODIES)
def wire(request):
    return BODIES[request.param]


texts = st.lists(
    st.one_of(
        st.sampled_from(DOCUMENTS),
        st.sampled_from(["\n", "\n\n", " ", "Read this: ", "What is it?"]),
        st.text("ab \n\u00e9", min_size=1, max_size=9),
    ),
    min_size=1,
    max_size=9,
).map("".join)
turns = st.lists(texts.filter(str.strip), min_size=1, max_size=5).map(
    lambda it: it if len(it) % 2 else it[:-1] or it
)


@given(texts, turns)
@pytest.mark.parametrize("name", BODIES)
def test_splitting_changes_no_text(name, system, said_so_far):
    """Adjacent text blocks, joined, are what the framework built, on every wire."""
    for it in DOCUMENTS:
        document(it)
    provider, build = BODIES[name]
    body = build(system, said_so_far)
    before = json.dumps(body)
    made = arranged(provider, body)

    assert "".join(said(made.body)) == "".join(said(body))
    assert (made.whole, made.moves, made.volatile) == (body, [], [])
    assert json.dumps(body) == before
    assert all(text.strip() for text in said(made.body) if text not in said(body))


@given(texts, turns, st.sampled_from(DATES), st.integers(0, 9))
@pytest.mark.parametrize("name", BODIES)
def test_arranging_twice(name, system, said_so_far, date, at):
    """What is arranged already stays as it is."""
    for it in DOCUMENTS:
        document(it)
    provider, build = BODIES[name]
    body = build(f"{system[:at]}\n{volatile(date)}\n{system[at:]}", said_so_far)
    once = arranged(provider, body)
    again = arranged(provider, once.body)

    assert again.body == once.body
    assert (again.moves, again.splits) == ([], [])
    # On Gemini no breakpoint could stand behind it.
    assert again.volatile == ([] if name == "gemini" else once.volatile)


@given(texts, turns, st.integers(0, 9), st.integers(0, 9))
@pytest.mark.parametrize("name", BODIES)
def test_what_is_left_is_stable(name, system, said_so_far, at, line):
    """With another date the same bytes are left, and the date is said once."""
    provider, build = BODIES[name]
    made = []
    for date in DATES[:2]:
        between = f"\n{volatile(date)}" + "\n" * (line % 3)
        body = build(system[:at] + between + system[at:], said_so_far)
        made.append("\0".join(said(arranged(provider, body).body)))

    assert [it.count(date) for it, date in zip(made, DATES, strict=False)] == [1, 1]
    assert made[0].replace(DATES[0], "") == made[1].replace(DATES[1], "")


odd_texts = st.sampled_from(
    [DATES[0], DOCUMENTS[0], f"Read {DOCUMENTS[0]} and {DATES[0]}", "user", "assistant"]
)
odd = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), odd_texts),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["role", "content", "parts", "text", "type", "output", "cache_control"]
            ),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=8,
)
# Mostly right, so that what is wrong is not all in the first step.
mixed = st.just(f"Read {DOCUMENTS[0]} and {DATES[0]}\nNow.")
odd_part = st.fixed_dictionaries(
    {"text": mixed}, optional={"type": st.sampled_from(["text", "input_text", 7])}
)
odd_parts = st.lists(st.one_of(odd_part, odd_part, odd), min_size=1, max_size=3)
odd_turn = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["user", "user", "user", "system", "assistant", 7]),
        "content": st.one_of(odd_parts, odd_parts, mixed, odd),
    },
    optional={"parts": odd_parts, "output": odd_parts, "type": odd_texts},
)
odd_turns = st.lists(st.one_of(odd_turn, odd_turn, odd_turn, odd), max_size=4)
odd_head = st.one_of(mixed, odd_parts, st.fixed_dictionaries({"parts": odd_parts}), odd)
FIELDS = (
    ("system", "instructions", "systemInstruction"),
    ("messages", "input", "contents"),
)


@given(
    odd_head,
    st.one_of(odd_turns, odd_turns, odd),
    st.booleans(),
    st.lists(st.integers(0, 3), max_size=2),
)
@pytest.mark.parametrize("name", BODIES)
def test_odd_bodies(name, system, said_so_far, later_system, blocks):
    """What no provider would take is arranged or left, but no error of ours."""
    volatile(DATES[0])
    document(DOCUMENTS[0])
    noted("read before", DOCUMENTS[0])
    provider, build = BODIES[name]
    body = {
        field: value
        for fields, value in zip(FIELDS, (system, said_so_far), strict=True)
        for field in fields
    }
    before = json.dumps(body)

    known = {**build("", []), **body}
    for numbers in blocks, ():
        arranged(provider, known, later_system=later_system, blocks=numbers)
    noted_in(body, tenant=None)
    assert json.dumps(body) == before


def places(provider, body, **how):
    made = arranged(provider, body, **how)
    return made.moves, [str(it) for it in made.volatile]


@pytest.mark.parametrize(
    ("name", "before", "later"),
    [
        ("anthropic", "system[1]", "messages[3].content[0]"),
        ("chat", "messages[1].content[0]", "messages[3].content[0]"),
        ("responses", "messages[0].content[0]", "messages[2].content[0]"),
        ("gemini", "messages[0].content[0]", "messages[2].content[0]"),
    ],
)
def test_places(name, before, later):
    """Volatile text goes behind what is stable, and the receipt says where."""
    provider, build = BODIES[name]
    system = f"{RULES}\n{volatile(DATES[0])}"
    source = {"chat": "messages[0].content[0]", "responses": "instructions"}.get(
        name, "system[0]"
    )
    for turns_so_far, place in ((["a?"], before), (["a?", "b.", "c?"], later)):
        moves, now = places(provider, build(system, turns_so_far))

        assert moves == [f"moved volatile text from {source} to {place}"]
        assert now == [place]


def test_a_turn_of_tools():
    """A tool's results come first in their turn, and what is moved after them."""
    body = anthropic_body(f"{RULES}\n{volatile(DATES[0])}", ["a?", "b.", "c?"])
    body["messages"][2]["content"] = [
        {"type": "tool_result", "tool_use_id": "t", "content": "r"},
        {"type": "text", "text": "c?"},
    ]
    older = {**body, "model": "claude-sonnet-4-6"}

    assert arranged(ANTHROPIC, body).body["messages"][3] == {
        "role": "system",
        "content": DATES[0],
    }
    assert said(arranged(ANTHROPIC, older).body["messages"][2]) == [
        "t",
        "r",
        SYSTEM_NOTE + DATES[0],
        "c?",
    ]


def test_results_of_tools_at_the_end():
    """On OpenAI's, what is moved goes behind results that came after the user."""
    body = chat_body(f"{RULES}\n{volatile(DATES[0])}", ["a?"])
    call = {"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    body["messages"] += [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "t", "content": "r"},
    ]

    made = arranged(CHAT, body).body["messages"]
    assert [it["role"] for it in made] == [
        "system",
        "user",
        "assistant",
        "tool",
        "system",
    ]


def test_servers_that_take_no_later_system_message():
    """There, what the user says begins with what was moved; the string stays one."""
    body = chat_body(f"{RULES}\n{volatile(DATES[0])}", ["a?", "b.", "c?"])
    made = CHAT.arranged(
        body, find, model="m", host="llm.example", overrides=None, splits=True
    )

    assert made.body["messages"][-1] == {
        "role": "user",
        "content": f"{SYSTEM_NOTE}{DATES[0]}\n\nc?",
    }
    assert not made.adds_turn


def test_a_message_that_says_nothing_then():
    """A system prompt that was nothing but volatile is dropped once it is moved."""
    turns_so_far = ["a?", "b.", "c?"]
    for name, field in (
        ("anthropic", "system"),
        ("responses", "instructions"),
        ("gemini", "systemInstruction"),
    ):
        provider, build = BODIES[name]
        assert (
            field
            not in arranged(provider, build(volatile(DATES[0]), turns_so_far)).body
        )
    chat = arranged(CHAT, chat_body(volatile(DATES[0]), turns_so_far)).body
    assert [it["role"] for it in chat["messages"]] == [
        "user",
        "assistant",
        "system",
        "user",
    ]


def test_nothing_is_split_where_blocks_are_not_taken():
    """Older models of OpenAI, Gemini and an assistant's turns keep their strings."""
    text = f"Read: {document(DOCUMENTS[0])} What?"
    old = {**chat_body(text, [text, text]), "model": "gpt-4.1"}

    assert arranged(CHAT, old).body is old
    assert arranged(GEMINI, gemini_body(text, [text])).splits == []
    made = arranged(CHAT, chat_body(text, [text, text])).body["messages"]
    assert [type(it["content"]) for it in made] == [list, list, str]
    assert made[2]["role"] == "assistant"


def test_results_of_tools_keep_their_strings():
    """No other prompt has one in the same place: its call has an id of its own."""
    text = f"Read: {document(DOCUMENTS[0])} What?"
    call = {"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    chat = chat_body(RULES, ["a?"])
    chat["messages"] += [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "t", "content": text},
    ]
    result = {"type": "function_call_output", "call_id": "t", "output": text}
    responses = {"model": chat["model"], "input": [result]}

    for provider, body in ((CHAT, chat), (RESPONSES, responses)):
        made = arranged(provider, body)
        assert (made.splits, made.ends) == ([], [])


def test_a_marked_block():
    """The caller's breakpoint stays at the end of what it stood on."""
    text = f"Read: {document(DOCUMENTS[0])} What?"
    marked = {"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}
    body = anthropic_body([marked], ["a?"])

    made = arranged(ANTHROPIC, body)
    assert [it.get("cache_control") for it in made.body["system"]] == [
        None,
        None,
        {"type": "ephemeral"},
    ]
    assert made.splits == ["split system[0] into 3"]


def asked(cache, provider, body, host):
    return cache.prepare(Request(provider, body, host))


@pytest.mark.parametrize("how", ["policy", "option"])
def test_off_changes_nothing(wire, how):
    """Nothing is moved or split where promptcache is off."""
    provider, build = wire
    cache = PromptCache("off" if how == "policy" else "auto")
    body = build(f"{RULES}\n{volatile(DATES[0])}\n{document(DOCUMENTS[0])}", ["a?"])

    with options(enabled=None if how == "policy" else False):
        prepared = asked(cache, provider, body, "anthropic")
    assert prepared.body is body
    assert prepared.changes == ()


def test_planning_a_planned_request():
    """Planning what was planned changes nothing, whatever was moved and split."""
    text = f"{RULES * 90}\n{volatile(DATES[0])}\n{document(DOCUMENTS[0] * 90)}\n\nSo:"
    older = partial(anthropic_body, model="claude-sonnet-4-6")
    wires = [
        BODIES["anthropic"],
        (ANTHROPIC, older),
        BODIES["chat"],
        BODIES["responses"],
    ]
    for (provider, build), many in product(wires, (1, 3)):
        turns_so_far = [f"{text} {number}?" for number in range(many)]
        body = build(text, turns_so_far)
        host = provider.name
        once = asked(PromptCache(), provider, body, host)
        again = asked(PromptCache(), provider, once.body, host)

        assert once.changes
        assert again.body == once.body


def test_what_is_sent_is_what_is_looked_at_again(wire):
    """What settles a request reads its blocks as they were sent."""
    provider, build = wire
    text = f"{RULES}\n{volatile(DATES[0])}\n{document(DOCUMENTS[0])}\n\nSo:"
    prepared = asked(
        PromptCache(), provider, build(text, [f"{text} 1?"]), provider.name
    )
    length = prepared.outline.length

    assert len([*_read_again(prepared, prepared.outline, range(length))]) == length


LONG = RULES * 480


def talk(ask, answer_of, given_out, *, turns_of=4):
    """Ask again and again, with a date in the system prompt; return what was asked."""
    history = []
    for number in range(turns_of):
        system = f"{LONG}\n{given_out(DATES[number])}\nBe brief."
        history.append(("user", f"{number}: {'what is it? ' * 300}"))
        history.append(("assistant", answer_of(ask(system, history))))


def anthropic_asker(emulator, cache, model):
    client = cache.attach(
        opened(anthropic.Anthropic(base_url=emulator.url, api_key="any"))
    )

    def ask(system, history):
        return client.messages.create(
            model=model,
            max_tokens=16,
            system=system,
            messages=[{"role": role, "content": text} for role, text in history],
        )

    return ask, lambda it: it.content[0].text


def openai_asker(emulator, cache, model, *, api="chat"):
    client = cache.attach(
        opened(
            openai.OpenAI(base_url=f"{emulator.url}/v1", api_key="any", max_retries=0)
        )
    )

    def ask(system, history):
        messages = [{"role": role, "content": text} for role, text in history]
        if api == "responses":
            return client.responses.create(
                model=model, instructions=system, input=messages
            )
        messages.insert(0, {"role": "system", "content": system})
        return client.chat.completions.create(model=model, messages=messages)

    return (
        ask,
        lambda it: (
            it.output_text if api == "responses" else it.choices[0].message.content
        ),
    )


def gemini_asker(emulator, cache, model):
    client = cache.attach(opened(client_of(emulator.url)))

    def ask(system, history):
        contents = [
            {"role": "user" if role == "user" else "model", "parts": [{"text": text}]}
            for role, text in history
        ]
        config = {"system_instruction": system}
        return client.models.generate_content(
            model=model, contents=contents, config=config
        )

    return ask, lambda it: it.text


ASKERS = {
    "anthropic": (anthropic_asker, "claude-sonnet-5-5", {}),
    "anthropic-older": (anthropic_asker, "claude-sonnet-4-6", {}),
    "chat": (openai_asker, "gpt-6.1-sol", {}),
    "chat-older": (openai_asker, "gpt-4.1", {}),
    "responses": (openai_asker, "gpt-6.1-sol", {"api": "responses"}),
    "responses-older": (openai_asker, "gpt-4.1", {"api": "responses"}),
    "gemini": (gemini_asker, "gemini-3.8-flash", {}),
}


@pytest.mark.parametrize("name", ASKERS)
def test_a_date_in_the_system_prompt(name, server, emulator):
    """A conversation reads its history once the date in its prompt is volatile."""
    make, model, how = ASKERS[name]
    read = {}
    for given_out in (str, volatile):
        server.reset()
        cache = PromptCache(clock=emulator.clock, strict=True)
        with cache.collect() as receipts, options(gemini_caches=False):
            talk(*make(emulator, cache, model, **how), given_out)
        read[given_out] = [it.usage.read_tokens or 0 for it in receipts]
        sizes = [it.usage.input_tokens for it in receipts]
        notes = [it.notes for it in receipts]

    # From the third on, as instructions of Responses carry no breakpoint themselves.
    assert read[volatile][3] > read[volatile][2] > max(read[str])
    assert read[volatile][3] > 0.7 * sizes[3]
    assert all(any("moved volatile text" in it for it in said_) for said_ in notes)
    assert not any(date in str(notes) for date in DATES)


def test_a_cached_content_holds_the_instruction():
    """Gemini's cached contents are found again, as the instruction stays the same."""
    with Emulator(gemini=GeminiSettings(implicit_luck=0.0)) as emulator:
        cache = PromptCache(clock=emulator.clock, strict=True, store="memory://")
        with cache.collect() as receipts:
            ask, _ = gemini_asker(emulator, cache, "gemini-3.8-flash")
            for number in range(20):
                system = f"{LONG * 3}\n{volatile(f'It is minute {number} of it.')}"
                ask(system, [("user", f"{number}?")])
                emulator.clock.advance(5)
        cache.close()

    assert receipts[-1].breakpoints
    assert receipts[-1].usage.read_tokens > 0.5 * receipts[-1].usage.input_tokens
    assert any("moved volatile text" in it for it in receipts[-1].notes)


def test_a_refusal_of_our_fields_keeps_what_was_asked_for(emulator, cache):
    """Sent again without markers, the text stays where it was moved to by name."""
    emulator.faults.push(
        Fault(
            status=400, message="system.0.cache_control: Extra inputs are not permitted"
        )
    )
    ask, _ = anthropic_asker(emulator, cache, "claude-sonnet-5-5")
    with cache.collect() as receipts:
        ask(
            f"{LONG}\n{volatile(DATES[0])}\n{document(DOCUMENTS[0])}\nSo.",
            [("user", "a")],
        )
    sent = emulator.ledger[-1]

    assert sent.cache_creation_input_tokens == 0
    assert receipts[0].attempts == 2
    assert receipts[0].notes[0] == "moved volatile text from system[0] to system[1]"
    assert not any("split" in it for it in receipts[0].notes)


def test_a_refusal_of_the_moved_message(emulator, cache):
    """What the framework built is sent then, and the next time the user's turn is."""
    emulator.faults.push(
        Fault(status=400, message="role 'system' is not supported on this model")
    )
    ask, _ = anthropic_asker(emulator, cache, "claude-sonnet-5-5")
    history = [("user", "a"), ("assistant", "b"), ("user", "c")]
    with cache.collect() as receipts:
        for _ in range(2):
            ask(f"{LONG}\n{volatile(DATES[0])}", history)

    assert receipts[0].notes == ("refused",)
    assert receipts[1].notes == (
        "moved volatile text from system[0] to messages[2].content[0]",
    )


def test_blocks_that_history_shows_to_change(emulator):
    """A block that was another one on every call is moved only if that is allowed."""

    def run(**said_):
        emulator.reset()
        cache = PromptCache(clock=emulator.clock, strict=True)
        client = cache.attach(
            opened(anthropic.Anthropic(base_url=emulator.url, api_key="any"))
        )
        history = []
        with cache.collect() as receipts, options(**said_):
            for number in range(8):
                history.append({"role": "user", "content": f"{number} {LONG}"})
                answer = client.messages.create(
                    model="claude-sonnet-5-5",
                    max_tokens=16,
                    system=[
                        {"type": "text", "text": LONG},
                        {"type": "text", "text": f"Call {number} of this day."},
                    ],
                    messages=history,
                )
                text = answer.content[0].text
                history.append({"role": "assistant", "content": text})
        return receipts

    told, moved = run(), run(move_volatile=True)
    assert [it.notes for it in told[2:]] == [("system[1] changes on every call",)] * 6
    assert [it.notes for it in moved[2:]] == [
        (f"moved volatile text from system[1] to messages[{place}].content[0]",)
        for place in range(5, 17, 2)
    ]
    assert sum(it.usage.read_tokens for it in moved) > 3 * sum(
        it.usage.read_tokens for it in told
    )


def test_the_only_block_stays(emulator):
    """Instructions that change as a whole are not moved, whatever is allowed."""
    cache = PromptCache(clock=emulator.clock, strict=True)
    ask, _ = anthropic_asker(emulator, cache, "claude-sonnet-5-5")
    with cache.collect() as receipts, options(move_volatile=True):
        for number in range(4):
            ask(f"{number} {LONG}", [("user", "a"), ("assistant", "b"), ("user", "c")])

    assert not any("moved" in it for receipt in receipts for it in receipt.notes)
    assert "system[0] changes on every call" in receipts[-1].notes


@pytest.mark.filterwarnings("ignore:The argument `including_default_value_fields`")
def test_the_old_sdk_of_gemini(emulator, cache):
    """A model of `google-generativeai` sends the moved text as well."""
    from gemini_legacy import MODEL, as_before, configure, genai  # noqa: PLC0415

    with as_before():
        configure(emulator.url)
        system = f"{LONG}\n{volatile(DATES[0])}"
        model = cache.attach(genai.GenerativeModel(MODEL, system_instruction=system))
        with cache.collect() as receipts:
            model.generate_content("What is it?")

    body = emulator.ledger[-1].body
    assert said(body["systemInstruction"]) == [LONG]
    assert said(body["contents"][0]) == [SYSTEM_NOTE + DATES[0], "What is it?"]
    assert receipts[0].notes[0].startswith("moved volatile text from system[0]")
