"""CA3: a move home that is asked for while the way back is synced, at every moment until it is taken."""

from __future__ import annotations

import random

import pytest

from farshore.nbd.client import NbdClient
from tests.api_lab import COMPLETED, MEETING_SLA, ApiLab
from tests.recovery_lab import first_difference, read_whole
from tests.storage_lab import until

MIB = 1 << 20
MOMENTS_MIN = 3
HOME_SECONDS = 120

pytestmark = pytest.mark.timeout(400)


def running_disks(lab, site):
    """{disk: client} of the one VM that runs at the site."""
    (vm,) = [vm for vm in lab.call(site, "call", "list_vms") if vm["power"] == "running"]
    return {disk["disk_id"]: NbdClient(disk["nbd_socket"], disk["nbd_export"]) for disk in vm["disks"]}


def write_much(lab, site):
    """Random bytes all over the disks, flushed; what they hold."""
    rng, contents = random.Random(1), {}
    for disk_id, client in running_disks(lab, site).items():
        for offset in range(0, client.size_bytes, MIB):
            client.pwrite(offset, rng.randbytes(MIB))
        client.flush()
        contents[disk_id] = read_whole(client)
        client.close()
    return contents


def ask_until_taken(lab):
    """Ask for the move again and again; the task at last, and (progress of the sync, refusal) until then."""
    refusals = []

    def taken():
        sync = lab.run("south", "vpg", "show", lab.vpg, "--json").get("Sync") or {}
        reply = lab.api["north"].request("POST", f"{lab.path}/move", {"CommitPolicy": "None"})
        if reply.status_code == 200:
            return reply.json()["TaskIdentifier"]
        assert reply.status_code == 409, reply.text
        refusals.append((sync.get("DoneInBytes", 0) if sync.get("IsRunning") else None, reply.json()["Message"]))
        return None

    return until(taken, HOME_SECONDS, "the move home is taken"), refusals


def test_a_move_home_is_refused_until_the_sync_is_done():
    """409 that names the sync, at several moments of it; then it takes all along, and the old state never runs."""
    with ApiLab(vms=1, size="32M") as lab:
        lab.chain.end()
        lab.lab("kill", "north", "vms")
        lab.order("south", "Failover", {"CommitPolicy": "None"})
        contents = write_much(lab, "south")
        lab.lab("link", "slow")
        lab.order("south", "FailoverCommit", {"IsReverseProtection": True})
        task_id, refusals = ask_until_taken(lab)
        in_sync = [words for done, words in refusals if done is not None and "sync" in words]
        moments = {done for done, words in refusals if done is not None and "sync" in words}
        print(f"refused {len(refusals)} times, of them {len(in_sync)} naming the sync, at {sorted(moments)}")
        assert len(moments) >= MOMENTS_MIN, refusals
        lab.lab("link", "up")
        task = lab.task("north", task_id)
        assert task["Status"]["State"] == COMPLETED, task
        for disk_id, client in running_disks(lab, "north").items():
            assert first_difference(contents[disk_id], read_whole(client)) is None, disk_id
            client.close()
        lab.order("north", "moveCommit", {})
        until(lambda: lab.state("north") == (MEETING_SLA, 0, "north"), 90, "protected from north")
