"""What a caller may say, and how that is laid over each other."""

import asyncio
import contextvars
import threading
from datetime import timedelta

import pytest

from promptcache.errors import OptionError
from promptcache.options import CallOptions, current_options, options

NOTHING = CallOptions()


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        pytest.param(None, NOTHING, id="none"),
        pytest.param(True, CallOptions(enabled=True), id="on"),
        pytest.param(False, CallOptions(enabled=False), id="off"),
        pytest.param({}, NOTHING, id="empty"),
        pytest.param(
            {"tenant": "a", "conversation": "c", "ttl": "1h", "enabled": True},
            CallOptions("a", "c", "1h", True),
            id="all",
        ),
        pytest.param(
            {"ttl": timedelta(minutes=5)}, CallOptions(ttl="5m"), id="timedelta"
        ),
        pytest.param({"tenant": None, "ttl": None}, NOTHING, id="nothing-said"),
        pytest.param(CallOptions(tenant="a"), CallOptions(tenant="a"), id="itself"),
    ],
)
def test_forms(said, expected):
    """Options are given as a dict, True, False or None."""
    assert CallOptions.read(said) == expected


@pytest.mark.parametrize(
    ("said", "named"),
    [
        pytest.param({"tenants": "a"}, "tenant, conversation, ttl, enabled", id="name"),
        pytest.param({"tenant": ""}, "non-empty string", id="empty-tenant"),
        pytest.param({"tenant": 5}, "non-empty string", id="tenant-no-string"),
        pytest.param({"conversation": b"c"}, "non-empty string", id="bytes"),
        pytest.param({"ttl": "2h"}, "5m, 30m, 1h, 12h", id="ttl"),
        pytest.param({"enabled": 1}, "True or False", id="enabled"),
        pytest.param({"fan_out": 8}, "True or False", id="fan-out"),
        pytest.param("auto", "a dict of", id="string"),
        pytest.param(["tenant"], "a dict of", id="list"),
    ],
)
def test_what_is_not_allowed(said, named):
    """A wrong name or value is refused with the choices there are."""
    with pytest.raises(OptionError) as caught:
        CallOptions.read(said)

    assert named in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_inner_over_outer():
    """An inner block overrides what it says and leaves the rest."""
    with options(tenant="a", ttl="1h"):
        with options(ttl="5m", enabled=False):
            assert current_options() == CallOptions("a", None, "5m", False)
        assert current_options() == CallOptions("a", None, "1h", None)
    assert current_options() == NOTHING


def test_false_and_none_differ():
    """False is said; None is not."""
    with options(enabled=False), options(enabled=None):
        assert current_options().enabled is False
    with options(enabled=False), options(enabled=True):
        assert current_options().enabled is True


def test_fanning_out():
    """The switch of a call is more than that of a block around it, and may be off."""
    with options(fan_out=True):
        assert CallOptions().over(current_options()).fan_out is True
        assert CallOptions.read({"fan_out": False}).over(current_options()).fan_out is (
            False
        )
        with options(tenant="a"):
            assert current_options() == CallOptions("a", fan_out=True)
    assert current_options().fan_out is None


def test_left_by_an_error():
    """An error that leaves a block ends its options."""
    with pytest.raises(KeyError), options(tenant="a"):
        raise KeyError
    assert current_options() == NOTHING


def test_wrong_options_change_nothing():
    """A block with a wrong value is not entered."""
    with pytest.raises(OptionError), options(ttl="soon"):
        pass
    assert current_options() == NOTHING


def test_threads_have_their_own():
    """A thread that was started inside knows nothing of the block."""
    seen = []
    with options(tenant="a"):
        thread = threading.Thread(target=lambda: seen.append(current_options()))
        thread.start()
        thread.join()

    assert seen == [NOTHING]


async def test_tasks_have_their_own():
    """Tasks that interleave see their own options and those around them."""

    async def work(name):
        with options(conversation=name):
            await asyncio.sleep(0)
            return current_options()

    with options(tenant="a"):
        seen = await asyncio.gather(*[work(str(number)) for number in range(9)])

    assert seen == [CallOptions("a", str(number)) for number in range(9)]


def test_a_generator_closed_in_another_context():
    """A block inside of a generator may be left where it was not entered."""

    def steps():
        with options(tenant="a"):
            yield current_options()
            yield current_options()

    generator = steps()
    inside = contextvars.copy_context().run(next, generator)
    generator.close()

    assert inside == CallOptions("a")
    assert current_options() == NOTHING


async def test_an_asynchronous_generator_left_behind():
    """A stream that a web server drops ends in another context without an error."""
    failures = []

    async def stream():
        try:
            with options(tenant="a"):
                while True:
                    yield current_options()
        except ValueError as error:
            failures.append(error)

    chunks = stream()
    first = await asyncio.create_task(anext(chunks))
    await asyncio.create_task(chunks.aclose())

    assert first == CallOptions("a")
    assert failures == []
