"""Clients of `google-genai`, as they are and attached."""

import pytest
from gemini_keeping import FakeKeeper

try:
    from gemini_sdk import client_of
except ImportError:
    # google-genai is not installed; tests of the older SDK stay.
    collect_ignore = [
        "test_holding.py",
        "test_keeper.py",
        "test_residing.py",
        "test_seam.py",
        "test_streams.py",
        "test_sweep.py",
        "test_sweep_processes.py",
        "test_workers.py",
    ]


@pytest.fixture(params=["developer", "vertex"])
def host(request):
    return request.param


@pytest.fixture
async def connect(emulator):
    """Return a function from a host to a client."""
    clients = []

    def connected(host="developer", **fields):
        clients.append(client_of(emulator.url, host, **fields))
        return clients[-1]

    yield connected
    for client in clients:
        client.close()
        await client.aio.aclose()


@pytest.fixture
def keeper(cache):
    """Return a keeper that makes and names, in the place of the cache's own."""
    cache._holdings._keeper = keeper = FakeKeeper()
    return keeper
