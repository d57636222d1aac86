"""XML in: to the same plain shape that JSON has, led by the model that will take it.

Any root is taken, with or without the namespace, members in any order and case. A document type or an entity is
refused, as are texts that expand or reach out. A list's items may bear any name.
"""

from __future__ import annotations

import types
from typing import Annotated, Any, Union, get_args, get_origin
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from farshore.api.wire.model import Wire, names_of
from farshore.errors import BadInput

NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_REMEDY = "Mend the body and send it again."


def read_xml(raw: bytes, kind: type[Wire]) -> Any:
    """The plain value (a dict, a text or None) of an XML document meant for `kind`. Raises BadInput."""
    raw = raw.strip()
    if not raw.removeprefix(b"\xef\xbb\xbf"):
        return None
    try:
        root = fromstring(raw, forbid_dtd=True, forbid_entities=True, forbid_external=True)
        return _part(root, kind)
    except DefusedXmlException as error:
        raise BadInput("A document type or an entity is not accepted in XML.", "Send the elements alone.") from error
    except ParseError as error:
        line, column = error.position
        words = str(error).split(":")[0]
        fact = f"The body is not XML: {words} at line {line} column {column + 1}."
        raise BadInput(fact, _REMEDY) from error
    except (RecursionError, LookupError, ValueError) as error:  # LookupError: an encoding that is not known
        raise BadInput(f"The body cannot be read as XML: {error}.", _REMEDY) from error


def _local(element: Element) -> str:
    return str(element.tag).rsplit("}", 1)[-1]


def _part(element: Element, kind: type[Wire]) -> Any:
    if element.get(NIL, "").strip().lower() in {"true", "1"}:
        return None
    children = list(element)
    if not children:
        text = (element.text or "").strip()
        return text or {}
    fields = {(info.alias or field).lower(): info.annotation for field, info in kind.model_fields.items()}
    data: dict[str, Any] = {}
    for child in children:
        name = _local(child)
        own = names_of(kind).get(name.lower(), name)
        value = _value(child, fields.get(own.lower()))
        if name in data and data[name] != value:
            raise BadInput(f"{name} is given twice with different values.", _REMEDY)
        data[name] = value
    return data


def _value(element: Element, annotation: Any) -> Any:
    if element.get(NIL, "").strip().lower() in {"true", "1"}:
        return None
    kind, item = _shape(annotation)
    if item is not None:
        children = list(element)
        if not children:
            text = (element.text or "").strip()
            return text or []
        return [_value(child, item) for child in children]
    if kind is not None:
        return _part(element, kind)
    children = list(element)
    if children:
        return {_local(child): _value(child, None) for child in children}
    return element.text or ""


def _shape(annotation: Any) -> tuple[type[Wire] | None, Any]:
    """(the model, None), (None, the item of a list), or (None, None) for a single value."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _shape(get_args(annotation)[0])
    if origin in {Union, types.UnionType}:
        shapes = [_shape(option) for option in get_args(annotation) if option is not types.NoneType]
        return next((shape for shape in shapes if shape != (None, None)), (None, None))
    if origin is list:
        return None, get_args(annotation)[0]
    if isinstance(annotation, type) and issubclass(annotation, Wire):
        return annotation, None
    return None, None
