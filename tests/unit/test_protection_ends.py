"""What ends by order does end: no swallowed cancellation and no VM that hangs holds an appliance up for ever."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from farshore.appliance import protection
from farshore.appliance.carrier import Carrier
from farshore.appliance.durable_state import ProtectionState
from farshore.appliance.keeping import VpgJournal
from farshore.appliance.protection import VpgProtection
from farshore.appliance.road import Surroundings
from farshore.errors import Unavailable
from farshore.hypervisor.driver import VmHandle
from farshore.hypervisor.registry import Hypervisors
from farshore.model.appliance_specs import KeepSpec, ProtectSpec

VPG_ID = "00000000-0000-4000-8000-0000000000aa"
BOARD = SimpleNamespace(age_seconds=lambda _: 0.0)
AROUND = cast("Surroundings", SimpleNamespace(site_folder=Path("nowhere"), run_folder=Path("nowhere")))


class DeafCarrier:
    """Answers at the very moment at which its caller is cancelled, as `wait_for` does, so that it goes unnoticed."""

    is_alive = True

    def __init__(self, deaf: int) -> None:
        self.deaf = deaf
        self.ended = False

    async def call(self, *_: Any) -> dict[str, Any]:
        """The answer."""
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if self.deaf == 0:
                raise
            self.deaf -= 1
        return {}

    async def stop(self) -> None:
        """By order."""
        self.ended = True


class HangingVm:
    """A VM whose monitor takes orders and never carries one out."""

    on_lost = None

    def __init__(self) -> None:
        self.detached = 0

    async def detach(self, _keep_bitmaps: bool) -> None:
        """Never."""
        self.detached += 1
        await asyncio.Event().wait()

    async def close(self) -> None:
        """Never."""
        await asyncio.Event().wait()


def made_protection(tmp_path: Path) -> VpgProtection:
    """Of no VM, and not begun."""
    spec = ProtectSpec.model_construct(vpg_id=VPG_ID, vpg_name="shop", vm_ids=(), volumes=())
    state = ProtectionState.load(tmp_path / "state.json")
    around = cast("Surroundings", SimpleNamespace(site_folder=tmp_path, run_folder=tmp_path, board=BOARD))
    return VpgProtection(spec, around, cast("Hypervisors", None), state, 1.0)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds that a test can wait for."""
    monkeypatch.setattr(protection, "DETACH_SECONDS_MAX", 0.1)
    monkeypatch.setattr(protection, "CLOSE_SECONDS_MAX", 0.1)


def test_a_journal_ends_whose_carrier_answers_at_that_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was waited for for ever, with the appliance's lock held: no call that changes something was answered again."""
    monkeypatch.setattr("farshore.appliance.keeping.WATCH_SECONDS", 0.0)

    async def run() -> None:
        journal = VpgJournal(KeepSpec.model_construct(vpg_id=VPG_ID), AROUND)
        carrier = DeafCarrier(deaf=2)
        journal.carrier = cast("Carrier", carrier)
        journal.start()
        await asyncio.sleep(0.05)
        async with asyncio.timeout(10):
            await journal.stop()
        assert carrier.ended

    asyncio.run(run())


@pytest.mark.usefixtures("short")
def test_a_protection_ends_whose_vm_hangs(tmp_path: Path) -> None:
    """Its taps are tried twice, the second time with a killed tap, and then it is over."""

    async def run() -> None:
        ending, vm = made_protection(tmp_path), HangingVm()
        ending.handles = {"vm": cast("VmHandle", vm)}
        async with asyncio.timeout(10):
            await ending.stop(keep_bitmaps=True)
        assert vm.detached == 2
        assert ending.handles == {}

    asyncio.run(run())


def test_a_protection_whose_vm_somebody_keeps_says_so_and_ends_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call fails in bounded time; asked again when the VM is given back, it ends."""
    monkeypatch.setattr(protection, "END_SECONDS_MAX", 0.2)

    async def run() -> None:
        ending = made_protection(tmp_path)
        vm = SimpleNamespace(close=lambda: asyncio.sleep(0), detach=lambda _: asyncio.sleep(0), on_lost=None)
        ending.handles = {"vm": cast("VmHandle", vm)}
        async with ending.borrowed("vm"):
            with pytest.raises(Unavailable, match="has not ended within"):
                await ending.stop(keep_bitmaps=True)
        assert ending.is_ending  # the same order again begins it anew
        await ending.stop(keep_bitmaps=True)
        assert ending.handles == {}

    asyncio.run(run())
