"""Many processes that ask for the same prefix at once, from request to receipt."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from redis_server import redis_server

from promptcache.emulator import Emulator, GeminiSettings
from promptcache.providers.gemini import wire

pytestmark = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="this platform has no fork"
)

SUPPORT = Path(__file__).parents[2] / "support"
PROCESSES = 8
QUESTIONS = 6

# They begin when the pipe that all of them read from is closed. Every other one is on
# another host: it has a home of its own.
WORKERS = """
import json, os, sys

sys.path.insert(0, sys.argv[1])
from gemini_sdk import client_of
from google.genai import types
from promptcache import PromptCache, open_store

url, server, homes = sys.argv[2], sys.argv[3], sys.argv[5:]
open_store(url)
waiting, start = os.pipe()
config = types.GenerateContentConfig(system_instruction="You answer with care. " * 1200)
for number in range(int(sys.argv[4])):
    if not os.fork():
        os.close(start)
        os.environ["HOME"] = os.environ["XDG_CACHE_HOME"] = homes[number % len(homes)]
        cache = PromptCache(store=url, strict=True)
        client = cache.attach(client_of(server))
        os.read(waiting, 1)
        texts = []
        with cache.collect() as receipts:
            for index in range(6):
                asked = f"{number} {index}"
                answer = client.models.generate_content(
                    model="gemini-3.8-flash", contents=asked, config=config
                )
                texts.append(answer.text)
                cache.keeper.idle()
                cache.keeper.tend()
        named = sum(bool(receipt.breakpoints) for receipt in receipts)
        os.write(1, (json.dumps([texts, named]) + "\\n").encode())
        os._exit(0)
os.close(waiting)
os.close(start)
for _ in range(int(sys.argv[4])):
    os.wait()
"""


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory):
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.mark.timeout(240)
@pytest.mark.parametrize("kind", ["one SQLite file", "Redis", "Redis, two hosts"])
def test_one_creates_and_the_others_use_it(kind, tmp_path, request):
    """One create, whoever shares the store, and every request has an answer."""
    homes = [tmp_path / "one", tmp_path / "two"][: 1 + ("hosts" in kind)]
    for home in homes:
        home.mkdir()
    if "SQLite" in kind:
        url = f"sqlite:///{tmp_path}/state.db"
    else:
        number = 1 + ("hosts" in kind)
        url = request.getfixturevalue("redis_url").replace("/0", f"/{number}")
    settings = GeminiSettings(implicit_luck=0.0)
    with Emulator(speed=1.0, gemini=settings) as emulator:
        command = [sys.executable, "-c", WORKERS, str(SUPPORT), url, emulator.url]
        done = subprocess.run(
            [*command, str(PROCESSES), *map(str, homes)],
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        said = [json.loads(line) for line in done.stdout.splitlines()]
        rows = [row for row in emulator.ledger if "generateContent" in row.path]

        assert done.stderr == ""
        assert len(said) == PROCESSES
        assert all(all(texts) for texts, _ in said)
        assert len(emulator.caches) == 1
        (made,) = emulator.caches
        assert {wire.named(row.body) for row in rows} == {None, made.name}
        # Those who did not create it use it, too.
        assert sum(named > 0 for _, named in said) > 1
        assert all(row.status == 200 for row in rows)
