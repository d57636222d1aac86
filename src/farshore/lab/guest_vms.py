"""The lab's VMs: their disk images and their definitions, as a person would put them into a site's inventory."""

from __future__ import annotations

import uuid
from pathlib import Path

from farshore.lab.guest_image import make_disk_image
from farshore.lab.guest_kernel import GuestKernel
from farshore.model.vm import DiskDefinition, NicDefinition, VmDefinition

NETWORK = "lab"
MEMORY_MIB = 192


def guest_definitions(
    folder: Path,
    vms: int,
    disks: int,
    size_bytes: int,
    guest: GuestKernel,
    *,
    mode: str = "chain",
    pause_ms: int = 0,
) -> list[VmDefinition]:
    """Make the images of `vms` VMs with `disks` disks each in `folder`, and return the VMs' definitions.

    Of each VM's disks the first is raw, the second ext4, and so on in turn. The layouts are beside the images. About
    8 MiB (raw) or 18 MiB (ext4) of `size_bytes` are not random data.
    """
    folder.mkdir(parents=True, exist_ok=True)
    definitions = []
    for vm in range(1, vms + 1):
        made = []
        for i in range(disks):
            path = folder / f"vm{vm}-disk{i + 1}.raw"
            make_disk_image(path, (vm - 1) * disks + i, "ext4" if i % 2 else "raw", size_bytes)
            made.append(DiskDefinition(id=f"disk{i + 1}", path=str(path), size_bytes=size_bytes))
        words = {"vm": vm, "vms": vms, "disks": disks, "mode": mode, "pause_ms": pause_ms}
        definitions.append(
            VmDefinition(
                id=str(uuid.uuid4()),
                name=f"vm{vm}",
                memory_mib=MEMORY_MIB,
                kernel=str(guest.kernel),
                initrd=str(guest.initrd),
                append="console=ttyS0 quiet " + " ".join(f"farshore.{word}={value}" for word, value in words.items()),
                disks=tuple(made),
                nics=(NicDefinition(id="nic1", mac=f"52:54:00:fa:00:{vm:02x}", network=NETWORK),),
                serial_log=str(folder / f"vm{vm}-serial.log"),
            )
        )
    return definitions
