"""What was said, and by whom, is in nothing that is written."""

import json
import logging
import traceback

import anthropic
import openai
import pytest
from gemini_sdk import client_of
from otel_tracing import Measured, Traced
from redis_server import redis_server

from promptcache import JsonlReceipts, PlanningError, PromptCache, SqliteStore, options
from promptcache.analysis.explain.explaining import explain
from promptcache.analysis.report.course import Course
from promptcache.analysis.report.files import ReceiptFiles
from promptcache.analysis.report.page import Told, page
from promptcache.emulator import Emulator, Fault, GeminiSettings
from promptcache.limits import Limits
from promptcache.providers import Request
from promptcache.providers.anthropic import ANTHROPIC
from promptcache.receipts.events import CacheCreated, RetriedUnplanned, Settled
from promptcache.receipts.otel import OpenTelemetryListener
from promptcache.receipts.quotes import without_quotes
from promptcache.receipts.rows import Rows
from promptcache.state.redis import RedisStore

pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class Aiohttp")

WORD = "canary"
SAID = {
    name: f"{WORD}-{name}-7f3a"
    for name in ("prompt", "system", "key", "argument", "result", "description")
}
TENANT, CONVERSATION = f"{WORD}-tenant-7f3a", f"{WORD}-conversation-7f3a"
TURNS = 6


@pytest.fixture(scope="module")
def server():
    """Return an emulator whose implicit caching finds nothing, so that others pay."""
    with Emulator(gemini=GeminiSettings(implicit_luck=0.0)) as running:
        yield running


def bodies(number):
    """Return the same request for each API, with something private in every part."""
    question = f"{SAID['prompt']} {number}"
    arguments = {"who": SAID["argument"]}
    system = f"{SAID['system']} " + "You help. " * 3_000
    schema = {"type": "object", "properties": {"who": {"type": "string"}}}
    declared = {"name": "look_up", "description": SAID["description"]}
    result = SAID["result"]
    function = {"name": "look_up", "arguments": json.dumps(arguments)}
    return {
        "anthropic": {
            "model": "claude-sonnet-5-5",
            "max_tokens": 16,
            "system": system,
            "tools": [{**declared, "input_schema": schema}],
            "messages": [
                {"role": "user", "content": question},
                {
                    "role": "assistant",
                    "content": [
                        {
                            "type": "tool_use",
                            "id": "t1",
                            "name": "look_up",
                            "input": arguments,
                        }
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {"type": "tool_result", "tool_use_id": "t1", "content": result}
                    ],
                },
            ],
        },
        "openai": {
            "model": "gpt-6.1-sol",
            "tools": [
                {"type": "function", "function": {**declared, "parameters": schema}}
            ],
            "messages": [
                {"role": "system", "content": system},
                {"role": "user", "content": question},
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {"id": "t1", "type": "function", "function": function}
                    ],
                },
                {"role": "tool", "tool_call_id": "t1", "content": result},
            ],
        },
        "google": {
            "model": "gemini-3.8-flash",
            "contents": [
                {"role": "user", "parts": [{"text": question}]},
                {
                    "role": "model",
                    "parts": [{"functionCall": {"name": "look_up", "args": arguments}}],
                },
                {
                    "role": "user",
                    "parts": [
                        {
                            "functionResponse": {
                                "name": "look_up",
                                "response": {"output": result},
                            }
                        }
                    ],
                },
            ],
            "config": {
                "system_instruction": system,
                "tools": [
                    {
                        "function_declarations": [
                            {**declared, "parameters_json_schema": schema}
                        ]
                    }
                ],
            },
        },
    }


class Written:
    """All that a process writes while it asks."""

    def __init__(self, emulator, directory, store):
        self.emulator, self.directory = emulator, directory
        self.events, self.errors = [], []
        self.traced, self.measured = Traced(), Measured()
        spans = OpenTelemetryListener(self.traced.provider, self.measured.provider)
        self.receipts = JsonlReceipts(directory / "receipts.jsonl")
        self.cache = PromptCache(
            store=store,
            clock=emulator.clock,
            limits=Limits(usd_per_hour=100.0, live_caches=99),
            listeners=[self.events.append, spans, self.receipts],
        )
        key = {"api_key": SAID["key"], "max_retries": 0}
        self.clients = [
            self.cache.attach(anthropic.Anthropic(base_url=emulator.url, **key)),
            self.cache.attach(openai.OpenAI(base_url=f"{emulator.url}/v1", **key)),
            self.cache.attach(client_of(emulator.url, key=SAID["key"])),
        ]

    def ask(self, turns=TURNS):
        """Ask each provider some times, as one tenant in one conversation."""
        first, second, third = self.clients
        with options(tenant=TENANT, conversation=CONVERSATION):
            for number in range(turns):
                said = bodies(number)
                self.attempt(first.messages.create, said["anthropic"])
                self.attempt(second.chat.completions.create, said["openai"])
                self.attempt(third.models.generate_content, said["google"])
                if self.cache._holdings.has_keeper:
                    assert self.cache.keeper.idle()
                    self.cache.keeper.tend()
                self.emulator.clock.advance(20)

    def attempt(self, send, body):
        try:
            send(**body)
        except Exception as error:  # noqa: BLE001 - what it says is looked at
            self.errors.append(error)

    def close(self):
        self.cache.close()
        self.receipts.close()
        for client in self.clients:
            client.close()

    def page(self):
        """Return the report of the receipts as a page."""
        files = ReceiptFiles(self.receipts.path)
        rows, course = Rows(), Course()
        for entry in files:
            rows.add(entry)
            course.add(entry)
        assert files.read >= TURNS
        return page(Told("r", rows.to_dict(), rows.advice(), course, files.damaged))

    def spans(self):
        """Return all that is on spans and in metrics."""
        assert self.traced.spans
        return [
            *[(it.name, dict(it.attributes), it.events) for it in self.traced.spans],
            *[it.to_json() for it in self.measured.metrics],
        ]


def found_in(*texts):
    """Return which of the private words are in what was written."""
    whole = " ".join(it if isinstance(it, str) else repr(it) for it in texts)
    words = [*SAID.values(), TENANT, CONVERSATION]
    return [word for word in words if word in whole]


def files_in(directory):
    """Return the bytes of all files, as text."""
    paths = [it for it in directory.rglob("*") if it.is_file()]
    assert paths
    return "\n".join(it.read_bytes().decode("latin-1") for it in paths)


def test_the_search_finds():
    """What is written does have words, and they would be seen."""
    assert found_in(str(bodies(1))) == [it for it in SAID.values() if it != SAID["key"]]


@pytest.fixture
def written(emulator, tmp_path):
    store = SqliteStore(tmp_path / "state" / "state.db")
    made = Written(emulator, tmp_path, store)
    yield made
    made.close()
    store.close()


def test_what_is_written(written, caplog):
    """Text, keys and arguments are nowhere; names are in receipts alone."""
    with caplog.at_level(logging.DEBUG, logger="promptcache"):
        written.ask()
        written.close()
    told = [it for it in written.events if not isinstance(it, Settled)]
    named = [it for it in written.events if isinstance(it, Settled)]
    records = [it for it in caplog.records if it.name.startswith("promptcache")]

    assert written.errors == []
    assert len(named) == 3 * TURNS
    assert any(isinstance(it, CacheCreated) for it in told)
    assert found_in(*(it.getMessage() for it in records)) == []
    assert found_in(*told) == []
    assert found_in(*(it.receipt for it in named)) == [TENANT, CONVERSATION]
    assert found_in(written.receipts.path.read_text()) == [TENANT, CONVERSATION]
    assert found_in(files_in(written.directory / "state")) == []
    report = written.cache.report()
    assert found_in(str(report), report, report._repr_html_()) == []
    assert found_in(written.page()) == []
    assert found_in(*written.spans()) == []


def test_what_a_provider_is_told_beside_the_request(written):
    """Keys of caches and names of cached contents tell nothing of whose they are."""
    written.ask()
    rows = written.emulator.ledger
    keys = [row.body.get("prompt_cache_key") for row in rows]
    names = [row.body.get("displayName") for row in rows]

    assert any(keys)
    assert any(names)
    assert found_in(keys, names, [row.headers for row in rows]) == []
    assert found_in(*(it.display_name for it in written.emulator.caches)) == []


REFUSALS = {
    "cache_control": "cache_control: Extra inputs are not permitted",
    "prompt_cache_key": "Unrecognized request argument supplied: prompt_cache_key",
    "/cachedContents": "Cached content is not allowed",
}


def test_a_provider_that_quotes_the_request(written, caplog):
    """A gateway answers with what it was sent: that goes no further."""
    for match, words in REFUSALS.items():
        quote = json.dumps(bodies(0)["openai"]["messages"][1:])
        message = f"{words}; received: {quote} with {SAID['system']}"
        fault = Fault(status=400, message=message, match=match, times=9)
        written.emulator.faults.push(fault)
    with caplog.at_level(logging.DEBUG, logger="promptcache"):
        written.ask()
    told = [it for it in written.events if not isinstance(it, Settled)]
    retried = [it for it in told if isinstance(it, RetriedUnplanned)]

    assert [it.provider for it in retried] == ["anthropic", "openai"]
    assert "cache_control: Extra inputs are not permitted" in retried[0].message
    assert len(told) > len(retried)
    assert found_in(*told, caplog.text) == []


def test_quotes():
    """Runs of words and long words are left out, names of fields are not."""
    body = {
        "prompt_cache_key": "k",
        "messages": [{"content": "my dog is old, 4711-ab"}],
    }
    message = "prompt_cache_key: got 'my dog is old, 4711-ab' at messages[0]"

    shown = "prompt_cache_key: got '\u2026' at messages[0]"
    packed = f"bad: {json.dumps(body, separators=(',', ':'))}"

    assert without_quotes(message, body) == shown
    assert "dog" not in without_quotes(packed, body)
    assert without_quotes("my dog barks", body) == "my dog barks"
    assert without_quotes("", body) == ""


@pytest.mark.parametrize("strict", [False, True])
def test_errors_of_ours(strict, caplog):
    """A body that cannot be read is not quoted, nor is any value in it."""
    events = []
    cache = PromptCache(strict=strict, listeners=[events.append])
    odd = {"model": "claude-sonnet-5-5", "messages": [SAID["prompt"], {"role": 7}]}
    said = []
    with caplog.at_level(logging.DEBUG, logger="promptcache"):
        for body in (odd, {**odd, "system": {SAID["system"]: 1}}, {"messages": 5}):
            try:
                cache.prepare(Request(ANTHROPIC, body, "anthropic"))
            except PlanningError as error:
                said.append("".join(traceback.format_exception(error)))

    assert events
    assert len(said) == (3 if strict else 0)
    assert found_in(*events, caplog.text, *said) == []


def test_an_explanation_without_text():
    """It has sizes, places and reasons; with `text`, what the user asked to see."""
    body = {"model": "claude-sonnet-5-5", **bodies(0)["anthropic"]}
    quiet = explain([body, body], tenant=TENANT)
    loud = explain([body, body], text=True)

    assert found_in(str(quiet), json.dumps(quiet.as_dicts()), quiet) == []
    assert SAID["system"] in str(loud)


READ = {
    "string": lambda client, key: client.get(key),
    "hash": lambda client, key: client.hgetall(key),
    "set": lambda client, key: client.smembers(key),
    "zset": lambda client, key: client.zrange(key, 0, -1),
    "list": lambda client, key: client.lrange(key, 0, -1),
}


def test_redis_holds_nothing_private(emulator, tmp_path):
    """The same for a store that others may see."""
    with redis_server(tmp_path) as url:
        store = RedisStore(url)
        written = Written(emulator, tmp_path, store)
        written.ask()
        written.close()
        client = store._client
        kept = {}
        for key in client.keys("*"):
            kind = client.type(key)
            kept[key] = READ[kind.decode() if isinstance(kind, bytes) else kind](
                client, key
            )
        store.close()

    assert len(kept) > 3
    assert found_in(kept) == []
