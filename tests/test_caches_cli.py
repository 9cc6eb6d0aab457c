"""`promptcache caches`: what a person sees, and what is left alone."""

import json
import subprocess
import sys

import pytest

pytest.importorskip("google.genai", reason="google-genai is not installed")

import google.auth
from gemini_remote import MODEL, World
from gemini_sdk import client_of, members
from google.auth.exceptions import DefaultCredentialsError
from typer.testing import CliRunner

from promptcache import caches_cli, cli
from promptcache.emulator import Fault
from promptcache.limits import Limits
from promptcache.providers.gemini.handles import Creation
from promptcache.providers.gemini.handles.naming import DisplayName, pending_name
from promptcache.providers.gemini.remote import GenaiRemote
from promptcache.state.opening import open_store
from promptcache.state.stores import Handle

KEYS = [
    "name",
    "model",
    "state",
    "tokens",
    "created_at",
    "expires_at",
    "usd_per_hour",
    "uses",
    "saved_usd",
    "owner",
]
STRANGERS = "57a19e55"
WRONG_KEY = "API key not valid. Please pass a valid API key."
NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/state.db"


@pytest.fixture(autouse=True)
def environment(monkeypatch, emulator):
    """Be where a user of the SDK is, at the emulator's time."""
    monkeypatch.setenv("GEMINI_API_KEY", "any")
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", emulator.url)
    monkeypatch.setattr(caches_cli, "SystemClock", lambda: emulator.clock)


@pytest.fixture
def run(url):
    """Run a command; return its exit code and both outputs, on single lines."""

    def run(*arguments, store=url, answer=None):
        arguments = [*arguments, "--store", store]
        done = CliRunner().invoke(caches_cli.caches, arguments, input=answer)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.stdout, done.stderr

    return run


@pytest.fixture
def rows(run):
    """Return what `ls --json` says, by name."""

    def rows():
        code, out, err = run("ls", "--json")
        assert (code, err) == (0, "")
        return {row["name"]: row for row in json.loads(out)}

    return rows


class Fleet:
    """A worker on the same store, and what it leaves at the provider."""

    def __init__(self, url, emulator):
        self.emulator = emulator
        self.store = open_store(url)
        self.client = client_of(emulator.url)
        self.remote = GenaiRemote(self.client._api_client)
        self.worker = World(self.store, emulator.clock).worker(
            limits=Limits(usd_per_hour=100.0, live_caches=100)
        )

    @property
    def now(self):
        return self.emulator.clock.now()

    def key(self, name=b"known"):
        return self.worker.key(self.remote.scope, name)

    def known(self, name=b"known"):
        creation = Creation(self.remote, MODEL, members(), 5000, 1800.0, None)
        return self.worker.create(self.key(name), creation)

    def left(self, name=b"left", *, fleet=None, text=None):
        fleet = fleet or self.worker._keys.fleet
        display_name = str(DisplayName(fleet, "deadbeef", self.key(name)))
        return self.remote.create(
            MODEL, members(), seconds=1800, display_name=text or display_name
        ).name

    def put(self, name, *, key=b"put", scope=None, seconds=1800.0):
        """Have the store say that there is one."""
        now, key = self.now, self.key(key)
        lease = self.store.acquire(key, owner="x", seconds=60, now=now)
        scope = scope or self.remote.scope
        until = now + seconds
        handle = Handle(key, name, MODEL, scope, 5000, now, until, "deadbeef")
        assert self.store.put_handle(handle, lease, now=now)
        self.store.release(lease)
        return name

    def close(self):
        self.store.close()
        self.remote.close()
        self.client.close()


@pytest.fixture
def fleet(url, emulator):
    fleet = Fleet(url, emulator)
    yield fleet
    fleet.close()


def live(emulator):
    return {row.name for row in emulator.caches if row.live}


# ls


def test_nothing_there(run):
    """An empty store and an empty provider are no error."""
    assert run("ls") == (0, "There are no cached contents.\n", "")
    assert run("ls", "--json") == (0, "[]\n", "")


def test_rows_for_machines(rows, fleet):
    """Every key is there, and unknown is null."""
    handle = fleet.known()
    fleet.worker.used(handle, saved_usd=0.25)
    fleet.worker.refresh()
    left = fleet.left()

    assert [list(row) for row in rows().values()] == [KEYS, KEYS]
    tokens = handle.tokens
    assert rows()[handle.name] == {
        "name": handle.name,
        "model": MODEL,
        "state": "known",
        "tokens": tokens,
        "created_at": pytest.approx(handle.created_at),
        "expires_at": pytest.approx(handle.expires_at),
        "usd_per_hour": pytest.approx(tokens * 0.5e-6),
        "uses": 1,
        "saved_usd": 0.25,
        "owner": fleet.worker.owner,
    }
    orphan = rows()[left]
    assert (orphan["state"], orphan["owner"]) == ("orphan", "deadbeef")
    assert (orphan["uses"], orphan["saved_usd"]) == (None, None)


def test_every_state(rows, fleet):
    """Each is told from the others."""
    expected = {
        fleet.known().name: "known",
        fleet.left(): "orphan",
        fleet.left(fleet=STRANGERS): "foreign",
        fleet.left(text="notes"): "other",
        fleet.put(pending_name("deadbeef", 1), key=b"begun"): "pending",
        fleet.put("cachedContents/gone", key=b"gone"): "missing",
    }

    assert {name: row["state"] for name, row in rows().items()} == expected


def test_table_for_people(run, fleet):
    """It says what lives, until when, at what cost, and what it saved; and the sum."""
    handle = fleet.known()
    for _ in range(2):
        fleet.worker.used(handle, saved_usd=0.25)
    fleet.worker.refresh()
    left = fleet.left()
    fleet.put("cachedContents/gone", key=b"gone")

    code, out, err = run("ls")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    text = "\n".join(lines)

    assert (code, err) == (0, "")
    # The list has no line that a terminal of its width would break.
    assert max(len(line) for line in out.splitlines()) <= 100
    usd = f"${handle.tokens * 0.5e-6:.4f}"
    name = handle.name.removeprefix("cachedContents/")
    assert f"{name} {handle.tokens:,} since " in text
    assert f"{usd} 2 x\nknown, {MODEL} until" in text
    assert "(30 min) saved $0.5000" in text
    assert left.removeprefix("cachedContents/") in text
    assert f"orphan, {MODEL}" in text
    assert "saved ?" in text
    both = f"${2 * handle.tokens * 0.5e-6:.4f}"
    assert f"2 in all {2 * handle.tokens:,} {both} 2? x\nsaved $0.5000?" in text
    assert lines[-1] == "Orphans: 1; `promptcache caches sweep` settles them."


def test_far_ends_have_a_day(run, fleet):
    """What lives for days is not shown as if it ended tonight."""
    fleet.put("cachedContents/long", seconds=200_000.0, scope="developer/another")

    _, out, _ = run("ls")

    assert "until 20" in out
    assert "(55 h 33 min)" in out


def test_price_of_ones_own(run, fleet, monkeypatch, tmp_path):
    """Storage costs what the user's facts say."""
    handle = fleet.known()
    path = tmp_path / "facts.toml"
    path.write_text(f'["{MODEL}"]\nstorage_price = 2.0\n')
    monkeypatch.setenv("PROMPTCACHE_FACTS", str(path))

    _, out, _ = run("ls", "--json")

    (row,) = json.loads(out)
    assert row["usd_per_hour"] == pytest.approx(handle.tokens * 2e-6)


def test_secret_of_ones_own(run, fleet, monkeypatch):
    """Whose digests have another secret, that is another fleet."""
    fleet.left()
    monkeypatch.setenv("PROMPTCACHE_SECRET", "another")

    _, out, _ = run("ls", "--json")

    assert [row["state"] for row in json.loads(out)] == ["foreign"]


# Which provider


def refused(emulator, monkeypatch):
    fault = Fault(status=400, message=WRONG_KEY, match="cachedContents", times=9)
    emulator.faults.push(fault)


def failing(emulator, monkeypatch):
    fault = Fault(status=503, message="overloaded", match="cachedContents", times=9)
    emulator.faults.push(fault)


def unreachable(emulator, monkeypatch):
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", NOBODY)


def without_key(emulator, monkeypatch):
    monkeypatch.delenv("GEMINI_API_KEY")


def unsigned(emulator, monkeypatch, **place):
    def default(*args, **options):
        raise DefaultCredentialsError

    monkeypatch.setattr(google.auth, "default", default)
    monkeypatch.delenv("GEMINI_API_KEY")
    monkeypatch.delenv("GOOGLE_GEMINI_BASE_URL")
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")
    for name, value in place.items():
        monkeypatch.setenv(f"GOOGLE_CLOUD_{name}", value)


def unsigned_project(emulator, monkeypatch):
    unsigned(emulator, monkeypatch, PROJECT="p", LOCATION="l")


FAILURES = [
    pytest.param(refused, 1, f"Gemini refuses the key (400): {WRONG_KEY}", id="key"),
    pytest.param(failing, 1, "Gemini refuses (503): overloaded", id="overloaded"),
    pytest.param(unreachable, 1, "Gemini cannot be reached as", id="unreachable"),
    pytest.param(without_key, 2, "set GEMINI_API_KEY, or GOOGLE_GENAI", id="no key"),
    pytest.param(unsigned, 2, "set GEMINI_API_KEY, or GOOGLE_GENAI", id="no project"),
    pytest.param(
        unsigned_project, 2, "set GEMINI_API_KEY, or GOOGLE_GENAI", id="unsigned"
    ),
]


@pytest.mark.parametrize(("fail", "code", "why"), FAILURES)
@pytest.mark.parametrize(
    "command", [["sweep"], ["delete", "x"], ["extend", "x", "--ttl", "30m"]]
)
def test_provider_that_cannot_be_asked(
    run, emulator, monkeypatch, fail, code, why, command
):
    """One sentence says why, and the exit code whose fault it is."""
    fail(emulator, monkeypatch)

    exit_code, out, err = run(*command)

    assert (exit_code, out, err.count("\n")) == (code, "", 1)
    assert why in err
    assert "any" not in err.split()


@pytest.mark.parametrize(("fail", "code", "why"), FAILURES)
def test_what_the_store_has_is_shown_all_the_same(
    run, fleet, emulator, monkeypatch, fail, code, why
):
    """Without the provider, `ls` shows what is known, and says so."""
    handle = fleet.known()
    fleet.put(pending_name("deadbeef", 1), key=b"begun")
    fail(emulator, monkeypatch)

    exit_code, out, err = run("ls", "--json")

    assert exit_code == code
    assert err.startswith("Only what the store has is shown. ")
    assert why in err
    shown = {row["name"]: row["state"] for row in json.loads(out)}
    assert shown == {handle.name: "known", "pending/deadbeef/1": "pending"}
    assert handle.name.removeprefix("cachedContents/") in run("ls")[1]


def test_vertex(run, fleet, emulator, monkeypatch):
    """On Vertex AI names have project and location; their last part will do."""
    # With a server of its own, the SDK takes no project from the environment.
    monkeypatch.setattr(
        caches_cli, "own_client", lambda signed: client_of(emulator.url, "vertex")
    )
    client = client_of(emulator.url, "vertex")
    remote = GenaiRemote(client._api_client)
    text = str(DisplayName(fleet.worker._keys.fleet, "deadbeef", fleet.key()))
    made = remote.create(MODEL, members(), seconds=1800, display_name=text)

    code, out, _ = run("sweep")
    assert (code, out) == (0, f"adopted {made.name}: its maker did not store it\n")
    assert run("delete", made.name.rpartition("/")[2])[0] == 0
    assert live(emulator) == set()
    remote.close()
    client.close()


def hidden(module, *arguments):
    """Run the command line where a module is not installed."""
    code = (
        f"import sys; sys.modules[{module!r}] = None\n"
        "from promptcache.cli import main; main()"
    )
    command = [sys.executable, "-c", code, "caches", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def test_without_the_sdk(url):
    """It says which extra brings it; what the store has is shown."""
    code, out, err = hidden("google.genai", "ls", "--store", url)

    assert (code, out) == (1, "There are no cached contents.\n")
    assert "promptcache[langchain-google]" in err
    assert "promptcache[llamaindex-google]" in err


def test_without_redis():
    """A store that needs an extra says which."""
    code, out, err = hidden("redis", "ls", "--store", "redis://127.0.0.1:1/0")

    assert (code, out) == (1, "")
    assert "pip install 'promptcache[redis]'" in err
    assert err.count("\n") == 1


# Which store


@pytest.mark.parametrize("command", [["ls"], ["sweep"]])
def test_no_store_of_that_name(run, command):
    """A URL that names none is a usage error, and no part of it is shown."""
    code, out, err = run(*command, store="mysql://user:password@host")

    assert (code, out) == (2, "")
    assert "mysql" in err
    assert "password" not in err


def test_store_that_cannot_be_used(run, tmp_path):
    """A store that fails is one sentence."""
    (tmp_path / "taken").write_text("")

    code, out, err = run("ls", store=f"sqlite:///{tmp_path}/taken/state.db")

    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "cannot be used" in err


def test_facts_that_cannot_be_read(run, monkeypatch):
    """A file of facts that is not there is a usage error."""
    monkeypatch.setenv("PROMPTCACHE_FACTS", "not-there.toml")

    assert run("ls")[0] == 2


# extend and delete


def test_extend(run, rows, fleet, emulator):
    """Provider and store have the later end, and the cost of it is told."""
    handle = fleet.known()

    code, out, err = run("extend", handle.name, "--ttl", "2h")

    assert (code, err) == (0, "")
    assert out.startswith(f"{handle.name} lives until ")
    assert f"costs ${handle.tokens * 0.5e-6:.4f} an hour" in out
    until = pytest.approx(fleet.now + 7200)
    assert fleet.store.handle(handle.key, now=fleet.now).expires_at == until
    assert rows()[handle.name]["expires_at"] == until
    assert [row.expires for row in emulator.caches] == [until]


def test_extend_never_shortens(run, rows, fleet):
    """What lives longer anyway is left as it is."""
    handle = fleet.known()

    code, out, _ = run("extend", handle.name, "--ttl", "1m")

    assert (code, "anyway" in out) == (0, True)
    assert rows()[handle.name]["expires_at"] == pytest.approx(handle.expires_at)


@pytest.mark.parametrize("ttl", ["", "5", "5x", "-5m", "0m", "30s", "m", "1e9999h"])
def test_wrong_ttl(run, fleet, ttl):
    """A ttl that is none, or too short, is a usage error that names the choices."""
    code, _, err = run("extend", fleet.known().name, "--ttl", ttl)

    assert (code, "--ttl" in err) == (2, True)


def test_extend_wants_a_ttl(run):
    """Nobody extends for a time that was not said."""
    assert run("extend", "x")[0] == 2


COMMANDS = [
    pytest.param(["extend", "--ttl", "2h"], id="extend"),
    pytest.param(["delete"], id="delete"),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_no_such_name(run, command):
    """A name that nothing has is an error."""
    code, out, err = run(*command, "cachedContents/none")

    assert (code, out) == (1, "")
    assert err == "There is no cached content cachedContents/none.\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_orphans_are_ours(run, fleet, command):
    """What our fleet made may be extended and deleted, stored or not."""
    assert run(*command, fleet.left())[0] == 0


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("theirs", [{"fleet": STRANGERS}, {"text": "notes"}])
def test_others_only_by_force(run, rows, fleet, command, theirs):
    """What was not made here is left alone, unless told otherwise."""
    name = fleet.left(**theirs)
    before = rows()

    code, out, err = run(*command, name)

    assert (code, out, "--force" in err) == (1, "", True)
    assert rows() == before
    assert run(*command, name, "--force")[0] == 0
    assert rows() != before


def test_adopted_by_name(run, fleet, emulator):
    """What somebody else made and the store has may be extended, and not deleted."""
    name = fleet.put(fleet.left(text="notes"))

    assert run("extend", name, "--ttl", "2h")[0] == 0
    assert run("delete", name)[0] == 1
    assert live(emulator) == {name}
    assert run("delete", name, "--force")[0] == 0
    assert live(emulator) == set()


@pytest.mark.parametrize("command", COMMANDS)
def test_creation_under_way(run, fleet, command):
    """What is being created is left to its maker, or to `sweep`."""
    name = fleet.put(pending_name("deadbeef", 1))

    code, _, err = run(*command, name)

    assert (code, "is being created" in err) == (1, True)


@pytest.mark.parametrize("command", COMMANDS)
def test_worker_at_it(run, fleet, emulator, command):
    """What a worker is at just now is not touched; force or no force."""
    handle = fleet.known()
    fleet.store.acquire(handle.key, owner="x", seconds=60, now=fleet.now)

    code, _, err = run(*command, handle.name, "--force")

    assert (code, "A worker is at" in err) == (1, True)
    assert live(emulator) == {handle.name}


@pytest.mark.parametrize("command", COMMANDS)
def test_of_another_key(run, fleet, command):
    """What this key does not see is not touched, and stays in the store."""
    name = fleet.put("cachedContents/there", scope="developer/another")

    code, _, err = run(*command, name)

    assert (code, "another key" in err) == (1, True)
    assert len(fleet.store.handles(now=fleet.now)) == 1


def test_delete(run, fleet, emulator):
    """Neither the provider nor the store has it then; a bare id will do."""
    handle = fleet.known()

    done = run("delete", handle.name.removeprefix("cachedContents/"))

    assert done == (0, f"{handle.name} is deleted.\n", "")
    assert live(emulator) == set()
    assert fleet.store.handles(now=fleet.now) == []


def test_delete_what_is_gone(run, fleet):
    """The store forgets what the provider has no more; it cannot live longer."""
    name = fleet.put("cachedContents/gone")

    assert run("extend", name, "--ttl", "2h")[0] == 1
    assert run("delete", name) == (0, f"{name} was gone already.\n", "")
    assert fleet.store.handles(now=fleet.now) == []


# sweep


def test_sweep(run, rows, fleet, emulator):
    """Orphans are adopted or deleted, what is gone is forgotten; then all is well."""
    kept, spare = fleet.known(), fleet.left(b"known")
    left, gone = fleet.left(), fleet.put("cachedContents/gone", key=b"gone")
    theirs = {fleet.left(fleet=STRANGERS), fleet.left(text="notes")}
    before = rows()

    code, out, err = run("sweep", "--dry-run")
    assert (code, err) == (0, "")
    assert sorted(out.splitlines()) == [
        f"would adopt {left}: its maker did not store it",
        f"would delete {spare}: a duplicate",
        f"would forget {gone}: the provider has it no more",
    ]
    assert rows() == before

    code, out, err = run("sweep")
    assert (code, err) == (0, "")
    assert sorted(line.partition(":")[0] for line in out.splitlines()) == [
        f"adopted {left}",
        f"deleted {spare}",
        f"dropped {gone}",
    ]
    assert live(emulator) == {kept.name, left, *theirs}
    assert run("sweep") == (0, "Nothing to sweep.\n", "")
    assert run("sweep", "--dry-run") == (0, "", "")


@pytest.mark.parametrize(
    ("options", "answer", "code", "goes"),
    [
        pytest.param(["--all"], "n\n", 1, False, id="no"),
        pytest.param(["--all"], "", 1, False, id="nobody answers"),
        pytest.param(["--all"], "y\n", 0, True, id="yes"),
        pytest.param(["--all", "--yes"], None, 0, True, id="said before"),
        pytest.param(["--all", "--dry-run"], None, 0, False, id="only said"),
    ],
)
def test_sweep_all(run, fleet, emulator, options, answer, code, goes):
    """Other fleets' go only if that is confirmed; what is nobody's never goes."""
    strange, other = fleet.left(fleet=STRANGERS), fleet.left(text="notes")

    exit_code, out, _ = run("sweep", *options, answer=answer)

    assert exit_code == code
    assert live(emulator) == ({other} if goes else {strange, other})
    assert (strange in out) is True
    assert other not in out


def test_sweep_all_is_what_was_confirmed(run, fleet, emulator, monkeypatch):
    """What comes while somebody thinks about it is left alone."""
    strange, later = fleet.left(fleet=STRANGERS), []

    def confirm(*args, **options):
        later.append(fleet.left(b"later", fleet=STRANGERS))

    monkeypatch.setattr(caches_cli.typer, "confirm", confirm)

    assert run("sweep", "--all")[0] == 0
    assert live(emulator) == set(later)
    assert strange not in later


def test_sweep_all_without_others(run):
    """Nobody is asked about nothing."""
    assert run("sweep", "--all") == (0, "Nothing to sweep.\n", "")


def test_sweep_that_fails_in_part(run, fleet, emulator):
    """What was refused is told, and the exit code says that not all is well."""
    fleet.known()
    spare = fleet.left(b"known")
    name = spare.removeprefix("cachedContents/")
    # The list passes, and the look at the spare one fails.
    emulator.faults.push(Fault(status=500, message="internal", match=name))

    assert run("sweep") == (1, "", f"failed {spare}: internal\n")


def test_sweep_frees_the_store(run, fleet):
    """Records whose time is over are gone from the store."""
    fleet.put("cachedContents/over", seconds=10.0)
    fleet.emulator.clock.advance(20.0)
    run("sweep")

    assert fleet.store.sweep(now=fleet.now) == 0


# As it is installed


def test_as_a_subcommand(url, monkeypatch, capsys):
    """`promptcache caches` has its commands, and its help loads no kit."""
    for arguments, expected in (
        (["ls", "--store", url], "There are no cached contents.\n"),
        (["--help"], "sweep"),
    ):
        monkeypatch.setattr(sys, "argv", ["promptcache", "caches", *arguments])
        with pytest.raises(SystemExit) as exited:
            cli.main()
        assert (exited.value.code or 0) == 0
        assert expected in capsys.readouterr().out
