"""Settings of VPGs copied, exported and imported, as they are sent and read."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from farshore.api.wire.model import Wire
from farshore.api.wire.vpg_settings import VpgSettingsApi


def _names(value: Any) -> list[str]:
    items = value if isinstance(value, list) else [value]
    if not all(isinstance(item, str) and item.strip() for item in items):
        raise ValueError("it must be names of VPGs")
    return [item.strip() for item in items]


VpgNames = Annotated[list[str], BeforeValidator(_names)]
"""Names of VPGs; a bare one is a list of one."""


class CopyVpgSettingsApi(Wire):
    """The VPG whose settings a new object begins with."""

    vpg_identifier: str = Field(min_length=1)


class VpgSettingsNamesApi(Wire):
    """VPGs by their names; none: all."""

    vpg_names: VpgNames = Field(default_factory=list)


class VpgSettingsExportResultApi(Wire):
    """How an export went."""

    result: str
    message: str


class VpgSettingsExportApi(Wire):
    """An export that was made. `TimeStamp` names it: a piece of a path, so it is written in one form for everybody."""

    time_stamp: str
    export_result: VpgSettingsExportResultApi


class VpgSettingsExportedDataInfoApi(Wire):
    """An export that is kept."""

    time_stamp: str


class VpgSettingsExportVpgInfoApi(Wire):
    """A VPG of an export."""

    vpg_name: str
    source_site_name: str
    target_site_name: str


class ExportedVpgSettingsApi(VpgSettingsApi):
    """What a VPG was set to. `VpgIdentifier`: which VPG it was; the sites' names are for people."""

    source_site_name: str | None = None
    target_site_name: str | None = None


class VpgSettingsDownloadExportApi(Wire):
    """An export's VPGs; `ErrorMessage` names those that were asked for and are not in it."""

    exported_vpg_settings_api: list[ExportedVpgSettingsApi] = Field(default_factory=list)
    error_message: str | None = None


class ImportVpgSettingsApi(Wire):
    """VPGs as an export has them, and which of them are meant; none named: all."""

    exported_vpg_settings_api: list[ExportedVpgSettingsApi] = Field(default_factory=list)
    vpg_names: VpgNames = Field(default_factory=list)


class VpgSettingsImportValidationResultApi(Wire):
    """A VPG that was refused: nothing was ordered for it."""

    vpg_name: str
    error_messages: list[str]


class VpgSettingsImportFailedResultApi(Wire):
    """A VPG whose order could not be given."""

    vpg_name: str
    error_message: str


class VpgSettingsImportTaskIdentifierResultApi(Wire):
    """A VPG that is being made, or changed back."""

    vpg_name: str
    task_identifier: str


class VpgSettingsImportVpgsResultApi(Wire):
    """What became of each VPG of an import."""

    validation_failed_results: list[VpgSettingsImportValidationResultApi] = Field(default_factory=list)
    import_failed_results: list[VpgSettingsImportFailedResultApi] = Field(default_factory=list)
    import_task_identifiers: list[VpgSettingsImportTaskIdentifierResultApi] = Field(default_factory=list)
