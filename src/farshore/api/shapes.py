"""What each route takes and gives, as one table: the OpenAPI document is made from it, tests send by it.

A body: the model's name, or `-` for none. A reply: a model's name, a list of it as `[Name]`, `text`, `texts`, `task`
(an object or a bare text, by the caller's dialect), `nothing`, or `free` (sign-in, in the shapes of OAuth2).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from farshore.api.offers import NOT_OFFERED
from farshore.api.wire.model import Wire

_TABLE = """
GET     /v1                                                        -   [ResourceLink]
GET     /v1/serverDateTime                                         -   ServerDateTimeApi
GET     /v1/serverDateTime/dateTimeArgument                        -   text
GET     /v1/serverDateTime/serverDateTimeLocal                     -   text
GET     /v1/serverDateTime/serverDateTimeUtc                       -   text
GET     /auth/realms/zerto/.well-known/openid-configuration        -   free
POST    /auth/realms/zerto/protocol/openid-connect/token           -   free
POST    /v1/session/add                                            -   nothing
DELETE  /v1/session                                                -   text
GET     /v1/accounts                                               -   [AccountApi]
POST    /v1/accounts                               NewAccountDataApi   AccountSecretApi
GET     /v1/accounts/self                                          -   AccountApi
POST    /v1/accounts/self/password                OwnPasswordDataApi   AccountSecretApi
GET     /v1/accounts/{name}                                        -   AccountApi
PUT     /v1/accounts/{name}                       AccountRoleDataApi   AccountApi
DELETE  /v1/accounts/{name}                                        -   text
POST    /v1/accounts/{name}/password                 PasswordDataApi   AccountSecretApi
GET     /v1/alerts                                                 -   [AlertApi]
GET     /v1/alerts/entities                                        -   texts
GET     /v1/alerts/helpidentifiers                                 -   texts
GET     /v1/alerts/levels                                          -   texts
GET     /v1/alerts/{alert_id}                                      -   AlertApi
POST    /v1/alerts/{alert_id}/dismiss                              -   text
POST    /v1/alerts/{alert_id}/undismiss                            -   text
GET     /v1/datastores                                             -   [DatastoreNativeApi]
GET     /v1/datastores/{datastore_id}                              -   DatastoreNativeApi
GET     /v1/events                                                 -   [EventApi]
GET     /v1/events/categories                                      -   texts
GET     /v1/events/entities                                        -   texts
GET     /v1/events/types                                           -   texts
GET     /v1/events/{event_id}                                      -   EventApi
GET     /v1/heldVms                                                -   [HeldVmApi]
POST    /v1/heldVms/{vm_id}/release                                -   text
GET     /v1/keptVolumes                                            -   [KeptVolumesApi]
DELETE  /v1/keptVolumes/{kept_id}                                  -   text
GET     /v1/license                                                -   nothing
GET     /v1/localsite                                              -   LocalSiteApi
GET     /v1/localsite/pairingstatuses                              -   texts
GET     /v1/localsite/settings/loginBanner                         -   LoginBannerSettingsApi
GET     /v1/peersites                                              -   [PeerSiteApi]
POST    /v1/peersites                                    PairDataApi   task
POST    /v1/peersites/generatetoken                                -   PairingTokenResult
GET     /v1/peersites/pairingstatuses                              -   texts
GET     /v1/peersites/{site_id}                                    -   PeerSiteApi
DELETE  /v1/peersites/{site_id}                        UnPairDataApi   task
GET     /v1/reports/recovery                                       -   [RecoveryReportApi]
GET     /v1/reports/recovery/{task_id}                             -   RecoveryReportApi
GET     /v1/reports/resources                                      -   [VmResourcesReportApi]
GET     /v1/serviceprofiles                                        -   [ServiceProfileApi]
GET     /v1/serviceprofiles/{profile_id}                           -   ServiceProfileApi
GET     /v1/statistics/vms                                         -   [VmStatisticsApi]
GET     /v1/tasks                                                  -   [TaskApi]
GET     /v1/tasks/types                                            -   texts
GET     /v1/tasks/{task_id}                                        -   TaskApi
GET     /v1/vcd/validOrgVdcs                                       -   [OrgVdcNativeApi]
GET     /v1/vcd/vmsWithoutMorefId                                  -   [VCDVmMachine]
GET     /v1/virtualizationsites                                    -   [VirtualizationSiteApi]
GET     /v1/virtualizationsites/{site_id}                          -   VirtualizationSiteApi
GET     /v1/virtualizationsites/{site_id}/datastoreclusters        -   [DatastoreClusterNativeApi]
GET     /v1/virtualizationsites/{site_id}/datastores               -   [DatastoreNativeApi]
GET     /v1/virtualizationsites/{site_id}/devices                  -   [DeviceDataApi]
GET     /v1/virtualizationsites/{site_id}/folders                  -   [FolderNativeApi]
GET     /v1/virtualizationsites/{site_id}/hostclusters             -   [HostClusterNativeApi]
GET     /v1/virtualizationsites/{site_id}/hosts                    -   [HostNativeApi]
GET     /v1/virtualizationsites/{site_id}/hosts/{host_id}          -   HostNativeApi
GET     /v1/virtualizationsites/{site_id}/networks                 -   [NetworkNativeApi]
GET     /v1/virtualizationsites/{site_id}/orgvdcs                  -   [OrgVdcNativeApi]
GET     /v1/virtualizationsites/{site_id}/repositories             -   [RepositoryNativeApi]
GET     /v1/virtualizationsites/{site_id}/resourcepools            -   [ResourcePoolNativeApi]
GET     /v1/virtualizationsites/{site_id}/vcdvapps                 -   [VCDvAppNativeApi]
GET     /v1/virtualizationsites/{site_id}/vms                      -   [VmNativeApi]
GET     /v1/vms                                                    -   [VmApi]
GET     /v1/vms/{vm_id}                                            -   VmApi
GET     /v1/vms/{vm_id}/pointsInTime                               -   [PointInTimeApi]
GET     /v1/vms/{vm_id}/pointsInTime/stats                         -   PointInTimeStatsApi
GET     /v1/volumes                                                -   [VolumeApi]
GET     /v1/vpgSettings                                            -   [VpgSettingsApi]
POST    /v1/vpgSettings                               VpgSettingsApi   text
POST    /v1/vpgSettings/copyVpgSettings          CopyVpgSettingsApi   text
POST    /v1/vpgSettings/exportSettings          VpgSettingsNamesApi   VpgSettingsExportApi
GET     /v1/vpgSettings/exportedSettings                          -   [VpgSettingsExportedDataInfoApi]
POST    /v1/vpgSettings/exportedSettings/{time_stamp}   VpgSettingsNamesApi   VpgSettingsDownloadExportApi
GET     /v1/vpgSettings/exportedSettings/{time_stamp}/vpgsinfo    -   [VpgSettingsExportVpgInfoApi]
POST    /v1/vpgSettings/import                 ImportVpgSettingsApi   VpgSettingsImportVpgsResultApi
GET     /v1/vpgSettings/{settings_id}                              -   VpgSettingsApi
PUT     /v1/vpgSettings/{settings_id}                 VpgSettingsApi   VpgSettingsApi
DELETE  /v1/vpgSettings/{settings_id}                              -   text
POST    /v1/vpgSettings/{settings_id}/commit                       -   text
GET     /v1/vpgSettings/{settings_id}/basic                        -   VpgSettingsBasicApi
PUT     /v1/vpgSettings/{settings_id}/basic      VpgSettingsBasicApi   VpgSettingsBasicApi
DELETE  /v1/vpgSettings/{settings_id}/basic                        -   text
GET     /v1/vpgSettings/{settings_id}/bootgroup                    -   VpgSettingsBootGroupsApi
PUT     /v1/vpgSettings/{settings_id}/bootgroup   VpgSettingsBootGroupsApi   VpgSettingsBootGroupsApi
DELETE  /v1/vpgSettings/{settings_id}/bootgroup                    -   text
GET     /v1/vpgSettings/{settings_id}/journal                      -   VpgSettingsJournalApi
PUT     /v1/vpgSettings/{settings_id}/journal    VpgSettingsJournalApi   VpgSettingsJournalApi
DELETE  /v1/vpgSettings/{settings_id}/journal                      -   text
GET     /v1/vpgSettings/{settings_id}/networks                     -   VpgSettingsNetworksApi
PUT     /v1/vpgSettings/{settings_id}/networks   VpgSettingsNetworksApi   VpgSettingsNetworksApi
DELETE  /v1/vpgSettings/{settings_id}/networks                     -   text
GET     /v1/vpgSettings/{settings_id}/priority                    -   text
GET     /v1/vpgSettings/{settings_id}/recovery                     -   VpgSettingsRecoveryApi
PUT     /v1/vpgSettings/{settings_id}/recovery   VpgSettingsRecoveryApi   VpgSettingsRecoveryApi
DELETE  /v1/vpgSettings/{settings_id}/recovery                     -   text
GET     /v1/vpgSettings/{settings_id}/scratch                     -   VpgSettingsScratchApi
PUT     /v1/vpgSettings/{settings_id}/scratch   VpgSettingsScratchApi   VpgSettingsScratchApi
DELETE  /v1/vpgSettings/{settings_id}/scratch                     -   text
GET     /v1/vpgSettings/{settings_id}/scripting                    -   VpgSettingsScriptsApi
PUT     /v1/vpgSettings/{settings_id}/scripting  VpgSettingsScriptsApi   VpgSettingsScriptsApi
DELETE  /v1/vpgSettings/{settings_id}/scripting                    -   text
GET     /v1/vpgSettings/{settings_id}/vms                          -   [VpgSettingsVmApi]
POST    /v1/vpgSettings/{settings_id}/vms           VpgSettingsVmApi   text
GET     /v1/vpgSettings/{settings_id}/vms/{vm_id}                  -   VpgSettingsVmApi
PUT     /v1/vpgSettings/{settings_id}/vms/{vm_id}   VpgSettingsVmApi   VpgSettingsVmApi
DELETE  /v1/vpgSettings/{settings_id}/vms/{vm_id}                  -   text
GET     /v1/vpgSettings/{settings_id}/vms/{vm_id}/nics            -   [VpgSettingsVmNicApi]
GET     /v1/vpgSettings/{settings_id}/vms/{vm_id}/nics/{piece_id}   -   VpgSettingsVmNicApi
PUT     /v1/vpgSettings/{settings_id}/vms/{vm_id}/nics/{piece_id}   VpgSettingsVmNicApi   VpgSettingsVmNicApi
DELETE  /v1/vpgSettings/{settings_id}/vms/{vm_id}/nics/{piece_id}   -   text
GET     /v1/vpgSettings/{settings_id}/vms/{vm_id}/volumes         -   [VpgSettingsVmVolumeApi]
GET     /v1/vpgSettings/{settings_id}/vms/{vm_id}/volumes/{piece_id}   -   VpgSettingsVmVolumeApi
PUT     /v1/vpgSettings/{settings_id}/vms/{vm_id}/volumes/{piece_id}   VpgSettingsVmVolumeApi   VpgSettingsVmVolumeApi
GET     /v1/vpgs                                                   -   [VpgApi]
POST    /v1/vpgs                                    VpgCreateDataApi   task
GET     /v1/vpgs/entitytypes                                       -   texts
GET     /v1/vpgs/failovercommitpolicies                            -   texts
GET     /v1/vpgs/failovershutdownpolicies                          -   texts
GET     /v1/vpgs/priorities                                        -   texts
GET     /v1/vpgs/retentionpolicies                                 -   texts
GET     /v1/vpgs/statuses                                          -   texts
GET     /v1/vpgs/substatuses                                       -   texts
GET     /v1/vpgs/{vpg_id}                                          -   VpgApi
DELETE  /v1/vpgs/{vpg_id}                           VpgDeleteDataApi   task
GET     /v1/vpgs/{vpg_id}/Checkpoints                              -   [CheckpointApi]
POST    /v1/vpgs/{vpg_id}/Checkpoints             CheckpointsDataApi   task
GET     /v1/vpgs/{vpg_id}/Checkpoints/stats                        -   VpgCheckpointsStatsApi
POST    /v1/vpgs/{vpg_id}/CloneAbort                               -   task
POST    /v1/vpgs/{vpg_id}/CloneStart               CloneStartDataApi   task
POST    /v1/vpgs/{vpg_id}/Failover                   FailoverDataApi   task
POST    /v1/vpgs/{vpg_id}/FailoverCommit       FailoverCommitDataApi   task
POST    /v1/vpgs/{vpg_id}/FailoverRollback                         -   task
POST    /v1/vpgs/{vpg_id}/FailoverTest      FailOverTestStartDataApi   task
POST    /v1/vpgs/{vpg_id}/FailoverTestStop   StopFailoverTestDataApi   task
POST    /v1/vpgs/{vpg_id}/forcesync                                -   task
POST    /v1/vpgs/{vpg_id}/move                        MoveVpgDataApi   task
POST    /v1/vpgs/{vpg_id}/moveCommit            MoveCommitVpgDataApi   task
POST    /v1/vpgs/{vpg_id}/moveRollback                             -   task
POST    /v1/vpgs/{vpg_id}/pause                                    -   task
POST    /v1/vpgs/{vpg_id}/resume                                   -   task
GET     /v1/vras                                                   -   [VraApi]
GET     /v1/vras/ipconfigurationtypes                              -   texts
GET     /v1/vras/statuses                                          -   texts
GET     /v1/vras/{vra_id}                                          -   VraApi
GET     /v1/zorgs                                                  -   [ZorgApi]
GET     /v1/zorgs/{zorg_id}                                        -   ZorgApi
GET     /v1/openapi.json                                           -   free
"""


@dataclass(frozen=True)
class Shape:
    """A route, its body (None: none is read) and its reply (see above)."""

    method: str
    path: str
    body: str | None
    reply: str

    @property
    def reply_model(self) -> str | None:
        """The name of the model in the reply, if there is one."""
        name = self.reply.strip("[]")
        return name if name[0].isupper() else None


def _read(table: str) -> Iterator[Shape]:
    for line in table.strip().splitlines():
        method, path, body, reply = line.split()
        yield Shape(method, path, None if body == "-" else body, reply)
    for offer in NOT_OFFERED:
        for method, path in offer.routes():
            yield Shape(method, path, None, "nothing")


SHAPES = tuple(_read(_TABLE))


def models() -> dict[str, type[Wire]]:
    """All wire models by name; those of routes are there once the routes are."""
    found: dict[str, type[Wire]] = {}
    kinds = [Wire]
    while kinds:
        kind = kinds.pop()
        found[kind.__name__] = kind
        kinds += kind.__subclasses__()
    return found
