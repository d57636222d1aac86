"""Whether pause, resume or a sync by hashes is taken; see admission.py. All are carried out at the protected site."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from farshore.errors import Conflict, Unavailable
from farshore.model.actions import Action
from farshore.operations.admission import Admitted, demand
from farshore.operations.engine import in_thread
from farshore.operations.situations import stand
from farshore.site.site import Site
from farshore.site.tasks import TaskRow


def admit_steering(action: Action) -> Callable[[Site, TaskRow], Awaitable[Admitted]]:
    """The checks of one of the three."""

    async def admit(site: Site, task: TaskRow) -> Admitted:
        row = await in_thread(site.vpg, task.vpg_id)
        vpg = row.vpg
        if vpg.protected_site_id != site.id:
            where = await in_thread(site.site_name, vpg.protected_site_id)
            raise Conflict(f"The protected site of VPG {vpg.name} is {where}.", "Ask there; it has changed over.")
        standing = await stand(site, row)
        demand(action, standing.situations, vpg)
        if standing.protection is None:
            raise Unavailable(
                f"The appliance of this site does not answer for VPG {vpg.name}.", "It is started again by itself."
            )
        if action is Action.ForceSync and not site.peers.connected(vpg.recovery_site_id):
            where = await in_thread(site.site_name, vpg.recovery_site_id)
            raise Unavailable(f"Site {where}, with which the disks are compared, does not answer.", "Mend the link.")
        return Admitted(replace(task, vpg_name=vpg.name, request={}))

    return admit
