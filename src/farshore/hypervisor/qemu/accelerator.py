"""Whether KVM can be used: the only proof is a guest that boots with it.

/dev/kvm may be absent, not permitted, or there and yet hang every guest (nested virtualisation). So the test guest is
booted with KVM once per boot of this machine, for at most 10 s, and the answer is kept. All else means TCG, and the
answer says why in one line.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from farshore.hypervisor.block_layer.blockdevs import program
from farshore.model.files import write_durably

Accelerator = Literal["kvm", "tcg"]

PROBE_SECONDS = 10.0
_DEVICE = Path("/dev/kvm")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class AcceleratorChoice:
    """What to start guests with, and why: one line for a person."""

    accelerator: Accelerator
    why: str


def choose_accelerator(
    kernel: Path, initrd: Path, greeting: str, cache: Path, *, append: str = "", device: Path = _DEVICE
) -> AcceleratorChoice:
    """KVM if a guest of this kernel says `greeting` on its serial line within 10 s with it, else TCG.

    The answer is kept in `cache` (a folder, made if missing) until the machine is booted again.
    """
    if not device.exists():
        return AcceleratorChoice("tcg", f"TCG: there is no {device} here")
    if not os.access(device, os.R_OK | os.W_OK):
        return AcceleratorChoice("tcg", f"TCG: {device} may not be used by this account")
    cache.mkdir(parents=True, exist_ok=True)
    # By account: what root may do with the device says nothing about others.
    kept = cache / f"accelerator-{os.getuid()}.json"
    boot = _BOOT_ID.read_text().strip()
    known = _read_kept(kept, boot)
    if known is None:
        known = _probe(kernel, initrd, greeting, append)
        write_durably(kept, json.dumps({"boot": boot, **asdict(known)}).encode())
    return known


def _read_kept(path: Path, boot: str) -> AcceleratorChoice | None:
    """An answer of this boot. What cannot be read is probed again."""
    try:
        data = json.loads(path.read_text())
        return AcceleratorChoice(data["accelerator"], data["why"]) if data["boot"] == boot else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _probe(kernel: Path, initrd: Path, greeting: str, append: str) -> AcceleratorChoice:
    with tempfile.TemporaryDirectory(prefix="farshore-probe-") as folder:
        serial = Path(folder) / "serial"
        arguments = [program("qemu-system-x86_64"), "-machine", "q35,accel=kvm", "-m", "192", "-nodefaults"]
        arguments += ["-no-user-config", "-display", "none", "-no-reboot", "-kernel", str(kernel.resolve())]
        arguments += ["-initrd", str(initrd.resolve()), "-append", f"console=ttyS0 quiet {append}".strip()]
        # A relative path: the folder's own may hold a comma, which QEMU's options would take apart.
        arguments += ["-serial", "file:serial"]
        begun = time.monotonic()
        process = subprocess.Popen(
            arguments, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        try:
            while time.monotonic() < begun + PROBE_SECONDS:
                if serial.exists() and greeting.encode() in serial.read_bytes():
                    took = time.monotonic() - begun
                    return AcceleratorChoice("kvm", f"KVM: it booted the test guest in {took:.1f} s")
                if process.poll() is not None:
                    words = (process.stderr.read() if process.stderr else b"").decode(errors="replace").strip()
                    return AcceleratorChoice("tcg", f"TCG: QEMU with KVM ended ({' '.join(words.split())[:120]})")
                time.sleep(_POLL_SECONDS)
            return AcceleratorChoice("tcg", f"TCG: with KVM the test guest did not boot within {PROBE_SECONDS:.0f} s")
        finally:
            process.kill()
            process.wait()
            if process.stderr:
                process.stderr.close()
