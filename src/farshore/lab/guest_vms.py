"""The lab's VMs: their disk images and their definitions, as a person would put them into a site's inventory."""

from __future__ import annotations

from pathlib import Path

from farshore.lab.guest_image import make_disk_image
from farshore.lab.guest_kernel import GuestKernel, find_guest_kernel
from farshore.lab.record_layout import disk_letter
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
    site_id: str = "lab",
    mode: str = "chain",
    pause_ms: int = 0,
) -> list[VmDefinition]:
    """Make the images of `vms` VMs with `disks` disks each in `folder`, and return the VMs' definitions.

    Of each VM's disks the first is raw, the second ext4, and so on in turn. The layouts are beside the images. About
    8 MiB (raw) or 18 MiB (ext4) of `size_bytes` are not random data. `mode`: chain, verify or idle
    (guest/src/settings.h); `pause_ms`: before each round of the chain.
    """
    folder.mkdir(parents=True, exist_ok=True)
    definitions = []
    for vm in range(1, vms + 1):
        made = []
        for i in range(disks):
            disk_id = f"disk-{disk_letter(i)}"
            path = folder / f"vm-{vm}-{disk_id}.raw"
            make_disk_image(path, (vm - 1) * disks + i, "ext4" if i % 2 else "raw", size_bytes)
            made.append(DiskDefinition(id=disk_id, path=str(path), size_bytes=size_bytes))
        words = {"vm": vm, "vms": vms, "disks": disks, "mode": mode, "pause_ms": pause_ms}
        definitions.append(
            VmDefinition(
                id=f"{site_id}.vm-{vm}",
                name=f"vm-{vm}",
                memory_mib=MEMORY_MIB,
                kernel=str(guest.kernel),
                initrd=str(guest.initrd),
                append="console=ttyS0 quiet " + " ".join(f"farshore.{word}={value}" for word, value in words.items()),
                disks=tuple(made),
                nics=(NicDefinition(id="nic1", mac=f"52:54:00:fa:00:{vm:02x}", network=NETWORK),),
                serial_log=str(folder / f"vm-{vm}-serial.log"),
            )
        )
    return definitions


def real_definitions(
    site_folder: Path, site_id: str, vms: int, disks: int, size_bytes: int, *, pause_ms: int = 2
) -> list[VmDefinition]:
    """The same for a site of the lab: images in the site's `disks` folder, the guest from the project's cache.

    A short pause a round leaves a machine of two cores some time for the sites. Raises Unavailable without the guest.
    """
    kernel = find_guest_kernel()
    folder = site_folder / "disks"
    return guest_definitions(folder, vms, disks, size_bytes, kernel, site_id=site_id, pause_ms=pause_ms)
