"""What a virtual protection group is: its VMs, their volumes, its sites and its settings."""

from __future__ import annotations

from enum import IntEnum

from pydantic import BaseModel, ConfigDict, Field

from farshore.model.recovery import Recovery, WayHome
from farshore.model.scripts import Script


class Priority(IntEnum):
    """How a VPG ranks when bandwidth is short."""

    Low = 0
    Medium = 1
    High = 2


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Volume(_Record):
    """One protected disk. `number` is its name in the stream: unique in its VPG for ever."""

    number: int = Field(ge=0, le=65535)
    vm_id: str
    disk_id: str
    size_bytes: int = Field(gt=0)


class VpgVm(_Record):
    """A VM of the group."""

    vm_id: str
    vm_name: str


class VpgSettings(_Record):
    """What a person may set. `window_bytes` bounds the sealed segments that wait in memory for the other site."""

    checkpoint_interval_seconds: float = Field(default=5.0, ge=1.0, le=3600.0)
    history_seconds: int = Field(default=3600, ge=60, le=30 * 86400)
    rpo_seconds: int = Field(default=300, ge=1)
    priority: Priority = Priority.Medium
    window_bytes: int = Field(default=64 << 20, ge=16 << 20, le=4 << 30)
    pre_recovery: Script | None = None
    """Run at the recovery site before a failover, move or failover test halts or starts anything."""
    post_recovery: Script | None = None
    """Run there when the recovered VMs have been started."""


class Vpg(_Record):
    """A VPG as both sites keep it; of two copies the higher (epoch, version) wins whole."""

    id: str
    name: str = Field(min_length=1, max_length=255)
    protected_site_id: str
    recovery_site_id: str
    owner_site_id: str
    epoch: int = 1
    version: int = 1
    settings: VpgSettings = VpgSettings()
    vms: tuple[VpgVm, ...] = ()
    volumes: tuple[Volume, ...] = ()
    numbered: int = Field(default=0, ge=0)
    """Below this every volume's number has been given once; see `next_number`."""
    recovery: Recovery | None = None
    """The failover or move that is under way."""
    way_home: WayHome | None = None
    """What a committed failover or move left to be done: the VPG runs at `protected_site_id` and is not protected."""

    @property
    def next_number(self) -> int:
        """The first number that no volume of it has ever had."""
        return max([self.numbered, *(volume.number + 1 for volume in self.volumes)])
