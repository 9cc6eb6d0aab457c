"""Chains with documents: what reaches the model, in which order, and what is read."""

import pytest
from langchain_core.documents import Document
from langchain_core.language_models import FakeListChatModel, FakeListLLM
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.output_parsers import JsonOutputParser
from langchain_core.prompts import (
    ChatPromptTemplate,
    MessagesPlaceholder,
    PromptTemplate,
)
from langchain_core.runnables import RunnableLambda
from langchain_documents import (
    PROMPT,
    RULES,
    Register,
    both_ways,
    leaf,
    our_chain,
    share,
    stock_chain,
    words,
)

from langchain_promptcache import (
    create_prompt_cached_retrieval_chain,
    create_prompt_cached_stuff_documents_chain,
    format_documents,
)

HISTORY = MessagesPlaceholder("chat_history", optional=True)
DOCUMENTS = [Document("DOC ONE: the T 9."), Document("DOC TWO: the T 12.")]
ASKED = "Which one is larger?"
JOINED = "DOC ONE: the T 9.\n\nDOC TWO: the T 12."
PAST = [HumanMessage("Hello?"), AIMessage("Yes?")]
INPUTS = {
    "context": DOCUMENTS,
    "input": "Which one is larger?",
    "question": "Which one is larger?",
    "chat_history": PAST,
    "rules": "Be kind.",
}


def chat(*messages):
    return ChatPromptTemplate.from_messages(messages)


def sent_by(prompt, inputs=INPUTS, **arguments):
    """Return the prompt that reaches a model."""
    seen = []
    model = RunnableLambda(lambda value: seen.append(value) or "ok")
    chain = create_prompt_cached_stuff_documents_chain(model, prompt, **arguments)
    assert chain.invoke(inputs) == "ok"
    return seen[0]


def told(value):
    return [(it.type, it.content) for it in value.to_messages()]


LAST = ("human", f"{JOINED}\n\nWhich one is larger?")
TALK = (("human", "Hello?"), ("ai", "Yes?"))

CHATS = {
    "documents in system": (
        chat(("system", "Use this:\n\n{context}"), HISTORY, ("human", "{input}")),
        [("system", "Use this:"), *TALK, LAST],
    ),
    "instructions after them": (
        chat(
            ("system", "Use this.\n\n{context}\n\nBe brief."),
            HISTORY,
            ("human", "{input}"),
        ),
        [("system", "Use this.\n\nBe brief."), *TALK, LAST],
    ),
    "a tag wraps them": (
        chat(
            ("system", "Use it.\n<context>\n{context}\n</context>\nBe brief."),
            HISTORY,
            ("human", "{input}"),
        ),
        [
            ("system", "Use it.\n\nBe brief."),
            *TALK,
            (
                "human",
                f"<context>\n{JOINED}\n</context>\n\nWhich one is larger?",
            ),
        ],
    ),
    "a tag on their line": (
        chat(("system", "Use it. \n<d>{context}</d>"), HISTORY, ("human", "{input}")),
        [
            ("system", "Use it."),
            *TALK,
            ("human", f"<d>{JOINED}</d>\n\nWhich one is larger?"),
        ],
    ),
    "rules around them": (
        chat(
            ("system", "Use it.\n-----\n{context}\n-----\nBe brief."),
            HISTORY,
            ("human", "{input}"),
        ),
        [
            ("system", "Use it.\n\nBe brief."),
            *TALK,
            ("human", f"-----\n{JOINED}\n-----\n\nWhich one is larger?"),
        ],
    ),
    "a label before them": (
        chat(("system", "Use it.\nContext: {context}"), HISTORY, ("human", "{input}")),
        [
            ("system", "Use it."),
            *TALK,
            ("human", f"Context: {JOINED}\n\nWhich one is larger?"),
        ],
    ),
    "a sentence before them": (
        chat(
            ("system", "You are a clerk, so answer from {context}"),
            HISTORY,
            ("human", "{input}"),
        ),
        [("system", "You are a clerk, so answer from"), *TALK, LAST],
    ),
    "nothing else in system": (
        chat(("system", "{context}"), HISTORY, ("human", "{input}")),
        [*TALK, LAST],
    ),
    "no question": (
        chat(("system", "Use this:\n\n{context}")),
        [("system", "Use this:"), ("human", JOINED)],
    ),
    "a turn of their own": (
        chat(("human", "Context: {context}"), HISTORY, ("human", "{input}")),
        [*TALK, ("human", f"Context: {JOINED}\n\nWhich one is larger?")],
    ),
    "with the question": (
        chat(HISTORY, ("human", "Context: {context}\n\nQuestion: {input}")),
        [
            *TALK,
            ("human", f"Context: {JOINED}\n\nQuestion: Which one is larger?"),
        ],
    ),
    "after the question": (
        chat(HISTORY, ("human", "Question: {input}\nContext:\n{context}")),
        [
            *TALK,
            ("human", f"Context:\n{JOINED}\n\nQuestion: Which one is larger?"),
        ],
    ),
    "twice": (
        chat(("system", "Use {context}"), ("human", "{context}\n{input}")),
        [("system", "Use"), ("human", f"{JOINED}\nWhich one is larger?")],
    ),
    "in two instructions": (
        chat(
            ("system", "Context: {context}"),
            ("system", "About {context}"),
            ("human", "{input}"),
        ),
        [
            ("system", "About"),
            ("human", f"Context: {JOINED}\n\nWhich one is larger?"),
        ],
    ),
    "an answer with them": (
        chat(("ai", "I know {context}"), ("human", "{input}")),
        [("ai", f"I know {JOINED}"), ("human", "Which one is larger?")],
    ),
    "blocks": (
        chat(
            (
                "system",
                [
                    {"type": "text", "text": "Rules."},
                    {"type": "text", "text": "{context}"},
                ],
            ),
            ("human", [{"type": "text", "text": "{input}"}]),
        ),
        [
            ("system", [{"type": "text", "text": "Rules."}]),
            (
                "human",
                [
                    {"type": "text", "text": f"{JOINED}\n\n"},
                    {"type": "text", "text": "Which one is larger?"},
                ],
            ),
        ],
    ),
}


@pytest.mark.parametrize(("prompt", "expected"), CHATS.values(), ids=CHATS.keys())
def test_chat_prompts(prompt, expected):
    """Instructions come first, then the history, then documents and question."""
    assert told(sent_by(prompt)) == expected


STRINGS = {
    "question first": (
        "You are a clerk.\nQuestion: {question} \nContext: {context} \nAnswer:",
        f"You are a clerk.\nContext: {JOINED}\n\nQuestion: {ASKED} \nAnswer:",
    ),
    "one line": (
        "Question: {question} Context: {context}",
        f"Context: {JOINED}\n\nQuestion: Which one is larger?",
    ),
    "tags": (
        "<q>{question}</q>\n<c>\n{context}\n</c>\nAnswer:",
        f"<c>\n{JOINED}\n</c>\n\n<q>Which one is larger?</q>\nAnswer:",
    ),
    "documents first": (
        "Use it.\n-----\n{context}\n\nQuestion: {question}",
        f"Use it.\n-----\n{JOINED}\n\nQuestion: Which one is larger?",
    ),
    "a sentence between": (
        "Is {question} answered by what follows here, at last? {context}",
        "Is Which one is larger? answered by what follows here, at last? " + JOINED,
    ),
    "no question": ("Sum up:\n{context}", f"Sum up:\n{JOINED}"),
    "instructions are put in": (
        "{rules}\nQ: {question}\nC: {context}\nA:",
        f"Be kind.\nC: {JOINED}\n\nQ: {ASKED}\nA:",
    ),
    "only instructions before": (
        "{rules}\nC: {context}\nQ: {question}",
        f"Be kind.\nC: {JOINED}\nQ: {ASKED}",
    ),
}


@pytest.mark.parametrize(("template", "expected"), STRINGS.values(), ids=STRINGS.keys())
def test_string_prompts(template, expected):
    """In one string, documents come before the question; a string it stays."""
    value = sent_by(PromptTemplate.from_template(template))

    assert value.to_string() == expected
    assert create_prompt_cached_stuff_documents_chain(
        FakeListLLM(responses=["ok"]), PromptTemplate.from_template(template)
    ).invoke(INPUTS) == ("ok")


def test_question_is_found_by_its_place():
    """A question that is also a word of the instructions is told from it."""
    prompt = PromptTemplate.from_template("Say it.\nQ: {question}\nC: {context}")

    value = sent_by(prompt, {**INPUTS, "question": "it"})

    assert value.to_string() == f"Say it.\nC: {JOINED}\n\nQ: it"


def test_template_that_changes_a_text():
    """Where a template does more than to put a text in, only documents move."""
    pytest.importorskip("jinja2")
    prompt = PromptTemplate.from_template(
        "Q: {{ question | upper }}\nC: {{ context }}", template_format="jinja2"
    )

    value = sent_by(prompt)

    assert value.to_string() == f"Q: WHICH ONE IS LARGER?\nC: {JOINED}"


def test_arguments():
    """Documents are written and joined as the caller says, with a text after them."""
    prompt = chat(("system", "Use:\n\n{docs}"), ("human", "{input}"))
    inputs = {"docs": [Document("A", metadata={"id": 1})] * 2, "input": "Q"}

    value = sent_by(
        prompt,
        inputs,
        document_prompt=PromptTemplate.from_template("{id}: {page_content}"),
        document_separator="\n--\n",
        document_variable_name="docs",
        separator="###",
    )

    assert told(value) == [
        ("system", "Use:"),
        ("human", "1: A\n--\n1: A\n\n###\n\nQ"),
    ]


def test_no_documents():
    """Where nothing was found, only the question is sent."""
    prompt = chat(("system", "Use:\n\n{context}"), ("human", "{input}"))

    value = sent_by(prompt, {"context": [], "input": "Q"})

    assert told(value) == [("system", "Use:"), ("human", "Q")]


def test_prompt_without_documents():
    """A prompt that has no place for documents is refused at once."""
    with pytest.raises(ValueError, match="context"):
        create_prompt_cached_stuff_documents_chain(
            FakeListLLM(responses=[]), PromptTemplate.from_template("{input}")
        )


def test_missing_input():
    """What the prompt needs and nobody gave is named."""
    with pytest.raises(KeyError, match="input"):
        sent_by(chat(("system", "{context}"), ("human", "{input}")), {"context": []})


async def test_async_and_parser():
    """Asynchronously it is the same; an answer is read as the caller says."""
    prompt = chat(("system", "Use:\n\n{context}"), ("human", "{input}"))
    chain = create_prompt_cached_stuff_documents_chain(
        FakeListLLM(responses=['{"a": 1}']), prompt, output_parser=JsonOutputParser()
    )

    assert await chain.ainvoke(INPUTS) == {"a": 1}


def test_stream_and_batch():
    """It streams and takes several questions at once, as any chain does."""
    prompt = chat(("system", "Use:\n\n{context}"), ("human", "{input}"))
    chain = create_prompt_cached_stuff_documents_chain(
        FakeListChatModel(responses=["yes", "no"]), prompt
    )

    assert list(chain.stream(INPUTS)) == ["y", "e", "s"]
    assert len(chain.batch([INPUTS, INPUTS])) == 2


def test_format_documents():
    """The same documents give the same text, with what the caller wants between."""
    text = format_documents(DOCUMENTS, "\n")

    assert text == "DOC ONE: the T 9.\nDOC TWO: the T 12."
    assert format_documents([]) == ""


def test_retriever_or_runnable():
    """A retriever is asked for the input; a runnable gets all of them."""
    answer = RunnableLambda(lambda it: it["context"][0].page_content[:6])

    for found in (Register(), RunnableLambda(lambda it: [leaf(int(it["input"]))])):
        chain = create_prompt_cached_retrieval_chain(found, answer)
        result = chain.invoke({"input": "7", "more": 1})

        assert (result["answer"], result["more"]) == ("Leaf 7", 1)
        assert result["context"][0].page_content == leaf(7).page_content


def test_same_texts_more_read(emulator, cached):
    """The same texts reach the model in every turn, and more of them are read."""
    stock, ours = both_ways(emulator, stock_chain(cached), our_chain(cached))

    assert [words(row.body) for row in ours] == [words(row.body) for row in stock]
    assert share(stock) == 0
    assert share(ours) > 0.4


def test_langchains_own(emulator, cached):
    """LangChain's functions send the same texts, where they are installed."""
    chains = pytest.importorskip("langchain_classic.chains")
    documents = pytest.importorskip("langchain_classic.chains.combine_documents")
    combine = documents.create_stuff_documents_chain(cached, PROMPT)
    theirs = chains.create_retrieval_chain(Register(), combine)

    stock, ours = both_ways(emulator, theirs, our_chain(cached))

    assert [words(row.body) for row in ours] == [words(row.body) for row in stock]


def test_plain_model(emulator, plain):
    """A model without caching is sent an ordinary prompt."""
    our_chain(plain).invoke({"input": "What of 3?"})

    (row,) = emulator.ledger
    assert row.body["system"] == RULES.strip()
    asked = "\n\n".join(
        [*(leaf(it).page_content for it in (3, 103, 203)), "What of 3?"]
    )
    assert row.body["messages"] == [{"role": "user", "content": asked}]
