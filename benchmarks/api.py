"""A manager with a thousand VPGs: all of them listed in JSON, and a task polled, as a client does over HTTPS.

The manager is a real one on one core, its database holds the VPGs, and a stand-in on another core tells for its
appliance how each of them stands. The bars are plain, and of the manager's processor time, which on a core of its own
is what a client waits: 100 ms for a list (what the client waited stands beside it), 2 ms for a poll. What the manager
spends when nobody asks is taken off.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from benchmarks.measuring import short_folder
from farshore.model.task import TaskType, new_task_id
from farshore.model.vpg import Volume, Vpg, VpgVm
from farshore.site.persistence import open_database
from farshore.site.site import database_path
from farshore.site.tasks import TaskRow, Tasks
from farshore.site.vpgs import VpgRow, Vpgs
from tests.managers import RunningManager

VPGS = 1000
LISTS = 40
POLLS = 1000
LIST_MS_MAX = 100.0
POLL_MS_MAX = 2.0
TICKS = os.sysconf("SC_CLK_TCK")


def run() -> bool:
    """List and poll; whether both bars were met."""
    with short_folder() as folder, _site(folder) as manager, manager.client() as client:
        client.headers.update(manager.headers)
        waits: list[float] = []
        spent = _cpu_ms(manager, lambda: waits.append(_list_ms(client)), LISTS)
        print(f"{'a client waited for a list':44} {statistics.median(waits):12,.2f} {'':12} ms")
        met = [_judge(f"GET /v1/vpgs, {VPGS} VPGs, CPU", spent, LIST_MS_MAX, "ms")]
        met.append(_judge("GET /v1/tasks/{id}, CPU", _poll_ms(manager, client), POLL_MS_MAX, "ms"))
    return all(met)


def _judge(name: str, value: float, most: float, unit: str) -> bool:
    verdict = "ok" if value <= most else "MISSED"
    load = f"load {os.getloadavg()[0]:.1f}"
    print(f"{name:44} {value:12,.2f} {'':12} {unit:10} at most {most:g}: {verdict}  {load}", flush=True)
    return value <= most


@contextlib.contextmanager
def _site(folder: Path) -> Iterator[RunningManager]:
    manager = RunningManager(folder / "site", "bench")
    _fill(manager)
    command = [sys.executable, "-m", "benchmarks.api_stand_in", os.fspath(manager.folder)]
    stand_in = subprocess.Popen(command)
    cores = sorted(os.sched_getaffinity(0))
    try:
        manager.start()
        assert manager.process is not None
        _pin(manager.process.pid, cores[0])
        _pin(stand_in.pid, cores[-1])
        _await_told(manager)
        yield manager
    finally:
        if manager.process is not None:
            manager.kill()
        stand_in.kill()
        stand_in.wait()


def _pin(pid: int, core: int) -> None:
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})


def _await_told(manager: RunningManager) -> None:
    """Until the stand-in's word has arrived: a list of VPGs that nobody tells of would be quicker."""
    deadline = time.monotonic() + 60
    while not all(vpg["HasCheckpoint"] for vpg in manager.get("/v1/vpgs")):
        if time.monotonic() > deadline:
            raise RuntimeError("the appliance's stand-in is not heard")
        time.sleep(0.2)


def _fill(manager: RunningManager) -> None:
    site_id = manager.config.site_id
    database = open_database(database_path(manager.folder))
    try:
        with database.transaction() as connection:
            for number in range(VPGS):
                Vpgs(database).insert(connection, VpgRow(_vpg(number, site_id), "active"))
    finally:
        database.close()


def _vpg(number: int, site_id: str) -> Vpg:
    """A VPG of two VMs with two disks each. Both its sites are this one, so that the one stand-in tells all."""
    vms = tuple(VpgVm(vm_id=str(uuid.uuid4()), vm_name=f"vm {number} {n}") for n in range(2))
    volumes = tuple(
        Volume(number=2 * n + disk, vm_id=vm.vm_id, disk_id=f"disk{disk}", size_bytes=100 << 30)
        for n, vm in enumerate(vms)
        for disk in range(2)
    )
    sites: dict[str, Any] = dict.fromkeys(("protected_site_id", "recovery_site_id", "owner_site_id"), site_id)
    return Vpg(id=str(uuid.uuid4()), name=f"VPG {number:04d}", vms=vms, volumes=volumes, **sites)


def _list_ms(client: httpx.Client) -> float:
    began = time.monotonic()
    reply = client.get("/v1/vpgs")
    elapsed = time.monotonic() - began
    if reply.status_code != 200 or reply.text.count('"VpgIdentifier"') != VPGS:
        raise RuntimeError(f"the list is not whole: {reply.status_code}")
    return elapsed * 1000


def _poll_ms(manager: RunningManager, client: httpx.Client) -> float:
    """Of a task that runs."""
    task_id = new_task_id(manager.config.site_id)
    database = open_database(database_path(manager.folder))
    Tasks(database).begin(TaskRow(task_id, TaskType.PairSite.value, manager.config.site_id, who="bench"))
    database.close()

    def poll() -> None:
        reply = client.get(f"/v1/tasks/{task_id}")
        if reply.status_code != 200:
            raise RuntimeError(f"the task is not there: {reply.status_code}")

    return _cpu_ms(manager, poll, POLLS)


def _cpu_ms(manager: RunningManager, ask: Callable[[], None], times: int) -> float:
    """Processor time of the manager each time that it is asked, less what it spends when nobody asks."""
    assert manager.process is not None
    pid = manager.process.pid
    ask()
    began, before = time.monotonic(), _cpu_seconds(pid)
    for _ in range(times):
        ask()
    spent, elapsed = _cpu_seconds(pid) - before, time.monotonic() - began
    before = _cpu_seconds(pid)
    time.sleep(elapsed)
    return 1000 * (spent - (_cpu_seconds(pid) - before)) / times


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS
