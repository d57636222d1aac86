"""M5 on two whole sites: scripts of the recovery site around move, failover and test, ordered in JSON and in XML."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import fromstring

import httpx
import pytest

from farshore.nbd.client import NbdClient
from tests.api_lab import COMPLETED, FAILED, ApiLab
from tests.operations_harness import put_script
from tests.recovery_lab import first_difference, read_whole
from tests.service.recovery_requests import API, NOTATIONS
from tests.storage_lab import until

pytestmark = pytest.mark.timeout(300)
ROOTS = {"move": "MoveVpgDataApi", "Failover": "FailoverDataApi", "FailoverTest": "FailoverTestDataApi"}
REFUSES = "echo 'the database does not answer' >&2; exit 3"
SCRIPTS = ("--pre-recovery-script", "before", "--pre-recovery-parameters", "one 'two three'")


class ScriptedLab(ApiLab):
    """A VPG of one VM with a pre-recovery script `before` and a post-recovery script `after`."""

    def run(self, site, *words, **more):
        """`vpg create` names the scripts."""
        scripts = (*SCRIPTS, "--post-recovery-script", "after") if words[:2] == ("vpg", "create") else ()
        return super().run(site, *words, *scripts, **more)

    def put(self, before: str, after: str = "exit 0") -> None:
        """What the scripts do, at the recovery site."""
        put_script(self.folder_of("south"), "before", before)
        put_script(self.folder_of("south"), "after", after)

    def ordered(self, notation: str, action: str, **members: Any) -> dict[str, Any]:
        """Give the order to south in that notation; its task, when it has ended."""
        if notation == "json":
            return self.task("south", self.api["south"].order("POST", f"{self.path}/{action}", members))
        api = self.api["south"]
        api.request("GET", self.path)  # signed in
        inner = "".join(f"<{name}>{value}</{name}>" for name, value in members.items())
        body = f"<{ROOTS[action]}>{inner}</{ROOTS[action]}>".encode()
        headers = {**api.headers, "Content-Type": "application/xml"}
        context = ssl.create_default_context(cafile=api.site["ca"])
        with httpx.Client(base_url=api.site["url"], verify=context, trust_env=False, timeout=30) as client:
            reply = client.post(f"{self.path}/{action}", content=body, headers=headers)
        assert reply.status_code == 200, reply.text
        return self.task("south", fromstring(reply.text).findtext(f"{API}TaskIdentifier"))

    def runs(self, task: dict[str, Any]) -> list[tuple[str, int, str]]:
        """(phase, exit status, output) of the scripts, as the report tells them; asked for at the other site."""
        report = self.api["north"].request("GET", f"/v1/reports/recovery/{task['TaskIdentifier']}")
        if report.status_code == 404:  # the order was south's own
            report = self.api["south"].request("GET", f"/v1/reports/recovery/{task['TaskIdentifier']}")
        scripts = report.json()["RecoverySettings"]["Scripts"]
        return [(run["Phase"], run["ExitStatus"], run["Output"]) for run in scripts]

    def differences(self, task: dict[str, Any], content: dict[tuple[str, str], bytes]) -> dict[tuple[str, str], int]:
        """Where the disks of what the task has recovered, as those VMs have them, are not that content."""
        operation = task["TaskIdentifier"].split(".")[0]
        found = {}
        for vm in self.call("south", "call", "recovered_status", operation=operation):
            assert vm["power"] == "running"
            for disk in vm["disks"]:
                found[vm["source_vm_id"], disk["disk_id"]] = whole(disk["nbd_socket"], disk["nbd_export"])
        assert found.keys() == content.keys()
        at = {disk: first_difference(found[disk], content[disk]) for disk in content}
        return {disk: byte for disk, byte in at.items() if byte is not None}

    def await_protecting(self) -> None:
        """Wait until every write is sent again."""
        until(lambda: self.call("north", "protection_status", self.vpg_id)["state"] == "protecting", 60, "it protects")

    def protected(self) -> dict[tuple[str, str], bytes]:
        """{(vm, disk): content} of the protected VMs."""
        return {name: whole(*disk) for name, disk in self.protected_disks().items()}


def whole(socket: str, export: str) -> bytes:
    """A disk's content."""
    with NbdClient(socket, export) as client:
        return read_whole(client)


@pytest.fixture(scope="module")
def lab() -> Iterator[ScriptedLab]:
    """Two sites; the VM is written to."""
    with ScriptedLab(vms=1) as made:
        made.await_protected("north")
        yield made


@pytest.mark.parametrize("notation", NOTATIONS)
def test_m5_a_move_with_a_failing_script_on_a_lab(lab: ScriptedLab, notation: str) -> None:
    """It ends before anything was shut down: not one write of the VM failed, and its checkpoints go on."""
    lab.put(REFUSES)
    written = len(lab.chain.acknowledged[0])
    task = lab.ordered(notation, "move", ForceShutdown=True)
    assert task["Status"]["State"] == FAILED
    assert "The pre-recovery script before ended with exit status 3." in task["CompleteReason"]
    assert "All is as before." in task["CompleteReason"]
    assert lab.runs(task) == [("PreRecovery", 3, "the database does not answer\n")]
    lab.await_protected("north")
    assert lab.api["south"].left_behind() == []
    checkpoint = lab.checkpoint_now(lab.vpg_id, f"after the move in {notation}")
    assert lab.chain.failures == []
    assert len(lab.chain.acknowledged[0]) > written
    assert lab.check_law(only=checkpoint) == 1


@pytest.mark.parametrize("notation", [pytest.param("json", marks=pytest.mark.slow), "xml"])
def test_m5_a_move_that_goes_on_despite_its_script(lab: ScriptedLab, notation: str) -> None:
    """ContinueOnPreScriptFailure: moved to the last byte, with the failure in task and report."""
    lab.await_protecting()
    lab.chain.end()
    lab.put(REFUSES, 'echo "$FARSHORE_PHASE $FARSHORE_OPERATION"')
    before = lab.protected()
    task = lab.ordered(notation, "move", ForceShutdown=True, ContinueOnPreScriptFailure=True, CommitPolicy="None")
    assert task["Status"]["State"] == COMPLETED, task
    assert "The pre-recovery script before ended with exit status 3." in task["CompleteReason"]
    refused = ("PreRecovery", 3, "the database does not answer\n")
    assert lab.runs(task) == [refused, ("PostRecovery", 0, "post Move\n")]
    assert lab.differences(task, before) == {}
    lab.order("south", "moveRollback")


def test_m5_scripts_around_failover_and_test_on_a_lab(lab: ScriptedLab) -> None:
    """They go on whatever the scripts do, and say so; the VMs run with what was written."""
    lab.put('echo "$FARSHORE_OPERATION $FARSHORE_VMS $1, $2"; exit 3', 'echo "$FARSHORE_RECOVERED_VMS"; exit 4')
    before = lab.protected()  # nobody writes any more
    for notation, action, name in (("json", "FailoverTest", "vm-1 - test"), ("xml", "Failover", "vm-1")):
        task = lab.ordered(notation, action)
        assert task["Status"]["State"] == COMPLETED, task
        assert "ended with exit status 3" in task["CompleteReason"]
        assert "ended with exit status 4" in task["CompleteReason"]
        printed = f"{action} vm-1 one, two three\n"
        assert lab.runs(task) == [("PreRecovery", 3, printed), ("PostRecovery", 4, f"{name}\n")]
        assert lab.differences(task, before) == {}
