"""A system prompt that changes is reported: where, since when, and what to do."""

import anthropic
import openai
import pytest
from gemini_sdk import client_of

from promptcache import PromptCache, options

# Some 9,000 tokens: all of the providers cache that much.
RULES = "Answer as a careful clerk of a railway museum would answer. " * 600
TURNS = 4


def anthropic_way(emulator, cache):
    client = cache.attach(anthropic.Anthropic(base_url=emulator.url, api_key="any"))

    def ask(system, talk):
        client.messages.create(
            model="claude-sonnet-5-5",
            max_tokens=9,
            system=[{"type": "text", "text": text} for text in system],
            messages=[{"role": role, "content": text} for role, text in talk],
        )

    return client, ask


def chat_way(emulator, cache):
    place = f"{emulator.url}/v1"
    client = cache.attach(openai.OpenAI(base_url=place, api_key="any"))

    def ask(system, talk):
        head = [{"type": "text", "text": text} for text in system]
        client.chat.completions.create(
            model="gpt-6.1-sol",
            messages=[
                {"role": role, "content": said}
                for role, said in (("system", head), *talk)
            ],
        )

    return client, ask


def responses_way(emulator, cache):
    place = f"{emulator.url}/v1"
    client = cache.attach(openai.OpenAI(base_url=place, api_key="any"))

    def ask(system, talk):
        head = [{"type": "input_text", "text": text} for text in system]
        client.responses.create(
            model="gpt-6.1-sol",
            input=[
                {"role": role, "content": said}
                for role, said in (("system", head), *talk)
            ],
        )

    return client, ask


def gemini_way(emulator, cache):
    client = cache.attach(client_of(emulator.url))

    def ask(system, talk):
        client.models.generate_content(
            model="gemini-3.8-flash",
            contents=[
                {
                    "role": "model" if role == "assistant" else role,
                    "parts": [{"text": text}],
                }
                for role, text in talk
            ],
            config={"system_instruction": system},
        )

    return client, ask


WAYS = {
    "anthropic": anthropic_way,
    "chat": chat_way,
    "responses": responses_way,
    "gemini": gemini_way,
}


@pytest.fixture
def lead(emulator):
    """Return a function that leads a conversation; it gives receipts and advice."""

    def talk(way, system_of, **said):
        cache = PromptCache(store="memory:", strict=True, clock=emulator.clock)
        client, ask = way(emulator, cache)
        history = []
        with cache.collect() as receipts, options(gemini_caches=False, **said):
            for number in range(TURNS):
                history.append(("user", f"What of number {number}? " * 300))
                ask(system_of(number), history)
                history.append(("assistant", "It is so."))
                emulator.clock.advance(5)
        client.close()
        cache.close()
        return receipts, cache.report().advice

    return talk


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_block(way, lead):
    """A block that is another one on every call is named, and what would move it."""
    receipts, [advice, *_] = lead(way, lambda number: [RULES, f"Call {number} today."])

    assert [str(it) for it in receipts[-1].misses] == [
        "prefix_changed at system[1] (by outline)"
    ]
    assert "system[1] changes on every call" in receipts[-1].notes
    assert (advice.cause, advice.place_section) == ("prefix_changed", "system")
    assert "volatile(...)" in advice.remedy
    assert '"move_volatile": True' in advice.remedy


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_string(way, lead):
    """In a prompt of one block, it is also said after how many bytes it changes."""
    receipts, [advice, *_] = lead(way, lambda number: [f"{RULES}\nCall {number}."])

    [miss] = receipts[-1].misses
    assert (miss.cause, miss.place) == ("prefix_changed", "system[0]")
    assert len(RULES) - 256 < miss.near <= len(RULES) + 16
    assert "system[0] changes on every call" in receipts[-1].notes
    assert advice.place_section == "system"


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_what_the_advice_says(way, lead):
    """Moving such a block, once that is allowed, is noted and has history read."""

    def system_of(number):
        return [RULES, f"Call {number} today."]

    told, _ = lead(way, system_of)
    moved, _ = lead(way, system_of, move_volatile=True)

    assert not any(note.startswith("moved") for it in told for note in it.notes)
    assert moved[-1].notes[0].startswith("moved volatile text from ")
    assert moved[-1].usage.read_tokens > told[-1].usage.read_tokens + 1_000


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_prompt_that_stays(way, lead):
    """Nothing is reported of a system prompt that is the same on every call."""
    receipts, advice = lead(way, lambda _: [RULES, "Be brief, and name the page."])

    assert not any("changes on every call" in str(it.notes) for it in receipts)
    assert [it.cause for it in advice] == ["first_seen"]
