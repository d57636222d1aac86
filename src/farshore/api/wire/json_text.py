"""JSON in: any of its encodings, with or without a byte order mark; what is wrong is told with line and column."""

from __future__ import annotations

import json
from typing import Any

from farshore.errors import BadInput

_REMEDY = "Mend the body and send it again."


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for name, value in pairs:
        if name in data and data[name] != value:
            raise BadInput(f"{name} is given twice with different values.", _REMEDY)
        data[name] = value
    return data


def _no_number(text: str) -> Any:
    raise BadInput(f"{text} is not JSON.", _REMEDY)


def read_json(raw: bytes) -> Any:
    """The value that the text means. Raises BadInput; an empty text is None."""
    try:
        text = raw.decode(json.detect_encoding(raw)).removeprefix("\ufeff")
        if not text.strip():
            return None
        return json.loads(text, object_pairs_hook=_object, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        fact = f"The body is not JSON: {error.msg} at line {error.lineno} column {error.colno}."
        raise BadInput(fact, _REMEDY) from error
    except UnicodeDecodeError as error:
        raise BadInput(f"The body is not text in {error.encoding}: byte {error.start}.", _REMEDY) from error
    except (RecursionError, ValueError) as error:  # ValueError: a number of more digits than Python converts
        raise BadInput("The body is nested too deeply, or a number in it is too long.", _REMEDY) from error
