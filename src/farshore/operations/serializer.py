"""How DBOS writes workflows' inputs, steps' results and errors into its database: JSON, readable and never pickle."""

from __future__ import annotations

import json
from typing import Any

from dbos import Serializer

from farshore.errors import FarshoreError, Fault, error_from_json

_MARK = "__farshore_error__"


def _encode(value: Any) -> Any:
    if isinstance(value, FarshoreError):
        return {_MARK: value.to_json()}
    if isinstance(value, BaseException):
        return {_MARK: Fault(f"Unexpected: {value!r}.", "Look at the manager's log.").to_json()}
    raise TypeError(f"{type(value).__name__} is no JSON: a step's result must be plain data")


def _decode(value: dict[str, Any]) -> Any:
    return error_from_json(value[_MARK]) if _MARK in value else value


class JsonSerializer(Serializer):
    """DBOS's serializer interface over JSON; errors of ours come back as what they were."""

    def name(self) -> str:
        """The name in DBOS's tables; kept for ever."""
        return "farshore_json"

    def serialize(self, data: Any) -> str:
        """To JSON. Raises TypeError for what is no plain data."""
        return json.dumps(data, default=_encode, separators=(",", ":"))

    def deserialize(self, serialized_data: str) -> Any:
        """From JSON."""
        return json.loads(serialized_data, object_hook=_decode)
