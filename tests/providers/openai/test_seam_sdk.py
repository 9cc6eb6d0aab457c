"""What the seam asks of the SDK that is installed."""

import warnings

import openai
import pytest
from openai_sdk import create, is_planned

from promptcache import PromptCache, attach
from promptcache.providers.openai.seam import Seam
from promptcache.receipts.events import SteppedAside


def test_attaching_warns_of_nothing(plain, cache):
    """The installed SDK has all that is relied on."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        attached = cache.attach(plain)

    assert isinstance(attached.request.__self__, Seam)


def test_a_client_of_another_kind():
    """A client that lacks what we rely on is returned as it is, with one warning."""
    kind = type("OpenAI", (), {"__module__": "openai._client"})
    client = kind()

    with pytest.warns(UserWarning, match="no `copy`.*tested with openai 2") as warned:
        assert attach(client, PromptCache()) is client
    assert len(warned) == 1


class Bare:
    """A stream that iterates over something else."""

    def __init__(self):
        pass


def request_with_more(self, cast_to, options, *, stream=False, retry=None):
    pass


@pytest.mark.parametrize(
    ("where", "name", "value", "why"),
    [
        pytest.param(openai, "Stream", Bare, "Bare._iterator", id="stream"),
        pytest.param(openai, "AsyncStream", Bare, "Bare._iterator", id="async-stream"),
        pytest.param(
            openai.OpenAI, "request", request_with_more, "OpenAI.request", id="request"
        ),
        pytest.param(
            openai.AsyncOpenAI,
            "request",
            request_with_more,
            "AsyncOpenAI.request",
            id="async-request",
        ),
        pytest.param(
            openai._models, "FinalRequestOptions", Bare, "options", id="options"
        ),
        pytest.param(openai, "_models", None, "other", id="models"),
    ],
)
def test_an_sdk_that_differs(
    plain, cache, events, monkeypatch, where, name, value, why
):
    """An SDK without what we rely on is left alone, which is told once."""
    monkeypatch.setattr(where, name, value)
    with pytest.warns(UserWarning, match=why) as warned:
        assert cache.attach(plain) is plain
    (event,) = events

    assert len(warned) == 1
    assert isinstance(event, SteppedAside)
    assert event.provider == "openai"
    assert why in event.why


@pytest.mark.parametrize(
    "name", ["_prepare_options", "copy", "with_options", "request"]
)
def test_a_client_that_lacks_a_method(cache, plain, name):
    """A client that is none of the SDK's own makes is left alone."""

    class Odd:
        __module__ = "openai._client"

        def __getattr__(self, asked):
            if asked == name:
                raise AttributeError(asked)
            return getattr(plain, asked)

    client = Odd()
    with pytest.warns(UserWarning, match=f"no `{name}`"):
        assert cache.attach(client) is client


class Mine(openai.OpenAI):
    """A client with a constructor of its own, which the SDK's `copy` cannot call."""

    def __init__(self, url):
        super().__init__(base_url=url, api_key="any")


def test_a_client_that_cannot_be_copied(cache, events, emulator):
    """A subclass with another constructor is left alone, and works as before."""
    with Mine(f"{emulator.url}/v1") as client:
        with pytest.warns(UserWarning, match=r"Mine.copy\(\) fails") as warned:
            assert cache.attach(client) is client
        create(client)
    (event,) = events

    assert len(warned) == 1
    assert isinstance(event, SteppedAside)
    assert not is_planned(emulator.ledger[0].body)


class Telling(openai.OpenAI):
    """A client with a `request` of its own."""

    told = 0

    def request(self, *args, **kwargs):
        type(self).told += 1
        return super().request(*args, **kwargs)


def test_a_client_that_looks_at_its_requests(cache, emulator):
    """A subclass's own `request` sees what is sent, once."""
    with Telling(base_url=f"{emulator.url}/v1", api_key="any") as client:
        create(cache.attach(client))

    assert Telling.told == 1
    assert is_planned(emulator.ledger[0].body)


def test_a_strict_client_stays_strict(emulator, cache):
    """What the SDK's `copy` forgets of a client is kept."""
    with openai.OpenAI(
        base_url=emulator.url, api_key="any", _strict_response_validation=True
    ) as plain:
        assert cache.attach(plain)._strict_response_validation


class Indirect(openai.OpenAI):
    """A client whose one way to a copy leads through the other."""

    def with_options(self, **changes):
        return self.copy(**changes)


def test_a_copy_by_way_of_another(cache, emulator):
    """A derived client is attached once, however it came to be."""
    with (
        Indirect(base_url=f"{emulator.url}/v1", api_key="any") as plain,
        cache.collect() as collected,
    ):
        create(cache.attach(plain).with_options(timeout=9))

    assert len(collected) == 1
