"""M5: when scripts of a VPG run, what they are told, and what their failures do to failover, move and failover test."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from farshore.manager.reports import Reports
from farshore.model.scripts import ScriptRun
from farshore.model.task import TaskType
from farshore.model.vpg import VpgSettings
from farshore.operations.steps.recovery_rows import changed
from farshore.site.script_folder import scripts_folder
from farshore.site.vpgs import VpgRow
from tests.faked_site import FakedSite, until, with_site
from tests.kill_points import COMPLETED, FAILED, STOPPED, the_same_end
from tests.operations_harness import SCENARIOS, begin, end, prepare, put_script

TELLS = 'env | grep ^FARSHORE_ | sort; echo "arguments: $*"'
HANGS = "trap '' TERM; sleep 1000; sleep 1000"
Story = Callable[["Scripted"], Awaitable[None]]


class Scripted:
    """A site whose VPG has a pre-recovery script `before` and a post-recovery script `after`."""

    def __init__(self, faked: FakedSite) -> None:
        self.faked = faked
        self.give(pre_recovery={"command": "before", "parameters": "a 'b c'"}, post_recovery={"command": "after"})

    def give(self, **scripts: Any) -> None:
        """Set the VPG's scripts."""
        settings = VpgSettings.model_validate(self.faked.vpg.settings.model_dump() | scripts)
        assert self.faked.site.vpgs.put(VpgRow(changed(self.faked.vpg, settings=settings), "active"))

    def put(self, before: str = TELLS, after: str = TELLS) -> None:
        """What they do."""
        put_script(self.faked.site.folder, "before", before)
        put_script(self.faked.site.folder, "after", after)

    async def runs(self, task_id: str) -> dict[str, ScriptRun]:
        """The scripts that the task's report tells of, by phase."""
        report = await Reports(self.faked.site).of(task_id)
        assert report is not None
        found = {run.phase: run for run in report.scripts}
        assert len(found) == len(report.scripts)
        return {str(phase): run for phase, run in found.items()}

    async def test(self, **more: Any) -> str:
        """Order a failover test."""
        return await self.faked.place(TaskType.FailOverTest, {"checkpoint_id": None, "vm_ids": None} | more)

    async def until_it_runs(self, task_id: str, word: str) -> None:
        """Wait until the task says that its script runs, and that is so."""

        def so() -> bool:
            task = self.faked.site.tasks.get(task_id)
            return task is not None and f"{word}-recovery script" in task.note and bool(self.processes())

        await until(so, f"the {word} script did not begin")

    def processes(self) -> list[int]:
        """Processes that stand in the site's folder of scripts."""
        found = []
        folder = os.path.realpath(scripts_folder(self.faked.site.folder))
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink(f"/proc/{name}/cwd") == folder:
                    found.append(int(name))
            except OSError:
                continue
        return found

    def nothing_recovered(self) -> bool:
        """Whether nothing of a recovery is left at either site."""
        south, north = self.faked.south.state(), self.faked.north.appliance.state()
        return not any(south[kind] for kind in ("pins", "views", "recovered")) and not (north["power"] or north["cuts"])


def played(folder: Path, story: Story) -> None:
    """Play it on a site of its own."""

    async def test(faked: FakedSite) -> None:
        scripted = Scripted(faked)
        scripted.put()
        await story(scripted)
        assert scripted.processes() == []

    with_site(folder, test)


def told(run: ScriptRun) -> dict[str, str]:
    """What it found in its environment, as `env` printed it; a value of several lines by its first."""
    return dict(line.split("=", 1) for line in run.output.splitlines() if line.startswith("FARSHORE_"))


def test_m5_what_scripts_are_told(tmp_path: Path) -> None:
    """The operation, the VPG, the VMs that it is about, the site, the task, and the checkpoint where it is known."""

    async def story(scripted: Scripted) -> None:
        faked = scripted.faked
        test = await scripted.test(vm_ids=["name-vm2"])
        assert (await faked.ended(test)).state == COMPLETED
        runs = await scripted.runs(test)
        expected = {
            "FARSHORE_OPERATION": "FailoverTest",
            "FARSHORE_PHASE": "pre",
            "FARSHORE_TASK_ID": test,
            "FARSHORE_VPG_NAME": "shop",
            "FARSHORE_VPG_ID": faked.vpg.id,
            "FARSHORE_VMS": "name-vm2",
            "FARSHORE_VM_IDS": "vm2",
            "FARSHORE_SITE_NAME": "south",
            "FARSHORE_SITE_ID": faked.site.id,
            "FARSHORE_CHECKPOINT_TIME": "2001-09-09T01:46:40.000Z",
        }
        assert told(runs["pre"]) == expected
        assert runs["pre"].output.endswith("arguments: a b c\n")
        recovered = {"FARSHORE_RECOVERED_VMS": "name-vm2", "FARSHORE_RECOVERED_VM_IDS": f"r-{test[:8]}-vm2"}
        assert told(runs["post"]) == expected | {"FARSHORE_PHASE": "post", **recovered}
        await faked.ended(
            await faked.place(TaskType.StopFailOverTest, {"success": True, "summary": "", "test_task": None})
        )
        scripted.put(before='printf "%s" "$FARSHORE_OPERATION $FARSHORE_CHECKPOINT_TIME $FARSHORE_VMS"')
        failover = await faked.failover()
        await faked.ended(failover)
        assert (await scripted.runs(failover))["pre"].output == "Failover  name-vm1\nname-vm2"  # not known yet
        assert told((await scripted.runs(failover))["post"])["FARSHORE_CHECKPOINT_TIME"]

    played(tmp_path, story)


def test_m5_a_failing_script_stops_a_move_with_all_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever way it fails: no VM was halted, nothing was started, and the task says why."""
    monkeypatch.setattr("farshore.site.script_run.GRACE_SECONDS", 0.1)

    async def story(scripted: Scripted) -> None:
        faked = scripted.faked
        for before, words in (
            ("exit 3", "ended with exit status 3"),
            (HANGS, "did not end within 1 s"),
            (None, "There is no script before in"),
        ):
            scripted.give(pre_recovery={"command": "before", "timeout_seconds": 1 if before == HANGS else 300})
            scripted.put(before=before or "")
            if before is None:
                (scripts_folder(faked.site.folder) / "before").unlink()
            faked.hear()
            move = await faked.move()
            task = await faked.ended(move)
            assert task.state == FAILED
            assert words in task.reason
            assert "All is as before." in task.reason
            assert scripted.nothing_recovered()
            assert faked.north.appliance.state()["protect"]
            assert (faked.vpg.recovery, faked.vpg.epoch) == (None, 1)
            assert (await scripted.runs(move)).keys() == {"pre"}
        assert (await faked.ended(await faked.move(continue_on_script_failure=True))).state == COMPLETED

    played(tmp_path, story)


def test_m5_a_failing_script_stops_no_failover_and_no_test(tmp_path: Path) -> None:
    """It goes on, and the task, the report and the events say so; a script that follows undoes nothing either."""

    async def story(scripted: Scripted) -> None:
        faked = scripted.faked
        scripted.put(before="echo no; exit 1", after="echo neither; exit 2")
        test = await scripted.test()
        failover_of = [(test, "isolated network"), (await _after(scripted, test), "before commit")]
        for task_id, words in failover_of:
            task = await faked.ended(task_id)
            assert task.state == COMPLETED
            assert words in task.note
            assert "pre-recovery script before ended with exit status 1" in task.note
            assert "post-recovery script after ended with exit status 2" in task.note
            runs = await scripted.runs(task_id)
            assert [(run.exit_status, run.output) for run in runs.values()] == [(1, "no\n"), (2, "neither\n")]
            report = await Reports(faked.site).of(task_id)
            assert report is not None
            failed = [step.name for step in report.steps if step.error]
            assert failed == ["pre recovery script", "post recovery script"]
        assert faked.vpg.recovery is not None
        assert faked.vpg.recovery.stage == "before_commit"
        events = faked.site.alerts.newest_events(100, faked.site.alerts.columns.kind == "PrePostScript")
        assert len(events) == 4
        assert all(event.text.startswith("failed: ") and event.vpg_id == faked.vpg.id for event in events)

    async def _after(scripted: Scripted, test: str) -> str:
        await scripted.faked.ended(test)
        return await scripted.faked.failover()

    played(tmp_path, story)


def test_m5_a_failover_does_not_wait_for_the_script_of_a_move(tmp_path: Path) -> None:
    """I7: the move is superseded, and its script is killed at once."""

    async def story(scripted: Scripted) -> None:
        faked = scripted.faked
        scripted.put(before=f'[ "$FARSHORE_OPERATION" = Failover ] && exit 0; {HANGS}')
        move = await faked.move()
        await scripted.until_it_runs(move, "pre")
        begun = asyncio.get_running_loop().time()
        failover = await faked.failover()
        assert (await faked.ended(failover)).state == COMPLETED
        assert asyncio.get_running_loop().time() - begun < 5
        assert (await faked.ended(move)).state == STOPPED
        assert faked.vpg.recovery is not None
        assert faked.vpg.recovery.kind == "failover"

    played(tmp_path, story)


@pytest.mark.parametrize("which", ["pre", "post"])
def test_m5_a_test_that_is_stopped_takes_its_script_with_it(tmp_path: Path, which: str) -> None:
    """By a failover that comes meanwhile, or by its stop: no script runs on, and no VM of the test is left."""

    async def story(scripted: Scripted) -> None:
        faked = scripted.faked
        hangs = f'[ "$FARSHORE_OPERATION" = Failover ] && exit 0; {HANGS}'
        scripted.put(**{"before" if which == "pre" else "after": hangs})
        test = await scripted.test()
        await scripted.until_it_runs(test, which)
        if which == "pre":
            assert (await faked.ended(await faked.failover())).state == COMPLETED
            task = await faked.ended(test)
            assert (task.state, "was stopped" in task.reason) == (FAILED, True)
        else:
            stop = {"success": True, "summary": "", "test_task": None}
            assert (await faked.ended(await faked.place(TaskType.StopFailOverTest, stop))).state == COMPLETED
            task = await faked.ended(test)
            assert (task.state, "was stopped while its post-recovery script" in task.note) == (COMPLETED, True)
            assert scripted.nothing_recovered()
        assert test.split(".")[0] not in faked.south.state()["recovered"]
        assert faked.site.tests.of(faked.vpg.id, "starting", "running") == []

    played(tmp_path, story)


def test_m5_without_a_script_there_is_no_step_for_one(tmp_path: Path) -> None:
    """What has nothing to do costs nothing."""

    async def story(scripted: Scripted) -> None:
        scripted.give(pre_recovery=None, post_recovery=None)
        move = await scripted.faked.move()
        await scripted.faked.ended(move)
        report = await Reports(scripted.faked.site).of(move)
        assert report is not None
        assert [step.name for step in report.steps if "script" in step.name] == []
        assert report.scripts == ()

    played(tmp_path, story)


@pytest.mark.timeout(300)
def test_m5_killed_anywhere_it_ends_alike(tmp_path: Path) -> None:
    """As without scripts: a move that is killed (-9) at any of its calls ends as if it had not been.

    Test and failover with scripts are in the whole matrix (test_every_kill_point).
    """
    ended = the_same_end(tmp_path, "move_scripted")
    assert ended["task"][0] == COMPLETED
    assert "The post-recovery script after ended with exit status 3." in ended["task"][3]
    assert "pre-recovery" not in ended["task"][3]


def test_m5_a_script_in_which_the_manager_is_killed_runs_again(tmp_path: Path) -> None:
    """With the same task identifier, by which it can tell."""
    site = tmp_path / "site"
    prepare(site)
    for before in SCENARIOS["move_scripted"][0]:
        assert end(begin(site, before, ""))
    seen = site / "seen"
    seen.touch()
    seen.chmod(0o666)
    site.chmod(0o711)
    put_script(site, "before", "echo $FARSHORE_TASK_ID >> ../seen; [ $(wc -l < ../seen) -gt 1 ] || sleep 1000")
    killed = begin(site, "move_scripted", "")

    async def until_seen() -> None:
        await until(seen.read_text, "the script did not begin")

    asyncio.run(until_seen())
    os.kill(killed[0], 9)
    assert end(killed) is None
    ended = end(begin(site, "move_scripted", ""))
    assert ended is not None
    assert ended["end"]["task"][0] == COMPLETED
    first, second = seen.read_text().split()
    assert first == second
