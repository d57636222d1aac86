"""KVM is used only where a guest boots with it; every other case is TCG, and the reason is one line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from farshore.hypervisor.qemu import accelerator
from farshore.hypervisor.qemu.accelerator import AcceleratorChoice, choose_accelerator


@pytest.fixture
def played_qemu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program of QEMU's name before the real one; the test writes what it does."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "qemu-system-x86_64"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr(accelerator, "PROBE_SECONDS", 1.0)
    return program


def _choose(folder: Path, device: Path = Path("/dev/null")) -> AcceleratorChoice:
    return choose_accelerator(folder / "kernel", folder / "initrd", "HELLO", folder / "cache ü", device=device)


@pytest.mark.parametrize(
    ("script", "chosen", "why"),
    [
        ("echo HELLO guest >serial; exec sleep 60", "kvm", "KVM: it booted the test guest in"),
        ("echo SeaBIOS >serial; exec sleep 60", "tcg", "did not boot within 1 s"),
        ("echo 'Could not access KVM kernel module' >&2; exit 1", "tcg", "(Could not access KVM kernel module)"),
    ],
)
def test_the_proof_is_a_guest_that_boots(tmp_path: Path, played_qemu: Path, script: str, chosen: str, why: str) -> None:
    """One that says its words, one that hangs, one that does not start."""
    played_qemu.write_text(f"#!/bin/sh\n{script}\n")
    choice = _choose(tmp_path)
    assert choice.accelerator == chosen
    assert why in choice.why
    assert "\n" not in choice.why


def test_the_answer_is_kept_for_this_boot_of_the_machine(tmp_path: Path, played_qemu: Path) -> None:
    """The second question starts no guest; an answer of another boot, or a torn one, is asked again."""
    played_qemu.write_text("#!/bin/sh\necho x >>$0.runs; echo HELLO >serial; exec sleep 60\n")
    runs = played_qemu.with_name(played_qemu.name + ".runs")
    first = _choose(tmp_path)
    assert _choose(tmp_path) == first
    assert runs.read_text().count("x") == 1
    (kept,) = (tmp_path / "cache ü").glob("accelerator-*.json")
    kept.write_text('{"boot": "another", "accelerator": "tcg", "why": ""}')
    assert _choose(tmp_path).accelerator == "kvm"
    kept.write_text('{"boot": "ano')
    assert _choose(tmp_path).accelerator == "kvm"
    assert runs.read_text().count("x") == 3


def test_no_device_means_tcg_and_starts_nothing(tmp_path: Path, played_qemu: Path) -> None:
    """Nothing to ask QEMU about."""
    played_qemu.write_text("#!/bin/sh\necho HELLO >serial; exec sleep 60\n")
    assert _choose(tmp_path, tmp_path / "none") == AcceleratorChoice("tcg", f"TCG: there is no {tmp_path}/none here")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may use every device")
def test_a_device_that_is_not_permitted_means_tcg(tmp_path: Path) -> None:
    """Nothing to ask QEMU about."""
    device = tmp_path / "kvm"
    device.touch(mode=0o000)
    assert "may not be used by this account" in _choose(tmp_path, device).why
