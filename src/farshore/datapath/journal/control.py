"""Whether control records have what their types promise: judged before they are kept, and again when they are read."""

from __future__ import annotations

from typing import Any


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _are_numbers(value: object) -> bool:
    return isinstance(value, list) and all(_is_number(each) for each in value)


def _are_volumes(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(each, dict) and _is_number(each.get("number")) and _is_number(each.get("size_bytes"))
        for each in value
    )


def is_understood(record: Any) -> bool:
    """Whether a record can be taken; types that are not known can (they are passed over)."""
    if not isinstance(record, dict) or not isinstance(record.get("type"), str):
        return False
    match record["type"]:
        case "marker":
            return "id" in record and _is_number(record.get("time_ns")) and _are_numbers(record.get("volumes"))
        case "vouch" | "void":
            return "id" in record
        case "sync_begin" | "sync_end":
            return record.get("volumes") is None or _are_numbers(record["volumes"])
        case "volumes":
            return _are_volumes(record.get("volumes"))
        case "definition":
            return isinstance(record.get("vm"), dict) and "id" in record["vm"]
    return True
