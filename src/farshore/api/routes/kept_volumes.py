"""Recovery volumes that were kept when their VPG was deleted. Our own resource."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from farshore.api.state import SIGNED_IN, SignedIn, Site
from farshore.api.wire.kept_volumes import KeptVolumeApi, KeptVolumesApi
from farshore.api.wire.moments import moment
from farshore.api.wire.reply import reply_list, reply_text
from farshore.model.kept import KeptVolumesView

router = APIRouter(prefix="/v1/keptVolumes", dependencies=SIGNED_IN)


def _tell(view: KeptVolumesView) -> KeptVolumesApi:
    return KeptVolumesApi(
        kept_volumes_identifier=view.kept_id,
        vpg_identifier=view.vpg_id,
        vpg_name=view.vpg_name,
        checkpoint_identifier=view.checkpoint_id,
        checkpoint_time_stamp=moment(view.checkpoint_time_ns),
        kept=moment(view.kept_ns),
        folder=view.folder,
        volumes=[
            KeptVolumeApi(
                vm_identifier=volume.vm_id,
                vm_name=volume.vm_name,
                volume_identifier=volume.disk_id,
                size_in_bytes=volume.size_bytes,
                path=volume.path,
            )
            for volume in view.volumes
        ],
    )


@router.get("")
async def list_kept_volumes(request: Request, site: Site) -> Response:
    """All of this site, oldest first."""
    return reply_list(request, KeptVolumesApi, [_tell(view) for view in await site.kept_volumes()])


@router.delete("/{kept_id}")
async def remove_kept_volumes(request: Request, kept_id: str, caller: SignedIn, site: Site) -> Response:
    """Remove a set for good."""
    await site.remove_kept_volumes(kept_id, caller.account.name)
    return reply_text(request, kept_id)
