"""What the seam asks of the SDK that is installed."""

import subprocess
import sys
import warnings

import anthropic
import pytest

from promptcache import PromptCache, attach
from promptcache.providers.anthropic.seam import Seam, _host
from promptcache.receipts.events import SteppedAside


def test_an_sdk_without_middleware():
    """A client that lacks what we rely on is returned as it is, with one warning."""
    kind = type("Anthropic", (), {"__module__": "anthropic._client"})
    client = kind()

    with pytest.warns(UserWarning, match="with_middleware.*tested with") as warned:
        assert attach(client, PromptCache()) is client
    assert len(warned) == 1


NO_MIDDLEWARE = """
import warnings
import anthropic
del anthropic.Middleware
from promptcache import PromptCache
class Old(anthropic.Anthropic):
    with_middleware = None
client = Old(api_key="any")
with warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
    assert PromptCache().attach(client) is client
print(len(warned), "steps aside" in str(warned[0].message))
"""


def test_an_sdk_that_knows_no_middleware():
    """An SDK from before middleware can be imported, and is left alone."""
    done = subprocess.run(
        [sys.executable, "-c", NO_MIDDLEWARE],
        env={"PYTHONPATH": "."},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.stdout, done.stderr) == ("1 True\n", "")


def test_an_sdk_without_the_iterator(plain, cache, events, monkeypatch):
    """A stream that cannot be watched is a reason to step aside, which is told."""

    class Bare:
        def __init__(self):
            pass

    monkeypatch.setattr(anthropic, "Stream", Bare)
    with pytest.warns(UserWarning, match="_iterator"):
        assert cache.attach(plain) is plain
    (event,) = events
    assert isinstance(event, SteppedAside)
    assert "_iterator" in event.why


def test_attaching_warns_of_nothing(plain, cache):
    """The installed SDK has all that is relied on."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        attached = cache.attach(plain)

    assert isinstance(attached.middleware[-1], Seam)


@pytest.mark.parametrize(
    ("name", "host"),
    [
        pytest.param("Anthropic", "anthropic", id="direct"),
        pytest.param("AsyncAnthropic", "anthropic", id="direct-async"),
        pytest.param("AnthropicBedrock", "bedrock", id="bedrock"),
        pytest.param("AsyncAnthropicBedrock", "bedrock", id="bedrock-async"),
        pytest.param("AnthropicBedrockMantle", "bedrock-mantle", id="mantle"),
        pytest.param("AnthropicVertex", "vertex", id="vertex"),
        pytest.param("AnthropicFoundry", "foundry", id="foundry"),
        pytest.param("AnthropicAWS", "aws", id="aws"),
    ],
)
def test_hosts(name, host):
    """The platform is told from the client's class, and from that of its base."""
    kind = getattr(anthropic, name, None)
    if kind is None:
        kind = type(name, (), {})
    derived = type("Mine", (kind,), {})

    assert _host(derived.__new__(derived)) == host
