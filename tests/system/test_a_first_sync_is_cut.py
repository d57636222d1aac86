"""A first sync that is cut is not begun from nothing: what has arrived is compared, not sent again."""

import os
import threading
from pathlib import Path

import pytest

from farshore.nbd.client import NbdClient
from tests.recovery_lab import RecoveryLab, first_difference, read_whole
from tests.storage_lab import until

SIZE_BYTES = 256 << 20
CHUNK_BYTES = 4 << 20


@pytest.mark.timeout(240)
def test_watchers_are_killed_in_the_middle_of_a_first_sync():
    """The whole disk of random data goes over the line once, not three times, and arrives as it is."""
    with RecoveryLab(vms=1, disks=1, size="256M") as lab:
        (disk,) = lab.made["vms"][0]["disks"]
        content = os.urandom(CHUNK_BYTES)
        with NbdClient(disk["nbd_socket"], disk["nbd_export"]) as client:
            for offset in range(0, SIZE_BYTES, CHUNK_BYTES):
                client.pwrite(offset, content[:-8] + offset.to_bytes(8, "big"))
        journal = lab.folder_of("south") / "journal"
        protecting = threading.Thread(target=lab.begin)
        protecting.start()
        for part in (0.3, 0.6):
            until(lambda part=part: arrived_bytes(journal) > part * SIZE_BYTES, 60, f"{part:.0%} have arrived")
            lab.kill_watcher("north")
            lab.await_appliance("north")
        protecting.join()
        lab.chain.end()
        vpg_id = lab.vpg_id

        def done():
            status = lab.call("north", "protection_status", vpg_id)
            return status["last_sync"] if status["state"] == "protecting" else None

        last = until(done, 120, "it is protected")
        assert last["kind"] == "delta"
        assert last["sent_bytes"] < 0.6 * SIZE_BYTES
        assert arrived_bytes(journal) < 1.5 * SIZE_BYTES
        checkpoint = lab.checkpoint_now(vpg_id, "whole")
        with NbdClient(disk["nbd_socket"], disk["nbd_export"]) as client:
            assert first_difference(read_whole(client), lab.view_of(checkpoint, 0)) is None


def arrived_bytes(journal: Path) -> int:
    """What the other site's journal and replica have taken."""
    return sum(path.stat().st_blocks * 512 for path in journal.rglob("*") if path.is_file())
