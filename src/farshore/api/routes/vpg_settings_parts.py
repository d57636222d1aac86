"""The parts of a settings object by themselves: basic, journal and so on, and its VMs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response

from farshore.api.state import SIGNED_IN, state_of
from farshore.api.vpg_orders import filled_from
from farshore.api.wire.body import read_body
from farshore.api.wire.model import Wire
from farshore.api.wire.reply import reply, reply_list, reply_text
from farshore.api.wire.vpg_settings import (
    VpgSettingsApi,
    VpgSettingsBasicApi,
    VpgSettingsBootGroupsApi,
    VpgSettingsJournalApi,
    VpgSettingsNetworksApi,
    VpgSettingsRecoveryApi,
    VpgSettingsScriptsApi,
)
from farshore.api.wire.vpg_settings_vms import VpgSettingsScratchApi, VpgSettingsVmApi
from farshore.errors import NotFound
from farshore.model.enumerations import word

PATH = "/v1/vpgSettings/{settings_id}"
router = APIRouter(prefix=PATH, dependencies=SIGNED_IN)
Route = Callable[..., Awaitable[Response]]


@dataclass(frozen=True)
class Part:
    """A part: its piece of the path, the member that it is, its model."""

    piece: str
    field: str
    kind: type[Wire]


PARTS = (
    Part("basic", "basic", VpgSettingsBasicApi),
    Part("bootgroup", "boot_groups", VpgSettingsBootGroupsApi),
    Part("journal", "journal", VpgSettingsJournalApi),
    Part("networks", "networks", VpgSettingsNetworksApi),
    Part("recovery", "recovery", VpgSettingsRecoveryApi),
    Part("scratch", "scratch", VpgSettingsScratchApi),
    Part("scripting", "scripting", VpgSettingsScriptsApi),
)


def _get(part: Part) -> Route:
    async def get(request: Request, settings_id: str) -> Response:
        return reply(request, getattr(state_of(request).store.get(settings_id), part.field))

    return get


def _put(part: Part) -> Route:
    async def put(request: Request, settings_id: str) -> Response:
        store = state_of(request).store
        known = store.get(settings_id)
        body = await read_body(request, part.kind)
        if isinstance(body, VpgSettingsBasicApi):
            if known.vpg_identifier:
                body = filled_from(known.basic, body)
            elif body.protected_site_identifier is None:
                here = known.basic.protected_site_identifier
                body = body.model_copy(update={"protected_site_identifier": here})
        store.put(settings_id.lower(), known.model_copy(update={part.field: body}))
        return reply(request, body)

    return put


def _reset(part: Part) -> Route:
    async def reset(request: Request, settings_id: str) -> Response:
        store = state_of(request).store
        known = store.get(settings_id)
        store.put(settings_id.lower(), known.model_copy(update={part.field: part.kind()}))
        return reply_text(request, settings_id.lower())

    return reset


for _part in PARTS:
    router.add_api_route(f"/{_part.piece}", _get(_part), methods=["GET"], name=f"get {_part.piece}")
    router.add_api_route(f"/{_part.piece}", _put(_part), methods=["PUT"], name=f"put {_part.piece}")
    router.add_api_route(f"/{_part.piece}", _reset(_part), methods=["DELETE"], name=f"reset {_part.piece}")


@router.get("/priority")
async def get_priority(request: Request, settings_id: str) -> Response:
    """The priority by its name."""
    return reply_text(request, word(state_of(request).store.get(settings_id).basic.priority))


def with_vms(content: VpgSettingsApi, vms: list[VpgSettingsVmApi]) -> VpgSettingsApi:
    """The settings object with these VMs."""
    return content.model_copy(update={"vms": vms})


def find_vm(content: VpgSettingsApi, vm_id: str) -> VpgSettingsVmApi:
    """The VM of a settings object. Raises NotFound."""
    for vm in content.vms:
        if vm.vm_identifier.lower() == vm_id.lower():
            return vm
    raise NotFound(f"The settings object has no VM {vm_id}.", "List its VMs with GET vms.")


@router.get("/vms")
async def list_vms(request: Request, settings_id: str) -> Response:
    """The VMs of a settings object."""
    return reply_list(request, VpgSettingsVmApi, state_of(request).store.get(settings_id).vms)


@router.post("/vms")
async def add_vm(request: Request, settings_id: str) -> Response:
    """Add a VM; one that is there already is replaced."""
    store = state_of(request).store
    content = store.get(settings_id)
    body = await read_body(request, VpgSettingsVmApi)
    others = [vm for vm in content.vms if vm.vm_identifier != body.vm_identifier]
    store.put(settings_id.lower(), with_vms(content, [*others, body]))
    return reply_text(request, body.vm_identifier)


@router.get("/vms/{vm_id}")
async def get_vm(request: Request, settings_id: str, vm_id: str) -> Response:
    """One VM."""
    return reply(request, find_vm(state_of(request).store.get(settings_id), vm_id))


@router.put("/vms/{vm_id}")
async def put_vm(request: Request, settings_id: str, vm_id: str) -> Response:
    """Replace what is set for a VM."""
    store = state_of(request).store
    content = store.get(settings_id)
    known = find_vm(content, vm_id)
    body = await read_body(request, VpgSettingsVmApi)
    body = body.model_copy(update={"vm_identifier": known.vm_identifier})
    store.put(settings_id.lower(), with_vms(content, [body if vm is known else vm for vm in content.vms]))
    return reply(request, body)


@router.delete("/vms/{vm_id}")
async def delete_vm(request: Request, settings_id: str, vm_id: str) -> Response:
    """Take a VM out."""
    store = state_of(request).store
    content = store.get(settings_id)
    known = find_vm(content, vm_id)
    store.put(settings_id.lower(), with_vms(content, [vm for vm in content.vms if vm is not known]))
    return reply_text(request, known.vm_identifier)
