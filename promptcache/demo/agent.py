"""What the demo's agent is told and asked, whatever framework runs it."""

from collections.abc import Iterator
from dataclasses import dataclass

from promptcache.demo.asked import provider_of
from promptcache.demo.library import stdlib
from promptcache.emulator import ToolCall

__all__ = [
    "CALLS_PER_QUESTION",
    "MAX_TOKENS",
    "RESULT_CHARS",
    "TOOL_DESCRIPTION",
    "TOOL_NAME",
    "TURNS",
    "Turn",
    "most_tokens",
    "script",
    "search",
    "system_prompt",
]

TOOL_NAME = "search_library"
TOOL_DESCRIPTION = (
    "Search the documentation of Python's standard library by keywords and return the "
    "passages that fit best, each under the name of what it documents."
)

MAX_TOKENS = 100
"""The longest answer, in tokens."""
MAX_THINKING_TOKENS = 900
"""What is left for the thoughts of models that think unasked."""
CALLS_PER_QUESTION = 4
"""The most model requests for one question; the last of them must answer."""
RESULT_CHARS = 2_400
"""The longest search result, in characters."""
HANDBOOK_CHARS = 20_000
MODULE_CHARS = 600

INSTRUCTIONS = """\
You are session {session} of a help desk for Python programmers.

Answer questions about the standard library, and nothing else. Work as follows.
1. Search before you answer, up to three times per question, one search at a time. The
   search is lexical: use names and words that stand in the documentation.
2. Trust what the search returns over what you remember. If it returns nothing that
   fits, say so; never invent a function or a parameter.
3. Answer in at most fifty words, in plain text without headings. Name the functions
   and classes with their modules, and the one pitfall that matters most.
4. Prefer the standard library to other packages, and one function to several.

The handbook below lists what the modules have; the search knows the details.

# Handbook

{handbook}"""


@dataclass(frozen=True, slots=True)
class Turn:
    """A question, and what an emulated model does to answer it."""

    question: str
    queries: tuple[str, ...]
    answer: str


TURNS = (
    Turn(
        "I read millions of measurements from a stream and need the ten largest at the "
        "end. Sorting all of them takes too much memory. What do I use?",
        (
            "n largest elements of an iterable",
            "heap replace smallest item fixed size",
            "merge sorted inputs without pulling into memory",
        ),
        "Use heapq.nlargest(10, stream): it takes an iterator and keeps ten items. To "
        "see the result at any time, keep a heap of ten yourself and call "
        "heapq.heappushpop for each item. Pitfall: a heap is not sorted; only its "
        "first item is known to be the smallest.",
    ),
    Turn(
        "Now I fetch the measurements from forty servers at once. How do I handle each "
        "answer as soon as it is there, and notice the ones that failed?",
        (
            "iterator over futures yields as each completes",
            "future result exception timeout raised",
        ),
        "Submit each fetch to a concurrent.futures.ThreadPoolExecutor and loop over "
        "as_completed(futures). Call future.result() inside try: it raises what the "
        "call raised. Pitfall: an exception that nobody asks for with result() or "
        "exception() goes unnoticed.",
    ),
    Turn(
        "Each answer is saved to a file. After a crash I found half a file. How do I "
        "write it so that readers see either the old file or the whole new one?",
        (
            "named temporary file delete on close",
            "move file destination same filesystem rename",
        ),
        "Write to a tempfile.NamedTemporaryFile(dir=folder, delete=False) in the same "
        "folder, flush it, then rename it over the old one. shutil.move renames only "
        "within one file system; elsewhere it copies. Remove the temporary file with "
        "contextlib.ExitStack.callback if writing fails.",
    ),
    Turn(
        "Last one: I want to mail a report of what changed between yesterday's file "
        "and today's. What gives me something people can read?",
        (
            "compare sequences of lines unified diff",
            "html table side by side differences",
        ),
        "For plain text use difflib.unified_diff(old, new, lineterm=''), for a web "
        "page difflib.HtmlDiff().make_file(old, new, context=True). Both take lists "
        "of lines. Pitfall: on long files that differ everywhere the comparison is "
        "slow, so check SequenceMatcher.quick_ratio first.",
    ),
)


def system_prompt(session: str) -> str:
    """Return the system prompt of one run.

    Args:
        session: A name that no other run has, so that no run can read what another
            one wrote.
    """
    handbook = stdlib().handbook(chars=HANDBOOK_CHARS, each=MODULE_CHARS)
    return INSTRUCTIONS.format(session=session, handbook=handbook)


def most_tokens(model: str) -> int:
    """Return the most tokens that a model may answer with, its thoughts counted."""
    thinks = provider_of(model) == "google"
    return MAX_TOKENS + (MAX_THINKING_TOKENS if thinks else 0)


def search(query: str) -> str:
    """Return what the agent's only tool answers."""
    return stdlib().search(query, chars=RESULT_CHARS)


def script(argument: str = "query") -> Iterator[ToolCall | str]:
    """Yield what an emulated model says, request by request.

    Args:
        argument: What the framework calls the one argument of the agent's tool.
    """
    for turn in TURNS:
        for query in turn.queries:
            yield ToolCall(TOOL_NAME, {argument: query})
        yield turn.answer
