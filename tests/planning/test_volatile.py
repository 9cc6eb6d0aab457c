"""Where a string is split, and what is left of it when volatile text is moved out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcache.outline import BYTES_PER_TOKEN, Blocks, Outline
from promptcache.planning.past import Again, Past
from promptcache.planning.plan import plan
from promptcache.planning.policies import Policy
from promptcache.planning.slots import Rules
from promptcache.planning.volatile import (
    MAX_PIECES,
    Span,
    ends_of,
    left,
    parts_of,
    pieces,
    renumbered,
    separated,
)


def spans_of(text, **texts):
    """Where texts stand in a string, by kind; each of them once."""
    found = []
    for kind, several in texts.items():
        for it in [several] if isinstance(several, str) else several:
            start = text.index(it)
            found.append(Span(start, start + len(it), kind))
    return sorted(found, key=lambda it: it.start)


def said(made):
    return [piece.text for piece in made]


@pytest.mark.parametrize(
    ("text", "texts", "wanted"),
    [
        pytest.param(
            "Read:\n\nD1\n\nD2\n\nWhat?",
            {"document": ["D1", "D2"]},
            ["Read:\n\n", "D1", "\n\nD2", "\n\nWhat?"],
            id="instructions-documents-question",
        ),
        pytest.param("D1D2", {"document": ["D1", "D2"]}, ["D1", "D2"], id="touching"),
        pytest.param("\nD1 \n", {"document": "D1"}, ["\nD1 \n"], id="nothing-else"),
        pytest.param(
            "S\n\nD1.",
            {"static": "S", "document": "D1"},
            ["S", "\n\nD1", "."],
            id="kinds",
        ),
        pytest.param(
            "a V b", {"volatile": "V"}, ["a V b"], id="volatile-splits-nothing"
        ),
        pytest.param("What?", {}, ["What?"], id="nothing-found"),
        pytest.param(
            "Title 1:D1 Title 2:D2",
            {"document": ["D1", "D2"]},
            ["Title 1:", "D1", " Title 2:", "D2"],
            id="titles",
        ),
    ],
)
def test_pieces(text, texts, wanted):
    """A string is split where texts begin and end; a blank goes with what follows."""
    assert said(pieces(text, spans_of(text, **texts))) == wanted


def test_ends():
    """Each piece that ends with a text is known by its number among all blocks."""
    texts = ["S and D1 and", None, "D2"]
    finder = lambda text, lasting: spans_of(  # noqa: E731
        text,
        **({"static": "S", "document": "D1"} if "S" in text else {"document": "D2"}),
    )
    parted = parts_of(texts, finder, lasting=False)

    assert [len(it) for it in parted] == [4, 0, 1]
    assert ends_of(parted) == [(0, "static"), (2, "document"), (5, "document")]
    assert renumbered(parted) == [3, 4, 5]


def test_not_too_many():
    """Of many documents the first ends and the last one count."""
    names = [f"D{number:02}" for number in range(40)]
    text = "Read: " + " ".join(names) + " What?"
    made = pieces(text, spans_of(text, document=names))

    assert len(made) == MAX_PIECES
    assert said(made)[:3] == ["Read: ", "D00", " D01"]
    assert said(made)[-1] == " What?"
    assert made[-2].text.endswith("D39")


documents = st.lists(st.sampled_from([" ", "\n", "a", "D", "S", "V"]), max_size=40)
KINDS = {"D": "document", "S": "static", "V": "volatile"}


def marked(letters):
    text = "".join(letters)
    spans = [
        Span(at, at + 1, KINDS[it]) for at, it in enumerate(letters) if it in KINDS
    ]
    return text, spans


@given(documents, st.integers(1, 12))
def test_joined_pieces_are_the_string(letters, most):
    """Whatever is split, joined it is the same again; no piece is blank."""
    text, spans = marked(letters)
    made = pieces(text, spans, most=most)

    assert "".join(said(made)) == text
    assert len(made) <= most
    assert not text.strip() or all(it.strip() for it in said(made))


@given(documents)
def test_pieces_are_not_split_again(letters):
    """What is split already is not split further."""
    text, _ = marked(letters)
    find = lambda it, lasting: marked(it)[1]  # noqa: E731
    once = [it.text for it in parts_of([text], find, lasting=False)[0]]
    again = parts_of(once, find, lasting=False)

    assert [it.text for made in again for it in made] == once


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        pytest.param("A.\nV\nB.", "A.\nB.", id="a-line"),
        pytest.param("V\nB.", "B.", id="the-first-line"),
        pytest.param("A.\nV", "A.", id="the-last-line"),
        pytest.param("A. V B.", "A.  B.", id="within-a-line"),
        pytest.param("A.\n\nV\n\nB.", "A.\n\n\nB.", id="a-paragraph"),
        pytest.param("V", "", id="all"),
        pytest.param("A: V\nB.", "A: \nB.", id="the-end-of-a-line"),
    ],
)
@pytest.mark.parametrize("date", ["Monday", "the 23rd,\na Monday\n"])
def test_what_is_left(text, wanted, date):
    """What is left is the same, whatever the volatile text was."""
    text = text.replace("V", date)

    assert left(text, spans_of(text, volatile=date)) == (wanted, (date,))


@given(documents, st.text("xy\n", min_size=1), st.text("xy\n", min_size=1))
def test_what_is_left_does_not_depend_on_what_went(letters, one, other):
    """Two prompts that differ in their volatile texts only leave the same bytes."""

    def remaining(said):
        text, spans, at = "", [], 0
        for it in letters:
            shown = said if it == "V" else it
            if it == "V":
                spans.append(Span(at, at + len(shown), "volatile"))
            text += shown
            at += len(shown)
        return left(text, spans)[0]

    assert remaining(one) == remaining(other)


def find_v(text, *, lasting=False):
    return [Span(at, at + 1, "volatile") for at, it in enumerate(text) if it == "V"]


@pytest.mark.parametrize(
    ("texts", "stays", "wanted"),
    [
        pytest.param(["A", "V"], True, ["A", "stays"], id="at-the-end"),
        pytest.param(["A", "V"], False, ["A", "moves"], id="moves-for-a-turn"),
        pytest.param(["V", "A"], True, ["moves", "A"], id="at-the-beginning"),
        pytest.param(
            ["V", "A", "V"], True, ["moves", "A", "moves"], id="both-together"
        ),
        pytest.param(["A", None, "V"], True, ["A", "", "stays"], id="no-text"),
        pytest.param(["A", " V\n"], True, ["A", "stays"], id="blank-besides"),
    ],
)
def test_separated(texts, stays, wanted):
    """What is volatile moves unless all of it stands where it would be moved to."""
    made = separated(texts, find_v, stays=stays)

    shown = ["stays" if it.stays else "moves" if it.moved else it.kept for it in made]
    assert shown == wanted


def test_a_whole_block():
    """A block may be volatile whatever is found in it."""
    made = separated(["A", "B", "C"], find_v, [1], stays=True)

    assert [it.moved for it in made] == [(), ("B",), ()]


ROLES = ("user", "assistant", "user")


def outline(*, roles=ROLES, parts_of_last=1, size=2_000):
    """A system prompt of one block, and turns of one, the last of several."""
    blocks = Blocks(b"root")
    starts = []
    for number in range(1 + len(roles)):
        if number:
            starts.append(len(blocks.digests))
        for part in range(parts_of_last if number == len(roles) else 1):
            blocks.add(b"%d.%d" % (number, part), size * BYTES_PER_TOKEN, "text")
    return Outline(
        blocks=blocks,
        length=len(blocks.digests),
        tools_end=0,
        system_end=1,
        starts=tuple(starts),
        roles=roles,
        markers={},
        implicit=len(blocks.digests) - 1,
    )


MARKED = Rules(matching="marked", ttls=("30m",), takes_key=True)


def reasons(made):
    return {point.position: point.reason for point in made.breakpoints}


@pytest.mark.parametrize("rules", [Rules(), MARKED], ids=["lookback", "marked"])
def test_the_tail_ends_before_volatile_text(rules):
    """Nothing is placed on or behind text that will not be there again."""
    it = outline(parts_of_last=2)
    policy = Policy.fixed()
    usual = plan(it, rules=rules, policy=policy)
    known = plan(it, rules=rules, policy=policy, past=Past(unstable=3))

    last = max((*reasons(usual), usual.automatic_position))
    assert last == it.length - 1
    assert reasons(known)[2] == "tail"
    assert max(reasons(known)) == 2
    assert known.automatic is None


def test_static_text_in_a_turn():
    """The end of a static text of the last turn is worth a breakpoint."""
    it = outline(roles=("user",), parts_of_last=3)
    made = plan(
        it, rules=Rules(), policy=Policy.auto(), past=Past(ends=((2, "static"),))
    )

    assert reasons(made) == {0: "system", 2: "part"}


def test_documents_in_a_turn():
    """The end of the last document is, until its like is known for coming once."""
    it = outline(roles=("user",), parts_of_last=4)
    ends = ((1, "document"), (2, "document"))
    new = plan(it, rules=Rules(), policy=Policy.auto(), past=Past(ends=ends))
    rarely = {"last": Again.certain(0.07)}
    known = plan(
        it, rules=Rules(), policy=Policy.auto(), past=Past(ends=ends, chances=rarely)
    )

    assert reasons(new) == {0: "system", 2: "part"}
    assert reasons(known) == {0: "system"}
