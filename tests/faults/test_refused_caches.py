"""A gateway that does not know cached contents is asked once more in full."""

import pytest
from faulty_subjects import NAMED, SUBJECTS
from faulty_tricks import REFUSALS, named

TALK = ["What is a tender?"]
GOOGLE = [
    (subject.name, way)
    for subject in SUBJECTS
    if subject.name in {"sdk.google", "sdk.generativeai"}
    for way in list(subject.ways)[:: len(subject.ways) // 2]
]


@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.parametrize(("name", "way"), GOOGLE)
async def test_refused_caches(name, way, refusal, faulty, cache):
    """Whatever its status, also one for which the SDK has no error of its own."""
    subject, met = NAMED[name], faulty.met["cached"]
    model = subject.make(faulty.url, "cached", cache, 30.0, 0)
    for _ in range(9):
        faulty.clock.advance(20.0)
        await subject.ways[way](model, TALK)
        cache.keeper.idle()
        if met[-1].ours == "cachedContent":
            break
    assert met[-1].ours == "cachedContent"
    met.clear()
    faulty.scripts["cached"].extend(named("google", refusal))
    answer = await subject.ways[way](model, TALK)
    await subject.close(model)

    assert "Understood" in answer
    assert [it.ours for it in met] == ["cachedContent", None]
