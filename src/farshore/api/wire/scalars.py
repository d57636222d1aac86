"""Single values as clients send them: strict about what is meant, lenient about how it is quoted.

Booleans are true, false, 1 or 0 in any case, quoted or not; whole numbers may be quoted; a checkpoint's identifier may
be a bare number. Anything else is refused with what is allowed.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Any

from pydantic import BeforeValidator

from farshore.model.enumerations import understand

_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def _boolean(value: Any) -> bool:
    if isinstance(value, bool | int | str):
        found = _BOOLEANS.get(str(value).strip().lower())
        if found is not None:
            return found
    raise ValueError("it must be true, false, 1 or 0")


def _whole(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():  # PowerShell writes a [double] 3600 as 3600.0
        return int(value)
    if isinstance(value, str):
        text = value.strip()
        digits = text.removeprefix("-")
        if digits.isascii() and digits.isdigit() and len(digits) <= 19:
            return int(text)
    raise ValueError("it must be a whole number")


def _decimal(value: Any) -> float:
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            return float(value)
        except (ValueError, OverflowError):
            pass  # told below, with what is allowed
    raise ValueError("it must be a number")


def _checkpoint_id(value: Any) -> str:
    text = str(value).strip() if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise ValueError("it must be the identifier of a checkpoint, which is digits")
    return text


def Choice(kind: type[IntEnum]) -> BeforeValidator:  # noqa: N802 - reads as the type that it stands for
    """An enumeration read by number or by name; stands beside it in an `Annotated`."""
    return BeforeValidator(lambda value: understand(kind, value))


Boolean = Annotated[bool, BeforeValidator(_boolean)]
WholeNumber = Annotated[int, BeforeValidator(_whole)]
Decimal = Annotated[float, BeforeValidator(_decimal)]
CheckpointId = Annotated[str, BeforeValidator(_checkpoint_id)]


def _vm_names(value: Any) -> list[str]:
    items = value if isinstance(value, list) else [value]
    names = []
    for item in items:
        found = item
        if isinstance(item, dict):
            found = next((v for k, v in item.items() if str(k).lower() == "vmidentifier"), None)
        if not isinstance(found, str) or not found.strip():
            raise ValueError('it must be identifiers or names of VMs, as texts or as {"VmIdentifier": ...}')
        names.append(found.strip())
    return names


VmNames = Annotated[list[str], BeforeValidator(_vm_names)]
"""Identifiers or names of VMs [G9]: texts or objects with a VmIdentifier; a bare one is a list of one."""
