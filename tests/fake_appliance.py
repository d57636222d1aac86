"""A stand-in for the appliances of two sites and for the other site's manager, for tests of operations.

Its state is in files, so that it outlives a killed manager as a real appliance does. It can end the process with
SIGKILL just before or just after the effect of its n-th call.
"""

from __future__ import annotations

import json
import os
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from farshore.errors import Conflict, NotFound, Unavailable

DISKS = [{"id": "a", "path": "/a.raw", "size_bytes": 1 << 20}, {"id": "b", "path": "/b.raw", "size_bytes": 1 << 20}]


def definition(vm_id: str) -> dict[str, Any]:
    """A VM of the fake inventory."""
    return {"id": vm_id, "name": f"name-{vm_id}", "disks": DISKS}


@dataclass
class Killer:
    """Counts calls of all fakes of a process; ends it at `at` ("3:before", "3:after"; empty: never)."""

    at: str = ""
    calls: int = 0

    def before(self) -> None:
        """A call has come in."""
        self.calls += 1
        self._perhaps("before")

    def after(self) -> None:
        """Its effect is there, its answer is not."""
        self._perhaps("after")

    def _perhaps(self, when: str) -> None:
        if self.at == f"{self.calls}:{when}":
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass
class FakeAppliance:
    """The appliance of one site; `refuse` names calls that answer Conflict, `silent` that it answers nothing."""

    folder: Path
    killer: Killer = field(default_factory=Killer)
    refuse: frozenset[str] = frozenset()
    silent: bool = False

    def state(self) -> dict[str, Any]:
        """What it holds."""
        try:
            return json.loads(self.folder.read_text())
        except FileNotFoundError:
            kinds = ("protect", "keep", "cuts", "pins", "views", "recovered")
            return {kind: {} for kind in kinds} | {"checkpoints": [], "void": 0}

    def save(self, state: dict[str, Any]) -> None:
        """Replace what it holds."""
        temporary = self.folder.with_suffix(".new")
        temporary.write_text(json.dumps(state))
        temporary.rename(self.folder)

    async def call(self, call: str, timeout_seconds: float = 1.0, /, **args: Any) -> Any:
        """As ApplianceClient.call."""
        if self.silent:
            raise Unavailable("The appliance does not answer.", "")
        self.killer.before()
        if call in self.refuse:
            self.killer.after()
            raise Conflict(f"{call} is refused.", "")
        state = self.state()
        answer = getattr(self, f"_{call}")(state, **args)
        self.save(state)
        self.killer.after()
        return answer

    def _list_vms(self, state: dict[str, Any]) -> list[dict[str, Any]]:
        disks = [{"disk_id": d["id"], "size_bytes": d["size_bytes"]} for d in DISKS]
        names = ("vm1", "vm2")
        return [{"vm_id": vm, "name": f"name-{vm}", "power": "running", "problem": "", "disks": disks} for vm in names]

    def _vm_definition(self, state: dict[str, Any], vm_id: str) -> dict[str, Any]:
        return definition(vm_id)

    def _protect_vpg(self, state: dict[str, Any], spec: dict[str, Any]) -> None:
        state["protect"][spec["vpg_id"]] = spec

    def _stop_protecting(self, state: dict[str, Any], vpg_id: str) -> None:
        state["protect"].pop(vpg_id, None)

    def _protection_status(self, state: dict[str, Any], vpg_id: str) -> dict[str, Any]:
        if vpg_id not in state["protect"]:
            raise NotFound("It is not protected here.", "")
        return {"state": "protecting", "reason": "", "sync": None, "link": "connected", "received_bytes": 0}

    def _cut_checkpoint(self, state: dict[str, Any], vpg_id: str, tag: str, task: str) -> dict[str, Any]:
        return state["cuts"].setdefault(task, {"marker_id": f"m{len(state['cuts'])}", "time_ns": 10**18, "tag": tag})

    def _keep_vpg(self, state: dict[str, Any], spec: dict[str, Any]) -> None:
        state["keep"][spec["vpg_id"]] = spec | {"identity_dir": ""}

    def _forget_vpg(self, state: dict[str, Any], vpg_id: str) -> None:
        state["keep"].pop(vpg_id, None)

    def _journal_status(self, state: dict[str, Any], vpg_id: str) -> dict[str, Any]:
        return {"state": "receiving", "journal_bytes": 5}

    def _list_checkpoints(self, state: dict[str, Any], vpg_id: str, **_filters: Any) -> list[dict[str, Any]]:
        if vpg_id not in state["keep"]:
            raise NotFound("No journal is kept here.", "")
        return [{"id": "7", "time_ns": 10**18, "tag": None, "hole_before": False}]

    def _find_marker(self, state: dict[str, Any], vpg_id: str, marker_id: str) -> dict[str, Any] | None:
        if int(marker_id[1:]) < state["void"]:
            return {"void": "a disk had left the stream"}
        return {"id": f"10{marker_id[1:]}", "time_ns": 10**18}

    def _pin_checkpoint(
        self, state: dict[str, Any], vpg_id: str, checkpoint_id: str | None, operation: str
    ) -> dict[str, Any]:
        state["pins"].setdefault(operation, checkpoint_id or "7")
        return {"id": state["pins"][operation], "time_ns": 10**18}

    def _unpin_checkpoint(self, state: dict[str, Any], vpg_id: str, operation: str) -> None:
        state["pins"].pop(operation, None)

    def _definitions_at(self, state: dict[str, Any], vpg_id: str, checkpoint_id: str) -> dict[str, Any]:
        return {vm: definition(vm) for vm in ("vm1", "vm2")}

    def _open_views(
        self, state: dict[str, Any], vpg_id: str, checkpoint_id: str, operation: str, volumes: list[int]
    ) -> dict[str, Any]:
        state["views"][operation] = volumes
        return {str(number): {"socket": f"/s{number}", "export": "v"} for number in volumes}

    def _close_views(self, state: dict[str, Any], operation: str) -> None:
        state["views"].pop(operation, None)

    def _start_recovered_vms(
        self, state: dict[str, Any], operation: str, label: str, definitions: list[Any], views: dict[str, Any], isolated: bool
    ) -> list[dict[str, Any]]:
        assert label == ("test" if isolated else "")
        vms = [
            {
                "vm_id": f"r-{operation[:8]}-{d['id']}",
                "name": d["name"],
                "source_vm_id": d["id"],
                "power": "running",
                "disks": views[d["id"]],
            }
            for d in definitions
        ]
        state["recovered"].setdefault(operation, vms)
        return list(state["recovered"][operation])

    def _remove_recovered_vms(self, state: dict[str, Any], operation: str) -> None:
        state["recovered"].pop(operation, None)

    def _recovered_status(self, state: dict[str, Any], operation: str) -> list[dict[str, Any]]:
        return list(state["recovered"].get(operation, []))


@dataclass
class FakePeer:
    """The other site's manager: its appliance, and its rows of VPGs."""

    appliance: FakeAppliance
    rows: Path

    def vpgs(self) -> dict[str, Any]:
        """Its rows."""
        return json.loads(self.rows.read_text()) if self.rows.exists() else {}

    async def call(self, site_id: str, call: str, arguments: dict[str, Any], seconds: float = 1.0) -> Any:
        """As PeerClient.call."""
        if call == "appliance":
            return await self.appliance.call(arguments["call"], 1.0, **arguments["args"])
        if self.appliance.silent:
            raise Unavailable("The other site does not answer.", "")
        self.appliance.killer.before()
        rows = self.vpgs()
        if call == "put_vpg":
            row = arguments["row"]
            rows[row["vpg"]["id"]] = {"phase": row["phase"], "version": row["vpg"]["version"]}
        elif call == "release_vpg":
            rows.pop(arguments["vpg_id"], None)
            state = self.appliance.state()
            state["protect"].pop(arguments["vpg_id"], None)
            self.appliance.save(state)
        self.rows.write_text(json.dumps(rows))
        self.appliance.killer.after()
        return None

    async def drop(self, site_id: str) -> None:
        """No connections to close."""

    async def close(self) -> None:
        """No connections to close."""
