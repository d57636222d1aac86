"""The pins of a fake appliance's journal; see fake_appliance.py."""

from __future__ import annotations

from typing import Any


class FakePins:
    """Calls that change `state["pins"]`: by operation the checkpoint."""

    def _pin_checkpoint(
        self, state: dict[str, Any], vpg_id: str, checkpoint_id: str | None, operation: str
    ) -> dict[str, Any]:
        state["pins"].setdefault(operation, checkpoint_id or "7")
        return {"id": state["pins"][operation], "time_ns": 10**18}

    def _unpin_checkpoint(self, state: dict[str, Any], vpg_id: str, operation: str) -> None:
        state["pins"].pop(operation, None)

    def _list_pins(self, state: dict[str, Any], vpg_id: str) -> list[dict[str, Any]]:
        """All are an hour old. What is in "needed" the appliance knows of."""
        needed = state.get("needed", {})
        return [
            {"operation": name, "ordinal": 7, "pinned_ns": 5, "age_seconds": 3600.0, "needed_by": needed.get(name, "")}
            for name in state["pins"]
        ]

    def _drop_pin(self, state: dict[str, Any], vpg_id: str, operation: str, pinned_ns: int) -> bool:
        assert pinned_ns == 5
        return state["pins"].pop(operation, None) is not None
