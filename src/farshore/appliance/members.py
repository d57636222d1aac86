"""Which VMs each VPG protects or has protected here: only those may be halted, held or deleted in its name.

Kept in `appliance/members/<vpg>.json` beyond the protection: what a failover replaced is named afterwards.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from farshore.errors import NotFound
from farshore.model.files import remove_durably, write_durably


class Members:
    """The VMs by VPG."""

    def __init__(self, folder: Path) -> None:
        """`folder` is made when it is needed."""
        self.folder = folder

    def add(self, vpg_id: str, vm_ids: Iterable[str]) -> None:
        """These are protected by that VPG from now on, or were."""
        known = self._of(vpg_id)
        if not set(vm_ids) <= known:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_durably(self._path(vpg_id), json.dumps(sorted({*known, *vm_ids})).encode())

    def dismiss(self, vpg_id: str, vm_ids: Iterable[str]) -> None:
        """These are the VPG's no more."""
        known = self._of(vpg_id)
        if known & set(vm_ids):
            write_durably(self._path(vpg_id), json.dumps(sorted(known - set(vm_ids))).encode())

    def demand(self, vpg_id: str, vm_ids: Iterable[str]) -> None:
        """Raises NotFound for a VM that the VPG has never protected here."""
        for vm_id in set(vm_ids) - self._of(vpg_id):
            raise NotFound(
                f"VM {vm_id} is not one that VPG {vpg_id} protects here.", "farshore vpg show names its VMs."
            )

    def forget(self, vpg_id: str) -> None:
        """The VPG is no more."""
        if self._path(vpg_id).exists():
            remove_durably(self._path(vpg_id))

    def _of(self, vpg_id: str) -> set[str]:
        try:
            return set(json.loads(self._path(vpg_id).read_text()))
        except FileNotFoundError:
            return set()

    def _path(self, vpg_id: str) -> Path:
        return self.folder / f"{vpg_id}.json"
