"""CA11: ten identical orders at once, half to each site's manager; one is carried out, nine are refused.

Once undisturbed, and once with the manager killed (-9) right after its first answer, before anything was done.
"""

from __future__ import annotations

import collections
import concurrent.futures
import os
import signal
import ssl
import threading

import httpx
import pytest

from tests.api_lab import COMPLETED, FAILED, NEEDS_CONFIGURATION, SITES, ApiLab
from tests.storage_lab import until

TEN = 10
NOTHING = "Nothing was changed."

pytestmark = pytest.mark.timeout(400)


class Lab(ApiLab):
    """Whose manager at south can be killed."""

    def kill_manager(self):
        """Kill the manager of south (-9)."""
        for pid, role in self.processes("south"):
            if role == "manager":
                os.kill(pid, signal.SIGKILL)

    def found(self):
        """What there is at south of recovered VMs, by name, and of scratch folders, by operation."""
        vms = [vm for vm in self.call("south", "call", "list_vms") if vm["recovered"]]
        scratch = [path.name for path in (self.folder_of("south") / "scratch").iterdir()]
        return collections.Counter(vm["name"] for vm in vms), scratch


class Caller:
    """One of the ten, signed in already. `ask` gives the answer, again after a manager's death."""

    def __init__(self, lab, site):
        self.lab, self.site = lab, site
        api = lab.api[site]
        context = ssl.create_default_context(cafile=api.site["ca"])
        self.client = httpx.Client(base_url=api.site["url"], verify=context, trust_env=False, timeout=60)
        self.client.get("/v1/localsite", headers=api.headers)  # connected, so that all ten orders go out at once

    def ask(self, start, action, body, at_answer):
        """Give the order at the barrier."""
        start.wait(30)
        try:
            reply = self.client.post(f"{self.lab.path}/{action}", json=body, headers=self.lab.api[self.site].headers)
        except httpx.TransportError:
            reply = None
        if reply is not None and reply.status_code == 200 and self.site == "south":
            at_answer()
        self.client.close()
        if reply is None or reply.status_code in (401, 503):  # its manager died, or the one that it passed it on to

            def answered():
                nonlocal reply
                reply = self.lab.api[self.site].request("POST", f"{self.lab.path}/{action}", body)
                return reply.status_code != 503

            until(answered, 60, f"an answer of {self.site}")
        return self.site, reply


def order_ten_times(lab, action, body, at_answer=lambda: None):
    """The one task that was carried out, once it is completed; all others were refused in its favour."""
    callers = [Caller(lab, SITES[number % 2]) for number in range(TEN)]
    start = threading.Barrier(TEN)
    with concurrent.futures.ThreadPoolExecutor(TEN) as pool:
        answers = list(pool.map(lambda caller: caller.ask(start, action, body, at_answer), callers))
    given = [(site, reply.json()["TaskIdentifier"]) for site, reply in answers if reply.status_code == 200]
    tasks = {task_id: lab.task(site, task_id) for site, task_id in given}
    completed = [task_id for task_id, task in tasks.items() if task["Status"]["State"] == COMPLETED]
    assert len(completed) == 1, tasks
    # Passed on and not answered within 2 s, or by a manager that died: the task is given out, and ends so [I8].
    late = {task_id: tasks[task_id]["CompleteReason"] for _, task_id in given if task_id not in completed}
    for task_id, reason in late.items():
        assert tasks[task_id]["Status"]["State"] == FAILED, tasks[task_id]
        assert completed[0] in reason or NOTHING in reason, reason
    assert not [site for site, task_id in given if task_id in late and site == "south"]
    refused = [reply for _, reply in answers if reply.status_code != 200]
    assert len(refused) == TEN - len(given)
    for reply in refused:
        assert reply.status_code == 409, reply.text
        assert completed[0] in reply.text
    print(f"{action}: 1 completed, {len(refused)} refused with 409, {len(late)} given out and ended as not begun")
    return completed[0]


def test_one_of_ten_is_carried_out():
    """One task completed, nine refusals that name it; one recovered VM and one scratch per VM, then one VM each."""
    with Lab() as lab:
        lab.chain.end()
        for api in lab.api.values():
            api.request("GET", lab.path)  # signed in
        demand_one_recovered(lab, order_ten_times(lab, "Failover", {"CommitPolicy": "None"}))
        lab.order("south", "FailoverRollback")
        assert lab.found() == ({}, [])
        lab.await_protected("north")
        demand_one_recovered(lab, order_ten_times(lab, "Failover", {"CommitPolicy": "None"}, lab.kill_manager))
        order_ten_times(lab, "FailoverCommit", {})
        assert lab.found() == ({}, [])
        names = sorted(vm["name"] for vm in lab.call("south", "call", "list_vms"))
        assert names == ["vm-1", "vm-2"]
        assert len([path for path in (lab.folder_of("south") / "disks").rglob("*") if path.is_file()]) == 4
        assert [vpg["SubStatus"] for vpg in lab.api["south"].vpgs()] == [NEEDS_CONFIGURATION]


def demand_one_recovered(lab, task_id):
    """Each VM was recovered once, on one scratch."""
    operation = task_id.split(".")[0]
    assert lab.found() == ({"vm-1": 1, "vm-2": 1}, [operation])
    scratch = lab.folder_of("south") / "scratch" / operation
    assert len([path for path in scratch.rglob("*") if path.is_file()]) == 4
    assert len([role for _, role in lab.processes("south") if role == "vm"]) == 2
