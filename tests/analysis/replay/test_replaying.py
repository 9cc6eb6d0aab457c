"""Made-up traces, played through: rows that can be reckoned by hand."""

import gzip

import pytest
from recorded_traces import BLOCK, runs

from promptcache.analysis.replay.choices import Choice
from promptcache.analysis.replay.replaying import Replay
from promptcache.analysis.replay.scene import scene_of
from promptcache.analysis.replay.traces import UnreadableTraceError
from promptcache.errors import OptionError

R = 0.1


def rows(path, *policies, form="claude-code", read=R, model=None, **more):
    replay = Replay(
        path=path,
        form=form,
        scene=scene_of(model, None if model else read),
        policies=policies,
        **more,
    )
    return {row.policy: row for row in replay.rows()}


def grown(*times, first=40, added=10):
    return runs(
        *(
            (at, 0, first) if number == 0 else (at, first + added * (number - 1), added)
            for number, at in enumerate(times)
        )
    )


def test_five_minutes_at_the_end(write):
    """Each request reads what the one before wrote, unless five minutes are over."""
    path = write([grown(0, 60, 600)])

    row = rows(path, "5m")["5m"]

    # 40 blocks written; 40 read and 10 written; 60 written; 10 tokens more each.
    cost = 1.25 * 40 + (R * 40 + 1.25 * 10) + 1.25 * 60
    total = (40 + 50 + 60) * BLOCK + 30
    assert row.requests == 3
    assert row.sessions == 1
    assert row.bill == pytest.approx((cost * BLOCK + 30) / total)
    assert row.read_share == pytest.approx(40 * BLOCK / total)
    assert row.worse_share == 0


def test_an_hour_everywhere(write):
    """What is written for an hour is read after ten minutes."""
    path = write([grown(0, 60, 660)])

    row = rows(path, "1h")["1h"]

    cost = 2 * 40 + (R * 40 + 2 * 10) + (R * 50 + 2 * 10)
    assert row.bill == pytest.approx((cost * BLOCK + 30) / (150 * BLOCK + 30))


def test_the_head_alone(write):
    """Tools and system prompt are written once and read; the rest is plain input."""
    row = rows(write([grown(0, 60)]), "head")["head"]

    cost = (1.25 * 16 + 24) + (R * 16 + 34)
    assert row.bill == pytest.approx((cost * BLOCK + 20) / (90 * BLOCK + 20))


def test_a_session_that_lost_money(write):
    """One request alone pays the premium, and counts as worse than no caching."""
    path = write([grown(0), grown(0, 60)])

    made = rows(path, "none", "5m", "hindsight", "optimum")

    assert made["none"].bill == 1
    assert made["none"].read_share == 0
    assert made["5m"].worse_share == 0.5
    assert made["hindsight"].worse_share == 0
    assert made["optimum"].bill < made["hindsight"].bill < made["5m"].bill < 1
    assert made["5m"].optimum == made["optimum"].bill
    assert made["5m"].as_dict()["regret"] == pytest.approx(
        made["5m"].bill - made["optimum"].bill, abs=1e-6
    )


def test_hindsight_is_the_best_for_each_session(write):
    """Its bill is less than that of each policy, where sessions differ."""
    path = write([grown(0, 60, 120), grown(0, 1000, 2000, 3000)])

    made = rows(path, "5m", "1h", "hindsight")

    total = [150 * BLOCK + 30, 220 * BLOCK + 40]
    five = (1.25 * 40 + R * 40 + 12.5 + R * 50 + 12.5) * BLOCK + 30
    hour = (2 * 70 + R * (40 + 50 + 60)) * BLOCK + 40
    assert made["hindsight"].bill == pytest.approx((five + hour) / sum(total))
    assert made["hindsight"].bill < min(made["5m"].bill, made["1h"].bill)


def test_what_a_policy_does_in_the_warm_up_is_not_billed(write):
    """The first request writes for nothing, and the second one reads it."""
    path = write([grown(0, 60)])

    row = rows(path, "5m", warmup=60)["5m"]

    assert row.requests == 1
    cost = (R * 40 + 1.25 * 10) * BLOCK + 10
    assert row.bill == pytest.approx(cost / (50 * BLOCK + 10))


def test_pings_keep_a_prefix(write):
    """A prefix that is pinged is read after ten minutes; each ping is billed."""
    path = write([grown(0, 60, 800, added=1)])

    made = rows(path, "5m", "keep-warm", read=0.01)

    assert made["keep-warm"].read_share > made["5m"].read_share
    assert made["keep-warm"].bill < made["5m"].bill
    # Twelve trailing pings at most, and two in the pause.
    assert rows(path, "keep-warm", read=0.01, warmup=1e9)["keep-warm"].bill is None
    least = (1.25 * 42 + 0.01 * (40 + 41) + 0.01 * 41 * 2) / (40 + 41 + 42)
    assert made["keep-warm"].bill > least


@pytest.mark.parametrize("reading", ["seg", "ent"])
def test_auto_learns_which_reading_holds(write, reading):
    """It may know how a provider reads promoted prefixes, or has to find out."""
    pauses = [0, 60, 120, 1500, 1560, 3200, 3260, 5000]
    extra = []
    for sessions in (6, 12):
        path = write([grown(*pauses, added=1) for _ in range(sessions)])
        known = rows(path, "auto", reading=reading, knows_reading=True)["auto"]
        unknown = rows(path, "auto", reading=reading)["auto"]
        extra.append(sessions * (unknown.bill - known.bill))

    if reading == "seg":
        # Finding out costs three writings that were to be readings, and only once.
        lost = 3 * (1.25 - R) * 46 / (8 * 43.5)
        assert 0 < extra[0] <= lost
        assert extra[1] == pytest.approx(extra[0])
    else:
        assert extra == [0, 0]
    assert unknown.bill < 1


def test_the_readings_differ(write):
    """A promoted prefix lives on in one reading, and is gone in the other."""
    path = write([grown(0, 60, 120, 1500, added=1) for _ in range(3)])

    seg, ent = (
        rows(path, "auto", reading=it, knows_reading=True)["auto"]
        for it in ("seg", "ent")
    )

    assert ent.bill < seg.bill
    # What is possible differs, too.
    assert ent.optimum < seg.optimum <= seg.bill
    assert ent.optimum <= ent.bill


def test_the_same_trace_gives_the_same_rows(write):
    """Nothing in a replay is left to chance."""
    path = write([grown(0, 60, 400), grown(0, 1000)])

    assert rows(path, keep_warm=True) == rows(path, keep_warm=True)


def test_all_baselines_unless_some_are_named(write):
    """Without a name the rows are auto, what is fixed, hindsight and the optimum."""
    path = write([grown(0, 60)])

    assert list(rows(path)) == [
        *("auto", "none", "head", "5m", "1h"),
        *("hindsight", "optimum"),
    ]
    assert "keep-warm" in rows(path, keep_warm=True)


def test_tenants_of_a_mix_share_nothing(write):
    """The same blocks under two tenants are written twice, and read by neither."""
    same = {**runs((0, 0, 40)), "hash_id_scope": "global"}
    path = write([same, same])

    alone = rows(path, "optimum", mixed=True)["optimum"]
    keyed = rows(path, "optimum", mixed=True, by_tenant=True)["optimum"]

    assert alone.bill == keyed.bill == 1
    with pytest.raises(OptionError, match="--mix"):
        rows(path, by_tenant=True)


def test_the_requests_of_a_service_count_one_by_one(tmp_path):
    """Of many users' requests, each that cost more than plain input is worse."""
    asked = [(0, [0, 1, 2]), (10, [0, 1, 2]), (20, [7, 8])]
    lines = [
        b'{"timestamp": %d, "input_length": %d, "hash_ids": %s}'
        % (at * 1000, 512 * len(ids), str(ids).encode())
        for at, ids in asked
    ]
    path = tmp_path / "t.jsonl.gz"
    path.write_bytes(gzip.compress(b"\n".join(lines)))

    row = rows(path, "5m", form="mooncake")["5m"]

    assert (row.sessions, row.requests) == (1, 3)
    assert row.worse_share == pytest.approx(2 / 3)
    assert row.bill == pytest.approx((1.25 * 3 + R * 3 + 1.25 * 2) / 8)


def test_a_trace_without_requests(write):
    """Nothing to bill is not a bill of nothing."""
    row = rows(write([grown(0)]), "5m", part="odd")["5m"]

    assert row.requests == 0
    assert row.bill is row.optimum is row.read_share is row.worse_share is None


@pytest.mark.parametrize(
    ("policy", "model", "form", "said"),
    [
        ("often", None, "claude-code", "keep-warm"),
        ("30m", None, "claude-code", "5m"),
        ("auto", "gpt-5.6", "claude-code", "Anthropic"),
        ("head", None, "receipts", "receipts"),
        ("recorded", None, "claude-code", "auto"),
    ],
)
def test_what_cannot_be_replayed_is_said(write, policy, model, form, said):
    """A policy, a model or a format that does not fit is an error with the choices."""
    with pytest.raises(OptionError, match=said):
        rows(write([grown(0)]), policy, model=model, form=form)


def test_a_price_or_a_model_is_needed():
    """Prices are of a model, or said; what is no price is refused."""
    with pytest.raises(OptionError, match="--read-price"):
        scene_of(None, None)
    with pytest.raises(OptionError, match="0 to 1"):
        scene_of(None, 1.5)
    with pytest.raises(OptionError, match="OpenAI"):
        scene_of("gemini-2.5-flash", None)


def test_a_model_brings_its_own_rules():
    """The shortest prefix and the price of reading are the model's."""
    known = scene_of("claude-haiku-4-5", None)
    priced = scene_of("claude-haiku-4-5", 0.025)

    assert (known.rules.minimum_tokens, known.terms.read) == (4096, 0.1)
    assert (priced.rules.minimum_tokens, priced.terms.read) == (4096, 0.025)
    assert scene_of(None, 0.05).rules.minimum_tokens == 512
    assert scene_of("gpt-5.6", None).lives() == ((1800.0, 1.25),)


def test_a_policy_that_learns_is_no_baseline():
    """Hindsight chooses among what is fixed."""
    assert not Choice("5m", None).learns


def test_a_missing_trace(tmp_path):
    """A file that is not there is said by name."""
    with pytest.raises(UnreadableTraceError, match="nowhere"):
        rows(tmp_path / "nowhere.jsonl", "5m")
