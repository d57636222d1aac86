"""Lists that clients read and that are always empty, since a KVM site has no such thing; and a licence that none is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Request, Response

from farshore.api.state import SIGNED_IN, Site
from farshore.api.wire import catalog
from farshore.api.wire.model import Wire
from farshore.api.wire.reply import reply, reply_list
from farshore.errors import NotFound

router = APIRouter(prefix="/v1", dependencies=SIGNED_IN)
NO_CONTENT = 204

EMPTY: dict[str, type[Wire]] = {
    "/serviceprofiles": catalog.ServiceProfileApi,
    "/zorgs": catalog.ZorgApi,
    "/vcd/vmsWithoutMorefId": catalog.VCDVmMachine,
    "/vcd/validOrgVdcs": catalog.OrgVdcNativeApi,
}
EMPTY_AT_A_SITE: dict[str, type[Wire]] = {
    "devices": catalog.DeviceDataApi,
    "hostclusters": catalog.HostClusterNativeApi,
    "datastoreclusters": catalog.DatastoreClusterNativeApi,
    "vcdvapps": catalog.VCDvAppNativeApi,
    "orgvdcs": catalog.OrgVdcNativeApi,
    "repositories": catalog.RepositoryNativeApi,
}
"""Below `/v1/virtualizationsites/{site_id}/`."""


def _none_of(kind: type[Wire]) -> Callable[..., Awaitable[Response]]:
    async def none(request: Request) -> Response:
        return reply_list(request, kind, [])

    return none


def _none_there(kind: type[Wire]) -> Callable[..., Awaitable[Response]]:
    async def none(request: Request, site_id: str, site: Site) -> Response:
        known = {(await site.local_site()).site_id, *(peer.site_id for peer in await site.peer_sites())}
        if site_id.lower() not in known:
            raise NotFound(f"There is no site {site_id}.", "List them with GET /v1/virtualizationsites.")
        return reply_list(request, kind, [])

    return none


for _path, _kind in EMPTY.items():
    router.add_api_route(_path, _none_of(_kind), methods=["GET"], name=f"none of {_path}")
for _path, _kind in EMPTY_AT_A_SITE.items():
    _there = f"/virtualizationsites/{{site_id}}/{_path}"
    router.add_api_route(_there, _none_there(_kind), methods=["GET"], name=f"none of {_path}")


@router.get("/serviceprofiles/{profile_id}")
async def get_profile(profile_id: str) -> Response:
    """There is none."""
    raise NotFound(f"There is no service profile {profile_id}: Farshore has none.", "Set the VPG's own values.")


@router.get("/zorgs/{zorg_id}")
async def get_zorg(zorg_id: str) -> Response:
    """There is none."""
    raise NotFound(f"There is no organization {zorg_id}: a site of Farshore has none.", "Leave it out.")


@router.get("/license")
async def get_license() -> Response:
    """No content, as a site without a licence answers: Farshore needs none."""
    return Response(status_code=NO_CONTENT, headers={"Cache-Control": "no-store"})


@router.get("/localsite/settings/loginBanner")
async def get_banner(request: Request) -> Response:
    """There is none."""
    return reply(request, catalog.LoginBannerSettingsApi())
