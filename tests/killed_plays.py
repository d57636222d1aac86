"""Stories of operations, played on a lab from either site to the other, and compared with each other at every end.

Each story ends as it began, so it can be played again and again: of a failover or a move with the sites changed over,
there and home. What the disks must hold is kept here, byte by byte, apart from the product.
"""

from __future__ import annotations

import json
import random
import time

from farshore.errors import FarshoreError
from tests.killed_lab import SETTLE_SECONDS, SITES
from tests.recovery_lab import first_difference
from tests.service.test_operations_on_a_lab import lab as lab_command
from tests.storage_lab import until

COMPLETED = 6
RUNNING = 1
MEETING_SLA = (1, 0)
FAILED_OVER, MOVED = (5, 15), (6, 19)
"""Status and substatus, before the commit."""
PAUSED = (1, 25)
"""Status and substatus."""
PROTECT_BACK = "UpdateProtectionGroup"
TASK_SECONDS = 400


class Play:
    """One story from the site `source` to the other. `ends` is what was seen at the end of each operation."""

    def __init__(self, lab, number, source, content, seed):
        """`content`: {(VM's name, disk): bytes} that the VMs have now; it is kept up to date."""
        self.lab, self.number, self.source, self.content = lab, number, source, content
        (self.target,) = set(SITES) - {source}
        self.acts_at = self.ends_at = self.target
        self.roles = {source: "old", self.target: "new"}
        self.random = random.Random(f"{seed} {number}")
        self.ends = {}
        self.sync = ""
        self.began = time.monotonic()
        row = lab.row(self.target)
        self.vpg_id, self.base = row["id"], {"epoch": row["epoch"], "time_ns": time.time_ns()}
        self.path = f"/v1/vpgs/{self.vpg_id}"

    @property
    def seconds(self):
        """How long it has been played."""
        return time.monotonic() - self.began

    def write(self, site):
        """Write here and there on the disks of the VMs that run at the site; gives what they hold."""
        return self.lab.write_at_random(site, self.content, self.random)

    def order(self, action, body=None):
        """Give the order at one of the sites; wait until its task has ended, completed, where it runs."""
        api = self.lab.api[self.random.choice(SITES)]
        known = self.tasks()
        try:
            task_id = api.order("POST", f"{self.path}/{action}", body)
        except AssertionError:  # its reply died with the manager; given again, it is refused, since it runs
            begun = self.tasks() - known
            if len(begun) != 1:
                raise
            (task_id,) = begun
        self.completed(action, task_id)

    def tasks(self):
        """The tasks that the site knows where the orders are carried out."""
        return {task["TaskIdentifier"] for task in self.lab.api[self.acts_at].request("GET", "/v1/tasks").json()}

    def completed(self, what, task_id):
        """The task is in 6 at the site where it was carried out."""

        def ended():
            task = self.lab.api[self.acts_at].request("GET", f"/v1/tasks/{task_id}").json()
            return task if task["Status"]["State"] != RUNNING else None

        task = until(ended, TASK_SECONDS, f"{what} has ended")
        assert task["Status"]["State"] == COMPLETED, (what, task)

    def settled(self, what, status, source, content, runs_at, reference):
        """Wait until all is as it must be; with a reference until it is the same as there. Keep what is seen."""

        def listed():
            return [
                [(vpg["Status"], vpg["SubStatus"], vpg["SourceSite"]) for vpg in self.lab.api[site].vpgs()]
                for site in SITES
            ]

        until(lambda: listed() == [[(*status, source)]] * 2, SETTLE_SECONDS, f"{what}: {listed()}")
        until(self.operations_ended, SETTLE_SECONDS, f"{what}: every operation has come to its end")
        self.ends[what] = self.await_end(what, (reference or {}).get(what))
        self.lab.check_disks(runs_at, content)

    def check_checkpoint(self, tag):
        """A checkpoint that is cut now holds what the disks hold, to the last byte."""

        def cut():
            try:
                return self.lab.checkpoint_now(self.vpg_id, f"{tag} {self.number}")
            except FarshoreError as error:  # what was killed last is being started again
                raise AssertionError(str(error)) from error

        checkpoint = until(cut, SETTLE_SECONDS, f"a checkpoint after {tag}")
        names = {vm["id"]: vm["name"] for vm in self.lab.made["vms"]}
        for (vm_id, disk_id), number in self.lab.volumes(checkpoint, self.vpg_id).items():
            at = first_difference(bytes(self.content[names[vm_id], disk_id]), self.lab.view_of(checkpoint, number))
            assert at is None, f"{names[vm_id]} {disk_id} differs at {at} in the checkpoint after {tag}"

    def operations_ended(self):
        """Whether each operation that began has come past its last step: a task can be in 6 before its step's record.

        What is killed then comes late, so whoever looks at the end sooner has not seen what that kill does.
        """
        trace = self.lab.trace(self.number)
        begun, ended = ({line["task"] for line in trace if line["step"] == step} for step in ("begin", "end"))
        return begun == ended

    def await_end(self, what, reference):
        """What is seen of both sites once it stays, or once it is the reference."""
        deadline, before = time.monotonic() + SETTLE_SECONDS, None
        while True:
            try:
                found = json.loads(json.dumps(self.lab.both(self.roles, self.base)))
            except FarshoreError:
                found = None  # a watcher is being started again
            if found is not None and found == (before if reference is None else reference):
                return found
            if time.monotonic() > deadline:
                expected = before if reference is None else reference
                raise AssertionError(f"play {self.number}, {what}: {differences(expected, found)}")
            before = found
            time.sleep(0.3 if reference else 1.0)


def differences(expected, found, path=""):
    """The leaves in which two documents differ."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return [
            line
            for key in sorted(set(expected) | set(found))
            for line in differences(expected.get(key), found.get(key), f"{path}/{key}")
        ]
    return [] if expected == found else [f"{path}: {expected!r} is {found!r}"]


def play_failover(play, reference=None):
    """Shut down, failed over, rolled back; then the VMs die, are failed over for good, and protected back by hashes."""
    lab, source, target = play.lab, play.source, play.target
    play.content = play.write(source)
    play.order("Failover", {"CommitPolicy": "None", "ShutdownPolicy": 1})
    play.settled("failover", FAILED_OVER, source, play.content, target, reference)
    play.write(target)
    play.order("FailoverRollback")
    play.settled("failover_rollback", MEETING_SLA, source, play.content, source, reference)
    play.content = play.write(source)
    lab.await_checkpoint(target, play.vpg_id, time.time_ns())
    lab_command(lab.folder / "lab", "kill", source, "vms")
    play.order("Failover", {"CommitPolicy": "None", "ShutdownPolicy": 0})
    play.settled("failover of dead VMs", FAILED_OVER, source, play.content, target, reference)
    play.content = play.write(target)
    play.order("FailoverCommit", {"IsReverseProtection": True})
    protected_back(play, "failover_commit", reference)


def play_move(play, reference=None):
    """Moved and rolled back, moved for good and protected back by bitmap."""
    source, target = play.source, play.target
    for last in (False, True):
        play.content = play.write(source)
        play.order("move", {"CommitPolicy": "None"})
        play.settled(f"move {last + 1}", MOVED, source, play.content, target, reference)
        written = play.write(target)
        if not last:
            play.order("moveRollback")
            play.settled("move_rollback", MEETING_SLA, source, play.content, source, reference)
        else:
            play.content = written
            play.order("moveCommit", {"IsReverseProtection": True})
            protected_back(play, "move_commit", reference)


def protected_back(play, what, reference):
    """The way home begins by itself, once, and the VPG ends as protected from the other site."""
    play.settled(what, MEETING_SLA, play.target, play.content, play.target, reference)
    play.sync = play.lab.call(play.target, "protection_status", play.vpg_id)["last_sync"]["kind"]
    tasks = play.lab.api[play.target].request("GET", "/v1/tasks").json()
    began = [task for task in tasks if task["Type"] == PROTECT_BACK or PROTECT_BACK in str(task["Type"])]
    ends = [task["Status"]["State"] for task in began]
    assert ends
    assert set(ends) == {COMPLETED}, began


def play_steering(play, reference=None):
    """Paused, resumed by bitmap, compared by hashes, all at the protected site, which it stays."""
    source = play.source
    play.acts_at = play.ends_at = source
    for action, state in (("pause", PAUSED), ("resume", MEETING_SLA), ("forcesync", MEETING_SLA)):
        play.content = play.write(source)
        play.order(action)
        play.settled(action, state, source, play.content, source, reference)
        if action == "resume":
            play.sync = play.lab.call(source, "protection_status", play.vpg_id)["last_sync"]["kind"]
        if action != "pause":
            play.check_checkpoint(action)


STORIES = {"failover": play_failover, "move": play_move, "steering": play_steering}
