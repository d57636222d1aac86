"""The watcher's process: `python -m farshore.appliance DIR`.

It beats on the board of the site's process (environment FARSHORE_BOARD_FD; by itself it makes its own), has a
watchdog thread that waits for nothing else, and ends its carriers when it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import ssl
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from farshore.appliance.appliance import Appliance
from farshore.appliance.orphans import end_stopped_carriers, mark_carriers
from farshore.appliance.port import AppliancePort
from farshore.appliance.road import Surroundings
from farshore.appliance.watchdog import WATCHER_SLOT, Watchdog
from farshore.datapath.tap.heartbeat import KIND_TAP, KIND_WATCHER, SLOT_COUNT, Board
from farshore.errors import FarshoreError
from farshore.hypervisor.registry import Hypervisors
from farshore.identity.contexts import server_context
from farshore.model.files import remove_unfinished
from farshore.model.rundir import make_run_directory
from farshore.model.site import SiteConfig


def say(message: str) -> None:
    """A line in the watcher's log."""
    sys.stdout.write(f"{datetime.now(UTC).isoformat(timespec='milliseconds')} {message}\n")
    sys.stdout.flush()


def surroundings(folder: Path, config: SiteConfig, board_fd: int) -> Surroundings:
    """Folders, board and its free slots."""
    free = set(range(WATCHER_SLOT + 1, SLOT_COUNT))
    (folder / "log").mkdir(exist_ok=True)
    return Surroundings(
        site_folder=folder,
        run_folder=make_run_directory(folder),
        site_id=config.site_id,
        board=Board(board_fd),
        board_fd=board_fd,
        take_slot=free.pop,
        give_slot=free.add,
    )


def accelerator(setting: str) -> Literal["kvm", "tcg"]:
    """What VMs run on; `auto` takes KVM where this account may use it (a device that hangs must be set to tcg)."""
    if setting == "tcg" or (setting == "auto" and not os.access("/dev/kvm", os.R_OK | os.W_OK)):
        return "tcg"
    return "kvm"


async def run(folder: Path) -> int:
    """Serve until SIGTERM."""
    config = SiteConfig.load(folder)
    board_fd = int(os.environ.get("FARSHORE_BOARD_FD", "-1"))
    if board_fd < 0:
        board_fd = Board.create()
    around = surroundings(folder, config, board_fd)
    around.board.kill_late(-1.0, (KIND_TAP,))  # taps of a watcher before this one end with it, stopped ones too
    around.board.register(WATCHER_SLOT, KIND_WATCHER)
    loop = asyncio.get_running_loop()
    watchdog = Watchdog(around.board, say)
    watchdog.start()
    appliance = Appliance(
        config, around, Hypervisors(folder, around.run_folder, accelerator(config.settings.accelerator))
    )
    port = AppliancePort(appliance, server_context(folder / "identity", require_client=True), say)
    port.listen(config.host, config.appliance_port)
    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    mark_carriers(folder)
    for pid in end_stopped_carriers(folder):
        say(f"killed the carrier {pid}: it was stopped, and its watcher is gone")
    remove_unfinished(folder, besides=("journal", "disks"))
    await appliance.resume()
    tasks: list[asyncio.Task[object]] = [
        loop.create_task(port.serve()),
        loop.create_task(appliance.views.watch()),
        loop.create_task(appliance.discarded.watch()),
        loop.create_task(watchdog.tick()),
    ]
    say(f"the appliance of site {config.name} listens on {config.host}:{config.appliance_port}")
    waiting = loop.create_task(ending.wait())
    done, _ = await asyncio.wait({*tasks, waiting}, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    failed = [task for task in done if task is not waiting and not task.cancelled() and task.exception()]
    for task in failed:
        say(f"ended by a fault: {task.exception()!r}")
    await appliance.stop()
    watchdog.stop()
    around.board.clear(WATCHER_SLOT)
    return 1 if failed else 0


def main() -> int:
    """Run, and say in words what kept it from running."""
    try:
        return asyncio.run(run(Path(sys.argv[1])))
    except FarshoreError as error:
        say(f"{error}")
    except ssl.SSLError as error:
        say(f"The site's certificate cannot be read: {error}. Restore DIR/identity from a backup.")
    except OSError as error:
        say(
            f"{error}. If a port is taken: another program holds it; change the port in site.json or stop that program."
        )
    return 1


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
