"""The lab: two real sites come up paired with VMs; what is killed comes back; what is taken down is gone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from farshore.cli.access import Access
from farshore.cli.client import SiteClient
from farshore.hypervisor.inventory import Inventory
from farshore.lab.addresses import SiteAddress
from farshore.lab.demo.leftovers import check_nothing_left, look
from farshore.lab.demo.story import places_of
from farshore.lab.state import Lab
from farshore.nbd.client import NbdClient

VM_COUNT, DISK_COUNT, SIZE_BYTES = 2, 2, 16 << 20


def _farshore(*words: str, cache: Path) -> Any:
    """Run a command with --json; its document."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "XDG_CACHE_HOME": str(cache)}
    command = [sys.executable, "-m", "farshore", *words, "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a space and an umlaut in its name, and nothing short about it."""
    return tmp_path_factory.mktemp("a place with spaces and ümläuts") / ("long" * 20)


@pytest.fixture(scope="module")
def lab(place: Path) -> Iterator[dict[str, Any]]:
    """A lab with storage VMs, as `lab up --json` tells of it."""
    size = ("--vms", str(VM_COUNT), "--disks", str(DISK_COUNT), "--size", "16M")
    found = _farshore("lab", "up", "--dir", str(place), *size, cache=place.parent)
    yield found
    if (place / "lab.json").exists():
        _farshore("lab", "down", "--dir", str(place), cache=place.parent)


@pytest.fixture
def ask(place: Path) -> Callable[..., Any]:
    """A lab command on this lab."""
    return lambda *words: _farshore("lab", *words, "--dir", str(place), cache=place.parent)


def _pids(found: dict[str, Any], site: str, role: str) -> list[int]:
    processes = next(s["processes"] for s in found["sites"] if s["name"] == site)
    return [process["pid"] for process in processes if process["role"] == role]


def test_both_sites_can_be_signed_in_to_both_ways_and_know_each_other(lab: dict[str, Any]):
    """What the lab prints is enough for any client, classic or by token; each site lists the other as paired."""
    for site in lab["sites"]:
        access = Access(site["url"], site["user"], site["password"], site["ca"])
        for way in ("classic", "token"):
            with SiteClient(access, way) as api:
                assert api.get("/localsite")["SiteName"] == site["name"]
                peers = api.get("/peersites")
                assert [peer["PairingStatus"] for peer in peers] == [0]
                assert peers[0]["PeerSiteName"] != site["name"]


def test_each_vm_is_told_with_the_socket_of_each_disk_and_can_be_written_to(lab: dict[str, Any]):
    """A storage VM's disk is an NBD export of its size; the API lists the same VMs at north."""
    assert len(lab["vms"]) == VM_COUNT
    for vm in lab["vms"]:
        assert (vm["site"], vm["power"], vm["recovered"], len(vm["disks"])) == ("north", "running", False, DISK_COUNT)
        for disk in vm["disks"]:
            with NbdClient(disk["nbd_socket"], disk["nbd_export"]) as client:
                assert client.size_bytes == disk["size_bytes"] == SIZE_BYTES
                client.pwrite(4096, b"farshore" * 512)
                assert client.pread(4096, 8) == b"farshore"
    north = lab["sites"][0]
    with SiteClient(Access.load(Path(north["folder"]))) as api:
        listed = api.get(f"/virtualizationsites/{north['site_id']}/vms")
    assert {vm["VmName"] for vm in listed} == {vm["name"] for vm in lab["vms"]}


@pytest.mark.parametrize("target", ["manager", "watcher"])
@pytest.mark.usefixtures("lab")
def test_a_killed_process_of_a_site_is_started_again(target: str, ask: Callable[..., Any]):
    """`lab kill` is a crash: the site's own process notices and starts the other one anew, VMs run on."""
    before = ask("status")
    assert ask("kill", "north", target)
    _until(lambda: _pids(ask("status"), "north", target) not in ([], _pids(before, "north", target)))
    assert [vm["pid"] for vm in ask("status")["vms"]] == [vm["pid"] for vm in before["vms"]]


@pytest.mark.usefixtures("lab")
def test_a_site_that_was_killed_whole_is_there_again_after_start(ask: Callable[..., Any]):
    """`lab kill north` takes everything of north, VMs too, and nothing of south; `lab start north` brings it back."""
    before = ask("status")
    ask("kill", "north")
    dead = ask("status")
    assert [site["processes"] == [] for site in dead["sites"]] == [True, False]
    assert {vm["power"] for vm in dead["vms"]} == {"off"}
    assert _pids(dead, "south", "manager") == _pids(before, "south", "manager")
    ask("start", "north")
    after = ask("status")
    assert [site["answers"] for site in after["sites"]] == [True, True]
    assert {vm["power"] for vm in after["vms"]} == {"running"}


@pytest.mark.usefixtures("lab")
def test_a_site_whose_folder_is_gone_is_told_and_comes_back_without_its_vms(place: Path, ask: Callable[..., Any]):
    """After a disaster: `status` and `kill` stand it, `start` refuses in words; back again, held VMs stay off."""
    north, gone = place / "north", place / "north.gone"
    ask("kill", "north")
    north.rename(gone)
    try:
        told = ask("status")
        assert [(site["gone"], site["answers"]) for site in told["sites"]] == [(True, False), (False, True)]
        assert told["vms"] == []
        assert ask("kill", "north") == []
        with pytest.raises(AssertionError, match="folder of site north is gone"):
            ask("start", "north")
    finally:
        gone.rename(north)
    ask("start", "north", "--no-vms")
    back = ask("status")
    assert {(vm["site"], vm["power"]) for vm in back["vms"]} == {("north", "off")}
    held = back["vms"][0]["id"]
    Inventory(north / "vms").hold(held, "its disks are a replica")
    ask("start", "north")
    assert {vm["id"]: vm["power"] for vm in ask("status")["vms"]}[held] == "off"
    Inventory(north / "vms").release(held)
    ask("start", "north")
    assert {vm["power"] for vm in ask("status")["vms"]} == {"running"}


@pytest.mark.usefixtures("lab")
def test_the_link_is_cut_stalled_and_mended(ask: Callable[..., Any]):
    """The mode is told back, and `status` tells it too."""
    for mode in ("down", "stall", "slow", "up"):
        assert ask("link", mode)["mode"] == mode
        assert ask("status")["link"]["mode"] == mode


@pytest.mark.usefixtures("lab")
def test_down_leaves_no_process_socket_port_mount_or_file(place: Path, ask: Callable[..., Any]):
    """Also for a lab that is half dead: what is left after `lab down` is what was there before `lab up`."""
    addresses: list[SiteAddress] = [site.address for site in Lab.load(place).sites]
    nothing = look("no mark", ["/nowhere"], files_below=[])
    ask("kill", "south", "manager")
    ask("down")
    after = look("no mark", places_of(place), addresses, files_below=[*places_of(place)])
    check = check_nothing_left("nothing is left", nothing, after)
    assert check.good, check.words
    assert not place.exists()
