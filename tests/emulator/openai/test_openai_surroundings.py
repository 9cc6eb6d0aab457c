"""What surrounds caching: settings, tiers, choices, stored answers and faults."""

import pytest

pytest.importorskip("openai")

import openai

from promptcache.emulator import Emulator, Fault, OpenAISettings

HELLO = [{"role": "user", "content": "hello"}]
LONG = [{"role": "user", "content": "x" * 8000}]
TEXT = {"type": "text", "text": "t", "prompt_cache_breakpoint": {"mode": "explicit"}}


def test_the_settings_are_shown(emulator):
    """An emulator says which choices it was made with."""
    chosen = OpenAISettings(latest_breakpoints=80)

    assert emulator.openai_settings == OpenAISettings()
    assert Emulator(openai=chosen).openai_settings is chosen


def test_a_provisioned_deployment():
    """Without breakpoints no writes are reported, and prefixes are found as before."""
    with (
        Emulator(openai=OpenAISettings(breakpoints=False)) as emulator,
        openai.OpenAI(base_url=f"{emulator.url}/v1", api_key="any") as client,
    ):
        usages = [
            client.chat.completions.create(model="gpt-6.1-sol", messages=LONG).usage
            for _ in range(2)
        ]
        row = emulator.ledger[-1]

    details = [usage.prompt_tokens_details.model_dump() for usage in usages]
    assert [found["cached_tokens"] for found in details] == [0, 1920]
    assert [found.get("cache_write_tokens") for found in details] == [None, None]
    assert (row.cache_read_input_tokens, row.breakpoints) == (1920, ())


def test_a_busy_machine_hands_over():
    """Each machine takes so many requests within a minute; a new one is cold."""
    with (
        Emulator(openai=OpenAISettings(requests_per_minute=3)) as emulator,
        openai.OpenAI(base_url=f"{emulator.url}/v1", api_key="any") as client,
    ):
        for seconds in (0, 0, 0, 0, 0, 0, 0, 61):
            emulator.clock.advance(seconds)
            client.chat.completions.create(model="gpt-5.2", messages=LONG)
        read = [row.cache_read_input_tokens for row in emulator.ledger]

    assert read == [0, 1920, 1920, 0, 1920, 1920, 0, 1920]


@pytest.mark.parametrize(
    ("asked", "used"),
    [
        ({}, "default"),
        ({"service_tier": "auto"}, "default"),
        ({"service_tier": "default"}, "default"),
        ({"service_tier": "flex"}, "flex"),
        ({"service_tier": "priority"}, "priority"),
        ({"service_tier": "fast"}, "priority"),
    ],
    ids=str,
)
def test_the_tier_is_told(client, asked, used):
    """Both APIs name the tier that was used, in whole answers and in streams."""
    chat = {"model": "gpt-6-sol", "messages": HELLO, **asked}
    whole = client.chat.completions.create(**chat)
    chunks = client.chat.completions.create(**chat, stream=True)
    response = client.responses.create(model="gpt-6-sol", input="hello", **asked)

    assert {whole.service_tier, *(it.service_tier for it in chunks)} == {used}
    assert response.service_tier == used


def test_tiers_that_are_one_share_a_prefix(world, said):
    """A tier that is spelled out is the one it stands for; another misses."""
    judge = world()
    body = {"model": "gpt-6-sol", "messages": [said("user", 2000)]}
    judge.judge(body)

    assert judge.read({**body, "service_tier": "default"}) == 2000
    assert judge.read({**body, "service_tier": "priority"}) == 0
    assert judge.read({**body, "service_tier": "fast"}) == 2000


def test_choices_are_billed_each(client, emulator):
    """Each choice has its number, its stream and its tokens."""
    asked = {"model": "gpt-6-sol", "messages": HELLO}
    once = client.chat.completions.create(**asked)
    thrice = client.chat.completions.create(**asked, n=3)
    chunks = client.chat.completions.create(**asked, n=2, stream=True)
    ends = [
        (choice.index, choice.finish_reason)
        for chunk in chunks
        for choice in chunk.choices
        if choice.finish_reason
    ]

    assert [choice.index for choice in thrice.choices] == [0, 1, 2]
    assert len({choice.message.content for choice in thrice.choices}) == 1
    assert thrice.usage.completion_tokens == 3 * once.usage.completion_tokens
    assert thrice.usage.prompt_tokens == once.usage.prompt_tokens
    assert emulator.ledger[1].output_tokens == thrice.usage.completion_tokens
    assert ends == [(0, "stop"), (1, "stop")]


def test_a_stored_response_is_found(client, emulator):
    """It is the very answer, found by its id, and no request of the ledger."""
    made = client.responses.create(model="gpt-6-sol", input="hello")

    assert client.responses.retrieve(made.id) == made
    assert len(emulator.ledger) == 1


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        pytest.param({"store": False}, "any", id="not-stored"),
        pytest.param({}, "ws-other-1", id="of-another-workspace"),
    ],
)
def test_a_response_is_not_found(client, fields, key):
    """What was not stored, or not here, is not there."""
    made = client.responses.create(model="gpt-6-sol", input="hello", **fields)

    with pytest.raises(openai.NotFoundError, match=made.id):
        client.with_options(api_key=key).responses.retrieve(made.id)


def test_a_stored_response_is_not_streamed(client):
    """It says so instead of answering in another form."""
    made = client.responses.create(model="gpt-6-sol", input="hello")

    with pytest.raises(openai.BadRequestError, match="streams no stored"):
        client.responses.retrieve(made.id, stream=True)


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("prompt_cache_key", {"prompt_cache_key": "k"}),
        ("prompt_cache_options", {"prompt_cache_options": {"mode": "explicit"}}),
        ("prompt_cache_retention", {"prompt_cache_retention": "24h"}),
        ("stream_options", {"stream": True, "stream_options": {"include_usage": True}}),
        (
            "prompt_cache_breakpoint",
            {"messages": [{"role": "user", "content": [TEXT]}]},
        ),
    ],
    ids=lambda it: it if isinstance(it, str) else "",
)
def test_a_field_is_refused(client, emulator, field, fields):
    """A fault can be meant for every request that has a field, and for no other."""
    plain = {"model": "gpt-6-sol", "messages": HELLO}
    told = [{"role": "user", "content": f'{{"{field}": 1, "{field}":{{"a": 1}}}}'}]
    emulator.faults.push(
        Fault(status=400, match=field, times=2, message=f"{field} is not known here")
    )

    client.chat.completions.create(**plain)
    client.chat.completions.create(**plain | {"messages": told})
    client.chat.completions.create(**plain, extra_body=dict.fromkeys(fields) | plain)
    for _ in range(2):
        with pytest.raises(openai.BadRequestError, match="not known here") as raised:
            client.chat.completions.create(**plain | fields)
        assert raised.value.param == field
    client.chat.completions.create(**plain | fields)
