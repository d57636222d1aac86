"""Volumes that outlive their VPG, at the appliance: whole or not there, whatever ends its process; listed, removed.

The journal is a real one of small files, and so is the process that copies; its carrier and the VMs are stand-ins.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from farshore.appliance import kept_volumes
from farshore.appliance.copies import Copies
from farshore.appliance.kept_volumes import KeptVolumes
from farshore.errors import BadInput, Conflict, FarshoreError, NotFound
from farshore.model.vm import DiskDefinition, VmDefinition
from tests.told_journals import SIZES, Killed, Story, story

ONE, OTHER = "00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"
VOLUMES = [{"number": n, "vm_id": f"id{n}", "vm_name": f"Löhne {n}/..", "disk_id": f"d{n}"} for n in SIZES]
END_SECONDS = 30


class Site:
    """A site's folder with one journal; `kept` is its appliance's part, made anew by `restart`."""

    def __init__(self, told: Story) -> None:
        self.told = told
        self.folder = told.folder.parent / "site"
        for name in ("journal", "log"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "journal" / "vpg").symlink_to(told.folder)
        self.pins: list[str] = []
        self.vms: list[VmDefinition] = []
        self.kept = self.restart()

    def restart(self, reserve_bytes: int = 0) -> KeptVolumes:
        """A new process of the appliance."""
        around: Any = SimpleNamespace(site_folder=self.folder, log=lambda name: self.folder / "log" / name)
        entries = lambda: [SimpleNamespace(definition=vm, vm_id=vm.id) for vm in self.vms]  # noqa: E731
        inventory: Any = SimpleNamespace(entries=entries)
        self.kept = KeptVolumes(around, self._journal, inventory, reserve_bytes)
        return self.kept

    def _journal(self, vpg_id: str) -> Any:
        if vpg_id != "vpg":
            raise NotFound("No journal.", "")
        return SimpleNamespace(call=self._unpin)

    async def _unpin(self, call: str, operation: str) -> None:
        self.pins.append(f"{call} {operation}")

    async def begin(self, operation: str = ONE) -> None:
        """Order it."""
        checkpoint = {"id": str(self.told.offered()[-1]), "time_ns": 1_800_000_000_000_000_000}
        await self.kept.begin_keep("vpg", "shop", operation, checkpoint, VOLUMES)

    async def copied(self, operation: str = ONE) -> str:
        """The state that it comes to."""
        async with asyncio.timeout(END_SECONDS):
            while (status := await self.kept.keep_status(operation))["state"] == "copying":
                await asyncio.sleep(0.02)
        return f"{status['state']}: {status['reason']}"

    def files(self) -> list[str]:
        """What lies there, with its folder."""
        folder = self.folder / "disks" / "kept"
        found = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
        return sorted(found + [path.name for path in (self.folder / "appliance" / "keeps").glob("*")])


@contextmanager
def a_site() -> Iterator[Site]:
    """With a journal whose newest checkpoint is not all in the replica."""
    with story() as told:
        told.tell([("write", 0, 100, b"first" * 40), ("checkpoint", 0, 0, None), ("write", 3, 7, b"last" * 90)])
        yield Site(told)


def play(part: Callable[[Site], Coroutine[Any, Any, None]]) -> None:
    """Run it on a site."""
    with a_site() as site:
        asyncio.run(part(site))


def check_whole(site: Site, told: dict[str, Any]) -> None:
    """Each file has the bytes of its volume at the checkpoint; beside them lies what they are, and nothing else."""
    folder = Path(told["folder"])
    copies = site.told.copies[int(told["checkpoint_id"])]
    names = {volume["file"]: int(volume["disk_id"][1:]) for volume in told["volumes"]}
    assert {path.name for path in folder.iterdir()} == {*names, "kept.json"}
    for name, number in names.items():
        assert (folder / name).read_bytes() == copies[number]
    note = json.loads((folder / "kept.json").read_text())
    assert (note["vpg_name"], note["checkpoint_time"]) == ("shop", "2027-01-15T08:00:00Z")
    assert [v["vm_name"] for v in note["volumes"]] == [f"Löhne {n}/.." for n in SIZES]
    assert [v["size_bytes"] for v in note["volumes"]] == list(SIZES.values())


def test_kept_volumes_are_the_checkpoint_s_and_unpin_it() -> None:
    """Listed once they are whole, and not before; asked for again it is the same set."""

    async def part(site: Site) -> None:
        await site.begin()
        assert await site.kept.kept_volumes() == []
        assert await site.copied() == "copied: "
        assert await site.kept.kept_volumes() == []
        told = await site.kept.finish_keep(ONE)
        check_whole(site, told)
        assert site.pins == [f"unpin {ONE}"]
        await site.begin()
        assert (await site.kept.finish_keep(ONE), await site.kept.kept_volumes()) == (told, [told])
        assert (await site.kept.keep_status(ONE))["state"] == "finished"
        assert len(site.files()) == 4

    play(part)


@pytest.mark.parametrize(
    ("owner", "spot"),
    [
        (kept_volumes, "write_durably"),
        (kept_volumes, "sync_directory"),
        (Copies, "forget"),
        (KeptVolumes, "_unpin"),
    ],
)
def test_an_appliance_that_is_killed_while_it_makes_them_known(
    monkeypatch: pytest.MonkeyPatch, owner: Any, spot: str
) -> None:
    """At any of its steps, and its copier at the beginning: the next one goes on to the same whole set."""

    async def part(site: Site) -> None:
        await site.begin()
        await site.kept.stop()  # the copier goes with its watcher
        site.restart().resume()
        assert await site.copied() == "copied: "
        with monkeypatch.context() as patch:

            def die(*_: Any, **__: Any) -> None:
                raise Killed

            patch.setattr(owner, spot, die)
            with pytest.raises(Killed):
                await site.kept.finish_keep(ONE)
        site.restart().resume()
        check_whole(site, await site.kept.finish_keep(ONE))
        assert len(site.files()) == 4

    play(part)


def test_without_room_nothing_is_left_and_it_is_said() -> None:
    """Before the first byte, with what can be done; dropped, not even the record stays."""

    async def part(site: Site) -> None:
        site.restart(reserve_bytes=1 << 60)
        await site.begin()
        said = await site.copied()
        assert "failed: The store of" in said
        assert "bytes for the volumes that are to be kept" in said
        assert "delete the VPG without keeping its recovery volumes" in said
        with pytest.raises(Conflict):
            await site.kept.finish_keep(ONE)
        await site.kept.drop_keep("vpg", ONE)
        await site.kept.drop_keep("gone", ONE)
        assert site.files() == []
        assert site.pins == [f"unpin {ONE}"]

    play(part)


def test_what_is_dropped_leaves_nothing() -> None:
    """In the middle of the copy, and when it was known already; another set stays."""

    async def part(site: Site) -> None:
        await site.begin(OTHER)
        await site.copied(OTHER)
        other = await site.kept.finish_keep(OTHER)
        await site.begin()
        await site.kept.drop_keep("vpg", ONE)
        await site.begin()
        await site.copied()
        await site.kept.finish_keep(ONE)
        await site.kept.drop_keep("vpg", ONE)
        check_whole(site, other)
        assert await site.kept.kept_volumes() == [other]
        assert len(site.files()) == 4

    play(part)


def test_a_set_is_removed_unless_a_vm_has_its_disks_there() -> None:
    """By its identifier alone: nothing else becomes a path."""

    async def part(site: Site) -> None:
        await site.begin()
        await site.copied()
        told = await site.kept.finish_keep(ONE)
        path = f"{told['folder']}/{told['volumes'][0]['file']}"
        site.vms = [VmDefinition(id="x", name="uses it", disks=(DiskDefinition(id="a", path=path, size_bytes=1),))]
        with pytest.raises(Conflict, match="uses it"):
            await site.kept.remove_kept(ONE)
        site.vms = []
        for name in (OTHER, "..", "", f"../kept/{ONE}", f".{ONE}"):
            with pytest.raises(NotFound):
                await site.kept.remove_kept(name)
        with pytest.raises(BadInput):
            await site.kept.keep_status("../../x")
        check_whole(site, told)
        await site.kept.remove_kept(ONE.upper())
        assert await site.kept.kept_volumes() == []
        site.restart().resume()  # whatever the first one did not come to
        async with asyncio.timeout(END_SECONDS):
            while site.files():
                await asyncio.sleep(0.02)
        with pytest.raises(FarshoreError):
            await site.kept.finish_keep(ONE)

    play(part)
