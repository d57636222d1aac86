"""What each route asks of who calls it: the one table. A route that is missing here is an administrator's alone.

tests/unit/test_rights.py holds the table and the routes together, tests/service/test_who_may_do_what.py calls each of
them as everybody. docs/security.md shows it in words.
"""

from __future__ import annotations

from farshore.api.offers import NOT_OFFERED
from farshore.model.access import Right

_TABLE = """
anybody     GET     /v1
anybody     GET     /v1/openapi.json
anybody     GET     /v1/serverDateTime
anybody     GET     /v1/serverDateTime/dateTimeArgument
anybody     GET     /v1/serverDateTime/serverDateTimeLocal
anybody     GET     /v1/serverDateTime/serverDateTimeUtc
anybody     GET     /auth/realms/zerto/.well-known/openid-configuration
anybody     POST    /auth/realms/zerto/protocol/openid-connect/token
anybody     POST    /v1/session/add

own         DELETE  /v1/session
own         GET     /v1/accounts/self
own         POST    /v1/accounts/self/password

read        GET     /v1/alerts
read        GET     /v1/alerts/entities
read        GET     /v1/alerts/helpidentifiers
read        GET     /v1/alerts/levels
read        GET     /v1/alerts/{alert_id}
read        GET     /v1/events
read        GET     /v1/events/categories
read        GET     /v1/events/entities
read        GET     /v1/events/types
read        GET     /v1/events/{event_id}
read        GET     /v1/localsite
read        GET     /v1/localsite/pairingstatuses
read        GET     /v1/localsite/settings/loginBanner
read        GET     /v1/peersites/pairingstatuses
read        GET     /v1/reports/recovery
read        GET     /v1/reports/recovery/{task_id}
read        GET     /v1/reports/resources
read        GET     /v1/serviceprofiles
read        GET     /v1/serviceprofiles/{profile_id}
read        GET     /v1/statistics/vms
read        GET     /v1/tasks
read        GET     /v1/tasks/types
read        GET     /v1/tasks/{task_id}
read        GET     /v1/vms
read        GET     /v1/vms/{vm_id}
read        GET     /v1/vms/{vm_id}/pointsInTime
read        GET     /v1/vms/{vm_id}/pointsInTime/stats
read        GET     /v1/volumes
read        GET     /v1/vpgs
read        GET     /v1/vpgs/entitytypes
read        GET     /v1/vpgs/failovercommitpolicies
read        GET     /v1/vpgs/failovershutdownpolicies
read        GET     /v1/vpgs/priorities
read        GET     /v1/vpgs/retentionpolicies
read        GET     /v1/vpgs/statuses
read        GET     /v1/vpgs/substatuses
read        GET     /v1/vpgs/{vpg_id}
read        GET     /v1/vpgs/{vpg_id}/Checkpoints
read        GET     /v1/vpgs/{vpg_id}/Checkpoints/stats

read        GET     /v1/zorgs
read        GET     /v1/zorgs/{zorg_id}

read_site   GET     /v1/datastores
read_site   GET     /v1/datastores/{datastore_id}
read_site   GET     /v1/heldVms
read_site   GET     /v1/keptVolumes
read_site   GET     /v1/license
read_site   GET     /v1/peersites
read_site   GET     /v1/peersites/{site_id}
read_site   GET     /v1/vcd/validOrgVdcs
read_site   GET     /v1/vcd/vmsWithoutMorefId
read_site   GET     /v1/virtualizationsites
read_site   GET     /v1/virtualizationsites/{site_id}
read_site   GET     /v1/virtualizationsites/{site_id}/datastoreclusters
read_site   GET     /v1/virtualizationsites/{site_id}/datastores
read_site   GET     /v1/virtualizationsites/{site_id}/devices
read_site   GET     /v1/virtualizationsites/{site_id}/folders
read_site   GET     /v1/virtualizationsites/{site_id}/hostclusters
read_site   GET     /v1/virtualizationsites/{site_id}/hosts
read_site   GET     /v1/virtualizationsites/{site_id}/hosts/{host_id}
read_site   GET     /v1/virtualizationsites/{site_id}/networks
read_site   GET     /v1/virtualizationsites/{site_id}/orgvdcs
read_site   GET     /v1/virtualizationsites/{site_id}/repositories
read_site   GET     /v1/virtualizationsites/{site_id}/resourcepools
read_site   GET     /v1/virtualizationsites/{site_id}/vcdvapps
read_site   GET     /v1/virtualizationsites/{site_id}/vms
read_site   GET     /v1/vras
read_site   GET     /v1/vras/ipconfigurationtypes
read_site   GET     /v1/vras/statuses
read_site   GET     /v1/vras/{vra_id}
read_site   GET     /v1/vpgSettings
read_site   GET     /v1/vpgSettings/exportedSettings
read_site   POST    /v1/vpgSettings/exportedSettings/{time_stamp}
read_site   GET     /v1/vpgSettings/exportedSettings/{time_stamp}/vpgsinfo
read_site   GET     /v1/vpgSettings/{settings_id}
read_site   GET     /v1/vpgSettings/{settings_id}/basic
read_site   GET     /v1/vpgSettings/{settings_id}/bootgroup
read_site   GET     /v1/vpgSettings/{settings_id}/journal
read_site   GET     /v1/vpgSettings/{settings_id}/networks
read_site   GET     /v1/vpgSettings/{settings_id}/priority
read_site   GET     /v1/vpgSettings/{settings_id}/recovery
read_site   GET     /v1/vpgSettings/{settings_id}/scratch
read_site   GET     /v1/vpgSettings/{settings_id}/scripting
read_site   GET     /v1/vpgSettings/{settings_id}/vms
read_site   GET     /v1/vpgSettings/{settings_id}/vms/{vm_id}
read_site   GET     /v1/vpgSettings/{settings_id}/vms/{vm_id}/nics
read_site   GET     /v1/vpgSettings/{settings_id}/vms/{vm_id}/nics/{piece_id}
read_site   GET     /v1/vpgSettings/{settings_id}/vms/{vm_id}/volumes
read_site   GET     /v1/vpgSettings/{settings_id}/vms/{vm_id}/volumes/{piece_id}

operate     POST    /v1/alerts/{alert_id}/dismiss
operate     POST    /v1/alerts/{alert_id}/undismiss
operate     POST    /v1/vpgs/{vpg_id}/Checkpoints
operate     POST    /v1/vpgs/{vpg_id}/CloneAbort
operate     POST    /v1/vpgs/{vpg_id}/CloneStart
operate     POST    /v1/vpgs/{vpg_id}/Failover
operate     POST    /v1/vpgs/{vpg_id}/FailoverCommit
operate     POST    /v1/vpgs/{vpg_id}/FailoverRollback
operate     POST    /v1/vpgs/{vpg_id}/FailoverTest
operate     POST    /v1/vpgs/{vpg_id}/FailoverTestStop
operate     POST    /v1/vpgs/{vpg_id}/forcesync
operate     POST    /v1/vpgs/{vpg_id}/move
operate     POST    /v1/vpgs/{vpg_id}/moveCommit
operate     POST    /v1/vpgs/{vpg_id}/moveRollback
operate     POST    /v1/vpgs/{vpg_id}/pause
operate     POST    /v1/vpgs/{vpg_id}/resume

administer  GET     /v1/accounts
administer  POST    /v1/accounts
administer  GET     /v1/accounts/{name}
administer  PUT     /v1/accounts/{name}
administer  DELETE  /v1/accounts/{name}
administer  POST    /v1/accounts/{name}/password
administer  POST    /v1/heldVms/{vm_id}/release
administer  DELETE  /v1/keptVolumes/{kept_id}
administer  POST    /v1/peersites
administer  DELETE  /v1/peersites/{site_id}
administer  POST    /v1/peersites/generatetoken
administer  POST    /v1/vpgs
administer  DELETE  /v1/vpgs/{vpg_id}
administer  POST    /v1/vpgSettings
administer  POST    /v1/vpgSettings/copyVpgSettings
administer  POST    /v1/vpgSettings/exportSettings
administer  POST    /v1/vpgSettings/import
administer  DELETE  /v1/vpgSettings/{settings_id}
administer  PUT     /v1/vpgSettings/{settings_id}
administer  POST    /v1/vpgSettings/{settings_id}/commit
administer  DELETE  /v1/vpgSettings/{settings_id}/basic
administer  PUT     /v1/vpgSettings/{settings_id}/basic
administer  DELETE  /v1/vpgSettings/{settings_id}/bootgroup
administer  PUT     /v1/vpgSettings/{settings_id}/bootgroup
administer  DELETE  /v1/vpgSettings/{settings_id}/journal
administer  PUT     /v1/vpgSettings/{settings_id}/journal
administer  DELETE  /v1/vpgSettings/{settings_id}/networks
administer  PUT     /v1/vpgSettings/{settings_id}/networks
administer  DELETE  /v1/vpgSettings/{settings_id}/recovery
administer  PUT     /v1/vpgSettings/{settings_id}/recovery
administer  DELETE  /v1/vpgSettings/{settings_id}/scratch
administer  PUT     /v1/vpgSettings/{settings_id}/scratch
administer  DELETE  /v1/vpgSettings/{settings_id}/scripting
administer  PUT     /v1/vpgSettings/{settings_id}/scripting
administer  POST    /v1/vpgSettings/{settings_id}/vms
administer  DELETE  /v1/vpgSettings/{settings_id}/vms/{vm_id}
administer  PUT     /v1/vpgSettings/{settings_id}/vms/{vm_id}
administer  DELETE  /v1/vpgSettings/{settings_id}/vms/{vm_id}/nics/{piece_id}
administer  PUT     /v1/vpgSettings/{settings_id}/vms/{vm_id}/nics/{piece_id}
administer  PUT     /v1/vpgSettings/{settings_id}/vms/{vm_id}/volumes/{piece_id}
"""

Route = tuple[str, str]
"""Method, and path as the route is written."""


def _read(table: str) -> dict[Route, Right]:
    rows = [line.split() for line in table.splitlines() if line.strip()]
    return {(method, path): Right[right] for right, method, path in rows}


RIGHTS: dict[Route, Right] = _read(_TABLE) | {route: Right.read for one in NOT_OFFERED for route in one.routes()}


def right_of(method: str, path: str) -> Right:
    """What a route asks for."""
    return RIGHTS.get((method, path), Right.administer)
