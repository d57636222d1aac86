"""What a VM is: its hardware, disks and network interfaces, as one record.

The record is kept in the protected site's inventory (one JSON file a VM), travels in the stream when it changes,
and is what the recovery site builds a recovered VM from: a checkpoint has the definition of its own time.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DiskDefinition(_Record):
    """One virtual disk. `id` is unique within its VM; `path` is a file or block device on the VM's host."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")
    path: str
    format: Literal["raw", "qcow2"] = "raw"
    size_bytes: int = Field(gt=0)
    iothread: bool = False


class NicDefinition(_Record):
    """One network interface; VMs whose interfaces name the same `network` reach each other."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")
    mac: str = Field(pattern=r"^([0-9a-f]{2}:){5}[0-9a-f]{2}$")
    network: str


class VmDefinition(_Record):
    """A VM as its hypervisor driver starts it. `machine` is QEMU's versioned machine name, empty for the default."""

    id: str
    name: str = Field(min_length=1, max_length=255)
    hypervisor: Literal["qemu", "storage_daemon"] = "qemu"
    machine: str = "q35"
    memory_mib: int = Field(default=256, gt=0)
    cpus: int = Field(default=1, gt=0)
    kernel: str | None = None
    initrd: str | None = None
    append: str = ""
    disks: tuple[DiskDefinition, ...] = ()
    nics: tuple[NicDefinition, ...] = ()
    serial_log: str | None = None
    extra_arguments: tuple[str, ...] = ()

    def disk(self, disk_id: str) -> DiskDefinition:
        """The disk of that identifier; KeyError when there is none."""
        for disk in self.disks:
            if disk.id == disk_id:
                return disk
        raise KeyError(disk_id)
