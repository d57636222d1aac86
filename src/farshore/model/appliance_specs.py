"""What a manager tells an appliance once, and the appliance then carries on by itself."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from farshore.model.vpg import Volume


class _Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ProtectSpec(_Spec):
    """For the appliance of the protected site: tap these volumes and send them there."""

    vpg_id: str
    vpg_name: str
    epoch: int
    interval_seconds: float
    window_bytes: int
    volumes: tuple[Volume, ...]
    vm_ids: tuple[str, ...]
    peer_site_id: str
    peer_host: str
    peer_port: int


class KeepSpec(_Spec):
    """For the appliance of the recovery site: keep the journal of this VPG."""

    vpg_id: str
    epoch: int
    peer_site_id: str
    volumes: tuple[Volume, ...]
    history_seconds: int
    reserve_bytes: int | None = None
    identity_dir: str = ""
