"""Documents in requests: found as they are, left out such that nothing is lost."""

import copy
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from promptcache import OptionError, ResidentDocuments
from promptcache.providers.gemini.residents import (
    document,
    find,
    held,
    is_instruction,
    reference,
    referring,
)

LONG = "Wheels and axles of all engines that stand in the museum's hall. " * 2


def body_of(*texts, role="user"):
    contents = [{"role": role, "parts": [{"text": text}]} for text in texts]
    return {"contents": contents}


def text_of(contents):
    return "\0".join(part["text"] for said in contents for part in said["parts"])


def restored(contents, found):
    """Put the texts back, in the order of the request, by where they stood."""
    restoring = copy.deepcopy(contents)
    ends = {}
    for it in found:
        place = (it.content, it.part)
        part = restoring[it.content]["parts"][it.part]
        named, text = reference(it.document), it.document.text
        start = it.start
        # All before it is as it was: the references there are texts again.
        assert part["text"][start : start + len(named)] == named
        part["text"] = part["text"][:start] + text + part["text"][start + len(named) :]
        assert start >= ends.get(place, 0)
        ends[place] = start + len(text)
    return restoring


# Ids and pieces that are confused easily: with each other, and with what is written.
IDS = st.sampled_from(
    ["a", "b", 'a"', "a'", "a\\", 'a\\"', "a\n", "ä", "\ud800", "a b", "x" * 90, ""]
)
REFERENCES = [reference(document(it, LONG)) for it in ("a", 'a"', "a\\", "b")]
PIECES = st.sampled_from(
    [
        "a" * 64,
        "ab" * 40,
        "\U0001f682 train " * 12,
        "é" * 70,
        "e\u0301" * 40,
        "\ud800" * 64,
        LONG,
        LONG[10:],
        LONG[:90],
        *REFERENCES,
        " ",
        "\n\n",
        "x",
        "",
    ]
)
TEXTS = st.lists(PIECES, max_size=6).map("".join)
DOCUMENTS = st.lists(st.builds(document, IDS, TEXTS), max_size=6)


@st.composite
def bodies(draw, documents):
    pieces = st.one_of(PIECES, st.sampled_from([it.text for it in documents] or [""]))
    parts = st.lists(
        st.one_of(
            st.lists(pieces, max_size=6).map(lambda it: {"text": "".join(it)}),
            st.just({"inlineData": {"mimeType": "image/png", "data": "aaaa"}}),
            st.just({"text": None}),
        ),
        max_size=3,
    )
    role = st.sampled_from(["user", "model", None, ""])
    contents = st.lists(
        st.builds(lambda r, p: {"role": r, "parts": p}, role, parts), max_size=3
    )
    return {"contents": draw(contents), "generationConfig": {}}


@given(st.data(), DOCUMENTS)
def test_nothing_is_lost(data, documents):
    """With the texts back in place of the references it is the request that it was."""
    body = data.draw(bodies(documents))
    before = copy.deepcopy(body)
    found = find(body, documents)
    contents = referring(body, found)

    assert body == before
    assert restored(contents, found) == body["contents"]
    assert find(body, documents) == found
    for it in found:
        part = body["contents"][it.content]["parts"][it.part]
        assert part["text"][it.start : it.end] == it.document.text
        assert body["contents"][it.content]["role"] != "model"


@given(st.data(), DOCUMENTS)
def test_some_may_be_left_in_full(data, documents):
    """Any of what is found may stay: the others are still where they were."""
    body = data.draw(bodies(documents))
    found = [it for it in find(body, documents) if data.draw(st.booleans())]

    assert restored(referring(body, found), found) == body["contents"]


@given(st.lists(st.tuples(IDS, TEXTS), max_size=6))
@example([('a"', LONG), ("a'", LONG), ("a\\", LONG), ('a\\"', LONG)])
def test_no_two_documents_have_one_reference(pairs):
    """A reference names one id, and what is held says the same id."""
    documents = [document(*it) for it in pairs]
    by_reference = {reference(it): it.id for it in documents}
    parts = held(documents)["parts"]

    assert all(by_reference[reference(it)] == it.id for it in documents)
    for it, part in zip(documents, parts, strict=True):
        quoted = json.dumps(it.id, ensure_ascii=False)
        assert quoted in reference(it)
        opening = f"<document id={quoted}>\n"
        assert part["text"] == f"{opening}{it.text}\n</document>"


@pytest.mark.parametrize(
    ("texts", "said", "expected"),
    [
        pytest.param([LONG], LONG, [(0, 0)], id="whole"),
        pytest.param([LONG], f"x{LONG}y{LONG}", [(0, 1), (0, 132)], id="twice"),
        pytest.param([LONG], LONG[:-2], [], id="cut"),
        pytest.param([f"  {LONG}\n"], LONG.strip(), [(0, 0)], id="stripped"),
        pytest.param([LONG[20:], LONG], LONG, [(1, 0)], id="nested"),
        pytest.param([LONG, LONG[:80]], LONG, [(0, 0)], id="longer_first"),
        pytest.param(["a" * 80], "a" * 200, [(0, 0), (0, 80)], id="overlapping"),
        pytest.param(["a" * 63], "a" * 63, [], id="short"),
        pytest.param(["a" * 64], "a" * 64, [(0, 0)], id="just_long_enough"),
        pytest.param(["", "  "], "a  ", [], id="empty"),
    ],
)
def test_what_is_found(texts, said, expected):
    """Documents are found where all of their text stands, without overlaps."""
    documents = [document(str(number), text) for number, text in enumerate(texts)]
    found = find(body_of(said), documents)

    assert [(documents.index(it.document), it.start) for it in found] == expected


def test_a_long_id():
    """Where what stands in its place would be longer, the text stays."""
    assert find(body_of("a" * 100), [document("x" * 200, "a" * 100)]) == []
    assert len(find(body_of("a" * 300), [document("x" * 200, "a" * 300)])) == 1


def test_what_the_model_said():
    """It is not changed, whatever it has repeated."""
    assert find(body_of(LONG, role="model"), [document("a", LONG)]) == []


@pytest.mark.parametrize(
    ("instruction", "expected"),
    [
        ({"parts": [{"text": "x"}, {"text": f"x {LONG}"}]}, True),
        ({"parts": [{"text": LONG[:-3]}, {}, "?"]}, False),
        ({}, False),
        (None, False),
    ],
)
@pytest.mark.parametrize("name", ["systemInstruction", "system_instruction"])
def test_documents_in_the_instruction(name, instruction, expected):
    """They are told of, in either spelling."""
    assert is_instruction({name: instruction}, [document("a", LONG)]) is expected


# What is known of a retriever's documents.


def ids_of(documents):
    return [it.id for it in documents]


def test_what_was_retrieved_of_late():
    """The latest come first, each once."""
    known = ResidentDocuments()
    known.retrieved([("a", LONG), ("b", LONG * 2)])
    known.retrieved([("a", LONG)])

    assert ids_of(known.recent()) == ["a", "b"]


def test_a_document_that_was_changed():
    """What it was is stale, until it is so again."""
    known = ResidentDocuments()
    known.retrieved([("a", LONG)])
    before = document("a", LONG)
    known.retrieved([("a", LONG * 2)])

    assert known.is_stale([before.digest])
    assert known.texts([before.digest]) == []
    assert [it.text for it in known.recent()] == [(LONG * 2).strip()]
    known.retrieved([("a", LONG)])
    assert not known.is_stale([before.digest])


def test_one_text_under_two_ids():
    """It is two documents: what refers to one does not mean the other."""
    known = ResidentDocuments()
    known.retrieved([("a", LONG), ("b", LONG)])
    digests = {it.digest for it in known.recent()}
    known.forget(["a"])

    assert len(digests) == 2
    assert ids_of(known.recent()) == ["b"]


def test_documents_that_were_deleted():
    """They are known no more, and what holds them is stale."""
    known = ResidentDocuments(documents=[("a", LONG), ("b", LONG * 2)])
    known.forget(["a", "never seen"])

    assert known.is_stale([document("a", LONG).digest])
    assert set(known.corpus) == {document("b", LONG * 2).digest}


def test_another_corpus():
    """What is not in it any more is stale, and so is what was changed."""
    known = ResidentDocuments(documents=[("a", "1"), ("b", "2"), ("c", "3")])
    known.replace(iter([("a", "1"), ("b", "4"), ("d", "5"), ("d", "6")]))
    expected = [document(*it) for it in (("a", "1"), ("b", "4"), ("d", "6"))]
    gone = [document(*it).digest for it in (("b", "2"), ("c", "3"))]

    assert known.corpus == {it.digest: it.tokens for it in expected}
    assert all(known.is_stale([it]) for it in gone)
    assert not known.is_stale(known.corpus)
    assert len(known.texts(known.corpus)) == 3


def test_what_was_not_retrieved_for_long():
    """Its text is let go unless it is of the corpus; a change is noticed even so."""
    known = ResidentDocuments(documents=[("kept", LONG)])
    old, kept = document("old", LONG), document("kept", LONG)
    known.retrieved([("kept", LONG), ("old", LONG)])
    known.retrieved([(str(number), f"{number} {LONG}") for number in range(512)])

    assert known.texts([old.digest, kept.digest]) == [kept]
    assert len(known.recent()) == 512
    known.retrieved([("old", LONG * 2)])
    assert known.is_stale([old.digest])


@pytest.mark.parametrize(
    ("option", "fields"),
    [("resident", {"mode": "all"}), ("hot_tokens", {"hot_tokens": 0})],
)
def test_wrong_options(option, fields):
    """They are refused by name."""
    with pytest.raises(OptionError) as info:
        ResidentDocuments(**fields)

    assert info.value.option == option


def test_copies():
    """A copy is the same: what one learns, the other does."""
    known = ResidentDocuments()

    assert copy.deepcopy([known])[0] is known
