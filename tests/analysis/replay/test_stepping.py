"""One request after the other: what the planner is told, and what the judge keeps."""

from recorded_traces import runs, written

from promptcache.analysis.replay.block_traces import read_claude_code
from promptcache.analysis.replay.choices import Choice, choice
from promptcache.analysis.replay.judging import BlockJudge
from promptcache.analysis.replay.scene import scene_of
from promptcache.analysis.replay.stepping import BlockSteps
from promptcache.analysis.replay.traces import of_tenant
from promptcache.emulator.rules.settings import Settings
from promptcache.planning.policies import Policy


def recorded(tmp_path):
    (session,) = read_claude_code(
        written(tmp_path / "trace.jsonl", [runs((0, 0, 40), (60, 40, 5))])
    )
    return list(session.requests)


def steps(policy="5m"):
    scene = scene_of(None, 0.1)
    judge = BlockJudge(Settings(reading="seg"), scene.rules.minimum_tokens)
    return BlockSteps(scene, scene.rules, choice(policy, scene.rules), judge), scene


def test_tenants_share_no_cache(tmp_path):
    """What one tenant wrote is not read by another one."""
    outline = recorded(tmp_path)[0].outline
    judge = BlockJudge(Settings(), 512)

    for tenant in ("one", "two"):
        billed = judge.judge(outline, [(39, "5m")], total=2600, tenant=tenant, now=0.0)
        assert (billed.read, billed.written["5m"]) == (0, 2560)

    again = judge.judge(outline, [(39, "5m")], total=2600, tenant="one", now=1.0)
    assert again.read == 2560


def test_tenants_are_kinds_of_traffic(tmp_path):
    """Books are kept by what stands before the first block, so that is their own."""
    outline = recorded(tmp_path)[0].outline

    roots = {of_tenant(outline, it).blocks.root for it in (None, "one", "two")}

    assert len(roots) == 3
    assert of_tenant(outline, "one").blocks.digests is outline.blocks.digests


def test_the_planner_learns_of_a_ping(tmp_path):
    """A prefix that was pinged is known to live on."""
    asked = recorded(tmp_path)[0]
    alive = []
    for pinged in (False, True):
        taken, scene = steps()
        quiet = taken.step(asked, 0.0).quiet
        if pinged:
            billed = quiet.again(288.0)
            assert billed.read == 40 * 64
        past = taken.history.past(
            asked.outline, now=500.0, terms=scene.terms, where=scene.where
        )
        alive.append(past.entry)

    assert alive == [-1, 39]


def test_the_planner_learns_what_was_read(tmp_path):
    """A prefix that a provider has lost is planned anew."""
    first, second = recorded(tmp_path)
    taken, scene = steps()
    taken.step(first, 0.0)
    taken._judge = BlockJudge(Settings(), 512)  # a provider that forgot all

    step = taken.step(second, 60.0)

    assert step.billed.read == 0
    past = taken.history.past(
        second.outline, now=61.0, terms=scene.terms, where=scene.where
    )
    assert past.entry == 44


def test_a_policy_that_learns_keeps_books_of_pings(tmp_path):
    """Auto pings an agent's prefix only where that is cheapest; keep-warm always."""
    first, _ = recorded(tmp_path)

    assert steps("keep-warm")[0].step(first, 0.0).quiet.may_ping
    assert not steps("auto")[0].step(first, 0.0).quiet.may_ping


def test_what_is_known_is_known_under_the_policy(tmp_path, monkeypatch):
    """One that may choose short lifetimes only is told of no longer one."""
    scene = scene_of(None, 0.1)
    judge = BlockJudge(Settings(), scene.rules.minimum_tokens)
    longest = {}
    for max_ttl in ("5m", "1h"):
        decides = Choice("auto", Policy.auto(max_ttl), learns=True)
        taken = BlockSteps(scene, scene.rules, decides, judge)
        past, told = taken.history.past, []

        def of(*given, past=past, told=told, **named):
            told.append(named["terms"].long)
            return past(*given, **named)

        monkeypatch.setattr(taken.history, "past", of)
        for asked in recorded(tmp_path):
            taken.step(asked, 0.0)
        longest[max_ttl] = set(told)

    assert longest == {"5m": {None}, "1h": {"1h"}}
