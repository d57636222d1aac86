"""What VPGs were set to when somebody asked for it, kept to be read or brought back later."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from farshore.model.vpg import VpgSettings, VpgVm


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class ExportedVpg(_Record):
    """A VPG as it was set; the sites' names are for people."""

    vpg_id: str
    name: str
    protected_site_id: str
    protected_site_name: str
    recovery_site_id: str
    recovery_site_name: str
    settings: VpgSettings = VpgSettings()
    vms: tuple[VpgVm, ...] = ()


class SettingsExport(_Record):
    """Some VPGs' settings at one time, unix nanoseconds of a whole second: it is the export's name too."""

    time_ns: int
    vpgs: tuple[ExportedVpg, ...] = ()
