"""What the tests of the stores share."""

from itertools import count

import pytest
from redis_server import redis_server

_prefixes = count()


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory):
    """The URL of a Redis that all tests share, each with a prefix of its own."""
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
def prefix():
    """A prefix that no other test uses."""
    return f"test-{next(_prefixes)}"
