"""The commands of a recovery as they are typed, against a made-up site over HTTPS: plan, order, what is next."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from farshore.__main__ import run
from farshore.model.policies import CommitPolicy, ShutdownPolicy
from farshore.model.task import TaskState
from farshore.model.views import CheckpointView, WayHomeView
from farshore.model.vpg import VpgSettings
from farshore.model.vpg_states import VpgStatus, VpgSubStatus
from tests.service.made_up_site import PAYROLL, VPG, Running, before_commit, running_api


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A made-up site whose CA's file is at hand."""
    folder = tmp_path_factory.mktemp("site")
    with running_api(folder) as found:
        yield found, folder


@pytest.fixture
def api(running: Any, monkeypatch: pytest.MonkeyPatch) -> Running:
    """The site, named by the environment, with nothing ordered yet; its tasks end well at the second look."""
    found, folder = running
    found.site.calls.clear()
    found.site.standing.clear()
    found.site.ending = TaskState.Completed
    monkeypatch.setenv("FARSHORE_URL", str(found.http.base_url))
    monkeypatch.setenv("FARSHORE_USER", "admin")
    monkeypatch.setenv("FARSHORE_PASSWORD", "pass:wörd")
    monkeypatch.setenv("FARSHORE_CA", str(folder / "identity" / "ca.crt"))
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    return found


FAILOVER: dict[str, Any] = {
    "checkpoint_id": None,
    "commit_policy": CommitPolicy.Rollback,
    "wait_seconds": 3600,
    "shutdown_policy": ShutdownPolicy.None_,
    "reverse_protection": False,
    "vm_ids": None,
}
MOVE: dict[str, Any] = {
    "commit_policy": CommitPolicy.None_,
    "wait_seconds": 3600,
    "force_shutdown": False,
    "reverse_protection": True,
    "keep_source_vms": False,
    "continue_on_script_failure": False,
}


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        ([], {}),
        (["--checkpoint", "8"], {"checkpoint_id": "8"}),
        (["--commit-policy", "none", "--wait-seconds", "0"], {"commit_policy": CommitPolicy.None_, "wait_seconds": 0}),
        (["--shutdown", "force", "--reverse"], {"shutdown_policy": 2, "reverse_protection": True}),
        (["--vm", "web", "--vm", "vm-1"], {"vm_ids": ["vm-1", "vm-2"]}),
    ],
)
def test_a_failover_is_ordered_as_it_was_shown(
    api: Running, capsys: pytest.CaptureFixture[str], options: list[str], changed: dict[str, Any]
) -> None:
    """The plan on stderr, then the order with just that, the task's note and percent, the report's command."""
    assert run(["vpg", "failover", PAYROLL, "--yes", *options]) == 0
    assert api.site.calls == [("FailOver", {**FAILOVER, **changed})]
    captured = capsys.readouterr()
    assert f"Failover of VPG {PAYROLL} from north to south" in captured.err
    assert "50 %: half [of] it" in captured.err
    assert "Report: farshore report show " in captured.out


def test_the_result_in_json_has_plan_task_vpg_and_what_is_next(
    api: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    """One document on stdout, nothing on stderr."""
    api.site.standing["recovery"] = before_commit("failover", reverse=False)
    assert run(["vpg", "failover", PAYROLL, "--yes", "--json"]) == 0
    captured = capsys.readouterr()
    data = json.loads(captured.out)
    assert captured.err == ""
    assert data["Plan"]["title"].startswith("Failover of VPG")
    assert data["Task"]["Status"] == {"State": 6, "Progress": 100}
    assert data["Vpg"]["ActiveProcessesApi"]["RunningRecovery"]["SecondsLeft"] == 90
    assert data["Next"] == [f"farshore vpg commit '{PAYROLL}'", f"farshore vpg rollback '{PAYROLL}'"]


@pytest.mark.parametrize(
    "words", [["failover"], ["move"], ["commit"], ["rollback"], ["failover", "--json"], ["move", "--no-reverse"]]
)
def test_without_a_terminal_and_without_yes_nothing_is_ordered(
    api: Running, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    """Exit code 2, the plan, and what to add."""
    api.site.standing["recovery"] = before_commit("move", reverse=False)
    assert run(["vpg", words[0], PAYROLL, *words[1:]]) == 2
    assert api.site.calls == []
    said = capsys.readouterr().err
    assert "way back" in said
    assert "--yes" in said


def test_the_plan_tells_age_and_tag_of_the_checkpoint(api: Running, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the one that is named; one that is not there is not found, and nothing is ordered."""
    assert run(["vpg", "failover", PAYROLL, "--checkpoint", "8"]) == 2
    assert "old, tagged t" in capsys.readouterr().err
    assert run(["vpg", "failover", PAYROLL, "--checkpoint", "99", "--yes"]) == 3
    assert run(["vpg", "failover", PAYROLL, "--vm", "nobody", "--yes"]) == 3
    assert api.site.calls == []


@pytest.mark.parametrize(
    "options",
    [["--wait-seconds", "-1"], ["--wait-seconds", "2147483648"], ["--commit-policy", "never"], ["--shutdown", "x"]],
)
def test_bad_values_are_refused_by_the_command_line(api: Running, options: list[str]) -> None:
    """Exit code 2, nothing ordered."""
    assert run(["vpg", "failover", PAYROLL, "--yes", *options]) == 2
    assert api.site.calls == []


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        ([], {}),
        (["--force-shutdown", "--no-reverse", "--keep-source"],
         {"force_shutdown": True, "reverse_protection": False, "keep_source_vms": True}),
        (["--commit-policy", "commit", "--wait-seconds", "60"],
         {"commit_policy": CommitPolicy.Commit, "wait_seconds": 60}),
        (["--continue-on-script-failure"], {"continue_on_script_failure": True}),
    ],
)  # fmt: skip
def test_a_move_is_ordered_as_it_was_shown(api: Running, options: list[str], changed: dict[str, Any]) -> None:
    """What is not said is the site's setting, as shown."""
    assert run(["vpg", "move", PAYROLL, "--yes", *options]) == 0
    assert api.site.calls == [("Move", {**MOVE, **changed})]


@pytest.mark.parametrize(
    ("kind", "reverse", "options", "order"),
    [
        ("failover", True, [], ("FailoverCommit", {"reverse_protection": True})),
        ("failover", True, ["--no-reverse"], ("FailoverCommit", {"reverse_protection": False})),
        ("failover", False, ["--reverse"], ("FailoverCommit", {"reverse_protection": True})),
        ("move", False, [], ("MoveCommit", {"reverse_protection": False, "keep_source_vms": False})),
        ("move", False, ["--keep-source"], ("MoveCommit", {"reverse_protection": False, "keep_source_vms": True})),
    ],
)
def test_a_commit_is_of_whatever_waits_and_as_it_was_begun(
    api: Running, kind: Any, reverse: bool, options: list[str], order: tuple[str, dict[str, bool]]
) -> None:
    """Unless the command says otherwise."""
    api.site.standing["recovery"] = before_commit(kind, reverse=reverse)
    assert run(["vpg", "commit", PAYROLL, "--yes", *options]) == 0
    assert api.site.calls == [order]


@pytest.mark.parametrize(("kind", "order"), [("failover", "FailoverRollback"), ("move", "MoveRollback")])
def test_a_rollback_is_of_whatever_waits(api: Running, kind: Any, order: str) -> None:
    """Failover or move."""
    api.site.standing["recovery"] = before_commit(kind, reverse=True)
    assert run(["vpg", "rollback", PAYROLL, "--yes"]) == 0
    assert api.site.calls == [(order, {})]


@pytest.mark.parametrize("word", ["commit", "rollback", "protect-back"])
def test_what_waits_for_nobody_is_refused(api: Running, capsys: pytest.CaptureFixture[str], word: str) -> None:
    """Exit code 4 with the VPG's state; so is a recovery that is not yet in Before Commit."""
    assert run(["vpg", word, PAYROLL, "--yes"]) == 4
    recovery = before_commit("failover", reverse=True).model_copy(update={"stage": "recovering"})
    api.site.standing["recovery"] = recovery
    assert run(["vpg", word, PAYROLL, "--yes"]) == 4
    assert word == "protect-back" or "not yet in Before Commit" in capsys.readouterr().err
    assert api.site.calls == []


def test_a_vpg_that_needs_configuration_is_protected_back(api: Running, capsys: pytest.CaptureFixture[str]) -> None:
    """By a commit of its settings; `vpg show` tells the command."""
    api.site.standing.update(
        substatus=VpgSubStatus.NeedsConfiguration, way_home=WayHomeView(asked=False, exact=True, began=False)
    )
    assert run(["vpg", "show", PAYROLL]) == 0
    assert f"farshore vpg protect-back '{PAYROLL}'" in capsys.readouterr().out
    assert run(["vpg", "protect-back", PAYROLL, "--yes"]) == 0
    ((kind, arguments),) = api.site.calls
    assert (kind, arguments["order"].vpg_id) == ("UpdateProtectionGroup", VPG)


def test_a_vpg_is_changed_in_what_is_named_and_nothing_else(api: Running) -> None:
    """The rest of its settings and VMs goes along as it is; a VM that it has not, or nothing to do, orders nothing."""
    assert run(["vpg", "set", PAYROLL, "--name", "wages", "--history-hours", "5", "--remove-vm", "web"]) == 0
    ((kind, arguments),) = api.site.calls
    order, before = arguments["order"], VpgSettings()
    assert (kind, order.vpg_id, order.name) == ("UpdateProtectionGroup", VPG, "wages")
    assert order.vm_ids == ("vm-1", "vm-3", "vm-4")
    assert order.settings == before.model_copy(update={"history_seconds": 5 * 3600})
    api.site.calls.clear()
    assert run(["vpg", "set", PAYROLL]) == 2
    assert run(["vpg", "set", PAYROLL, "--remove-vm", "mail"]) == 3
    assert api.site.calls == []


def test_show_tells_stage_seconds_left_and_both_ways_out(api: Running, capsys: pytest.CaptureFixture[str]) -> None:
    """The commands as they can be typed, with the options that named the site."""
    api.site.standing.update(
        status=VpgStatus.FailingOver,
        substatus=VpgSubStatus.FailingOverBeforeCommit,
        recovery=before_commit("failover", reverse=True),
        latest_checkpoint=CheckpointView(checkpoint_id="9", time_ns=1),
    )
    url = str(api.http.base_url)
    assert run(["vpg", "show", PAYROLL, "--url", url]) == 0
    said = capsys.readouterr().out
    assert "in Before Commit, checkpoint 9" in said
    assert "rolled back by itself after 90 s" in said
    assert "db (running, /logs/db)" in said
    assert f"farshore vpg commit '{PAYROLL}' --url {url}\n" in said
    assert f"farshore vpg rollback '{PAYROLL}' --url {url}\n" in said


def test_an_order_that_is_not_waited_for_tells_its_task(api: Running, capsys: pytest.CaptureFixture[str]) -> None:
    """And how to watch it."""
    assert run(["vpg", "move", PAYROLL, "--yes", "--no-wait"]) == 0
    said = capsys.readouterr().out
    task_id = next(iter(reversed(api.site.known_tasks)))
    assert f"Task {task_id}\nWatch it with: farshore task watch {task_id}" in said


def test_a_recovery_that_fails_ends_with_its_reason_and_the_report(
    api: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1."""
    api.site.ending = TaskState.Failed
    assert run(["vpg", "failover", PAYROLL, "--yes"]) == 1
    said = capsys.readouterr().err
    assert "ended as Failed: It ended." in said
    assert "farshore report show " in said


def test_a_report_is_shown_as_a_table_as_json_and_as_a_page(
    api: Running, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Each step with its time, RPO, RTO, who asked; the page is one file that names no other."""
    assert run(["vpg", "failover", PAYROLL, "--yes", "--json"]) == 0
    task_id = json.loads(capsys.readouterr().out)["TaskIdentifier"]
    assert api.site.known_tasks[task_id].who == "admin"
    page = tmp_path / "report.html"
    assert run(["report", "show", task_id, "--html", str(page)]) == 0
    said = capsys.readouterr().out
    for text in (
        "asked by",
        "admin",
        "4.000 s",
        "2.250 s",
        "pin_checkpoint",
        "0.250 s",
        "no <answer>",
        "end & of <day>",
    ):
        assert text in said
    document = page.read_text()
    assert "Failover of Payroll &lt;&amp;&gt; Löhne" in document
    assert "no &lt;answer&gt;" in document
    assert "http" not in document.replace("http-equiv", "")
    assert run(["report", "show", task_id, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["RecoveryOperationIdentifier"] == task_id
    assert run(["report", "show", "nothing"]) == 3
    assert run(["report", "show", task_id, "--html", str(tmp_path / "no" / "x.html")]) == 2


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        ([], {}),
        (["--checkpoint", "8", "--vm", "web"], {"checkpoint_id": "8", "vm_ids": ["vm-2"]}),
        (["--datastore", "one"], {"datastore_id": "r-1"}),
        (["--datastore", "R-1"], {"datastore_id": "r-1"}),
    ],
)
def test_a_clone_is_ordered_and_waited_for(
    api: Running, capsys: pytest.CaptureFixture[str], options: list[str], changed: dict[str, Any]
) -> None:
    """With checkpoint, VMs and datastore by name or identifier; its words at the end; the task as JSON."""
    order = ("Clone", {"checkpoint_id": None, "datastore_id": None, "vm_ids": None, **changed})
    assert run(["vpg", "clone", PAYROLL, *options]) == 0
    assert api.site.calls == [order]
    captured = capsys.readouterr()
    assert "50 %: half [of] it" in captured.err
    assert captured.out == "Cloned. It ended.\n"
    assert run(["vpg", "clone", PAYROLL, *options, "--no-wait"]) == 0
    assert "Abort it with: farshore vpg clone-abort" in capsys.readouterr().out
    assert run(["vpg", "clone-abort", PAYROLL, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["Task"]["Type"] == "AbortClone"


def test_a_clone_to_a_datastore_that_is_not_there(api: Running, capsys: pytest.CaptureFixture[str]) -> None:
    """Named with those there are; nothing is ordered."""
    assert run(["vpg", "clone", PAYROLL, "--datastore", "two"]) != 0
    assert "There is no datastore two. There is: one." in " ".join(capsys.readouterr().err.split()).replace(
        " farshore:", ""
    )
    assert api.site.calls == []
