"""What is not known at the moment is not told as gone: a journal that begins anew has its checkpoints all the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from farshore.appliance.overview import SILENT
from farshore.appliance.road import Link
from farshore.model.recovery import WayHome
from farshore.model.vpg_state_table import judge
from farshore.model.vpg_states import VpgSubStatus
from farshore.site.hearing import Hearing
from farshore.site.status import Heard, facts, reason
from farshore.site.vpgs import VpgRow
from tests.faked_site import FakedSite, with_site
from tests.operations_harness import VPG


def looked(faked: FakedSite, heard: Heard) -> tuple[VpgSubStatus, bool]:
    """The substatus, and whether a checkpoint is known."""
    found = facts(VpgRow(faked.vpg, "active"), heard, 10**18)
    return judge(found)[1], found.newest_checkpoint_age_seconds is not None


def test_a_new_epoch_shows_no_lost_peer_and_no_lost_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As right after a rollback: the sender has just been started, the journal takes another epoch."""

    async def test(faked: FakedSite) -> None:
        hearing, row = Hearing(faked.site), VpgRow(faked.vpg, "active")

        async def ask(**journal: Any) -> tuple[VpgSubStatus, bool]:
            with monkeypatch.context() as patch:
                if journal:
                    answer = {"vpgs": {VPG: {"protection": None} | journal}, "operations": {}}
                    patch.setattr(type(faked.south), "_vpg_statuses", lambda *_a, **_k: answer)
                return looked(faked, (await hearing.of([row]))[VPG])

        assert await ask() == (VpgSubStatus.None_, True)
        told = faked.north.appliance._protection_status(faked.north.appliance.state(), VPG)
        monkeypatch.setattr(type(faked.south), "_protection_status", lambda *_a: told | {"link": Link().state})
        assert await ask(journal=SILENT) == (VpgSubStatus.None_, True)
        assert await ask(journal=None) == (VpgSubStatus.None_, False)  # it answers that there is none
        assert await ask(journal=SILENT) == (VpgSubStatus.None_, False)
        await ask()
        faked.south.silent = faked.north.appliance.silent = True
        faked.site.peers._heard.clear()
        assert await ask() == (VpgSubStatus.DisconnectedFromPeer, True)

    with_site(tmp_path, test)


def test_a_stream_that_was_cut_is_told(tmp_path: Path) -> None:
    """Once the sender has tried in vain, the sites do not hear each other."""

    async def test(faked: FakedSite) -> None:
        (heard,) = (await Hearing(faked.site).of([VpgRow(faked.vpg, "active")])).values()
        assert heard.protection is not None
        heard.protection["link"] = "down"
        assert looked(faked, heard) == (VpgSubStatus.DisconnectedFromPeer, True)

    with_site(tmp_path, test)


def test_a_vpg_that_no_watcher_speaks_of_is_told_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its site answers, and not for its protection; a single look that was in vain says nothing yet."""

    async def test(faked: FakedSite) -> None:
        hearing, row = Hearing(faked.site), VpgRow(faked.vpg, "active")

        async def look() -> tuple[VpgSubStatus, bool]:
            (heard,) = (await hearing.of([row])).values()
            return looked(faked, heard)[0], bool(reason(heard))

        faked.north.appliance.silent = True
        assert await look() == (VpgSubStatus.None_, False)
        monkeypatch.setattr("farshore.site.hearing.UNWATCHED_SECONDS", 0.0)
        assert await look() == (VpgSubStatus.VmNotProtectedError, True)
        recovered = faked.vpg.model_copy(update={"way_home": WayHome(asked=False, exact=False)})
        (heard,) = (await hearing.of([VpgRow(recovered, "active")])).values()
        assert not heard.unwatched
        await look()
        assert await look() == (VpgSubStatus.VmNotProtectedError, True)
        faked.north.appliance.silent = False
        assert await look() == (VpgSubStatus.None_, False)

    with_site(tmp_path, test)


def test_the_checkpoints_of_a_removed_vpg_are_forgotten(tmp_path: Path) -> None:
    """When any other VPG is asked for; those of VPGs that are still there stay."""

    async def test(faked: FakedSite) -> None:
        hearing, row = Hearing(faked.site), VpgRow(faked.vpg, "active")
        await hearing.of([row])
        assert set(hearing._ends) == {VPG}
        await hearing.of([])
        assert set(hearing._ends) == {VPG}
        faked.site.vpgs.remove(VPG)
        await hearing.of([])
        assert not hearing._ends

    with_site(tmp_path, test)
