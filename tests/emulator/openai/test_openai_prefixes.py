"""Matching without breakpoints: models up to gpt-5.5."""

import pytest


def chat(*messages, model="gpt-5.2", **fields):
    return {"model": model, "messages": list(messages), **fields}


@pytest.mark.parametrize(
    ("model", "hidden", "tokens", "read"),
    [
        pytest.param("gpt-5.2", 0, 1023, 0, id="below-the-minimum"),
        pytest.param("gpt-5.2", 0, 1024, 1024, id="at-the-minimum"),
        pytest.param("gpt-5.2", 0, 2000, 1920, id="in-steps-of-128"),
        pytest.param("gpt-5.5", 0, 2000, 0, id="below-one-interval"),
        pytest.param("gpt-5.5", 0, 5000, 4096, id="in-steps-of-2048"),
        # The guide's figure: an end at 4,096 is 1,096 after 3,000 hidden tokens.
        pytest.param("gpt-5.5", 3000, 2000, 1024, id="behind-hidden-tokens"),
        pytest.param("gpt-5.5", 3000, 4000, 3072, id="two-ends-behind-hidden-tokens"),
        pytest.param("gpt-4o-2024-11-20", 0, 2000, 1920, id="dated"),
        pytest.param("ft:gpt-4.1:acme::1", 0, 2000, 1920, id="fine-tuned"),
    ],
)
def test_what_a_repeat_reads(world, said, model, hidden, tokens, read):
    """The longest prefix that ends on the grid is read, in steps of 128."""
    judge = world(hidden_tokens=hidden)
    body = chat(said("user", tokens), model=model)

    assert judge.figures(body) == (0, 0, 0, tokens)
    assert judge.figures(body) == (read, 0, 0, tokens - read)


def test_a_shared_head_is_read(world, said):
    """No breakpoint is needed where prefixes differ behind a shared part."""
    judge = world()
    judge.judge(chat(said("system", 2000), said("user", 500, "a")))

    assert judge.read(chat(said("system", 2000), said("user", 500, "b"))) == 1920


def test_a_message_that_grows_is_read(world, said):
    """The match may end inside of a message."""
    judge = world()
    judge.judge(chat(said("user", 2000)))

    assert judge.read(chat(said("user", 4000))) == 1920


@pytest.mark.parametrize(
    ("fields", "settings", "after", "read"),
    [
        pytest.param({}, {}, 1799, 1920, id="24h-is-the-default"),
        pytest.param({}, {}, 1800, 0, id="24h-idle"),
        pytest.param({}, {"zero_retention": True}, 300, 0, id="no-data-kept"),
        pytest.param(
            {"prompt_cache_retention": "in_memory"}, {}, 299, 1920, id="in-memory"
        ),
        pytest.param(
            {"prompt_cache_retention": "in_memory"}, {}, 300, 0, id="in-memory-idle"
        ),
        pytest.param({"model": "gpt-4o"}, {}, 300, 0, id="model-without-24h"),
        pytest.param(
            {"model": "gpt-5.5"},
            {"zero_retention": True, "interval": 128},
            1799,
            1920,
            id="model-with-24h-only",
        ),
    ],
)
def test_retention(world, said, fields, settings, after, read):
    """A prefix is kept as long as request, model and organization say."""
    judge = world(**settings)
    body = chat(said("user", 2000)) | fields
    judge.judge(body)
    judge.now = after

    assert judge.read(body) == read


@pytest.mark.parametrize(
    ("retention", "step", "most"),
    [
        pytest.param("in_memory", 290, 3600, id="an-hour"),
        pytest.param("24h", 1790, 86_400, id="a-day"),
    ],
)
def test_no_use_extends_it_forever(world, said, retention, step, most):
    """However often it is read, a prefix is gone after an hour or a day."""
    judge = world()
    body = chat(said("user", 2000), prompt_cache_retention=retention)
    judge.judge(body)
    while judge.now + step < most:
        judge.now += step
        assert judge.read(body) == 1920
    judge.now = most

    assert judge.read(body) == 0


@pytest.mark.parametrize(
    ("settings", "model", "busy", "read"),
    [
        pytest.param({}, "gpt-5.2", 15, 1920, id="fifteen-a-minute"),
        pytest.param({}, "gpt-5.2", 16, 0, id="sixteen-a-minute"),
        pytest.param({"overflow": "none"}, "gpt-5.2", 16, 1920, id="switched-off"),
        pytest.param({}, "gpt-6-sol", 16, 2000, id="with-breakpoints"),
        pytest.param({"overflow": "all"}, "gpt-6-sol", 16, 0, id="everywhere"),
        pytest.param({"requests_per_minute": 2}, "gpt-5.2", 3, 0, id="other-rate"),
    ],
)
def test_overflow(world, said, settings, model, busy, read):
    """A busy prefix and key go on to a machine that is cold."""
    judge = world(**settings)
    body = chat(said("user", 2000), model=model)
    found = [judge.read(body) for _ in range(busy)]

    assert found[-1] == read
    judge.now = 60
    assert judge.read(body) > 0


@pytest.mark.parametrize(
    ("rate", "machines"),
    [
        pytest.param(15, 1, id="fifteen-a-minute"),
        pytest.param(30, 2, id="thirty-a-minute"),
        pytest.param(60, 4, id="sixty-a-minute"),
    ],
)
def test_steady_traffic_is_spread(world, said, rate, machines):
    """Each machine takes fifteen requests within any minute, and is cold at first."""
    judge = world()
    body = chat(said("user", 2000))
    found = []
    for _ in range(4 * rate):
        found.append(judge.read(body))
        judge.now += 60 / rate
    (starts,) = judge.starts.values()

    assert found.count(0) == len(starts) == machines
    for taken in starts:
        assert all(
            late - early >= 60 for early, late in zip(taken, taken[15:], strict=False)
        )


def test_the_first_machine_with_room_takes_it(world, said):
    """Traffic that calms down comes back to the machine it began with."""
    judge = world(requests_per_minute=2)
    body = chat(said("user", 2000))
    for _ in range(3):
        judge.judge(body)
    judge.now = 61
    judge.judge(body)
    (starts,) = judge.starts.values()

    assert starts == [[0.0, 0.0, 61], [0.0]]


def test_routing(world, said):
    """The first 256 tokens and the key lead to a machine."""
    judge = world()
    judge.judge(chat(said("user", 2000), prompt_cache_key="a"))

    assert judge.read(chat(said("user", 2000), prompt_cache_key="b")) == 0
    assert judge.read(chat(said("user", 2000), prompt_cache_key="a")) == 1920
    other = {"role": "user", "content": "x" * 1200 + "y" * 6792}
    assert judge.read(chat(other, prompt_cache_key="a")) == 0
