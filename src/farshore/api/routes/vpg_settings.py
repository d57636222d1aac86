"""Settings objects: made, filled in parts or whole, committed.

What the settings of a VPG leave out of `Basic` stays as the VPG has it: most clients know only some of its members.

`POST` takes {} (all defaults), {"VpgIdentifier"} (the settings of that VPG) or a whole object; it and `commit` answer
a bare text in both dialects, since every client needs that.
"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from farshore.api.audit import noted
from farshore.api.routes.vpgs import find_vpg
from farshore.api.services import Services
from farshore.api.state import SIGNED_IN, SignedIn, Site, state_of
from farshore.api.vpg_orders import completed, order_of_settings, unused_members
from farshore.api.wire.body import ignore_body, read_body
from farshore.api.wire.notes import note_unknown
from farshore.api.wire.reply import reply, reply_list, reply_text
from farshore.api.wire.vpg_settings import VpgSettingsApi
from farshore.errors import FarshoreError

PATH = "/v1/vpgSettings"
router = APIRouter(prefix=PATH, dependencies=SIGNED_IN)


async def _completed(site: Services, body: VpgSettingsApi) -> VpgSettingsApi:
    """The body with what it leaves open: the VPG's own settings, or this site as the protected one."""
    if body.vpg_identifier:
        return completed(await find_vpg(site, body.vpg_identifier), body)
    if body.basic.protected_site_identifier is None:
        here = (await site.local_site()).site_id
        body = body.model_copy(
            update={"basic": body.basic.model_copy(update={"protected_site_identifier": here}), "vpg_identifier": None}
        )
    return body


@router.get("")
async def list_settings(request: Request) -> Response:
    """All settings objects that are not committed."""
    return reply_list(request, VpgSettingsApi, state_of(request).store.all())


@router.post("")
async def make_settings(request: Request, caller: SignedIn, site: Site) -> Response:
    """A new settings object; its identifier."""
    content = await _completed(site, await read_body(request, VpgSettingsApi))
    return reply_text(request, state_of(request).store.add(content, caller.session))


@router.get("/{settings_id}")
async def get_settings(request: Request, settings_id: str) -> Response:
    """A whole settings object."""
    return reply(request, state_of(request).store.get(settings_id))


@router.put("/{settings_id}")
async def put_settings(request: Request, settings_id: str, site: Site) -> Response:
    """Replace a settings object; the VPG that it is of stays."""
    store = state_of(request).store
    known = store.get(settings_id)
    body = await read_body(request, VpgSettingsApi)
    body = body.model_copy(update={"vpg_identifier": body.vpg_identifier or known.vpg_identifier})
    store.put(settings_id.lower(), await _completed(site, body))
    return reply(request, store.get(settings_id))


@router.delete("/{settings_id}")
async def delete_settings(request: Request, settings_id: str) -> Response:
    """Drop a settings object; no VPG is changed."""
    state_of(request).store.remove(settings_id)
    return reply_text(request, settings_id.lower())


@router.post("/{settings_id}/commit")
async def commit_settings(request: Request, settings_id: str, caller: SignedIn, site: Site) -> Response:
    """Order what the settings object says: a new VPG, one changed or protected back; the task as a bare text."""
    await ignore_body(request)
    store = state_of(request).store
    content = store.get(settings_id)
    order = order_of_settings(content)
    store.remove(settings_id)  # before the order, so that two commits at once make one
    try:
        if order.vpg_id is None:
            task_id = await site.create_vpg(order, caller.account.name)
        else:
            task_id = await site.update_vpg(order, caller.account.name)  # protected back, if that is what it needs
    except FarshoreError:
        store.put(settings_id.lower(), content, caller.session)  # refused: it can be mended and committed again
        raise
    note_unknown(request, unused_members(content))
    noted(request).task_id = task_id
    return reply_text(request, task_id)
