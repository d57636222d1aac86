"""Recovery volumes that outlive their VPG, as a site tells of them. Times are unix nanoseconds, sizes bytes."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class _View(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class KeptVolumeView(_View):
    """A raw image on the recovery site's host."""

    vm_id: str
    vm_name: str
    disk_id: str
    size_bytes: int
    path: str


class KeptVolumesView(_View):
    """The volumes of a VPG that was deleted, all as of one checkpoint."""

    kept_id: str
    vpg_id: str
    vpg_name: str
    checkpoint_id: str
    checkpoint_time_ns: int
    kept_ns: int
    folder: str
    volumes: tuple[KeptVolumeView, ...] = ()
