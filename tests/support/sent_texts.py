"""What a request says, of any of the APIs, and what it says beyond what is known."""

# Beside these, a body has settings, tools, files and what caches are told.
_FIELDS = ("system", "systemInstruction", "instructions", "messages", "input")
_HOLDERS = ("text", "content", "parts", "output", "response", "result")


def sent_texts(body):
    """Return every text of a body, in the order in which the model reads them."""
    return [
        text
        for field in (*_FIELDS, "contents")
        for text in _texts(body.get(field), field)
    ]


def rest_of(body, known):
    """Return the words of a body besides the texts that are known, sorted."""
    whole = "\n".join(sent_texts(body))
    for text in sorted(known, key=len, reverse=True):
        whole = whole.replace(text, "\n")
    return sorted(whole.split())


def assert_same_content(stock, ours, once, *, known=(), added=()):
    """Check that one body says what another one does.

    Args:
        stock: What is sent without a remedy.
        ours: What is sent with it.
        once: Texts that have to be in both, and in ours once.
        known: Texts that are in both, any number of times.
        added: Texts that ours may have besides.
    """
    before, after = ("\n".join(sent_texts(body)) for body in (stock, ours))
    assert [text for text in once if text not in before] == []
    assert {text: after.count(text) for text in once} == dict.fromkeys(once, 1)
    given = [*once, *known]
    assert rest_of(ours, [*given, *added]) == rest_of(stock, given)


def _texts(value, field):
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for it in value:
            yield from _texts(it, field)
    elif isinstance(value, dict):
        for name in _HOLDERS:
            if name in value:
                yield from _texts(value[name], name)
