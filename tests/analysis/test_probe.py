"""What `promptcache probe` asks, what it makes of the answers, and what it keeps."""

import io
import json
import stat
import sys

import pytest

from promptcache import FixedPrices, PromptCache, cli
from promptcache.analysis.probe import cli as probe_cli
from promptcache.analysis.probe import sending
from promptcache.analysis.probe.asking import found
from promptcache.analysis.probe.sequence import WAIT_SECONDS, Sequence, most_usd
from promptcache.emulator import Emulator, Fault
from promptcache.emulator.rules.settings import Settings
from promptcache.receipts.prices import GenaiPrices
from promptcache.receipts.usage import Usage
from promptcache.state.probed import path_of_answers, recalled

pytest.importorskip("anthropic")

MODEL = "claude-sonnet-5-5"
PRICED = {"input": 2, "read": 0.1, "written": 2.5, "written_1h": 4, "output": 10}
WHERE = ("anthropic", MODEL, "anthropic")


class Moved:
    """The emulator's clock, for whoever waits: time passes at once."""

    def __init__(self, clock):
        self.clock = clock
        self.waits = []

    def now(self):
        return self.clock.now()

    def wait(self, seconds):
        self.waits.append(seconds)
        self.clock.advance(seconds)


@pytest.fixture(autouse=True)
def around(tmp_path, monkeypatch):
    """Keep what is found out where no other test looks, and have a key."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    monkeypatch.setenv("ANTHROPIC_API_KEY", "key")


def asked(emulator):
    clock = Moved(emulator.clock)
    sequence = Sequence(MODEL, "nonce")
    return found(sequence, sending.Client(emulator.url).send, clock), clock


@pytest.mark.parametrize(
    ("settings", "answer", "requests"),
    [
        pytest.param({"reading": "ent"}, "ent", 5, id="ent"),
        pytest.param({"reading": "seg"}, "seg", 4, id="seg"),
        pytest.param({"grace_seconds": 600}, None, 5, id="five minutes are longer"),
        pytest.param({"reading": "seg", "grace_seconds": 600}, None, 5, id="and seg"),
        pytest.param({"minimum_tokens": 9_999}, None, 1, id="nothing is cached"),
    ],
)
def test_answers(settings, answer, requests):
    """Each way to read the documents is told from the other."""
    with Emulator(settings=Settings(**settings)) as emulator:
        finding, clock = asked(emulator)
        rows = emulator.ledger

    assert (finding.answer, len(finding.steps)) == (answer, requests)
    assert len(rows) == requests
    assert clock.waits == [WAIT_SECONDS] * (requests > 1)
    assert finding.keeps == {"ent": True, "seg": False, None: None}[answer]


def usages(*counts):
    """Return a sender that answers with these counts of read and written tokens."""
    left = iter(counts)

    def send(body):
        assert body["max_tokens"] == 1
        read, written = next(left)
        return Usage(input_tokens=700, read_tokens=read, written_tokens=written)

    return send


@pytest.mark.parametrize(
    ("counts", "answer", "why"),
    [
        pytest.param([(0, 650), (0, 660)], "seg", "anew", id="written anew"),
        pytest.param([(0, 650), (0, 0)], None, "did not read", id="not read at once"),
        pytest.param(
            [(0, 650), (650, 7), (0, 0)], None, "to compare", id="nothing to compare"
        ),
        pytest.param(
            [(0, 650), (650, 7), (0, 650), (657, 0), (0, 650)], "ent", "all", id="kept"
        ),
    ],
)
def test_what_answers_show(counts, answer, why, emulator):
    """What was read and written decides, and nothing is sent once it is decided."""
    send = usages(*counts)
    finding = found(Sequence(MODEL, "n"), send, Moved(emulator.clock))

    assert finding.answer == answer
    assert why in finding.why
    assert len(finding.steps) == len(counts)


@pytest.mark.parametrize("reading", ["ent", "seg"])
def test_the_cost_that_is_stated_is_the_most(reading):
    """The bill is below what was stated, and that is less than a cent."""
    prices = GenaiPrices()
    with Emulator(settings=Settings(reading=reading)) as emulator:
        finding, _ = asked(emulator)
    bill = sum(
        prices.cost("anthropic", MODEL, step.usage).usd for step in finding.steps
    )

    assert 0.002 < bill < most_usd(Sequence(MODEL, "n"), prices) < 0.01


def test_the_most_by_hand():
    """Three prefixes are written, one is read with a little more, one is read."""
    sequence = Sequence(MODEL, "n")
    size = 5 * 512 // 3 + 100
    prices = FixedPrices({MODEL: PRICED})
    writes, reads = size * 2.5 + 10, size * 0.1 + 10
    adds = (size - 100) * 0.1 + 100 * 4 + 10

    assert sequence.most_tokens == size
    assert most_usd(sequence, prices) == pytest.approx(
        (3 * writes + adds + reads) / 1e6
    )


def test_prefixes_are_new():
    """Two probes share no prefix, so that one does not read what the other wrote."""
    one, two = Sequence(MODEL, "a"), Sequence(MODEL, "b")
    texts = [
        body["system"][0]["text"][:10]
        for it in (one, two)
        for body in (it.first(), it.beside())
    ]

    assert len({*texts}) == 4
    assert one.first()["system"] == one.promoting()["system"] == one.again()["system"]


@pytest.fixture
def run(monkeypatch, capsys, emulator):
    """Run the command on the emulator's time; return exit code and both outputs."""
    monkeypatch.setattr(probe_cli, "SystemClock", lambda: Moved(emulator.clock))

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["promptcache", "probe", *arguments])
        with pytest.raises(SystemExit) as exit_info:
            cli.main()
        printed = capsys.readouterr()
        return exit_info.value.code or 0, printed.out, printed.err

    return run


@pytest.fixture
def official(monkeypatch, emulator):
    """Take the emulator for the provider itself."""
    monkeypatch.setattr(sending, "OFFICIAL", "127.0.0.1")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", emulator.url)


def test_only_stated(run, emulator, official):
    """Without `--live` it says what it would send and what that costs, no more."""
    code, out, _ = run("--yes")

    assert code == 0
    assert "which is less than a cent" in out
    assert out.endswith("Nothing is sent without --live.\n")
    assert emulator.ledger == []


@pytest.mark.parametrize(("said", "code", "requests"), [("n", 1, 0), ("y", 0, 5)])
def test_asks_first(run, emulator, official, monkeypatch, said, code, requests):
    """Without `--yes` it asks, and sends nothing where nobody says so."""
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{said}\n"))
    left, out, _ = run("--live")

    assert left == code
    assert "Send them?" in out
    assert len(emulator.ledger) == requests


def test_live(run, emulator, official):
    """The answer is told, and kept where later processes of this user find it."""
    code, out, _ = run("--live", "--yes")
    path = path_of_answers()

    assert code == 0
    assert "Answer: ent: after six minutes" in out
    assert str(path) in out
    assert recalled() == {WHERE: True}
    assert len(emulator.ledger) == 5
    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_json(run, emulator, official):
    """With `--json` there is one row, and the statement is beside it."""
    code, out, err = run("--live", "--yes", "--json")
    (row,) = json.loads(out)

    assert code == 0
    assert "less than a cent" in err
    assert (row["answer"], row["keeps"], row["model"]) == ("ent", True, MODEL)
    assert 0 < row["cost_usd"] < 0.01
    assert [it["read_tokens"] > 0 for it in row["requests"]] == [
        False,
        True,
        False,
        True,
        False,
    ]


def test_another_server(run, emulator):
    """What another server answers is told, and not kept."""
    code, out, _ = run("--live", "--yes", "--base-url", emulator.url)

    assert code == 0
    assert "Answer: ent" in out
    assert out.endswith("Not kept.\n")
    assert not path_of_answers().exists()


def test_nothing_shown_is_not_kept(run, emulator, official, monkeypatch):
    """An answer that shows nothing takes no other one's place."""
    run("--live", "--yes")
    monkeypatch.setattr(sending.Client, "send", lambda *_: Usage(700, 0, 0))
    _, out, _ = run("--live", "--yes")

    assert "Answer: none: the first request wrote nothing." in out
    assert recalled() == {WHERE: True}


def test_provider(run):
    """Other providers leave no such question open."""
    code, _, err = run("--provider", "openai")

    assert (code, err.count("\n")) == (2, 1)
    assert "anthropic" in err


def test_refused(run, emulator, official):
    """A request that fails is one line, with exit code 2; nothing is kept."""
    emulator.faults.push(Fault(status=401, times=9, message="no such key"))
    code, _, err = run("--live", "--yes")

    assert (code, err.count("\n")) == (2, 1)
    assert "no such key" in err
    assert recalled() == {}


def test_no_key(run, official, monkeypatch):
    """So is a key that is missing."""
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    code, _, err = run("--live", "--yes")

    assert (code, err.count("\n")) == (2, 1)


def test_dearer_than_a_cent(run):
    """A model whose price is higher is said to cost more, or not to be known."""
    assert "which is more than a cent" in run("--model", "claude-opus-5-5")[1]
    assert "is not known" in run("--model", "claude-of-tomorrow")[1]


def test_histories_can_be_told(run, emulator, official):
    """A history that is told the answer promotes no more where that is no use."""
    planner = PromptCache()._planner
    planner.history.know(WHERE, keeps=False)

    assert planner.history._readings.trusts(WHERE, now=0.0) is False
