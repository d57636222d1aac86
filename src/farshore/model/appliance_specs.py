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
    delta: bool = False
    """The other site has older copies of the disks: what no bitmap covers is compared by hashes, not read whole."""
    synced: dict[str, str] = {}
    """By VM the process (`instance`) of which the journal `journal_id` has all but what its bitmaps count."""
    journal_id: str = ""

    @property
    def copies_are_there(self) -> bool:
        """Whether the other site has copies of the disks for sure, whatever its journal is."""
        return self.delta or bool(self.synced)


class JournalSeed(_Spec):
    """What a journal begins from: old disks as the volumes' base images, listed as its first checkpoint.

    The disks are not copied and not touched until the first checkpoint after the sync is durable.
    """

    bases: dict[int, str]
    """By volume number the raw file or block device."""
    definitions: dict[str, dict[str, object]]
    """By VM the definition that a recovery from that first checkpoint starts."""
    time_ns: int
    tag: str


class KeepSpec(_Spec):
    """For the appliance of the recovery site: keep the journal of this VPG."""

    vpg_id: str
    epoch: int
    peer_site_id: str
    volumes: tuple[Volume, ...]
    history_seconds: int
    reserve_bytes: int | None = None
    identity_dir: str = ""
    seed: JournalSeed | None = None
