"""Single questions to one long prompt, with nothing before them and nothing after.

What they have in common is the prompt alone, which ends before each question begins.
"""

from collections.abc import Iterator

__all__ = ["QUESTIONS", "script"]

QUESTIONS = (
    (
        "How do I keep the last hundred lines of a log file?",
        "Feed the file to collections.deque(file, maxlen=100).",
    ),
    (
        "How do I find where a value belongs in a sorted list?",
        "bisect.bisect_left(values, value) gives the index.",
    ),
    (
        "How do I wrap a paragraph at seventy columns?",
        "textwrap.fill(text, width=70) returns it as one string.",
    ),
    (
        "How do I make a token for a password reset link?",
        "secrets.token_urlsafe() gives one that fits into a URL.",
    ),
    (
        "How do I run a command and stop it after five seconds?",
        "subprocess.run(command, timeout=5) raises TimeoutExpired.",
    ),
    (
        "How do I read a CSV file whose first row has the names?",
        "csv.DictReader(file) yields each row as a dict by those names.",
    ),
    (
        "How do I cache what a pure function returns?",
        "Decorate it with functools.lru_cache(maxsize=None).",
    ),
    (
        "How do I take the query out of a URL?",
        "urllib.parse.urlsplit(url).query has it; parse_qs reads it.",
    ),
    (
        "How do I pick three items at random, without repeats?",
        "random.sample(items, k=3) draws without replacement.",
    ),
    (
        "How do I get the median of some numbers?",
        "statistics.median(numbers); of an even count it is the mean of two.",
    ),
    (
        "How do I compare a signature in constant time?",
        "hmac.compare_digest(expected, given) does not leak by timing.",
    ),
    (
        "How do I list what is in a zip archive?",
        "zipfile.ZipFile(path).namelist() returns the names.",
    ),
)
"""Each question, and what an emulated model answers."""


def script() -> Iterator[str]:
    """Yield what an emulated model says, request by request."""
    for _, answer in QUESTIONS:
        yield answer
