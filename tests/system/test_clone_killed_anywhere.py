"""A clone, and its abort, killed (-9) at every step, end as they do undisturbed: whole, or without a trace.

As in test_recovery_killed_anywhere.py: the steps are learned from the operations, and each is disturbed once, before
its effect, inside it, or after it and before its record, by the end of a manager, a watcher or a carrier of either
site. What and where is drawn by a seed. The VMs are written to all the while.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from farshore.errors import FarshoreError
from tests.clone_lab import CloneLab
from tests.killed_lab import KilledLab
from tests.storage_lab import ROOT, until
from tests.system.test_recovery_killed_anywhere import drawn_seed

VICTIMS = ["manager here", "manager here", "clone here", "clone here", "watcher here", "journal here"]
VICTIMS += ["manager there", "watcher there", "tap there", "sender there"]
STOPPED = 5


class KilledCloneLab(CloneLab):
    """A lab whose clones can be killed at any point."""

    plan = KilledLab.plan
    trace = KilledLab.trace

    def __init__(self):
        self.control = Path(tempfile.mkdtemp(prefix="fsk", dir="/tmp"))
        (self.control / "reached").mkdir()
        self.plan(play=0)
        path = f"{ROOT / 'src'}{os.pathsep}{ROOT / 'tests' / 'killing'}"
        super().__init__(environment={"PYTHONPATH": path, "FARSHORE_KILLS": str(self.control)})

    def close(self):
        super().close()
        for path in sorted(self.control.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        self.control.rmdir()

    def await_sites(self):
        """Wait until what was killed last is there again."""
        for site in ("north", "south"):
            self.api[site].vpgs()
            self.await_appliance(site)
        until(self.journal_answers, 60, "the journal answers")

    def journal_answers(self):
        """Whether the carrier of the journal is there."""
        try:
            return self.call("south", "list_checkpoints", self.path.rpartition("/")[2], limit=1)
        except FarshoreError:
            return None

    def tasks(self, kind):
        """The tasks of a type that south knows."""
        listed = self.api["south"].request("GET", "/v1/tasks").json()
        return {task["TaskIdentifier"] for task in listed if task["Type"] == kind}

    def ordered(self, action, kind):
        """Give an order at north; its task. A reply may die with a manager; given again, the order is refused."""
        known = self.tasks(kind)
        reply = self.post("north", action, "json", {})
        assert reply.status_code in (200, 409, 503), reply.text
        (task_id,) = until(lambda: self.tasks(kind) - known, 60, f"{action} was taken")
        return task_id

    def disturbed(self, play):
        """The steps that were disturbed, and all steps, of a play."""
        lines = self.trace(play)
        for line in lines:
            print(line["workflow"], line["number"], line["step"], line["place"], line["victim"])
        return {(x["workflow"], x["step"]) for x in lines if x["victim"]}, {(x["workflow"], x["step"]) for x in lines}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_l3_l4_every_step_of_a_clone_and_of_its_abort_is_disturbed_once():
    """The clone is the checkpoint's; after the abort there is nothing; protection goes on."""
    with KilledCloneLab() as lab:
        seed = drawn_seed()
        lab.plan(play=1, seed=seed, victims=VICTIMS)
        at, _, names = lab.completed(lab.ordered("CloneStart", "Clone"))
        until(lambda: not lab.left_behind(), 60, "nothing is left")
        killed, steps = lab.disturbed(1)
        assert killed == steps
        assert len(steps) >= 9
        lab.plan(play=2)
        lab.await_sites()
        lab.check_clone(at, names, ["vm-1", "vm-2"])
        before = set(lab.inventory())
        cloning = lab.ordered("CloneStart", "Clone")
        lab.stop_copier()
        lab.plan(play=3, seed=seed, victims=VICTIMS)
        aborting = lab.ordered("CloneAbort", "AbortClone")
        assert lab.task("south", aborting)["Status"]["State"] == 6
        assert lab.task("south", cloning)["Status"]["State"] == STOPPED
        until(lambda: not lab.left_behind() and not lab.copiers(), 60, "nothing is left")
        assert {workflow for workflow, _ in lab.disturbed(3)[0]} >= {"clone_abort"}
        assert set(lab.inventory()) == before
        lab.plan(play=4)
        lab.await_sites()
        lab.await_protected("north")
        assert lab.chain.failures == []
