"""Volumes and network interfaces of a VM in a settings object, as the VM has them, with what was set for them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response

from farshore.api.routes.vpg_settings_parts import find_vm, with_vms
from farshore.api.services import Services
from farshore.api.state import SIGNED_IN, Site, state_of
from farshore.api.wire.body import read_body
from farshore.api.wire.reply import reply, reply_list, reply_text
from farshore.api.wire.vpg_settings import VpgSettingsApi
from farshore.api.wire.vpg_settings_vms import VpgSettingsVmApi, VpgSettingsVmNicApi, VpgSettingsVmVolumeApi
from farshore.errors import NotFound
from farshore.model.views import SiteVmView

router = APIRouter(prefix="/v1/vpgSettings/{settings_id}/vms/{vm_id}", dependencies=SIGNED_IN)
Piece = VpgSettingsVmVolumeApi | VpgSettingsVmNicApi
Route = Callable[..., Awaitable[Response]]


@dataclass(frozen=True)
class Pieces:
    """What a VM has several of: its piece of the path, the member that it is, its model."""

    name: str
    word: str
    kind: type[Piece]
    key: str
    """The member of the model that is its identifier."""

    def of(self, vm: VpgSettingsVmApi) -> list[Piece]:
        """Those for which something was set."""
        return list(getattr(vm, self.name))

    def id_of(self, piece: Piece) -> str:
        """Its identifier."""
        return str(getattr(piece, self.key))

    def there(self, view: SiteVmView) -> list[str]:
        """The identifiers of those that the VM has."""
        return [disk.disk_id for disk in view.disks] if self.name == "volumes" else list(view.nic_ids)

    def with_id(self, piece_id: str) -> Piece:
        """One for which nothing was set."""
        return self.kind.model_validate({self.key: piece_id})


VOLUMES = Pieces("volumes", "volume", VpgSettingsVmVolumeApi, "volume_identifier")
NICS = Pieces("nics", "network interface", VpgSettingsVmNicApi, "nic_identifier")


async def _all(site: Services, content: VpgSettingsApi, vm: VpgSettingsVmApi, pieces: Pieces) -> list[Piece]:
    """What the VM has, with what was set. Raises Unavailable when the site where the VM is does not answer."""
    known = {pieces.id_of(piece).lower(): piece for piece in pieces.of(vm)}
    views = await site.site_vms((content.basic.protected_site_identifier or "").lower())
    found = next((view for view in views if view.vm_id.lower() == vm.vm_identifier.lower()), None)
    there = pieces.there(found) if found else []
    listed = [known.get(one.lower(), pieces.with_id(one)) for one in there]
    named = {one.lower() for one in there}
    return [*listed, *(piece for key, piece in known.items() if key not in named)]


async def _one(site: Services, content: VpgSettingsApi, vm: VpgSettingsVmApi, pieces: Pieces, wanted: str) -> Piece:
    for piece in await _all(site, content, vm, pieces):
        if pieces.id_of(piece).lower() == wanted.lower():
            return piece
    raise NotFound(f"VM {vm.vm_identifier} has no {pieces.word} {wanted}.", f"List them with GET {pieces.name}.")


def _keep(request: Request, settings_id: str, vm_id: str, pieces: Pieces, piece_id: str, new: Piece | None) -> None:
    """Let this be what is set for the piece; None: nothing is."""
    store = state_of(request).store
    content = store.get(settings_id)
    vm = find_vm(content, vm_id)
    kept = [piece for piece in pieces.of(vm) if pieces.id_of(piece).lower() != piece_id.lower()]
    changed = vm.model_copy(update={pieces.name: kept if new is None else [*kept, new]})
    store.put(settings_id.lower(), with_vms(content, [changed if one is vm else one for one in content.vms]))


def _list(pieces: Pieces) -> Route:
    async def list_all(request: Request, settings_id: str, vm_id: str, site: Site) -> Response:
        content = state_of(request).store.get(settings_id)
        return reply_list(request, pieces.kind, await _all(site, content, find_vm(content, vm_id), pieces))

    return list_all


def _get(pieces: Pieces) -> Route:
    async def get(request: Request, settings_id: str, vm_id: str, piece_id: str, site: Site) -> Response:
        content = state_of(request).store.get(settings_id)
        return reply(request, await _one(site, content, find_vm(content, vm_id), pieces, piece_id))

    return get


def _put(pieces: Pieces) -> Route:
    async def put(request: Request, settings_id: str, vm_id: str, piece_id: str, site: Site) -> Response:
        content = state_of(request).store.get(settings_id)
        body = await read_body(request, pieces.kind)
        known = await _one(site, content, find_vm(content, vm_id), pieces, piece_id)
        body = body.model_copy(update={pieces.key: pieces.id_of(known)})
        _keep(request, settings_id, vm_id, pieces, piece_id, body)
        return reply(request, body)

    return put


def _reset(pieces: Pieces) -> Route:
    async def reset(request: Request, settings_id: str, vm_id: str, piece_id: str, site: Site) -> Response:
        content = state_of(request).store.get(settings_id)
        known = await _one(site, content, find_vm(content, vm_id), pieces, piece_id)
        _keep(request, settings_id, vm_id, pieces, piece_id, None)
        return reply_text(request, pieces.id_of(known))

    return reset


for _pieces in (VOLUMES, NICS):
    _name, _path = _pieces.name, f"/{_pieces.name}/{{piece_id}}"
    router.add_api_route(f"/{_name}", _list(_pieces), methods=["GET"], name=f"list {_name}")
    router.add_api_route(_path, _get(_pieces), methods=["GET"], name=f"get {_name}")
    router.add_api_route(_path, _put(_pieces), methods=["PUT"], name=f"put {_name}")
router.add_api_route("/nics/{piece_id}", _reset(NICS), methods=["DELETE"], name="reset nics")
