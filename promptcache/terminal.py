"""What commands say to people.

Rule 1: whatever a name holds, it steers no terminal.
"""

import typer

from promptcache.receipts.visible import plain_lines

__all__ = ["say"]


def say(text: str, *, err: bool = False) -> None:
    """Print lines.

    Args:
        text: What to say.
        err: To standard error.
    """
    typer.echo(plain_lines(text), err=err)
