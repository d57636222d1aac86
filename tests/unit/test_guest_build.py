"""The scripts that build the test guest: modules in the order of their needs, whatever Debian's kernel looks like."""

from __future__ import annotations

import lzma
import subprocess
from pathlib import Path

import pytest

GUEST = Path(__file__).resolve().parents[2] / "guest"


def _module(tree: Path, name: str, *, depends: str = "", soft: str = "", packed: bool = False) -> None:
    """A file with the strings that a module says of itself."""
    said = b"\x7fELF\0license=GPL\0depends=" + depends.encode() + b"\0"
    said += b"softdep=pre: " + soft.encode() + b"\0" if soft else b""
    path = tree / "kernel" / "drivers" / (name + (".ko.xz" if packed else ".ko"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(lzma.compress(said) if packed else said)


def _resolve(tree: Path, *modules: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", str(GUEST / "resolve-modules.sh"), str(tree), *modules]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("packed", [False, True])
def test_modules_come_after_what_they_need(tmp_path: Path, packed: bool) -> None:
    """Plain or packed; names with - or _; built-in ones are left out; an algorithm is found as <name>_generic."""
    tree = tmp_path / "Süd mit Leerzeichen" / "6.1"
    _module(tree, "virtio_net", depends="net_failover,virtio", packed=packed)
    _module(tree, "net_failover", depends="failover", packed=packed)
    _module(tree, "failover", packed=packed)
    _module(tree, "ext4", depends="jbd2", soft="crc32c", packed=packed)
    _module(tree, "jbd2", packed=packed)
    _module(tree, "crc32c-generic", packed=packed)
    (tree / "modules.builtin").write_text("kernel/drivers/virtio/virtio.ko\nkernel/x/evdev.ko\n")
    found = _resolve(tree, "virtio-net", "ext4", "evdev", "failover")
    assert found.returncode == 0, found.stderr
    names = [Path(line).name.split(".")[0] for line in found.stdout.splitlines()]
    assert names == ["failover", "net_failover", "virtio_net", "jbd2", "crc32c-generic", "ext4"]


def test_a_module_that_is_nowhere_is_named(tmp_path: Path) -> None:
    """Not an initramfs that fails at boot."""
    _module(tmp_path, "virtio_net", depends="net_failover")
    (tmp_path / "modules.builtin").touch()
    found = _resolve(tmp_path, "virtio_net")
    assert found.returncode == 1
    assert "has no module net_failover" in found.stderr


def test_building_without_a_kernel_says_what_to_do(tmp_path: Path) -> None:
    """And makes nothing."""
    command = ["sh", str(GUEST / "build.sh"), str(tmp_path)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 1
    assert "run guest/fetch-kernel.sh first" in found.stderr
    assert not list(tmp_path.iterdir())
