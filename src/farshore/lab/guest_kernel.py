"""Where the test guest's kernel and initramfs are: in the cache that set-up fills (guest/build.sh)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from farshore.errors import Unavailable
from farshore.hypervisor.qemu.accelerator import AcceleratorChoice, choose_accelerator
from farshore.lab.serial import GREETING


@dataclass(frozen=True)
class GuestKernel:
    """The two files that QEMU boots the test guest from."""

    kernel: Path
    initrd: Path


def cache_folder() -> Path:
    """The project's cache: $FARSHORE_CACHE, else .cache in the folder that holds guest/ (the clone)."""
    told = os.environ.get("FARSHORE_CACHE")
    if told:
        return Path(told)
    for folder in Path(__file__).resolve().parents:
        if (folder / "guest" / "build.sh").is_file():
            return folder / ".cache"
    return Path.cwd() / ".cache"


def find_guest_kernel(cache: Path | None = None) -> GuestKernel:
    """The test guest in `cache`. Raises Unavailable, saying how to make it, when it is not there."""
    folder = (cache or cache_folder()) / "guest"
    found = GuestKernel(folder / "vmlinuz", folder / "initrd")
    for path in (found.kernel, found.initrd):
        if not path.is_file():
            raise Unavailable(f"The test guest's {path.name} is not in {folder}.", "Run `make setup` in the clone.")
    return found


def guest_accelerator(cache: Path | None = None) -> AcceleratorChoice:
    """What to start the test guests with: KVM only if it boots one. At most 10 s, once per boot of the machine.

    Raises Unavailable when the guest was not built.
    """
    guest = find_guest_kernel(cache)
    return choose_accelerator(
        guest.kernel, guest.initrd, GREETING, cache or cache_folder(), append="farshore.mode=idle"
    )
