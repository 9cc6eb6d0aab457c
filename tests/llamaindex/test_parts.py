"""Texts that go through LlamaIndex's templates and engines, found at the seam."""

import pytest
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import ChatPromptTemplate, RichPromptTemplate

from llamaindex_promptcache import static, volatile
from promptcache import document

MODEL = "claude-sonnet-5-5"
RULES = "You are a careful clerk of a railway museum. " * 180
DOCUMENT = "The T 9 was built in 1911, in a hall that is no more. " * 60
TURNS = [
    ChatMessage(role="user", content="What of the T 9?"),
    ChatMessage(role="assistant", content="It was built in 1911."),
    ChatMessage(role="user", content="And where?"),
]


@pytest.fixture
def llms(make_cached, make_plain):
    """Return an LLM of ours and one of LlamaIndex's."""
    return make_cached(model=MODEL), make_plain(model=MODEL)


def sent(emulator):
    return [row.body for row in emulator.ledger]


def test_a_template(llms, emulator, cache):
    """A template's texts become blocks of the turn, and a plain LLM sees none."""
    template = RichPromptTemplate("{{ rules }}\n\n{{ docs }}\n\nQuestion: {{ query }}")
    said = {"rules": static(RULES), "docs": document(DOCUMENT), "query": "Where?"}
    with cache.collect() as receipts:
        for llm in llms:
            llm.chat(template.format_messages(**said))
    split, plain = [it["messages"][0]["content"] for it in sent(emulator)]

    texts = [RULES, f"\n\n{DOCUMENT}", "\n\nQuestion: Where?"]
    assert [it["text"] for it in split] == texts
    assert "".join(texts) in (plain, plain[0]["text"] if plain else "")
    assert receipts[0].notes[0] == "split messages[0].content[0] into 3"
    assert [it.split()[-1] for it in receipts[0].breakpoints] == ["part", "part"]


def test_a_date(llms, emulator, cache):
    """A date in a system prompt is moved behind the conversation, on every call."""
    template = ChatPromptTemplate.from_messages([("system", "{rules}\n{date}")])
    with cache.collect() as receipts:
        for day in range(10, 13):
            system = template.format_messages(
                rules=RULES, date=volatile(f"It is the {day}th of November.")
            )
            llms[0].chat([*system, *TURNS])

    bodies = sent(emulator)
    assert len({str(it["system"]) for it in bodies}) == 1
    assert [it["messages"][-1]["role"] for it in bodies] == ["system"] * 3
    assert [it.usage.read_tokens > 1_000 for it in receipts] == [False, True, True]
