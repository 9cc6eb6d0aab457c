"""The cache of a process, and what a caller may give instead."""

import copy
import pickle
import subprocess
import sys
import threading

import anthropic
import pytest

from promptcache import PromptCache, default_cache, read_choice
from promptcache.defaults import attach
from promptcache.errors import OptionError
from promptcache.options import CallOptions
from promptcache.planning.policies import Policy


@pytest.fixture
def client():
    with anthropic.Anthropic(api_key="any", base_url="http://localhost:1") as made:
        yield made


@pytest.mark.parametrize(
    ("choice", "policy", "said"),
    [
        pytest.param(None, "auto", CallOptions(), id="none"),
        pytest.param(True, "auto", CallOptions(enabled=True), id="on"),
        pytest.param(False, "auto", CallOptions(enabled=False), id="off-for-it"),
        pytest.param("fixed", "fixed", CallOptions(), id="name"),
        pytest.param("off", "off", CallOptions(), id="off"),
        pytest.param(Policy.fixed(tail=None), "fixed", CallOptions(), id="policy"),
        pytest.param({"ttl": "1h"}, "auto", CallOptions(ttl="1h"), id="dict"),
        pytest.param(
            {"policy": "fixed", "tenant": "a"},
            "fixed",
            CallOptions(tenant="a"),
            id="dict-with-a-policy",
        ),
        pytest.param(CallOptions(tenant="a"), "auto", CallOptions("a"), id="options"),
    ],
)
def test_choices(choice, policy, said):
    """Every form of `prompt_cache=` names a cache and options."""
    cache, read = read_choice(choice, provider="anthropic")

    assert cache.policy.name == policy
    assert read == said
    assert cache is read_choice(choice, provider="anthropic")[0]


def test_a_cache_is_itself():
    """A cache that is given is the one that is used."""
    cache = PromptCache()

    assert read_choice(cache, provider="anthropic") == (cache, CallOptions())


def test_one_cache_a_policy():
    """Models that name the same policy learn together, others apart."""
    assert read_choice(None, provider="anthropic")[0] is default_cache()
    assert read_choice("auto", provider="anthropic")[0] is default_cache()
    assert read_choice("fixed", provider="anthropic")[0] is not default_cache()
    assert (
        read_choice(Policy.fixed(), provider="anthropic")[0]
        is read_choice("fixed", provider="anthropic")[0]
    )


@pytest.mark.parametrize(
    ("choice", "named"),
    [
        pytest.param("always", "policy", id="unknown-policy"),
        pytest.param(5, "prompt_cache", id="number"),
        pytest.param(["auto"], "prompt_cache", id="list"),
        pytest.param({"policy": "x"}, "policy", id="unknown-policy-in-a-dict"),
        pytest.param({"ttl": "2h"}, "ttl", id="unknown-lifetime"),
        pytest.param({"ttl": "30m"}, "5m, 1h", id="lifetime-of-another-provider"),
        pytest.param(Policy.fixed(tools="12h"), "5m, 1h", id="policy-of-another"),
        pytest.param({"tenants": "a"}, "tenant", id="unknown-name"),
        pytest.param(
            PromptCache(Policy.fixed(system="30m", tools=None)), "5m, 1h", id="cache"
        ),
    ],
)
def test_what_is_not_allowed(choice, named):
    """A wrong choice is refused when a model is made, with what would be right."""
    with pytest.raises(OptionError) as caught:
        read_choice(choice, provider="anthropic")

    assert named in str(caught.value)


def test_a_dict_is_not_written_to():
    """The caller's dict keeps its policy."""
    given = {"policy": "fixed", "tenant": "a"}
    read_choice(given, provider="anthropic")

    assert given == {"policy": "fixed", "tenant": "a"}


@pytest.mark.parametrize(
    "copied",
    [
        pytest.param(copy.copy, id="copy"),
        pytest.param(copy.deepcopy, id="deepcopy"),
        pytest.param(lambda cache: pickle.loads(pickle.dumps(cache)), id="pickle"),
        pytest.param(lambda cache: copy.deepcopy({"a": [cache]})["a"][0], id="inside"),
    ],
)
@pytest.mark.parametrize("choice", [None, "fixed"])
def test_copies_of_a_shared_cache_are_itself(choice, copied):
    """A model that is copied or sent around goes on learning in the same place."""
    cache, _ = read_choice(choice, provider="anthropic")

    assert copied(cache) is cache


def test_copies_of_a_cache_of_ones_own_are_itself():
    """A copied model shares the cache of its original."""
    cache = PromptCache()

    assert copy.copy(cache) is cache
    assert copy.deepcopy([cache])[0] is cache


def test_threads_that_come_first_at_once():
    """However many threads ask first, there is one cache."""
    policy = Policy.fixed(tools=None, system=None)
    gate, seen = threading.Barrier(32), []

    def ask():
        gate.wait()
        seen.append(read_choice(policy, provider="anthropic")[0])

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    threads = [threading.Thread(target=ask) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(before)

    assert len(set(map(id, seen))) == 1


def test_attach_uses_the_cache_of_the_process(client):
    """A client that names no cache serves that of the process."""
    attached = attach(client)

    assert [entry.cache for entry in attached.middleware] == [default_cache()]
    assert attach(attached) is attached


OFF = """
import anthropic, promptcache
client = anthropic.Anthropic(api_key="any")
cache = promptcache.PromptCache()
assert promptcache.is_switched_off()
assert promptcache.attach(client) is client
assert cache.attach(client) is client
print("done")
"""


@pytest.mark.parametrize("value", ["off", "OFF", " off "])
def test_switched_off_in_the_environment(value):
    """`PROMPTCACHE=off` leaves every client as it is."""
    done = subprocess.run(
        [sys.executable, "-c", OFF],
        env={"PROMPTCACHE": value, "PYTHONPATH": "."},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr
