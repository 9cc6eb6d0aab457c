"""A gateway that does not know cached contents is asked once more in full."""

import pytest
from faulty_subjects import NAMED, cells
from faulty_tricks import REFUSALS, named

TALK = ["What is a tender?"]
UNREAD_SECONDS = 310.0
"""After this, nothing is read that no cached content holds."""
GOOGLE = [NAMED[it] for it in ("sdk.google", "sdk.generativeai") if it in NAMED]


@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.parametrize(("name", "way"), cells(GOOGLE))
async def test_refused_caches(name, way, refusal, faulty, cache):
    """Whatever its status, also one for which the SDK has no error of its own."""
    subject, met = NAMED[name], faulty.met["cached"]
    model = subject.make(faulty.url, "cached", cache, 30.0, 0)
    for _ in range(9):
        faulty.clock.advance(UNREAD_SECONDS)
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
