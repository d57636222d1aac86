"""Brings a lab up and takes it down.

Up: 1. choose folder and addresses and write lab.json, under the lock of the list of labs; 2. make both sites;
3. start the link; 4. start both sites and wait for their APIs; 5. pair them through the API; 6. put the VMs into
north's inventory and start them; 7. protect them, if asked, and wait for the first checkpoint. What is begun is taken
down again when a step fails or Ctrl-C comes; after a failure the folder with the logs stays.
Down: everything in the lab's folder is stopped, whatever state it is in, and what the lab made is removed.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from farshore.cli.access import Access
from farshore.cli.client import SiteClient, task_id_of
from farshore.cli.output import Output
from farshore.cli.processes import kill_processes, site_processes, wait_until_gone
from farshore.cli.vpg_settings import create_vpg
from farshore.cli.waiting import wait_for_protection, wait_for_task
from farshore.errors import BadInput, Conflict, FarshoreError, Fault, Unavailable
from farshore.hypervisor.qemu.accelerator import Accelerator, choose_accelerator
from farshore.lab.addresses import LabAddresses, choose_addresses, claim_pair
from farshore.lab.description import link_socket
from farshore.lab.link import Forward, ask_link
from farshore.lab.names import SITE_NAMES, GuestKind
from farshore.lab.serial import GREETING
from farshore.lab.sites import (
    log_tail,
    make_site,
    spawn_detached,
    start_site,
    stop_site,
    wait_for_site,
)
from farshore.lab.state import FILE_NAME, Lab, LabSite, cache_folder, fresh_folder, lab_list, own_files
from farshore.model.rundir import make_run_directory, remove_run_directory
from farshore.model.site import SiteConfig

LINK_START_SECONDS = 10.0


@dataclass(frozen=True)
class Wanted:
    """What `lab up` is asked for."""

    folder: Path | None = None
    vms: int = 2
    disks: int = 2
    size_bytes: int = 64 << 20
    guest: GuestKind = "storage"
    checkpoint_interval_seconds: float = 5.0
    vpg: str | None = None


def bring_up(wanted: Wanted, out: Output) -> Lab:
    """A lab as wanted, once all of it is up. Raises Conflict (folder in use), Unavailable (no free ports), Fault."""
    lab = _begin(wanted, out)
    try:
        _start_all(lab, wanted, out)
    except KeyboardInterrupt:
        take_down(lab)
        raise
    except FarshoreError as error:
        stop_all(lab)
        stays = "The lab's folder stays for a look; remove it with: farshore lab down"
        raise type(error)(error.fact, f"{error.remedy} {stays}".strip()) from error
    except BaseException:
        stop_all(lab)
        raise
    return lab


def take_down(lab: Lab) -> None:
    """Stop all of the lab and remove what it made. Safe to repeat. Raises Fault when something does not end."""
    stop_all(lab)
    for path in own_files(lab.folder):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    if lab.made_folder and lab.folder.exists():
        shutil.rmtree(lab.folder)
    with lab_list() as labs:
        labs.remove(lab.folder)


def stop_all(lab: Lab) -> None:
    """Stop every process of the lab and remove its run directories; its files stay."""
    _refuse_mounts(lab.folder)
    with suppress(Unavailable):  # a link that is not there needs no stop; one that hangs is ended below
        ask_link(link_socket(lab), "stop")
    for site in lab.sites:
        stop_site(lab.site_folder(site.name))  # also where its folder is gone: processes are found by what they name
    _end_link(lab)
    remove_run_directory(lab.folder)


def _begin(wanted: Wanted, out: Output) -> Lab:
    """Folder, addresses and lab.json: from here on `lab down` finds it."""
    if min(wanted.vms, wanted.disks) < 1 or wanted.size_bytes < 1 << 20:
        raise BadInput("A lab needs at least one VM with one disk of 1 MiB.", "Raise --vms, --disks or --size.")
    with lab_list() as labs:
        folder, made = _folder(wanted.folder)
        taken = {site.address.host for lab in labs.labs() for site in lab.sites}
        addresses = choose_addresses(taken)
        while not claim_pair(addresses):
            taken |= {addresses.north.host, addresses.south.host}
            addresses = choose_addresses(taken)
        lab = Lab(folder=folder, made_folder=made, guest=wanted.guest, sites=_sites(addresses), vpg=wanted.vpg)
        lab.save()
        labs.add(folder)
    if addresses.remark:
        out.note(addresses.remark)
    return lab


def _sites(addresses: LabAddresses) -> tuple[LabSite, ...]:
    both = (addresses.north, addresses.south)
    return tuple(LabSite(name=name, address=address) for name, address in zip(SITE_NAMES, both, strict=True))


def _folder(wanted: Path | None) -> tuple[Path, bool]:
    """The lab's folder, and whether it was made here. Raises Conflict when it is in use."""
    if wanted is None:
        return fresh_folder(), True
    folder = wanted.absolute().resolve()
    if (folder / FILE_NAME).exists():
        raise Conflict(f"There is a lab in {folder} already.", f"Look at it: farshore lab status --dir '{folder}'")
    if folder.exists() and any(folder.iterdir()):
        raise Conflict(f"{folder} is not empty.", "Name a new or an empty folder.")
    made = not folder.exists()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder, made


def _start_all(lab: Lab, wanted: Wanted, out: Output) -> None:
    step = _Steps(out)
    accelerator = choose(wanted.guest, out)
    for site in lab.sites:
        make_site(lab.site_folder(site.name), site.name, site.address, accelerator)
    step("start the link", lambda: start_link(lab))
    for site in lab.sites:
        start_site(lab.site_folder(site.name))
    for site in lab.sites:
        folder = lab.site_folder(site.name)
        step(f"wait for site {site.name}", partial(wait_for_site, folder))
    step("pair the sites", lambda: pair_sites(lab, out))
    step(f"start {wanted.vms} VMs at north", lambda: add_vms(lab, wanted))
    if wanted.vpg:
        name = wanted.vpg
        step(f"protect them as {name}", lambda: protect(lab, name, wanted, out))


def choose(guest: GuestKind, out: Output) -> Accelerator:
    """What real guests are started with, said in a line; storage VMs need nothing. Raises Unavailable (no kernel)."""
    if guest == "storage":
        return "tcg"
    from farshore.lab.guest_kernel import find_guest_kernel

    found = find_guest_kernel()
    chosen = choose_accelerator(found.kernel, found.initrd, GREETING, cache_folder(), append="farshore.mode=idle")
    out.note(chosen.why)
    return chosen.accelerator


class _Steps:
    """Says what is done, and how long it took."""

    def __init__(self, out: Output) -> None:
        self._out = out

    def __call__(self, words: str, action: Callable[[], object]) -> None:
        begun = time.monotonic()
        action()
        self._out.note(f"{words}: {time.monotonic() - begun:.1f} s")


def start_link(lab: Lab) -> None:
    """Start the link's process and wait until it answers. Raises Fault with the end of its log."""
    socket_path = make_run_directory(lab.folder) / link_socket(lab).name
    command = [sys.executable, "-m", "farshore.lab.link", "--control", os.fspath(socket_path)]
    for forward in forwards(lab):
        command += ["--forward", str(forward)]
    process = spawn_detached(command, lab.folder / "link.log")
    deadline = time.monotonic() + LINK_START_SECONDS
    while True:
        try:
            ask_link(socket_path, "status")
        except Unavailable as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise Fault(f"The link did not start.\n{log_tail(lab.folder / 'link.log')}", "") from error
        else:
            return
        time.sleep(0.05)


def forwards(lab: Lab) -> list[Forward]:
    """What the link forwards: for each site its peer and its appliance port."""
    found = []
    for site in lab.sites:
        at = site.address
        found.append(Forward(at.host, at.link_peer_port, at.host, at.peer_port))
        found.append(Forward(at.host, at.link_appliance_port, at.host, at.appliance_port))
    return found


def pair_sites(lab: Lab, out: Output) -> None:
    """Pair the lab's sites through the API: a token at the first, used at the second."""
    issuer, user = (lab.site_folder(site.name) for site in lab.sites)
    with SiteClient(Access.load(issuer)) as api:
        token = api.post("/peersites/generatetoken")["Token"]
    host, _, port = SiteConfig.load(issuer).peer_address().rpartition(":")
    with SiteClient(Access.load(user)) as api:
        reply = api.post("/peersites", {"HostName": host, "Port": int(port), "Token": token})
        wait_for_task(api, task_id_of(reply), out, what="pairing", timeout_seconds=60)


def add_vms(lab: Lab, wanted: Wanted) -> None:
    """Put the wanted VMs into north's inventory and start them."""
    from farshore.lab.vms import put_vms, start_vms, storage_definitions

    folder = lab.site_folder("north")
    site_id = SiteConfig.load(folder).site_id
    if wanted.guest == "storage":
        definitions = storage_definitions(folder, site_id, wanted.vms, wanted.disks, wanted.size_bytes)
    else:
        from farshore.lab.guest_kernel import find_guest_kernel
        from farshore.lab.guest_vms import guest_definitions

        guest = find_guest_kernel()
        definitions = guest_definitions(folder / "disks", wanted.vms, wanted.disks, wanted.size_bytes, guest)
    put_vms(folder, definitions)
    start_vms(folder)


def protect(lab: Lab, name: str, wanted: Wanted, out: Output) -> None:
    """Protect all VMs of north as one VPG, and wait for its first checkpoint."""
    with SiteClient(Access.load(lab.site_folder("north"))) as api:
        here = api.get("/localsite")["SiteIdentifier"]
        vms = [vm["VmIdentifier"] for vm in api.get(f"/virtualizationsites/{here}/vms")]
        task = create_vpg(api, name, vms, interval_seconds=wanted.checkpoint_interval_seconds)
        wait_for_task(api, task, out, what="create VPG", timeout_seconds=120)
        vpg = api.get("/vpgs", name=name)[0]
        wait_for_protection(api, vpg["VpgIdentifier"], out)


def _refuse_mounts(folder: Path) -> None:
    """A lab mounts nothing; what someone else mounted below its folder must not be removed with it."""
    mark = os.fspath(folder).replace(" ", "\\040")
    with open("/proc/self/mounts") as mounts:
        below = [line.split()[1] for line in mounts if line.split()[1].startswith(mark + "/")]
    if below:
        raise Conflict(f"Mounted below the lab's folder: {', '.join(below)}.", "Unmount it, then try again.")


def _end_link(lab: Lab) -> None:
    """End a link that did not stop when it was asked."""
    links = [process for process in site_processes(lab.folder) if process.role == "link"]
    if wait_until_gone(links, 2.0):
        wait_until_gone(kill_processes(links), 5.0)
