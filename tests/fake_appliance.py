"""A stand-in for the appliance of a site, for tests of operations.

Its state is in files, so that it outlives a killed manager as a real appliance does. It can end the process with
SIGKILL just before or just after the effect of its n-th call (tests/killer.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from farshore.errors import Conflict, FarshoreError, NotFound, Unavailable
from tests.fake_copies import FakeCopies
from tests.fake_pins import FakePins
from tests.killer import Killer

DISKS = [{"id": "a", "path": "/a.raw", "size_bytes": 1 << 20}, {"id": "b", "path": "/b.raw", "size_bytes": 1 << 20}]


def definition(vm_id: str) -> dict[str, Any]:
    """A VM of the fake inventory."""
    return {"id": vm_id, "name": f"name-{vm_id}", "disks": DISKS}


RECOVERY_KINDS = ("power", "halts", "held", "deleted", "promotions", "adopted", "retired", "clones", "cloned")
"""What recoveries and clones leave in a fake appliance: VMs that do not run, what halted them, and so on."""


@dataclass
class FakeAppliance(FakeCopies, FakePins):
    """The appliance of one site; `refuse` names calls that answer Conflict, `silent` that it answers nothing."""

    folder: Path
    killer: Killer = field(default_factory=Killer)
    refuse: frozenset[str] = frozenset()
    silent: bool = False
    waits: bool = False
    """Whether somebody was never answered."""

    def state(self) -> dict[str, Any]:
        """What it holds."""
        try:
            return json.loads(self.folder.read_text())
        except FileNotFoundError:
            kinds = ("protect", "keep", "cuts", "pins", "views", "recovered", *RECOVERY_KINDS)
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
        if call == "clone_status" and state.get("stuck"):
            self.killer.after()
            self.waits = True
            await asyncio.Event().wait()
        try:
            answer = getattr(self, f"_{call}")(state, **args)
        except FarshoreError:
            self.killer.after()
            raise
        self.save(state)
        self.killer.after()
        return answer

    def _list_vms(self, state: dict[str, Any]) -> list[dict[str, Any]]:
        disks = [{"disk_id": d["id"], "size_bytes": d["size_bytes"]} for d in DISKS]
        own = {vm: f"name-{vm}" for vm in ("vm1", "vm2") if vm not in state["deleted"]}
        names = own | {vm: told["name"] for vm, told in state["adopted"].items()}
        return [
            {
                "vm_id": vm,
                "name": name,
                "power": state["power"].get(vm, "running"),
                "problem": state["held"].get(vm, ""),
                "disks": disks,
            }
            for vm, name in names.items()
        ]

    def _vm_definition(self, state: dict[str, Any], vm_id: str) -> dict[str, Any]:
        return dict(state["adopted"].get(vm_id) or definition(vm_id))

    def _halt_vms(
        self, state: dict[str, Any], vpg_id: str, vm_ids: list[str], operation: str, force: bool
    ) -> dict[str, str]:
        """A VM named in "stubborn" halts only by force."""
        for vm in vm_ids:
            if state["power"].get(vm, "running") != "running":
                continue
            state["halts"].setdefault(operation, [])
            if vm not in state["halts"][operation]:
                state["halts"][operation].append(vm)
            if force or vm not in state.get("stubborn", []):
                state["power"][vm] = "halted"
        return {vm: state["power"].get(vm, "running") for vm in vm_ids}

    def _revive_vms(self, state: dict[str, Any], vpg_id: str, operation: str) -> None:
        for vm in state["halts"].pop(operation, []):
            state["power"].pop(vm, None)

    def _retire_protection(self, state: dict[str, Any], vpg_id: str) -> None:
        state["protect"].pop(vpg_id, None)
        state["halts"].clear()

    def _demand_off(self, state: dict[str, Any], vm_ids: list[str], *states: str) -> None:
        for vm in vm_ids:
            if vm not in state["deleted"] and state["power"].get(vm, "running") not in states:
                raise Conflict(f"VM {vm} runs.", "")

    def _end_vms(self, state: dict[str, Any], vpg_id: str, vm_ids: list[str]) -> None:
        self._demand_off(state, vm_ids, "halted", "off")
        state["power"] |= dict.fromkeys(vm_ids, "off")

    def _hold_vms(self, state: dict[str, Any], vpg_id: str, vm_ids: list[str], reason: str) -> None:
        self._demand_off(state, vm_ids, "off")
        state["held"] |= dict.fromkeys(vm_ids, f"held: {reason}")

    def _held_vms(self, state: dict[str, Any]) -> list[dict[str, Any]]:
        """A VM of which "bases" names a VPG has its disks under that one's journal."""
        bases = state.get("bases", {})
        return [
            {"vm_id": vm, "name": f"name-{vm}", "reason": reason, "base_of": bases.get(vm, "")}
            for vm, reason in state["held"].items()
        ]

    def _release_held(self, state: dict[str, Any], vm_id: str) -> None:
        state["held"].pop(vm_id, None)

    def _delete_vms(self, state: dict[str, Any], vpg_id: str, vm_ids: list[str]) -> None:
        self._demand_off(state, vm_ids, "off")
        state["deleted"] |= dict.fromkeys(vm_ids, True)

    def _protect_vpg(self, state: dict[str, Any], spec: dict[str, Any]) -> None:
        state["protect"][spec["vpg_id"]] = spec

    def _dismiss_vms(self, state: dict[str, Any], vpg_id: str, vm_ids: list[str]) -> None:
        if set(vm_ids) & set(state["protect"].get(vpg_id, {}).get("vm_ids", [])):
            raise Conflict("They are protected still.", "")
        state["dismissed"] = vm_ids

    def _stop_protecting(self, state: dict[str, Any], vpg_id: str) -> None:
        state["protect"].pop(vpg_id, None)

    def _protection_status(self, state: dict[str, Any], vpg_id: str) -> dict[str, Any]:
        if vpg_id not in state["protect"]:
            raise NotFound("It is not protected here.", "")
        told = {"state": "protecting", "reason": "", "sync": None, "link": "connected", "received_bytes": 0}
        spec = state["protect"][vpg_id]
        return told | {"epoch": spec["epoch"], "volumes": len(spec["volumes"])}

    def _cut_checkpoint(self, state: dict[str, Any], vpg_id: str, tag: str, task: str) -> dict[str, Any]:
        return state["cuts"].setdefault(task, {"marker_id": f"m{len(state['cuts'])}", "time_ns": 10**18, "tag": tag})

    def _keep_vpg(self, state: dict[str, Any], spec: dict[str, Any]) -> None:
        state["keep"][spec["vpg_id"]] = spec | {"identity_dir": ""}

    def _forget_vpg(self, state: dict[str, Any], vpg_id: str) -> None:
        state["keep"].pop(vpg_id, None)

    def _journal_status(self, state: dict[str, Any], vpg_id: str) -> dict[str, Any]:
        if vpg_id not in state["keep"]:
            raise NotFound("No journal is kept here.", "")
        return {"state": "receiving", "journal_bytes": 5, "journal_id": "j", "pins": dict(state["pins"])}

    def _vpg_statuses(
        self, state: dict[str, Any], vpg_ids: list[str], operations: Sequence[str] = (), fresh: bool = False
    ) -> dict[str, Any]:
        vpgs: dict[str, Any] = {}
        for vpg_id in vpg_ids:
            vpgs[vpg_id] = {"protection": None, "journal": None}
            with contextlib.suppress(NotFound):
                vpgs[vpg_id]["protection"] = self._protection_status(state, vpg_id)
            with contextlib.suppress(NotFound):
                (newest,) = self._list_checkpoints(state, vpg_id)
                found = {"newest_checkpoint": newest, "oldest_checkpoint": newest}
                vpgs[vpg_id]["journal"] = self._journal_status(state, vpg_id) | found
        told = {}
        for operation in operations:
            told[operation] = {"promotion": None, "recovered": self._recovered_status(state, operation)}
            with contextlib.suppress(NotFound):
                told[operation]["promotion"] = self._promotion_status(state, operation)
        return {"vpgs": vpgs, "operations": told}

    def _list_checkpoints(self, state: dict[str, Any], vpg_id: str, **_filters: Any) -> list[dict[str, Any]]:
        if vpg_id not in state["keep"]:
            raise NotFound("No journal is kept here.", "")
        numbers = [volume["number"] for volume in state["keep"][vpg_id]["volumes"]]
        return [{"id": "7", "time_ns": 10**18, "tag": None, "hole_before": False, "volumes": numbers}]

    def _find_marker(self, state: dict[str, Any], vpg_id: str, marker_id: str) -> dict[str, Any] | None:
        if int(marker_id[1:]) < state["void"]:
            return {"void": "a disk had left the stream"}
        return {"id": f"10{marker_id[1:]}", "time_ns": 10**18}

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
        self,
        state: dict[str, Any],
        operation: str,
        label: str,
        definitions: list[Any],
        views: dict[str, Any],
        isolated: bool,
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
        if operation in state["promotions"]:
            raise Conflict("They are being committed.", "")
        state["recovered"].pop(operation, None)

    def _discard_recovered(self, state: dict[str, Any], vpg_id: str, operation: str, **told: Any) -> None:
        if state["recovered"].pop(operation, None):
            state["discarded"] = {operation: [vpg_id, told["checkpoint_id"], told["keep_seconds"]]}

    def _promote_recovered(
        self, state: dict[str, Any], vpg_id: str, operation: str, checkpoint_id: str, volumes: dict[str, Any]
    ) -> None:
        assert {vm["vm_id"] for vm in state["recovered"].get(operation, [])} == set(volumes) or state["promotions"]
        state["promotions"].setdefault(operation, {"state": "running", "volumes": volumes})

    def _promotion_status(self, state: dict[str, Any], operation: str) -> dict[str, Any]:
        """The first answer is "running", later ones are "done"."""
        record = state["promotions"].get(operation)
        if record is None:
            raise NotFound("Nothing of it is promoted here.", "")
        told = {"state": record["state"].replace("adopted", "done"), "reason": "", "done_bytes": 1, "total_bytes": 2}
        if record["state"] == "running":
            record["state"] = "done"
        disks = {vm: {"instance": f"i-{vm}", "disks": dict.fromkeys(of, "/d")} for vm, of in record["volumes"].items()}
        return told | {"vms": disks}

    def _adopt_recovered(self, state: dict[str, Any], operation: str) -> list[dict[str, Any]]:
        record = state["promotions"][operation]
        if record["state"] != "adopted":
            assert record["state"] == "done"
            for vm in state["recovered"].pop(operation):
                state["adopted"][vm["vm_id"]] = {"id": vm["vm_id"], "name": vm["name"], "disks": DISKS}
            record["state"] = "adopted"
        return [state["adopted"][vm] for vm in record["volumes"]]

    def _retire_journal(self, state: dict[str, Any], vpg_id: str, volumes: list[int] | None) -> None:
        state["retired"][vpg_id] = volumes

    def _datastores(self, state: dict[str, Any]) -> list[dict[str, Any]]:
        """Two, the second with more room."""
        rooms = state.get("rooms", {"d1": 10, "d2": 20})
        return [{"datastore_id": one, "name": f"store {one}", "room_bytes": room} for one, room in rooms.items()]

    def _recovered_status(self, state: dict[str, Any], operation: str) -> list[dict[str, Any]]:
        return list(state["recovered"].get(operation, []))
