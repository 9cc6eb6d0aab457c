"""Why a request read less than it could have, decided on digests, times and counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcache.planning.slots import Rules
from promptcache.providers.anthropic import ANTHROPIC
from promptcache.receipts.footprint import footprint_of
from promptcache.receipts.miss import Miss
from promptcache.receipts.sketch import STEP, Sketch, digest_of
from promptcache.receipts.usage import Usage
from promptcache.receipts.why import why

RULES = Rules(minimum_tokens=512)
NAMED = Rules(matching="named", minimum_tokens=512, unmarked_seconds=3600.0)
MATCHED = Rules(matching="prefix", minimum_tokens=512, unmarked_seconds=3600.0)
SYSTEM = "".join(f"Rule {number} of the house is {number}.\n" for number in range(120))
TALK = tuple(f"Turn {number}: " + f"words of {number} " * 20 for number in range(9))
OTHER = "Something else altogether. " * 40


class Past:
    """Requests, each with what it left behind; tokens are a fourth of their bytes."""

    def __init__(self, rules=RULES):
        self.rules, self.left, self.sketches = rules, [], {}

    def left_by(
        self,
        *turns,
        system=(SYSTEM,),
        tools=(),
        model="m",
        tenant=None,
        conversation=None,
        marks=("system", "tail"),
        seconds=300.0,
        read=0,
        sent=0.0,
        readable=None,
        numbers=(0, 0),
        **fields,
    ):
        """Return the outline and the footprint of a request."""
        messages = [
            {"role": ("user", "assistant")[number % 2], "content": text}
            for number, text in enumerate(turns)
        ]
        body = {
            "model": model,
            "system": [{"type": "text", "text": text} for text in system],
            "tools": [{"name": name} for name in tools],
            "messages": messages,
            **fields,
        }
        outline = ANTHROPIC.outline(
            body, host="anthropic", tenant=tenant, wanted=range(99)
        )
        ends = {"system": outline.system_end - 1, "tail": outline.length - 1}
        entries = tuple(sorted((ends[mark], seconds) for mark in marks))
        whole = outline.total_tokens
        cached = outline.blocks.tokens[entries[-1][0]] if entries else 0
        left = footprint_of(
            outline,
            tenant=tenant,
            conversation=conversation,
            entries=() if self.rules.matching == "prefix" else entries,
            usage=Usage(whole, read, None if read is None else max(cached - read, 0)),
            sent=sent,
            readable=sent if readable is None else readable,
            numbers=numbers,
        )
        digests = {
            it: digest_of(content, left.salt)
            for it, content in outline.blocks.contents.items()
        }
        for it, digest in digests.items():
            self.sketches[digest] = Sketch.of(outline.blocks.contents[it])
        return outline, left.with_contents(digests)

    def had(self, *turns, **fields):
        """Let a request have been answered."""
        self.left.append(self.left_by(*turns, **fields)[1])
        return self.left[-1]

    def why(self, *turns, sent=10.0, told=None, reads_named=False, **fields):
        """Return why a request missed."""
        outline, asked = self.left_by(*turns, sent=sent, **fields)
        return why(
            asked,
            self.left,
            rules=self.rules,
            sketches=self.sketches.get,
            place=outline.place,
            reads_named=reads_named,
            told=told,
        )


@pytest.fixture
def past():
    return Past()


def tokens(*turns, system=SYSTEM):
    return sum(-(-len(text) // 4) for text in (system, *turns))


def test_nothing_is_said_of_what_is_not_reported(past):
    """A read that is unknown is no miss."""
    past.had(*TALK[:1])

    assert past.why(*TALK[:3], read=None) is None


def test_a_hit_has_no_miss(past):
    """What reads all that was written before it has missed nothing."""
    left = past.had(*TALK[:1])

    assert past.why(*TALK[:3], read=left.cached_tokens) is None


def test_first_seen(past):
    """Nothing like it was sent before."""
    assert past.why(*TALK[:1]) == Miss("first_seen", "outline", tokens=0)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param({"system": (OTHER,)}, {}, id="nothing in common"),
        pytest.param(
            {"tools": "ab", "system": (OTHER,)}, {"tools": "ab"}, id="tools in common"
        ),
        pytest.param({"tenant": "a"}, {"tenant": "b"}, id="another tenant"),
        pytest.param({"model": "n", "system": (OTHER,)}, {}, id="another model too"),
    ],
)
def test_different_prompts_are_first_seen(past, before, after):
    """Two prompts that share no more than tools are no change of each other."""
    past.had("Quite another question. " * 30, **before)

    assert past.why(*TALK[:1], **after).cause == "first_seen"


def test_a_new_conversation_that_reads_the_head_is_a_hit(past):
    """What it shares with others, it has read."""
    past.had(*TALK[:3])

    assert past.why(OTHER, read=tokens()) is None


def test_a_new_conversation_with_a_template_is_a_hit(past):
    """Questions that begin alike are no change of each other, if the head was read."""
    past.had(OTHER + "First?", TALK[1], TALK[2])

    assert past.why(OTHER + "Second?", read=tokens()) is None


@pytest.mark.parametrize("conversation", [None, "c"])
def test_a_template_without_a_head_is_changed(past, conversation):
    """Where nothing was read, the place where the questions part says why."""
    past.had(OTHER * 3 + "First?", system=(), marks=["tail"])
    miss = past.why(
        OTHER * 3 + "Second?", system=(), marks=["tail"], conversation=conversation
    )

    assert (miss.cause, miss.place) == ("prefix_changed", "messages[0].content[0]")
    assert len(OTHER * 3) - STEP < miss.near <= len(OTHER * 3)


def test_requests_that_go_out_together(past):
    """What was not yet readable when a request was sent could not be read by it."""
    past.had(*TALK[:1], sent=0.0, readable=12.0)

    assert past.why(*TALK[:1], sent=10.0).cause == "first_seen"
    assert past.why(*TALK[:1], sent=12.5).cause == "evicted_or_unknown"


@pytest.mark.parametrize(
    ("settled", "cause"), [(5, "first_seen"), (3, "evicted_or_unknown")]
)
def test_requests_at_one_time(past, settled, cause):
    """Where the clock stands still, the order of sending and settling decides."""
    past.had(*TALK[:1], sent=10.0, numbers=(1, settled))

    assert past.why(*TALK[:1], sent=10.0, numbers=(4, 6)).cause == cause


@pytest.mark.parametrize(
    ("after", "cause"), [(300.0, "expired"), (299.0, "evicted_or_unknown")]
)
def test_expired(past, after, cause):
    """A lifetime counts from the start of the latest request that used the prefix."""
    past.had(*TALK[:1], sent=-500.0)
    left = past.had(*TALK[:1], sent=0.0)

    expected = Miss(cause, "clock", tokens=left.cached_tokens)
    assert past.why(*TALK[:3], sent=after) == expected


def test_the_tail_expired_but_the_head_was_read(past):
    """What is lost is what lived shorter."""
    past.had(*TALK[:3], marks=["tail"], sent=0.0)
    past.had(OTHER, marks=["system"], seconds=3600.0, sent=0.0)
    miss = past.why(*TALK[:5], sent=400.0, read=tokens())

    assert miss == Miss("expired", "clock", tokens=tokens(*TALK[:3]) - tokens())


def test_reading_less_than_was_cached(past):
    """Going on and reading only the head is a miss; rounding is none."""
    left = past.had(*TALK[:5])
    head = tokens()
    miss = past.why(*TALK[:7], read=head)

    lost = left.cached_tokens - head
    assert miss == Miss("evicted_or_unknown", "clock", tokens=lost)
    assert past.why(*TALK[:7], read=left.cached_tokens - 127) is None


@pytest.mark.parametrize(
    ("before", "after", "place"),
    [
        pytest.param({"tools": "abc"}, {"tools": "axc"}, "tools[1]", id="tool"),
        pytest.param({"tools": "abc"}, {"tools": "abxc"}, "tools[2]", id="more tools"),
        pytest.param({"tools": "abc"}, {"tools": "ab"}, "tools[2]", id="fewer tools"),
        pytest.param(
            {}, {"system": (f"Now! {SYSTEM}",)}, "system[0]", id="early in the system"
        ),
        pytest.param(
            {}, {"system": (f"{SYSTEM} Now!",)}, "system[0]", id="late in the system"
        ),
        pytest.param(
            {"system": (SYSTEM, OTHER)}, {"system": (SYSTEM,)}, "system[1]", id="gone"
        ),
        pytest.param({}, {"system": (OTHER * 9,)}, "system[0]", id="all of it"),
    ],
)
@pytest.mark.parametrize("conversation", [None, "c"])
def test_a_changed_head(past, before, after, place, conversation):
    """The first block that differs is named, whether or not the talk has a name."""
    past.had(*TALK[:3], conversation=conversation, **before)
    miss = past.why(*TALK[:5], conversation=conversation, **after)

    assert (miss.cause, miss.proof, miss.place) == ("prefix_changed", "outline", place)
    _, asked = past.left_by(*TALK[:5], **after)
    assert miss.tokens == min(past.left[-1].cached_tokens, asked.input_tokens)


def test_a_conversation_is_its_name(past):
    """With one name, two prompts are one thing changed, whatever they say."""
    past.had(*TALK[:3], conversation="c", tenant="a")

    changed = past.why(OTHER, system=(OTHER,), conversation="c", tenant="a")
    elsewhere = past.why(OTHER, system=(OTHER,), conversation="c", tenant="b")
    assert (changed.cause, changed.place) == ("prefix_changed", "system[0]")
    assert elsewhere.cause == "first_seen"


def test_another_prompt_of_the_conversation_comes_again(past):
    """A second kind of request under one name is compared with its own kind."""
    titles = (f"Name this talk: {OTHER * 3}",)
    past.had(OTHER, system=titles, conversation="c", marks=["tail"])
    past.had(*TALK[:3], conversation="c")

    assert past.why("Another.", system=titles, conversation="c", read=500) is None


def test_a_changed_turn(past):
    """A turn that was said long before is named, and what the head gave is kept."""
    past.had(*TALK[:5])
    edited = f"{TALK[0]} indeed"
    miss = past.why(edited, *TALK[1:7], read=tokens())

    assert (miss.cause, miss.place) == ("prefix_changed", "messages[0].content[0]")
    assert miss.tokens == tokens(*TALK[:5]) - tokens()


def test_a_dropped_turn(past):
    """A history that lost its oldest turns has changed where they were."""
    past.had(*TALK[:5])
    miss = past.why(*TALK[2:7], read=tokens())

    assert (miss.cause, miss.place) == ("prefix_changed", "messages[0].content[0]")


def test_what_comes_again_whole_is_not_compared_with_older_ones(past):
    """Once a change was sent, it is no longer one: what went lost then expired."""
    past.had(*TALK[:3], system=(OTHER * 9,))
    past.had(*TALK[:5])

    assert past.why(*TALK[:7], sent=400.0).cause == "expired"


def test_another_last_question_is_no_change(past):
    """Asking anew from the middle reads all that is shared."""
    past.had(*TALK[:3])
    past.had(*TALK[:5])

    assert past.why(*TALK[:4], OTHER, read=tokens(*TALK[:3])) is None


@pytest.mark.parametrize(
    ("one", "other", "form"),
    [
        ("a b\n", "a  b\t", "white space"),
        ("a\nb", "a\r\nb", "line ends"),
        ("Ab", "aB", "case"),
        ("caf\u00e9", "cafe\u0301", "Unicode form"),
        ("a", "b", None),
    ],
)
@pytest.mark.parametrize("kind", ["text", "json"])
def test_forms(past, one, other, form, kind):
    """What says the same in another form is named, also as JSON spells it."""
    blocks = [[SYSTEM + text] for text in (one, other)]
    if kind == "json":
        past.had(*TALK[:3], tools=blocks[0], system=())
        miss = past.why(*TALK[:5], tools=blocks[1], system=())
    else:
        past.had(*TALK[:3], system=blocks[0])
        miss = past.why(*TALK[:5], system=blocks[1])

    assert (miss.cause, miss.form) == ("prefix_changed", form)


def test_below_minimum(past):
    """A prompt that is too short misses for that, whatever came before."""
    expected = Miss("below_minimum", "outline", tokens=0)
    assert past.why("hello", system=()) == expected
    past.had("hello", system=())
    assert past.why("hello", system=()) == expected


def test_the_earlier_prompt_was_below_minimum(past):
    """What was too short to be kept cannot be read by what goes on from it."""
    past.left.append(past.left_by("hello", "hi", system=(), marks=())[1])

    miss = past.why("hello", "hi", OTHER * 9, system=())
    assert miss == Miss("below_minimum", "outline", tokens=0)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"model": "n"}, id="model"),
        pytest.param({"speed": "fast"}, id="speed"),
        pytest.param({"tool_choice": {"type": "any"}}, id="tool choice"),
        pytest.param({"output_config": {"effort": "low"}}, id="effort"),
    ],
)
def test_model_or_settings(past, change):
    """The same prompt with other settings; no block of it has changed."""
    left = past.had(*TALK[:3])
    has_head = "model" not in change and "speed" not in change
    read = tokens() if has_head else 0
    miss = past.why(*TALK[:5], read=read, **change)

    assert (miss.cause, miss.place) == ("model_or_settings_changed", None)
    assert miss.tokens == left.cached_tokens - read


def test_a_model_that_has_its_own(past):
    """The same prompt went to two models before: what was lost is this one's own."""
    past.had(*TALK[:3], model="m")
    past.had(*TALK[:3], model="n")

    assert past.why(*TALK[:5], model="n", sent=400.0).cause == "expired"


@pytest.mark.parametrize(
    ("marks", "turns"),
    [
        pytest.param([], TALK[:5], id="nothing marked"),
        pytest.param(["tail"], (OTHER,), id="the head not marked"),
    ],
)
def test_not_marked(past, marks, turns):
    """It comes again unchanged, but was not kept."""
    past.had(*TALK[:3], marks=marks)
    miss = past.why(*turns)

    assert (miss.cause, miss.proof) == ("not_marked", "outline")
    assert miss.tokens >= tokens()


@pytest.mark.parametrize(
    "marks", [pytest.param([], id="none"), pytest.param(["tail"], id="too far")]
)
def test_no_mark_that_reaches(marks):
    """What was kept is not found, if no breakpoint of the request is near it."""
    past = Past(Rules(minimum_tokens=512, lookback=3))
    past.had(*TALK[:3])

    assert past.why(*TALK[:9], marks=marks).cause == "not_marked"


@pytest.mark.parametrize(
    ("after", "read", "cause"),
    [
        pytest.param(10.0, 0, "evicted_or_unknown", id="in time"),
        pytest.param(3600.0, 0, "expired", id="after the longest life"),
        pytest.param(10.0, 600, "evicted_or_unknown", id="much less"),
        pytest.param(10.0, 950, None, id="rounded"),
    ],
)
def test_without_marks(after, read, cause):
    """Where nothing is marked, everything that was sent counts as kept."""
    past = Past(MATCHED)
    past.had(*TALK[:3])
    miss = past.why(*TALK[:5], sent=after, read=read)

    assert (None if miss is None else miss.cause) == cause


def test_less_than_was_read_before():
    """What one request read, the next one reads too."""
    past = Past(MATCHED)
    left = past.had(*TALK[:3], read=960)
    miss = past.why(*TALK[:5], read=800)

    assert miss == Miss("evicted_or_unknown", "clock", tokens=left.input_tokens - 800)
    assert past.why(*TALK[:5], read=840) is None


def test_a_named_content_that_is_read(past):
    """Who reads the cached content that it names has missed nothing."""
    past.had(*TALK[:5])

    assert past.why(*TALK[:7], read=10, reads_named=True) is None
    assert past.why(*TALK[:7], read=0, reads_named=True).cause == "evicted_or_unknown"


@pytest.mark.parametrize(
    ("after", "cause"),
    [
        pytest.param(10.0, "evicted_or_unknown", id="alive"),
        pytest.param(400.0, "expired", id="after its end"),
    ],
)
def test_a_named_content_that_ended(after, cause):
    """Its end is known; what the provider may have kept unasked comes second."""
    past = Past(NAMED)
    past.had(*TALK[:1], marks=())
    past.had(*TALK[:3], marks=("system",), seconds=300.0, read=960)
    miss = past.why(*TALK[:5], sent=after, marks=())

    assert (miss.cause, miss.proof) == (cause, "clock")


def test_what_stands_behind_a_named_content():
    """A turn that changed behind what was named has lost nothing of that."""
    past = Past(NAMED)
    past.had(*TALK[:5], marks=("system",), seconds=300.0, read=960)
    edited = (*TALK[:2], "Another turn. " * 90, *TALK[3:5])

    assert past.why(*edited, sent=10.0, marks=()).cause == "evicted_or_unknown"


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (
            "system_changed, about 1200 tokens",
            Miss("prefix_changed", "provider", place="system", tokens=1200),
        ),
        ("tools_changed", Miss("prefix_changed", "provider", place="tools")),
        (
            "input_changed, about 7 tokens",
            Miss("prefix_changed", "provider", place="messages", tokens=7),
        ),
        ("model_changed", Miss("model_or_settings_changed", "provider")),
        ("unavailable", Miss("first_seen", "outline", tokens=0)),
    ],
)
def test_what_the_provider_tells(past, told, expected):
    """Its word counts where digests and time show nothing."""
    assert past.why(*TALK[:3], told=told) == expected


def test_what_is_known_needs_no_provider(past):
    """Digests and the clock come first."""
    past.had(*TALK[:3])

    assert past.why(*TALK[:5], sent=900.0, told="model_changed").cause == "expired"
    changed = past.why(*TALK[:5], system=(f"{SYSTEM}!",), told="model_changed")
    assert (changed.cause, changed.proof) == ("prefix_changed", "outline")


@st.composite
def edits(draw):
    """Return the texts of a request and of the next one, the place and the byte."""
    word = st.text(st.sampled_from("abcé \n"), min_size=1, max_size=12)
    system = "".join(draw(st.lists(word, min_size=60, max_size=400))) * 2 + SYSTEM
    turns = [
        f"{number}{draw(word)}" * draw(st.integers(1, 60))
        for number in range(draw(st.sampled_from([3, 5])))
    ]
    before = [system, *turns]
    block = draw(st.integers(0, len(before) - 2))
    at = draw(st.integers(0, len(before[block])))
    changed = before[block][:at] + draw(st.sampled_from("XYZ")) + before[block][at:]
    after = [*before[:block], changed, *before[block + 1 :], "And?", "So?"]
    return before, after, block, len(before[block][:at].encode())


@given(edits())
def test_the_place_is_the_first_changed_block(case):
    """However a growing conversation is edited, the right block and byte are named."""
    before, after, block, first = case
    past = Past()
    past.had(*before[1:], system=before[:1], conversation="c")
    miss = past.why(*after[1:], system=after[:1], conversation="c")

    place = "system[0]" if not block else f"messages[{block - 1}].content[0]"
    assert (miss.cause, miss.place) == ("prefix_changed", place)
    longest = max(len(before[block].encode()), len(after[block].encode()))
    step = STEP
    while longest // step > 256:
        step *= 2
    assert first - step < miss.near <= first
