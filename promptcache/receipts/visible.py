"""Text of others where a terminal, a log or a page shows it.

Names of models, tenants, files and remote caches, and what providers say, may hold what
moves a cursor, hides what is beside it, or looks like a line of its own.
"""

__all__ = ["plain", "plain_lines"]

_INSTEAD = "\N{REPLACEMENT CHARACTER}"


def plain(name: str) -> str:
    """Return a name on one line, without what would steer a terminal."""
    if name.isprintable():
        return name
    return "".join(c if c.isprintable() else _INSTEAD for c in name)


def plain_lines(text: str) -> str:
    """Return lines, each without what would steer a terminal."""
    return "\n".join(map(plain, text.split("\n")))
