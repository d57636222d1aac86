"""One site of a lab: made, started, waited for, killed, stopped. Its processes outlive the command that starts them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from farshore.cli.access import Access
from farshore.cli.client import SiteClient
from farshore.cli.processes import kill_processes, site_processes, wait_until_gone
from farshore.cli.site_folder import NewSite, init_site
from farshore.errors import BadInput, Fault, NotSignedIn, Unavailable
from farshore.lab.addresses import SiteAddress
from farshore.model.rundir import remove_run_directory

START_SECONDS = 45.0
STOP_SECONDS = 15.0
TARGETS = ("manager", "watcher", "carrier", "vms", "all")
LOG_TAIL_LINES = 12


def make_site(folder: Path, name: str, address: SiteAddress, accelerator: str) -> None:
    """Make the site's folder; the other site is told to reach it at the link. `accelerator`: kvm or tcg."""
    init_site(
        folder,
        NewSite(
            name=name,
            host=address.host,
            api_port=address.api_port,
            peer_port=address.peer_port,
            appliance_port=address.appliance_port,
            advertised_peer=f"{address.host}:{address.link_peer_port}",
            advertised_appliance=f"{address.host}:{address.link_appliance_port}",
            accelerator=accelerator,
        ),
    )


def start_site(folder: Path) -> None:
    """Start the site's process, detached; one that runs already is left alone. Its words go to log/site.log.

    Returns once the process can be found by its command line.
    """
    if any(process.role == "site" for process in site_processes(folder)):
        return
    command = [sys.executable, "-m", "farshore", "site", "run", "--dir", os.fspath(folder)]
    started = spawn_detached(command, folder / "log" / "site.log")
    while started.poll() is None and not any(process.pid == started.pid for process in site_processes(folder)):
        time.sleep(0.02)  # between fork and exec


def spawn_detached(
    command: list[str], log: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, with both outputs appended to `log`; by default in `lab_environment`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=environment or lab_environment(),
        )


def lab_environment() -> dict[str, str]:
    """Ours, with this very package first: a lab runs what started it, also from a clone that is not installed."""
    import farshore

    source = os.fspath(Path(farshore.__file__).resolve().parent.parent)
    path = os.environ.get("PYTHONPATH", "")
    return {**os.environ, "PYTHONPATH": f"{source}{os.pathsep}{path}" if path else source}


def wait_for_site(folder: Path, timeout_seconds: float = START_SECONDS) -> dict[str, Any]:
    """The site's own record, once its API answers. Raises Fault, with its log, when it does not or has ended."""
    access = Access.load(folder)
    deadline = time.monotonic() + timeout_seconds
    while True:
        runs = any(process.role == "site" for process in site_processes(folder))
        try:
            with SiteClient(access) as api:
                site: dict[str, Any] = api.get("/localsite")
                return site
        except NotSignedIn as error:
            raise Fault(f"Something else than this lab's site answers at {access.url}: {error.fact}", "") from error
        except Unavailable as error:
            if not runs or time.monotonic() > deadline:
                how = f"does not answer after {timeout_seconds:.0f} s: {error.fact}" if runs else "has ended."
                tail = log_tail(folder / "log" / "site.log")
                raise Fault(f"The site in {folder} {how}\n{tail}", f"Its logs are in {folder / 'log'}.") from error
        time.sleep(0.1)


def kill_in_site(folder: Path, target: str, signal_number: int = signal.SIGKILL) -> list[dict[str, Any]]:
    """Send a signal to processes of the site: one of TARGETS; those that got it.

    `all` begins with the site's own process, so that nothing is started again in between.
    """
    if target not in TARGETS:
        raise BadInput(f"{target} is not what a lab can kill.", f"Name one of {', '.join(TARGETS)}.")
    role = {"vms": "vm"}.get(target, target)
    processes = [process for process in site_processes(folder) if role in ("all", process.role)]
    processes.sort(key=lambda process: process.role != "site")
    reached = kill_processes(processes, signal_number)
    if signal_number == signal.SIGKILL:
        wait_until_gone(reached, 5.0)
        if target == "all":  # what a process started just before it got the signal
            reached += kill_processes(site_processes(folder), signal_number)
            wait_until_gone(reached, 5.0)
    return [process.to_json() for process in reached]


def stop_site(folder: Path) -> None:
    """Stop the site: its own process in order, then whatever is left, VMs too, by force; remove its run directory.

    Raises Fault when a process cannot be ended.
    """
    supervisors = [process for process in site_processes(folder) if process.role == "site"]
    kill_processes(supervisors, signal.SIGCONT)
    wait_until_gone(kill_processes(supervisors, signal.SIGTERM), STOP_SECONDS)
    deadline = time.monotonic() + STOP_SECONDS
    while left := site_processes(folder):
        kill_processes(left)
        if time.monotonic() > deadline:
            pids = ", ".join(str(process.pid) for process in left)
            raise Fault(f"Processes of {folder} cannot be ended: {pids}.", "See what holds them.")
        wait_until_gone(left, 2.0)
    remove_run_directory(folder)


def log_tail(path: Path) -> str:
    """The last lines of a log; empty when there is none."""
    if not path.exists():
        return ""
    return "\n".join(path.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])
