"""What goes wrong with one request, as each provider's network would do it."""

import json

from faulty_gateway import Trick

__all__ = ["AGAIN", "HASTY", "REFUSALS", "SINGLE", "WHOLE", "named", "tricks_of"]

_JSON = (b"content-type", b"application/json")
_KINDS = {
    400: ("invalid_request_error", "INVALID_ARGUMENT"),
    403: ("permission_error", "PERMISSION_DENIED"),
    404: ("not_found_error", "NOT_FOUND"),
    422: ("invalid_request_error", "INVALID_ARGUMENT"),
    429: ("rate_limit_error", "RESOURCE_EXHAUSTED"),
    500: ("api_error", "INTERNAL"),
    503: ("api_error", "UNAVAILABLE"),
    529: ("overloaded_error", "UNAVAILABLE"),
}


def _error(provider, status, message):
    kind, code = _KINDS[status]
    if provider == "anthropic":
        told = {"type": "error", "error": {"type": kind, "message": message}}
    elif provider == "google":
        told = {"error": {"code": status, "message": message, "status": code}}
    else:
        said = {"message": message, "type": kind, "param": None, "code": None}
        told = {"error": said}
    return json.dumps(told).encode()


def failing(provider, status, message="The gateway fails.", *more, **how):
    """Return an answer that is an error, as the provider words it."""
    body = _error(provider, status, message)
    return Trick(status=status, body=body, headers=(_JSON, *more), **how)


def _half(body):
    return body[: len(body) // 2]


def _broken(body):
    """Return an answer or an event in whose JSON a bracket is missing."""
    return body.replace(b"{", b"[", 1)


def _renamed(body):
    return body.replace(b'"usage"', b'"billing"').replace(b'"usageMetadata"', b'"bill"')


def _half_renamed(body):
    for name in (b"input", b"prompt", b"cache_read_input", b"cached"):
        body = body.replace(b'"%b_tokens"' % name, b'"%b_count"' % name)
    return body.replace(b'"promptTokenCount"', b'"promptCount"')


def _without_usage(body):
    return body.replace(b'"usage":{', b'"usage":null,"bill":{').replace(
        b'"usageMetadata":{', b'"usageMetadata":null,"bill":{'
    )


def _plain(provider):
    """Return faults that no time passes in, and that nothing else tests everywhere."""
    html = b"<html><body>Sign in to this network.</body></html>"
    return [
        failing(provider, 403, name="403"),
        failing(provider, 404, name="404"),
        failing(provider, 529, name="529"),
        Trick(name="500_no_json", status=500, body=b"<h1>Bad gateway</h1>"),
        Trick(name="200_html", status=200, body=html, headers=_html()),
        Trick(name="200_empty", status=200),
        Trick(name="bad_json", change=_broken, after=2),
        Trick(name="bad_json_at_once", change=_broken, after=0),
        Trick(name="half_then_end", change=_half, after=3, then="end"),
        Trick(name="half_then_closed", change=_half, after=3, then="close"),
        Trick(name="half_first_event", change=_half, after=0, then="end"),
        Trick(name="usage_renamed", change=_renamed),
        Trick(name="usage_half_renamed", change=_half_renamed),
        Trick(name="usage_null", change=_without_usage),
    ]


def _html():
    return ((b"content-type", b"text/html; charset=utf-8"),)


_REFUSING = {
    "forbidden": (400, "messages.0.FIELD: Extra inputs are not permitted"),
    "unknown_parameter": (400, "Unknown parameter: 'FIELD'."),
    "unsupported": (400, "FIELD is not supported on this model"),
    "pydantic": (422, "body.FIELD: extra_forbidden"),
}

SINGLE = [trick.name for trick in _plain("anthropic")]
HASTY = ["silent", "silent_within"]
"""What a client waits out."""
AGAIN = ["429", "500", "503", "529", "closed"]
"""What the SDKs try again after."""
WHOLE = ["", *AGAIN, "400", "403", "404", *_REFUSING]
"""Faults that leave an answer and its usage as they are, if there is one."""
REFUSALS = list(_REFUSING)
"""Gateways that refuse requests with a field of ours."""


def tricks_of(provider):
    """Return all faults of a provider by name."""
    made = _plain(provider)
    made.append(failing(provider, 400, "max_tokens: too large", name="400"))
    made.append(
        failing(provider, 429, "Slow down.", (b"retry-after", b"7"), name="429")
    )
    made.append(failing(provider, 500, name="500"))
    made.append(failing(provider, 503, name="503"))
    made.append(Trick(name="closed", closed=True))
    made.append(Trick(name="silent", silent=True))
    made.append(Trick(name="silent_within", change=_half, after=2, then="silent"))
    for name, (status, message) in _REFUSING.items():
        made.append(failing(provider, status, message, name=name, refuses=True))
    return {trick.name: trick for trick in made}


def named(provider, *names):
    """Return a script of faults."""
    known = tricks_of(provider)
    return [known[name] for name in names]
