"""The word that no write has passed a tap by.

A failed write to the tap is a success to the guest, and a mirror job that has failed is listed as ready for up to 50 ms
more: so the list alone lies. But QEMU sends BLOCK_JOB_ERROR before the guest's write returns. So: ask, and count the
answer only if each job is there, is the same one, and no such event came before the answer on the same monitor.
"""

from __future__ import annotations

from typing import Any

from farshore.errors import FarshoreError
from farshore.hypervisor.block_layer.monitor import MonitorTimeout
from farshore.hypervisor.block_layer.tapped import TappedDisk, TapState
from farshore.hypervisor.driver import TapLost


async def vouch(state: TapState) -> None:
    """Return if every tapped disk was in the stream up to now. Raises TapLost, also when QEMU does not answer."""
    disks = list(state.disks.values())
    _raise_if_lost(disks)
    if not state.monitor.connected:
        raise TapLost([disk.disk_id for disk in disks], "the connection to QEMU is gone")
    try:
        jobs = await state.monitor.run("query-block-jobs")
    except MonitorTimeout as error:
        raise TapLost([disk.disk_id for disk in disks], error.fact, unanswered=True) from error
    except FarshoreError as error:
        raise TapLost([disk.disk_id for disk in disks], error.fact) from error
    # Every event that QEMU sent before this answer has been handled by now (monitor.py).
    by_name: dict[str, dict[str, Any]] = {job["device"]: job for job in jobs}
    for disk in disks:
        reason = _fault(by_name.get(disk.job))
        if reason and disk.lost is None:
            disk.lost = reason
    _raise_if_lost(disks)
    if list(state.disks.values()) != disks:
        raise TapLost([disk.disk_id for disk in disks], "it was attached anew meanwhile")


def _fault(job: dict[str, Any] | None) -> str | None:
    if job is None:
        return "its mirror job is gone"
    if job.get("error"):
        return f"its mirror job failed: {job['error']}"
    if not job.get("ready") or job.get("status") not in ("ready", "standby"):
        return f"its mirror job is {job.get('status')}"
    if job.get("actively-synced") is False:
        return "its mirror job is not in step"
    return None


def _raise_if_lost(disks: list[TappedDisk]) -> None:
    lost = [disk for disk in disks if disk.lost is not None]
    if lost:
        raise TapLost([disk.disk_id for disk in lost], lost[0].lost or "")
