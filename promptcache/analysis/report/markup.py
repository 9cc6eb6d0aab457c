"""HTML in which all text is escaped.

Rule 1: what is not `Html` is text, wherever it comes from.
"""

from html import escape
from typing import final

__all__ = ["Html", "element", "joined"]

_VOID = frozenset({"meta", "rect", "line", "col"})

Attribute = str | float


@final
class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def element(name: str, /, *children: str, **attributes: Attribute | None) -> Html:
    """Return an element.

    Args:
        name: Its tag.
        *children: `Html`, or text that is escaped.
        **attributes: Values are escaped; an underscore in a name is a hyphen, one at
            its end is left out, and None leaves out the attribute.
    """
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_value(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID and not children:
        return Html(f"<{name}{said}/>")
    return Html(f"<{name}{said}>{joined(*children)}</{name}>")


def joined(*children: str) -> Html:
    """Return several pieces as one."""
    return Html("".join(map(_piece, children)))


def _piece(child: str) -> str:
    return str(child) if type(child) is Html else escape(_visible(child))


def _visible(text: str) -> str:
    """Return a text without characters that turn around or hide what is beside them."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c.isspace() else "\N{REPLACEMENT CHARACTER}"
        for c in text
    )


def _value(value: Attribute) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"
