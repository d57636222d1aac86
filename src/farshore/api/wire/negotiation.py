"""JSON or XML: what a request holds and what its answer shall be.

Accept decides by its weights. Where it says nothing (absent, or only */*), the request's Content-Type does: a client
that speaks XML reads it. What is neither is JSON; a body is looked at when its Content-Type says neither.
"""

from __future__ import annotations

from starlette.datastructures import Headers


def _weight(part: str) -> float:
    for parameter in part.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def _notation(kind: str) -> str | None:
    kind = kind.partition(";")[0].strip().lower()
    if kind.endswith(("/xml", "+xml")):
        return "xml"
    return "json" if kind.endswith(("/json", "+json")) or kind == "application/*" else None


def wants_xml(headers: Headers) -> bool:
    """Whether the answer is written in XML."""
    parts = [part for part in headers.get("accept", "").split(",") if _weight(part) > 0]
    for part in sorted(parts, key=_weight, reverse=True):  # sorted keeps the order among equals
        notation = _notation(part)
        if notation is not None:
            return notation == "xml"
    return _notation(headers.get("content-type", "")) == "xml"


def is_xml(headers: Headers, body: bytes) -> bool:
    """Whether the request's body is XML."""
    notation = _notation(headers.get("content-type", ""))
    if notation is not None:
        return notation == "xml"
    return body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def xml_type(headers: Headers) -> str:
    """The Content-Type of an XML answer: text/xml to those who ask for that alone."""
    accept = headers.get("accept", "").lower()
    kind = "text/xml" if "text/xml" in accept and "application/xml" not in accept else "application/xml"
    return f"{kind}; charset=utf-8"
