"""Texts that are given out, and found again in what a template made of them."""

import asyncio
import contextvars
import gc
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.prompts import ChatPromptTemplate, PromptTemplate
from langchain_core.runnables import RunnableLambda, RunnablePassthrough
from llama_index.core.prompts import PromptTemplate as LlamaTemplate
from llama_index.core.prompts import RichPromptTemplate

import langchain_promptcache
import llamaindex_promptcache
from promptcache import document, static, volatile
from promptcache.errors import OptionError
from promptcache.planning.volatile import Span
from promptcache.prompts import parts, remembered

RULES = static("Answer from the documents only. Say so if they do not tell.")
FIRST = "The museum opened in 1934, in a hall that had been built for engines."
SECOND = "Its oldest engine was made in Leeds, and it was last under steam in 1962."
TODAY = "Today is the 23rd of November."


def found(text, **how):
    """What is found in a text, in words."""
    return [(text[it.start : it.end], it.kind) for it in parts.found(text, **how)]


def test_the_very_string():
    """What is given out is the string that was put in, for every name of it."""
    text = f"{TODAY} And more."

    assert all(give(text) is text for give in (static, volatile, document))
    assert langchain_promptcache.volatile is llamaindex_promptcache.volatile is volatile
    assert langchain_promptcache.static is llamaindex_promptcache.static is static


@pytest.mark.parametrize("text", [None, 7, b"bytes", ["a"]])
def test_no_string(text):
    """What is no string is refused, and its value is not said."""
    with pytest.raises(OptionError, match=type(text).__name__):
        volatile(text)


def test_idle():
    """Nothing is done for a process that gave nothing out; blank text is nothing."""
    volatile("  \n")

    assert parts.is_idle()
    assert parts.found("  \n") == ()
    document(FIRST)
    assert not parts.is_idle()


def templates():
    """Prompts made by every kind of template, each from the same three texts."""
    texts = {
        "rules": static("Answer from these documents only."),
        "docs": document(FIRST),
        "date": volatile(TODAY),
    }
    wanted = "{rules}\n\n{docs}\n\n{date}"
    jinja = "{{ rules }}\n\n{{ docs }}\n\n{{ date }}"
    yield "f-string", f"{texts['rules']}\n\n{texts['docs']}\n\n{texts['date']}"
    yield "format", wanted.format(**texts)
    chat = ChatPromptTemplate.from_messages([("system", wanted)])
    yield "chat", chat.invoke(texts).to_messages()[0].content
    plain = PromptTemplate.from_template(jinja, template_format="jinja2")
    yield "jinja", plain.invoke(texts).to_string()
    chain = RunnablePassthrough() | chat | RunnableLambda(lambda it: it.to_messages())
    yield "chain", chain.invoke(texts)[0].content
    yield "llama", LlamaTemplate(wanted).format(**texts)
    yield "rich", RichPromptTemplate(jinja).format(**texts)


def test_templates():
    """Whatever template a text goes through, it is found in an ordinary prompt."""
    made = dict(templates())

    assert len({*made.values()}) == 1
    kinds = {name: [kind for _, kind in found(it)] for name, it in made.items()}
    assert {*map(tuple, kinds.values())} == {("static", "document", "volatile")}


def test_a_step_of_a_chain():
    """What a step gives out in a context of its own is found by the step after it."""
    fill = RunnableLambda(lambda _: f"{document(FIRST)}\n{volatile(TODAY)}")

    assert (fill | RunnableLambda(found)).invoke("") == [
        (FIRST, "document"),
        (TODAY, "volatile"),
    ]


def test_short_volatile_text_stays_in_its_context():
    """A few characters from another context are not taken out of this one's prompt."""
    contextvars.copy_context().run(volatile, "Bob")

    assert found("Ask Bob.") == []
    volatile("Bob")
    assert found("Ask Bob.") == [("Bob", "volatile")]


@pytest.mark.parametrize(
    ("prompt", "wanted"),
    [
        pytest.param("Ask Bob.", ["Bob"], id="a-word"),
        pytest.param("Ask Bobby, not KBob.", [], id="a-part-of-a-word"),
        pytest.param("Bob", ["Bob"], id="all"),
        pytest.param("Bob and Bob", ["Bob", "Bob"], id="twice"),
    ],
)
def test_short_text(prompt, wanted):
    """A text of few characters is found as a word, not within another one."""
    volatile("Bob")

    assert [text for text, _ in found(prompt)] == wanted


def test_repeated_documents():
    """A document that comes twice is found twice, and touching ones stay apart."""
    document(FIRST)
    document(SECOND)

    assert [text for text, _ in found(FIRST + SECOND + SECOND + FIRST)] == [
        FIRST,
        SECOND,
        SECOND,
        FIRST,
    ]


def test_overlapping_documents():
    """Of texts that overlap the longest is found, and nothing of it again."""
    document(FIRST)
    document(f"{FIRST} {SECOND}")
    document(SECOND)

    assert found(f"- {FIRST} {SECOND} - {SECOND}") == [
        (f"{FIRST} {SECOND}", "document"),
        (SECOND, "document"),
    ]


def test_a_text_of_another_end():
    """A text that only begins and ends as one that was given out is not found."""
    document(FIRST)

    assert found(FIRST.replace("hall", "shed")) == []


def test_the_last_word_counts():
    """A text that is given out as something else is that from then on."""
    document(FIRST)
    assert found(FIRST) == [(FIRST, "document")]

    static(FIRST)
    assert found(FIRST) == [(FIRST, "static")]


def test_a_lasting_form():
    """A turn that was sent keeps its form, whatever is given out after that."""
    document(FIRST)
    turn = f"{FIRST}\n{SECOND}"
    assert found(turn) == [(FIRST, "document")]
    document(SECOND)

    assert found(turn, lasting=True) == [(FIRST, "document")]
    assert len(found(turn)) == 2


def test_bounded():
    """The oldest texts are forgotten, in a context and in the process."""
    for number in range(parts.MAX_SHARED + 50):
        document(f"Document {number} is about a thing of its own.")

    assert len(parts._here.get()) == parts.MAX_TEXTS
    assert len(parts._anywhere) == parts.MAX_SHARED
    assert found("Document 3 is about a thing of its own.") == []
    assert found("Document 60 is about a thing of its own.") != []


def test_strings_that_were_read_are_bounded(monkeypatch):
    """No more strings than that are known to have been read."""
    monkeypatch.setattr(remembered, "MAX_READ", 3)
    document(FIRST)
    for number in range(9):
        found(f"{number} {FIRST}")

    assert len(parts._readings) == 3


def test_no_text_is_kept():
    """Of a text that was given out and found nothing but numbers stays in memory."""
    text = f"A secret that nobody is to keep, not even for {len('one')} days."
    prompt = f"Rules.\n{document(text)}\nWhat?"
    found(prompt)

    holders = [it for it in gc.get_referrers(text) if it is not vars()]
    del prompt
    kept = repr(
        [vars(it) for it in (parts._here.get(), parts._anywhere, parts._readings)]
    )
    assert "secret" not in kept
    assert [it for it in holders if isinstance(it, (list, dict, tuple, set))] == []


def test_threads_and_tasks_share():
    """What a context remembers, the threads and tasks that inherit it add to."""
    volatile("One")
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(volatile, "Two"))
    thread.start()
    thread.join()

    async def main():
        await asyncio.create_task(give("Three"))

    async def give(text):
        volatile(text)

    contextvars.copy_context().run(asyncio.run, main())

    assert [text for text, _ in found("One Two Three")] == ["One", "Two", "Three"]


def test_a_string_that_looks_right_everywhere():
    """A string of one letter does not hold a request up."""
    document("a" * 30_000 + "b" + "a" * 100)

    assert parts.found("a" * 200_000) == ()


def test_lone_surrogates():
    """What no encoding takes is found too."""
    volatile("A broken \ud800 half of a character.")

    assert len(found("! A broken \ud800 half of a character.")) == 1


EVER = set()

words = st.text("ab \n", min_size=1, max_size=24)


@given(st.lists(words, max_size=6), st.lists(st.integers(0, 5), max_size=8), words)
def test_spans_are_what_was_given_out(given_out, order, between):
    """Whatever is given out, what is found is one of the texts, in order and apart."""
    prompt = between.join(given_out[it] for it in order if it < len(given_out))

    def find():
        for text in given_out:
            document(text)
        return parts.found(prompt)

    EVER.update(given_out)
    spans = contextvars.copy_context().run(find)
    assert {prompt[it.start : it.end] for it in spans} <= EVER
    ends = [0, *(place for it in spans for place in (it.start, it.end))]
    assert ends == sorted(ends)
    assert all(isinstance(it, Span) for it in spans)
