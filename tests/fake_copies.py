"""What copies of volumes leave in a fake appliance: clones, and recovery volumes that outlive their VPG."""

from __future__ import annotations

from typing import Any

from farshore.errors import NotFound


class FakeCopies:
    """Calls of the fake appliance, which has the state."""

    def _begin_clone(
        self,
        state: dict[str, Any],
        vpg_id: str,
        operation: str,
        checkpoint: dict[str, Any],
        datastore_id: str,
        definitions: list[Any],
        volumes: dict[str, Any],
    ) -> None:
        assert state["pins"].get(operation) == checkpoint["id"]
        assert {d["id"] for d in definitions} == set(volumes)
        what = {"checkpoint": checkpoint["id"], "datastore": datastore_id, "volumes": volumes, "state": "copying"}
        state["clones"].setdefault(operation, what | {"looked": 0})

    def _clone_status(self, state: dict[str, Any], operation: str) -> dict[str, Any]:
        """The first answer is "copying", later ones are "copied"; with "unwell" it fails."""
        record = state["clones"].get(operation)
        if record is None:
            raise NotFound("There is no such clone.", "")
        if state.get("unwell"):
            record["state"] = "failed"
        told = {"state": record["state"], "reason": "The store is full.", "done_bytes": 1, "total_bytes": 2}
        told["read_bytes"] = 3
        if record["state"] == "copying":
            record["state"] = "copied"
        return told

    def _adopt_clone(self, state: dict[str, Any], operation: str) -> list[dict[str, Any]]:
        record = state["clones"][operation]
        assert record["state"] in ("copied", "adopted")
        record["state"] = "adopted"
        vms = [{"id": f"c-{vm}", "name": f"name-{vm} (clone)", "disks": []} for vm in record["volumes"]]
        state["cloned"] |= {vm["id"]: vm["name"] for vm in vms}
        return vms

    def _keep_clone(self, state: dict[str, Any], operation: str) -> None:
        if state["clones"].get(operation, {}).get("state") == "adopted":
            del state["clones"][operation]

    def _remove_clone(self, state: dict[str, Any], vpg_id: str, operation: str) -> None:
        state["pins"].pop(operation, None)
        record = state["clones"].pop(operation, None)
        for vm in record["volumes"] if record else ():
            state["cloned"].pop(f"c-{vm}", None)

    def _begin_keep(
        self,
        state: dict[str, Any],
        vpg_id: str,
        vpg_name: str,
        operation: str,
        checkpoint: dict[str, Any],
        volumes: list[dict[str, Any]],
    ) -> None:
        assert state["pins"].get(operation) == checkpoint["id"]
        if operation not in state.get("kept", {}):
            what = {"vpg": vpg_name, "checkpoint": checkpoint["id"], "volumes": volumes, "state": "copying"}
            state.setdefault("keeps", {}).setdefault(operation, what)

    def _keep_status(self, state: dict[str, Any], operation: str) -> dict[str, Any]:
        """As of a clone."""
        told = {"reason": "The store is full.", "done_bytes": 1, "total_bytes": 2, "read_bytes": 3}
        if operation in state.get("kept", {}):
            return told | {"state": "finished"}
        record = state.get("keeps", {}).get(operation)
        if record is None:
            raise NotFound("Nothing is being kept.", "")
        before = record["state"] = "failed" if state.get("unwell") else record["state"]
        if before == "copying":
            record["state"] = "copied"
        return told | {"state": before}

    def _finish_keep(self, state: dict[str, Any], operation: str) -> dict[str, Any]:
        known = state.setdefault("kept", {})
        if operation not in known:
            assert state["keeps"][operation]["state"] == "copied"
            assert state["keep"], "the journal went before its volumes were known"
            known[operation] = state["keeps"].pop(operation)
        state["pins"].pop(operation, None)
        return self._told(operation, known[operation])

    def _told(self, operation: str, record: dict[str, Any]) -> dict[str, Any]:
        times = {"checkpoint_time": "then", "checkpoint_time_ns": 10**18, "kept_ns": 10**18}
        named = {"identifier": operation, "vpg_id": "v", "vpg_name": record["vpg"], "folder": f"/kept/{operation}"}
        volumes = [volume | {"size_bytes": 1 << 20, "file": "x.raw"} for volume in record["volumes"]]
        return named | times | {"checkpoint_id": record["checkpoint"], "volumes": volumes}

    def _kept_volumes(self, state: dict[str, Any]) -> list[dict[str, Any]]:
        return [self._told(operation, record) for operation, record in state.get("kept", {}).items()]

    def _remove_kept(self, state: dict[str, Any], identifier: str) -> None:
        if state.get("kept", {}).pop(identifier.lower(), None) is None:
            raise NotFound("Nothing is kept as that.", "")

    def _drop_keep(self, state: dict[str, Any], vpg_id: str, operation: str) -> None:
        state.get("keeps", {}).pop(operation, None)
        state.get("kept", {}).pop(operation, None)
        state["pins"].pop(operation, None)
