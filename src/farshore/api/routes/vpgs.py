"""VPGs: listed, read, deleted; their checkpoints; the lists of words that go with them."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, Request, Response

from farshore.api.routes.matching import fits_sites, fits_states, texts_of
from farshore.api.routes.tasks import answer_task
from farshore.api.services import Services
from farshore.api.state import SIGNED_IN, SignedIn, Site, query_of
from farshore.api.telling import tell_checkpoint, tell_vpg
from farshore.api.wire.actions import VpgDeleteDataApi
from farshore.api.wire.body import read_body
from farshore.api.wire.moments import read_moment
from farshore.api.wire.reply import reply, reply_list, reply_texts
from farshore.api.wire.vpgs import CheckpointApi, VpgApi, VpgCheckpointsStatsApi
from farshore.errors import BadInput, NotFound
from farshore.model.enumerations import words
from farshore.model.policies import CommitPolicy, ShutdownPolicy
from farshore.model.record_views import KnownVpg
from farshore.model.site_kinds import EntityKind
from farshore.model.views import VpgView
from farshore.model.vpg import Priority
from farshore.model.vpg_states import VpgStatus, VpgSubStatus

router = APIRouter(dependencies=SIGNED_IN)

WORDS = {
    "statuses": VpgStatus,
    "substatuses": VpgSubStatus,
    "priorities": Priority,
    "entitytypes": EntityKind,
    "failovercommitpolicies": CommitPolicy,
    "failovershutdownpolicies": ShutdownPolicy,
}
"""Lists that clients use by index: in the order of the numbers, with no gaps."""


async def find_vpg(site: Services, vpg_id: str) -> VpgView:
    """The VPG. Raises NotFound."""
    view = await site.get_vpg(vpg_id.lower())
    if view is None:
        raise NotFound(f"There is no VPG {vpg_id}.", "List them with GET /v1/vpgs.")
    return view


async def known_vpg(site: Services, vpg_id: str) -> KnownVpg:
    """The VPG by the site's own record: for an order, which is answered at once. Raises NotFound."""
    known = await site.known_vpg(vpg_id.lower())
    if known is None:
        raise NotFound(f"There is no VPG {vpg_id}.", "List them with GET /v1/vpgs.")
    return known


def _fits(view: VpgView, query: Mapping[str, str], names: list[str]) -> bool:
    return (
        (not names or view.name in names)
        and fits_states(query, view.status, view.substatus, view.settings.priority)
        and fits_sites(
            query,
            (view.protected_site_id, view.protected_site_name),
            (view.recovery_site_id, view.recovery_site_name),
        )
        and query.get("backupenabled", "false").lower() in {"false", "0"}
        and "organizationname" not in query
        and "zorgidentifier" not in query
        and "serviceprofileidentifier" not in query
    )


@router.get("/v1/vpgs")
async def list_vpgs(request: Request, site: Site) -> Response:
    """The VPGs that this site has a part in; `name` is exact."""
    query, names = query_of(request), texts_of(request, "name")
    views = await site.list_vpgs()
    if query:
        views = [view for view in views if _fits(view, query, names)]
    return reply_list(request, VpgApi, [tell_vpg(request, view) for view in views])


@router.get("/v1/vpgs/retentionpolicies")
async def retention_policies(request: Request) -> Response:
    """None: there is no long-term retention."""
    return reply_texts(request, [])


@router.get("/v1/vpgs/statuses")
@router.get("/v1/vpgs/substatuses")
@router.get("/v1/vpgs/priorities")
@router.get("/v1/vpgs/entitytypes")
@router.get("/v1/vpgs/failovercommitpolicies")
@router.get("/v1/vpgs/failovershutdownpolicies")
async def list_words(request: Request) -> Response:
    """The words of one enumeration."""
    return reply_texts(request, words(WORDS[request.url.path.rpartition("/")[2]]))


@router.get("/v1/vpgs/{vpg_id}")
async def get_vpg(request: Request, vpg_id: str, site: Site) -> Response:
    """One VPG."""
    return reply(request, tell_vpg(request, await find_vpg(site, vpg_id)))


@router.delete("/v1/vpgs/{vpg_id}")
async def delete_vpg(request: Request, vpg_id: str, caller: SignedIn, site: Site) -> Response:
    """End a VPG; its VMs run on."""
    view = await known_vpg(site, vpg_id)
    body = await read_body(request, VpgDeleteDataApi)
    task_id = await site.delete_vpg(
        view.vpg_id, force=body.force, keep_recovery_volumes=body.keep_recovery_volumes, who=caller.account.name
    )
    return answer_task(request, caller, task_id)


@router.get("/v1/vpgs/{vpg_id}/Checkpoints")
async def list_checkpoints(request: Request, vpg_id: str, site: Site) -> Response:
    """Checkpoints, oldest first; `startDate` and `endDate` inclusive, `limit` (our own) for the newest so many."""
    view = await known_vpg(site, vpg_id)
    query = query_of(request)
    start, end, limit = query.get("startdate"), query.get("enddate"), query.get("limit")
    if limit is not None and not (limit.isascii() and limit.isdigit() and int(limit[:10]) > 0):
        raise BadInput(f"limit: {limit} is not a whole number over 0.", "Leave it out to get all.")
    found = await site.checkpoints(
        view.vpg_id,
        None if start is None else read_moment(start, "startDate"),
        None if end is None else read_moment(end, "endDate", end=True),
        None if limit is None else int(limit[:10]),
        newest_first=limit is not None,
    )
    if limit is not None:
        found = found[::-1]
    return reply_list(request, CheckpointApi, [tell_checkpoint(one) for one in found])


@router.get("/v1/vpgs/{vpg_id}/Checkpoints/stats")
async def checkpoint_stats(request: Request, vpg_id: str, site: Site) -> Response:
    """The oldest and the newest checkpoint."""
    view = await find_vpg(site, vpg_id)
    ends = [view.earliest_checkpoint, view.latest_checkpoint]
    earliest, latest = [None if end is None else tell_checkpoint(end) for end in ends]
    return reply(request, VpgCheckpointsStatsApi(earliest=earliest, latest=latest))
