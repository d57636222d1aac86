"""What five hundred VPGs in Before Commit cost the manager that counts their time, beside none.

The bar: less than 1 % of a core more. Their rows are written into the database of a site whose manager is being
started again; there are no journals behind them, whose carriers are another matter.
"""

from __future__ import annotations

import os
import signal
import time
import uuid
from pathlib import Path
from typing import Any

from benchmarks.measuring import short_folder
from farshore.cli.processes import site_processes
from farshore.model.policies import CommitPolicy, ShutdownPolicy
from farshore.model.recovery import Recovery
from farshore.model.site import SiteConfig
from farshore.model.vpg import Vpg, VpgVm
from farshore.site.deadlines import Deadlines
from farshore.site.persistence import open_database
from farshore.site.vpgs import VpgRow, Vpgs
from tests.storage_lab import farshore

COUNT = 500
SECONDS = 40.0
SETTLE_SECONDS = 25.0
MORE_PERCENT_MAX = 1.0


def run() -> bool:
    """One lab: measured without, then with them; whether the bar was met."""
    with short_folder() as folder:
        lab = folder / "lab"
        try:
            made: Any = farshore("lab", "up", "--dir", lab, "--guest", "storage", "--vms", 1, "--json")
            folders = {site["name"]: Path(site["folder"]) for site in made["sites"]}
            without = _percent(folders["south"])
            _fill(folders["north"], folders["south"])
            more = _percent(folders["south"])
        finally:
            farshore("lab", "down", "--dir", lab, check=False)
    verdict = "ok" if more - without < MORE_PERCENT_MAX else "MISSED"
    difference = f"more {more - without:.2f}, under {MORE_PERCENT_MAX:g}: {verdict}"
    figures = f"{more:12.2f} {without:12.2f} % of a core  {difference}"
    print(f"{f'manager with {COUNT} VPGs in Before Commit / none':44} {figures}", flush=True)
    return verdict == "ok"


def _manager(folder: Path) -> int | None:
    found = [process.pid for process in site_processes(folder) if process.role == "manager"]
    return found[0] if found else None


def _percent(folder: Path) -> float:
    """CPU of the manager once it has settled."""
    time.sleep(SETTLE_SECONDS)
    pid = _manager(folder)
    began, used = time.monotonic(), _used_seconds(pid)
    time.sleep(SECONDS)
    if _manager(folder) != pid:
        raise RuntimeError("the manager was started again meanwhile")
    return 100 * (_used_seconds(pid) - used) / (time.monotonic() - began)


def _used_seconds(pid: int | None) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _fill(north: Path, south: Path) -> None:
    """Write the rows while the manager is down; its parent starts it when it goes on."""
    (parent,) = [process.pid for process in site_processes(south) if process.role == "site"]
    os.kill(parent, signal.SIGSTOP)
    pid = _manager(south)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    north_id, south_id = SiteConfig.load(north).site_id, SiteConfig.load(south).site_id
    database = open_database(south / "manager" / "site.sqlite")
    rows = Vpgs(database)
    with database.transaction() as connection:
        for number in range(COUNT):
            rows.insert(connection, _row(number, north_id, south_id))
    _begin_counting(database, rows)
    database.close()
    os.kill(parent, signal.SIGCONT)


def _begin_counting(database: Any, rows: Vpgs) -> None:
    with database.transaction() as connection:
        for row in rows.all():
            Deadlines(database).begin(connection, row.vpg.id, 3600.0)


def _row(number: int, north_id: str, south_id: str) -> VpgRow:
    recovery = Recovery(
        kind="failover",
        stage="before_commit",
        task_id=f"{uuid.uuid4()}.{south_id}",
        operation=uuid.uuid4().hex,
        vm_ids=(f"vm-{number}",),
        commit_policy=CommitPolicy.Rollback,
        policy_seconds=3600,
        shutdown_policy=ShutdownPolicy.None_,
        reverse_protection=False,
    )
    vpg = Vpg(
        id=str(uuid.uuid4()),
        name=f"vpg {number}",
        protected_site_id=north_id,
        recovery_site_id=south_id,
        owner_site_id=south_id,
        vms=(VpgVm(vm_id=f"vm-{number}", vm_name=f"vm {number}"),),
        recovery=recovery,
    )
    return VpgRow(vpg, "active")
