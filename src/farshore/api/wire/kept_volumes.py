"""Kept recovery volumes as they are read: our own resource."""

from __future__ import annotations

from farshore.api.wire.model import Wire
from farshore.api.wire.moments import Moment


class KeptVolumeApi(Wire):
    """A raw image; `Path` is on the recovery site's host."""

    vm_identifier: str
    vm_name: str
    volume_identifier: str
    size_in_bytes: int
    path: str


class KeptVolumesApi(Wire):
    """The volumes of a VPG that was deleted, all as of one checkpoint."""

    kept_volumes_identifier: str
    vpg_identifier: str
    vpg_name: str
    checkpoint_identifier: str
    checkpoint_time_stamp: Moment
    kept: Moment
    folder: str
    volumes: list[KeptVolumeApi]
