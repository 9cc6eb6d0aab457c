"""Every way into an LLM of Gemini's while what it begins with is in a cached content.

A path is walked until that is so, and then once more. Implicit caching never has luck
here: where it does, nothing is created.
"""

import pytest
from llama_index.core.types import PydanticProgramMode
from llamaindex_google import ASYNC_GOOGLE, CHATS, IGNORED_HERE, SYNC_GOOGLE
from llamaindex_kit import Kit, walked
from llamaindex_paths import ASYNC, ONE_SHOT, SYNC
from llamaindex_results import answers_in, receipted, settled, shape

from promptcache import Receipt, options
from promptcache.emulator import Emulator, GeminiSettings

pytestmark = IGNORED_HERE

CALLING = {"pydantic_program_mode": PydanticProgramMode.FUNCTION}
MOST_WALKS = 8
PAUSE_SECONDS = 5
HEAD = ("systemInstruction", "tools", "toolConfig")


@pytest.fixture(scope="module")
def unlucky():
    with Emulator(gemini=GeminiSettings(implicit_luck=0.0)) as running:
        yield running


@pytest.fixture
def emulator(unlucky):
    unlucky.reset()
    return unlucky


@pytest.fixture
def gemini_caches():
    return True


@pytest.fixture
def kits(make_plain, make_cached, head, shelf):
    return [Kit(make, head, shelf, CALLING) for make in (make_plain, make_cached)]


@pytest.fixture
def pause(cache, emulator):
    """Return a function that lets time pass and the keeper do what is due."""

    def passed():
        cache.keeper.idle()
        emulator.clock.advance(PAUSE_SECONDS)
        cache.keeper.tend()

    return passed


@pytest.fixture
def whole(emulator):
    """Return a function that puts what a cached content holds back into a body."""

    def restored(body):
        if "cachedContent" not in body:
            return body
        shown = {cache.name: cache.display_name for cache in emulator.caches}
        held = next(
            row.body
            for row in emulator.ledger
            if row.path.endswith("/cachedContents")
            and row.method == "POST"
            and row.body["displayName"] == shown[body["cachedContent"]]
        )
        rest = {name: body[name] for name in body if name != "cachedContent"}
        members = {name: held[name] for name in HEAD if name in held}
        contents = [*held.get("contents", ()), *body["contents"]]
        return {**rest, **members, "contents": contents}

    return restored


@pytest.fixture
def is_active(rows_of):
    """Return a function that tells whether all requests since then named what holds."""

    def told(since):
        bodies = [row.body for row in rows_of("cached")[since:]]
        return all("cachedContent" in body or not is_long(body) for body in bodies)

    return told


@pytest.fixture
def check_named(rows_of, whole, assert_settled, emulator):
    """Return a function that compares the last walk with the stock one."""

    def compare(receipts, expected, result):
        plain_rows = rows_of("plain")
        rows = rows_of("cached")[-len(plain_rows) :]

        assert {row.status for row in emulator.ledger} == {200}
        assert any("cachedContent" in row.body for row in rows)
        assert_settled(receipts, rows)
        for row in rows:
            assert "cachedContent" in row.body or not is_long(row.body)
            if "cachedContent" in row.body:
                assert not row.body.keys() & set(HEAD)
                assert row.hit == row.body["cachedContent"]
                assert row.cache_read_input_tokens > 4096
        assert sorted((whole(row.body) for row in rows), key=str) == sorted(
            (row.body for row in plain_rows), key=str
        )
        assert len(receipted([result])) == answers_in([result])
        assert shape(result) == shape(expected)

    return compare


def is_long(body):
    """Whether a body begins with the head, and may be cut behind it."""
    starts = [body.get("systemInstruction"), *body["contents"][:-1]]
    return len(str(starts)) > 4 * 4096


def with_heads(paths):
    """Yield the paths whose prompts are more than one long text of the user's."""
    for path in paths:
        if not ONE_SHOT.search(path.id) and path.id != "astructured_predict.function":
            yield path


@pytest.mark.parametrize(("answers", "walk"), list(with_heads([*SYNC, *SYNC_GOOGLE])))
def test_sync_path(
    answers, walk, kits, emulator, collecting, pause, rows_of, is_active, check_named
):
    """A path names what it begins with, sends the rest, and answers as ever."""
    stock, ours = kits
    expected = walked(walk, stock, answers, emulator)
    for _ in range(MOST_WALKS):
        before = len(rows_of("cached"))
        walked(walk, ours, answers, emulator)
        pause()
        if is_active(before):
            break
    with collecting() as receipts:
        result = walked(walk, ours, answers, emulator)

    check_named(receipts, expected, result)


@pytest.mark.parametrize(("answers", "walk"), list(with_heads([*ASYNC, *ASYNC_GOOGLE])))
async def test_async_path(
    answers,
    walk,
    kits,
    emulator,
    collecting,
    pause,
    rows_of,
    is_active,
    check_named,
    opened,
):
    """A path names what it begins with, sends the rest, and answers as ever."""
    stock, ours = kits
    expected = await walked(walk, stock, answers, emulator)
    for _ in range(MOST_WALKS):
        before = len(rows_of("cached"))
        await walked(walk, ours, answers, emulator)
        await settled(opened)
        pause()
        if is_active(before):
            break
    with collecting() as receipts:
        result = await walked(walk, ours, answers, emulator)
    await settled(opened)

    check_named(receipts, expected, result)


@pytest.fixture
def warm(pause, rows_of, prompt):
    """Return a function that asks until a request names a cached content."""

    async def warmed(way, llm, **said):
        for number in range(MOST_WALKS):
            await way(llm, prompt(f"Number {number}?"), **said)
            pause()
            if "cachedContent" in rows_of("cached")[-1].body:
                return rows_of("cached")[-1].body["cachedContent"]
        raise AssertionError(rows_of("cached")[-1].body.keys())

    return warmed


@pytest.mark.parametrize("way", CHATS)
@pytest.mark.parametrize("host", ["developer", "vertex"])
async def test_receipt_of_an_answer(way, cached, warm, prompt, rows_of, emulator):
    """A receipt tells what was read from the cached content, and what that saved."""
    name = await warm(way, cached)
    answer = await way(cached, prompt())
    receipt = Receipt.from_metadata(answer.additional_kwargs["prompt_cache"])
    row = rows_of("cached")[-1]
    (live,) = [cache for cache in emulator.caches if cache.name == name]

    assert (row.hit, row.cache_read_input_tokens) == (name, live.tokens)
    assert receipt.usage.read_tokens == live.tokens
    assert receipt.cost_usd < 0.5 * receipt.without_caching_usd


@pytest.mark.parametrize("way", CHATS)
async def test_deleted_behind_our_back(
    way, cached, warm, prompt, rows_of, emulator, collecting
):
    """A cached content that is gone costs a second request, and no answer."""
    name = await warm(way, cached)
    cached._client.caches.delete(name=name)
    with collecting() as receipts:
        answer = await way(cached, prompt())
    lost, whole = rows_of("cached")[-2:]

    assert (lost.status, whole.status) == (403, 200)
    assert lost.body["cachedContent"] == name
    assert "cachedContent" not in whole.body
    assert "systemInstruction" in whole.body
    assert answer.message.content == "Understood. This is the emulator's answer."
    assert len(receipts) == 1


@pytest.mark.parametrize("way", CHATS)
async def test_after_its_life(way, cached, warm, prompt, rows_of, emulator):
    """Nobody names a cached content whose time is over."""
    await warm(way, cached)
    emulator.clock.advance(3600 * 24)
    await way(cached, prompt())

    assert rows_of("cached")[-1].status == 200
    assert "systemInstruction" in rows_of("cached")[-1].body


SWITCHED_OFF = [
    pytest.param({"gemini_caches": False}, {}, None, id="argument"),
    pytest.param({}, {"gemini_caches": False}, None, id="call"),
    pytest.param({}, {}, False, id="around"),
    pytest.param({}, {"enabled": False}, None, id="off"),
]


@pytest.mark.parametrize(("of_llm", "of_call", "around"), SWITCHED_OFF)
@pytest.mark.parametrize("way", CHATS[1::2])
async def test_switched_off(
    way, of_llm, of_call, around, make_cached, pause, prompt, emulator
):
    """Where the caller says so, nothing is created and nothing is named."""
    llm = make_cached(**of_llm)
    said = {"prompt_cache": of_call} if of_call else {}
    with options(gemini_caches=around):
        for number in range(MOST_WALKS):
            await way(llm, prompt(f"Number {number}?"), **said)
            pause()

    assert emulator.caches == []
    assert all("systemInstruction" in row.body for row in emulator.ledger)


@pytest.mark.parametrize("way", CHATS[1::2])
async def test_without_them_for_one_call(way, cached, warm, prompt, rows_of):
    """One call may leave alone what the others use."""
    await warm(way, cached)
    await way(cached, prompt(), prompt_cache={"gemini_caches": False})
    without = rows_of("cached")[-1].body
    await way(cached, prompt())

    assert "systemInstruction" in without
    assert "cachedContent" not in without
    assert "cachedContent" in rows_of("cached")[-1].body


async def test_tenants_share_none(cached, warm, prompt, rows_of):
    """A tenant never names what was created for another."""
    (way,) = CHATS[1].values
    await warm(way, cached, prompt_cache={"tenant": "acme"})
    await way(cached, prompt(), prompt_cache={"tenant": "other"})

    assert "systemInstruction" in rows_of("cached")[-1].body


async def test_close_deletes_them(cached, warm, cache, emulator):
    """What was created for an LLM does not outlive its cache."""
    (way,) = CHATS[1].values
    await warm(way, cached)
    assert [it.live for it in emulator.caches] == [True]
    cache.close()

    assert [it.live for it in emulator.caches] == [False]


async def test_llms_learn_together(make_cached, warm, prompt, rows_of):
    """A cached content is named by every LLM of the cache that it fits."""
    (way,) = CHATS[1].values
    name = await warm(way, make_cached())
    await way(make_cached(), prompt())

    assert rows_of("cached")[-1].body["cachedContent"] == name
