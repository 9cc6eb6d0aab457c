"""What was done to texts on their way is told of the requests that have them."""

import contextvars

import pytest
from langchain_core.documents import Document
from langchain_core.prompts import PromptTemplate

from langchain_promptcache import StableDocumentOrder, format_documents
from promptcache import (
    DocumentText,
    OptionError,
    PromptCache,
    StableOrder,
    document,
    noted,
    options,
    volatile,
)
from promptcache.prompts import parts
from promptcache.prompts.arrangement import noted_in

ONE = "The museum opened in 1934, in a hall that had been built for engines."
TWO = "Its oldest engine was made in Leeds, and was last under steam in 1962."
THREE = "The turntable beside the hall came from a depot that was torn down."
NOTE = "documents put in order"
PNG = {"type": "image", "source": {"type": "base64", "data": ONE}}


def elsewhere(function, *args, **kwargs):
    """Do something as a step of a chain does, in a copy of the context."""
    contextvars.copy_context().run(function, *args, **kwargs)


def told(*texts, tenant=None):
    """Return what is told of a prompt of such texts."""
    turns = [{"role": "user", "content": text} for text in texts]
    return noted_in({"messages": turns}, tenant=tenant)


@pytest.mark.parametrize("do", [lambda it, *a, **k: it(*a, **k), elsewhere])
def test_found(do):
    """A note is told of a prompt that has the texts, from any context, and once."""
    do(noted, NOTE, ONE, TWO, THREE, how="2 of 3 moved")

    for has in ([f"Read:\n{ONE}\n\n{TWO}\n\n{THREE}\nWhat?"], [ONE, TWO, ONE, TWO]):
        assert told(*has) == (f"{NOTE}: 2 of 3 moved",)


@pytest.mark.parametrize(
    "has",
    [
        pytest.param([], id="nothing"),
        pytest.param([THREE], id="another-text"),
        pytest.param([ONE], id="one-of-them"),
        pytest.param([f"{TWO}\n{ONE}"], id="another-order"),
        pytest.param([f"{ONE}\n{THREE}\n{TWO}"], id="not-beside-each-other"),
    ],
)
def test_not_found(has):
    """Nothing is told of a prompt that has something else, or in another order."""
    noted(NOTE, ONE, TWO)
    noted("about another", THREE)

    assert NOTE not in told(*has)


def test_part_of_them():
    """Two of many, one after the other, are enough: an engine may fill two prompts."""
    noted(NOTE, ONE, TWO, THREE)

    assert told(f"{TWO} {THREE}") == (NOTE,)


def test_inside_of_a_document():
    """What a template writes around a text does not hide what was noted about it."""
    noted(NOTE, ONE, TWO)
    written = [document(f"Source: {it}. Page 1.") for it in (ONE, TWO)]

    assert told("\n".join(written)) == (NOTE,)
    assert [it.kind for it in parts.found("\n".join(written))] == ["document"] * 2


def test_the_last_word_counts():
    """A later note of the same kind takes the place of one; None takes it away."""
    noted(NOTE, ONE, TWO, how="1 moved")
    noted(NOTE, ONE, TWO, how="2 moved")
    noted("placed", ONE, TWO)
    assert told(ONE, TWO) == (f"{NOTE}: 2 moved", "placed")

    noted(NOTE, ONE, TWO, how=None)
    assert told(ONE, TWO) == ("placed",)


def test_the_context_has_the_last_word():
    """What another request noted at the same time is not told of this one."""
    noted(NOTE, ONE, TWO, how="1 moved")
    contextvars.Context().run(noted, NOTE, ONE, TWO, how="2 moved")

    assert told(ONE, TWO) == (f"{NOTE}: 1 moved",)


def test_short_texts():
    """Short texts are told of in their own context, and one of many alone never."""
    elsewhere(noted, NOTE, "Short.", "Brief.")
    elsewhere(noted, "left alone", "Short.", ONE)
    assert told("Short.", "Brief.") == told("Short.", ONE) == ()

    noted(NOTE, "Short.", "Brief.")
    assert told("Short.", "Brief.") == (NOTE,)


def test_bounds():
    """Notes are short, those of one request few, and those of a process limited."""
    with pytest.raises(OptionError, match="200"):
        noted("a" * 201, ONE)
    for number in range(20):
        noted(f"note {number}", ONE)
    last = tuple(f"note {number}" for number in range(12, 20))
    assert told(ONE) == last
    for number in range(parts.MAX_SHARED + 9):
        elsewhere(noted, NOTE, f"Text number {number} of very many.")
    assert len(parts._anywhere.notes(None)) == parts.MAX_SHARED


def test_files_are_not_read():
    """A file or an image is not searched, and an answer is not either."""
    noted(NOTE, ONE)
    said = [
        {"role": "user", "content": [PNG]},
        {"role": "assistant", "content": ONE},
        {"role": "user", "content": [{"type": "tool_result", "content": "r"}]},
    ]

    assert noted_in({"messages": said, "tools": [{"text": ONE}]}, tenant=None) == ()
    said[2]["content"][0]["content"] = ONE
    assert noted_in({"messages": said}, tenant=None) == (NOTE,)


def test_tenants():
    """What was given out for a tenant is found in the prompts of no other."""

    def give():
        with options(tenant="a"):
            volatile(ONE)
            noted(NOTE, ONE, TWO)

    elsewhere(give)

    assert parts.found(ONE, tenant="b") == parts.found(ONE) == ()
    assert [it.kind for it in parts.found(ONE, tenant="a")] == ["volatile"]
    assert told(ONE, TWO, tenant="b") == told(ONE, TWO) == ()
    assert told(ONE, TWO, tenant="a") == (NOTE,)


def test_given_out_for_nobody():
    """Where no option names a tenant, any prompt of the process is looked through."""
    elsewhere(volatile, ONE)

    assert [len(parts.found(ONE, tenant=it)) for it in (None, "a")] == [1, 1]


@pytest.mark.parametrize("do", [lambda it, *a: it(*a), elsewhere])
def test_volatile_stays_volatile(do):
    """A volatile text that is given out as one more document is none."""
    do(volatile, ONE)
    document(ONE)

    assert [it.kind for it in parts.found(ONE)] == ["volatile"]


def test_a_ranking_among_documents():
    """The line that says what matters most is volatile, however it is written."""
    order = StableDocumentOrder(
        mode="id", restate_rank=True, prompt_cache=PromptCache()
    )
    given = [Document(TWO, id="2"), Document(ONE, id="1")]
    page = PromptTemplate.from_template("<page>{page_content}</page>")
    for written in (None, page):
        text = format_documents(
            order.transform_documents(given), document_prompt=written
        )

        kinds = [it.kind for it in parts.found(text)]
        assert kinds == ["document", "document", "volatile"]


def test_what_is_found_is_kept():
    """A text that is given out once and used ever again outlives those that are not."""
    volatile(ONE)
    for number in range(3 * parts.MAX_SHARED // 2):
        document(f"Document {number} is about a thing of its own.")
        if number % 100 == 0:
            parts.found(f"{ONE} {number}")

    assert len(parts.found(ONE)) == 1


def test_what_is_given_out_again_is_kept():
    """A text that is given out again and again outlives those of one call."""
    for number in range(3 * parts.MAX_SHARED // 2):
        if number % 100 == 0:
            elsewhere(volatile, ONE)
        elsewhere(document, f"Document {number} is about a thing of its own.")

    assert len(parts.found(ONE)) == 1


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([ONE, TWO], ()),
        ([TWO, ONE], ("2 of 2 moved",)),
        ([ONE, TWO, ONE], ("0 of 2 moved, 1 duplicate left out",)),
        ([TWO, TWO, ONE, ONE], ("2 of 2 moved, 2 duplicates left out",)),
    ],
)
def test_an_order(texts, expected):
    """An order notes how many documents it moved and left out, if it did."""
    order = StableOrder("id", prompt_cache=PromptCache())
    order.arranged([DocumentText(it, it) for it in (THREE, TWO, TWO)])
    ids = {ONE: "1", TWO: "2"}
    order.arranged([DocumentText(it, ids[it]) for it in texts])

    stable = "documents in stable order (id): "
    assert told(f"{ONE}\n\n{TWO}") == tuple(stable + it for it in expected)


def test_a_request_that_could_not_be_planned():
    """What was done before is told of a request that is sent unplanned, too."""
    from promptcache.providers import Request  # noqa: PLC0415
    from promptcache.providers.anthropic import ANTHROPIC  # noqa: PLC0415

    noted(NOTE, ONE)
    body = {"model": "claude-sonnet-5-5", "system": ONE, "messages": 7}
    prepared = PromptCache().prepare(Request(ANTHROPIC, body, "anthropic"))

    assert prepared.body is body
    assert prepared.noted == (NOTE,)
