"""Two workers that share a store and a provider."""

import pytest
from gemini_remote import SCOPE, World


@pytest.fixture
def world():
    return World()


@pytest.fixture
def one(world):
    return world.worker()


@pytest.fixture
def other(world):
    return world.worker()


@pytest.fixture
def key(one):
    return one.key(SCOPE, b"digest")
