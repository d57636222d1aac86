"""This site and its peers: read, paired, unpaired."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from farshore.api.routes.tasks import answer_task
from farshore.api.state import SIGNED_IN, SignedIn, Site, link, query_of
from farshore.api.telling import link_to
from farshore.api.wire.actions import PairDataApi, UnPairDataApi
from farshore.api.wire.body import ignore_body, read_body
from farshore.api.wire.links import ResourceLink
from farshore.api.wire.moments import moment
from farshore.api.wire.notes import note
from farshore.api.wire.reply import reply, reply_list, reply_texts
from farshore.api.wire.sites import LocalSiteApi, PairingTokenResult, PeerSiteApi
from farshore.errors import BadInput, NotFound
from farshore.model.enumerations import understand, words
from farshore.model.site_kinds import PairingStatus
from farshore.model.views import PeerSiteView

API_LEVEL = "10.0.60"
"""The version of the original whose API is spoken: clients choose their ways by it; always three parts."""

router = APIRouter(dependencies=SIGNED_IN)


@router.get("/v1/localsite")
async def local_site(request: Request, site: Site) -> Response:
    """This site."""
    view = await site.local_site()
    told = LocalSiteApi(
        site_identifier=view.site_id,
        site_name=view.name,
        site_type=view.kind.word,
        version=API_LEVEL,
        display_version=f"Farshore {view.version}",
        zvm_api_version=API_LEVEL,
        ip_address=view.host,
        location=view.location,
        utc_offset_in_minutes=view.utc_offset_minutes,
        commit_seconds=view.commit_seconds,
        shutdown_seconds=view.shutdown_seconds,
        move_commit_policy=view.move_commit_policy,
        link=ResourceLink(href=link(request, "/v1/localsite"), identifier=view.site_id, type="LocalSiteApi"),
    )
    return reply(request, told)


@router.get("/v1/localsite/pairingstatuses")
@router.get("/v1/peersites/pairingstatuses")
async def pairing_statuses(request: Request) -> Response:
    """The names of all pairing statuses."""
    return reply_texts(request, words(PairingStatus))


def _tell_peer(request: Request, view: PeerSiteView) -> PeerSiteApi:
    return PeerSiteApi(
        site_identifier=view.site_id,
        peer_site_name=view.name,
        host_name=view.host,
        port=view.port,
        pairing_status=view.pairing,
        version=API_LEVEL,
        location=view.location,
        site_type=view.kind.word,
        is_connected=view.connected,
        link=link_to(request, "PeerSiteApi", "peersites", view.site_id),
    )


def _fits(view: PeerSiteView, query: dict[str, str]) -> bool:
    status = query.get("pairingstatus")
    if status is not None:
        try:
            if understand(PairingStatus, status) is not view.pairing:
                return False
        except ValueError as error:
            raise BadInput(f"pairingStatus: {error}.", "Name one of these.") from error
    given = (("peername", view.name), ("location", view.location), ("hostname", view.host), ("port", str(view.port)))
    return all(query.get(key, value) == value for key, value in given)


@router.get("/v1/peersites")
async def list_peers(request: Request, site: Site) -> Response:
    """The paired sites."""
    query = dict(query_of(request))
    views = [view for view in await site.peer_sites() if _fits(view, query)]
    return reply_list(request, PeerSiteApi, [_tell_peer(request, view) for view in views])


@router.post("/v1/peersites/generatetoken")
async def generate_token(request: Request, caller: SignedIn, site: Site) -> Response:
    """A one-time token for another site's administrator."""
    await ignore_body(request)
    token = await site.generate_token(caller.account.name)
    return reply(request, PairingTokenResult(token=token.token, utc_expiration_date=moment(token.expires_ns)))


@router.post("/v1/peersites")
async def pair(request: Request, caller: SignedIn, site: Site) -> Response:
    """Pair with the site that made the token; HostName and Port are where its manager listens for peers."""
    body = await read_body(request, PairDataApi)
    task_id = await site.pair(body.host_name.strip(), body.port, body.token, caller.account.name)
    return answer_task(request, caller, task_id)


@router.get("/v1/peersites/{site_id}")
async def get_peer(request: Request, site_id: str, site: Site) -> Response:
    """One paired site."""
    for view in await site.peer_sites():
        if view.site_id.lower() == site_id.lower():
            return reply(request, _tell_peer(request, view))
    raise NotFound(f"Site {site_id} is not paired with this one.", "List the paired ones with GET /v1/peersites.")


@router.delete("/v1/peersites/{site_id}")
async def unpair(request: Request, site_id: str, caller: SignedIn, site: Site) -> Response:
    """Trust a site no longer."""
    body = await read_body(request, UnPairDataApi)
    if not body.is_keep_target_disks:
        note(request, "IsKeepTargetDisks is of no matter: a site is unpaired only when no VPG needs it")
    return answer_task(request, caller, await site.unpair(site_id.lower(), caller.account.name))
