"""What a retriever finds for a course of questions, and how much of it is read again.

The best document changes with the question, and so does every place after it.
"""

from random import Random

NAMES = [f"engine-{number:02}" for number in range(14)]
QUESTIONS = 16


def text_of(name):
    """Return a text of about 700 tokens."""
    return f"This is {name}. " + f"The wheels of {name} turned well. " * 80


def same():
    """Return what is found where every question is about the same six documents."""
    return _shuffled(lambda random: NAMES[:6])


def overlapping():
    """Return what is found where four documents answer everything, and two change."""
    return _shuffled(lambda random: NAMES[10:] + random.sample(NAMES[:10], k=2))


def read_share(rows):
    """Return which part of the input was read from the cache."""
    read = sum(row.cache_read_input_tokens for row in rows)
    return read / sum(row.total_input_tokens for row in rows)


def _shuffled(find):
    random = Random(4)  # a course that is the same in every run
    found = [find(random) for _ in range(QUESTIONS)]
    return [random.sample(names, k=len(names)) for names in found]
