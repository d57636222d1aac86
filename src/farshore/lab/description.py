"""What a lab is made of right now, as `lab up --json` and `lab status --json` print it.

folder, guest, vpg, link {mode, connections, passed_bytes, forwards} or null,
sites [{name, site_id, url, user, password, client_id, client_secret, ca, folder, host, peer_address,
appliance_address, answers, gone, processes [{pid, parent, role, instance, command}]}],
(of a site whose folder is gone, as after a disaster: gone true, and only what needs no file of it)
vms [{id, name, site, power, recovered, label, pid, serial_log,
disks [{id, path, size_bytes, nbd_socket, nbd_export}]}]
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from farshore.cli.access import Access
from farshore.cli.processes import site_processes
from farshore.errors import Unavailable
from farshore.hypervisor.driver import VmSummary
from farshore.lab.link import ask_link
from farshore.lab.state import Lab, to_json
from farshore.model.rundir import run_directory
from farshore.model.site import SiteConfig

LINK_SOCKET = "link.sock"


def link_socket(lab: Lab) -> Path:
    """The control socket of the lab's link."""
    return run_directory(lab.folder) / LINK_SOCKET


def describe(lab: Lab) -> dict[str, Any]:
    """All that exists of the lab now."""
    from farshore.lab.vms import list_vms

    return {
        **to_json(lab),
        "link": _link(lab),
        "sites": [describe_site(lab, site.name) for site in lab.sites],
        "vms": [describe_vm(site.name, vm) for site in lab.sites for vm in list_vms(lab.site_folder(site.name))],
    }


def describe_site(lab: Lab, name: str) -> dict[str, Any]:
    """One site: how to sign in, where it is, and its processes."""
    folder = lab.site_folder(name)
    if not folder.is_dir():
        return _gone_site(lab, name)
    config, access = SiteConfig.load(folder), Access.load(folder)
    return {
        "name": name,
        "site_id": config.site_id,
        "url": access.url,
        "user": access.user,
        "password": access.password,
        "client_id": access.client_id,
        "client_secret": access.client_secret,
        "ca": access.ca,
        "folder": os.fspath(folder),
        "host": config.host,
        "peer_address": config.peer_address(),
        "appliance_address": config.appliance_address(),
        "answers": answers(access),
        "gone": False,
        "processes": [process.to_json() for process in site_processes(folder)],
    }


def _gone_site(lab: Lab, name: str) -> dict[str, Any]:
    """A site whose folder was renamed or removed."""
    address, folder = lab.site(name).address, lab.site_folder(name)
    unknown = ("site_id", "user", "password", "client_id", "client_secret", "ca", "peer_address", "appliance_address")
    return {
        **dict.fromkeys(unknown),
        "name": name,
        "url": f"https://{address.host}:{address.api_port}",
        "folder": os.fspath(folder),
        "host": address.host,
        "answers": False,
        "gone": True,
        "processes": [process.to_json() for process in site_processes(folder)],
    }


def describe_vm(site: str, vm: VmSummary) -> dict[str, Any]:
    """One VM, protected or recovered."""
    return {
        "id": vm.id,
        "name": vm.name,
        "site": site,
        "power": vm.power,
        "recovered": vm.recovered,
        "label": vm.label,
        "pid": vm.pid,
        "serial_log": _text(vm.serial_log) if vm.hypervisor == "qemu" else None,
        "disks": [
            {
                "id": disk.disk_id, "path": disk.path, "size_bytes": disk.size_bytes,
                "nbd_socket": _text(disk.nbd_socket), "nbd_export": disk.nbd_export,
            }
            for disk in vm.disks
        ],
    }  # fmt: skip


def answers(access: Access) -> bool:
    """Whether a server takes connections at the site's API."""
    import socket

    host, _, port = access.url.removeprefix("https://").rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=1.0):
            return True
    except OSError:
        return False


def _link(lab: Lab) -> dict[str, Any] | None:
    try:
        return ask_link(link_socket(lab), "status", timeout_seconds=2.0)
    except Unavailable:
        return None


def _text(path: Path | None) -> str | None:
    return None if path is None else os.fspath(path)
