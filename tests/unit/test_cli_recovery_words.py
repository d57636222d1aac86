"""What people read before and after a recovery: durations, policies, plans, what to type next."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farshore.cli.plan import Plan, agree
from farshore.cli.recovery_plans import checkpoint_text, commit_plan, failover_plan, move_plan, protect_back_plan
from farshore.cli.recovery_words import duration_text, next_commands, policy_text, standing
from farshore.cli.waiting import LINE_SECONDS, _worth_a_line
from farshore.errors import BadInput


class Named:
    """Stands for a client: the options that named its site."""

    named_by = " --site-dir '/srv/south side'"


API: Any = Named()
VPG: dict[str, Any] = {
    "VpgName": "my shop",
    "SourceSite": "north",
    "TargetSite": "south",
    "VmsCount": 2,
    "ActiveProcessesApi": {"RunningFailOverTestApi": None, "RunningRecovery": None},
    "WayHome": None,
    "Sync": None,
}


def _in(stage: str, kind: str = "failover", **more: Any) -> dict[str, Any]:
    """A recovery of both VMs in that stage."""
    vms = [{"VmName": name, "PowerState": "running", "SerialLog": None} for name in ("db", "web")]
    return {
        "Kind": kind,
        "Stage": stage,
        "TaskIdentifier": "T.S",
        "CheckpointIdentifier": "9",
        "CommitPolicy": 0,
        "SecondsLeft": 90,
        "IsReverseProtection": False,
        "KeepSourceVms": False,
        "Vms": vms,
        **more,
    }


def _with(recovery: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """The VPG with that recovery."""
    return {**VPG, "ActiveProcessesApi": {"RunningFailOverTestApi": None, "RunningRecovery": recovery}, **more}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0 s"),
        (0.4, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "119 min"),
        (7200, "2 h 0 min"),
        (2147483647, "24855 d 3 h"),
    ],
)
def test_a_duration_is_told_in_the_unit_that_fits(seconds: float, text: str):
    """Short ones to the second."""
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("policy", "seconds", "text"),
    [
        (0, 90, "rolled back by itself after 90 s"),
        (1, 3600, "committed by itself after 3600 s (60 min)"),
        (2, 90, "nothing by itself: it waits for a commit or a rollback"),
    ],
)
def test_a_policy_says_what_happens_and_when(policy: int, seconds: int, text: str):
    """In seconds, as they are counted, and in words."""
    assert policy_text(policy, seconds) == text


def test_in_before_commit_both_ways_out_are_told_as_they_can_be_typed():
    """With the options that named the site, quoted where a shell needs it."""
    assert next_commands(API, _with(_in("before_commit"))) == [
        "farshore vpg commit 'my shop' --site-dir '/srv/south side'",
        "farshore vpg rollback 'my shop' --site-dir '/srv/south side'",
    ]
    assert dict(standing(_with(_in("before_commit"))))["then"] == "rolled back by itself after 90 s"


@pytest.mark.parametrize(
    ("vpg", "word"),
    [
        (_with(_in("recovering")), "task watch T.S"),
        (_with(_in("committing")), "task list --state InProgress"),
        (_with(WayHome={"IsAsked": False, "IsExact": True, "HasBegun": False}), "vpg protect-back"),
        (_with(ActiveProcessesApi={"RunningFailOverTestApi": {"Stage": "running"}}), "vpg test-stop"),
    ],
)
def test_what_waits_for_a_person_is_told(vpg: dict[str, Any], word: str):
    """One command, the one that goes on."""
    commands = next_commands(API, vpg)
    assert len(commands) == 1
    assert commands[0].startswith(f"farshore {word}")


@pytest.mark.parametrize("way_home", [None, {"IsAsked": True, "IsExact": True, "HasBegun": False}])
def test_where_nothing_waits_nothing_is_told(way_home: dict[str, bool] | None):
    """Protected, or about to be by itself."""
    assert next_commands(API, _with(WayHome=way_home)) == []


def _failover(vpg: dict[str, Any] = VPG, **more: Any) -> dict[str, str]:
    asked: dict[str, Any] = {
        "chosen": False, "only_some": False, "shutdown": 0, "shutdown_seconds": 300.0,
        "policy": 0, "seconds": 3600, "reverse": False,
    }  # fmt: skip
    checkpoint = {"CheckpointIdentifier": "9", "TimeStamp": "2026-11-25T09:30:00.000Z", "Tag": "noon"}
    return failover_plan(API, vpg, ["db", "web"], checkpoint, **{**asked, **more}).to_json()


def test_the_plan_of_a_failover_says_what_how_and_how_to_go_back():
    """VMs, checkpoint with age and tag, what happens to the old ones, what follows and when, the way back."""
    plan = _failover()
    assert plan["title"] == "Failover of VPG my shop from north to south"
    assert plan["VMs"] == "db, web"
    assert re.match(r"the newest; now 9 of 2026-11-25T09:30:00.000Z, .+ old, tagged noon", plan["checkpoint"])
    assert plan["protected VMs"].startswith("not touched")
    assert "rolled back by itself after 3600 s (60 min)" in plan["then"]
    assert "not protected until: farshore vpg protect-back 'my shop'" in plan["at the commit"]
    assert "farshore vpg rollback 'my shop'" in plan["way back"]


def test_the_plan_of_a_failover_follows_what_is_asked():
    """Each option has its words."""
    assert _failover(chosen=True)["checkpoint"].startswith("9 of ")
    assert _failover(shutdown=1)["checkpoint"].startswith("cut when the VMs are off: nothing is lost")
    assert "makes the failover fail" in _failover(shutdown=1)["protected VMs"]
    assert "powered off when they are not off after 5 min" in _failover(shutdown=2)["protected VMs"]
    assert "protected back to north by itself" in _failover(reverse=True)["at the commit"]
    assert "a VPG of their own" in _failover(only_some=True)["VMs"]
    assert "vpg protect-back 'my shop (recovered DATE)'" in _failover(only_some=True)["at the commit"]


def test_the_plan_of_a_failover_says_what_it_puts_an_end_to():
    """A test that runs, a move that is not yet in Before Commit; nothing is not told."""
    processes = {"RunningFailOverTestApi": {"Stage": "running"}, "RunningRecovery": _in("recovering", "move")}
    first = _failover({**VPG, "ActiveProcessesApi": processes})["first"]
    assert first == "the failover test that runs is stopped and the move that is under way is given up"
    assert "first" not in _failover()


@pytest.mark.parametrize(
    ("reverse", "keep", "said"),
    [(True, True, "become the replica"), (False, True, "the old VMs stay, powered off"), (False, False, "are DELETED")],
)
def test_the_plan_of_a_move_and_of_its_commit_say_what_becomes_of_the_old_vms(reverse: bool, keep: bool, said: str):
    """What is deleted is told in capitals, both times."""
    asked: dict[str, Any] = {"force": False, "shutdown_seconds": 300.0, "policy": 2, "seconds": 0}
    asked["despite_script"] = False
    assert said in move_plan(API, VPG, ["db"], reverse=reverse, keep=keep, **asked).to_json()["at the commit"]
    assert said in commit_plan(API, VPG, _in("before_commit", "move"), reverse=reverse, keep=keep).to_json()["then"]


def test_the_plan_of_a_commit_of_some_says_that_the_others_stay():
    """They lose no checkpoint."""
    vpg = {**VPG, "VmsCount": 3}
    plan = commit_plan(API, vpg, _in("before_commit"), reverse=False, keep=False).to_json()
    assert "other VMs stay protected" in plan["VMs"]
    assert "gone" not in plan["checkpoint"]


@pytest.mark.parametrize(("exact", "said"), [(True, "only what was written since"), (False, "hashes are compared")])
def test_the_plan_of_the_way_home_says_what_is_sent(exact: bool, said: str):
    """By bitmap or by hashes."""
    plan = protect_back_plan({**VPG, "WayHome": {"IsExact": exact}}, ["db"]).to_json()
    assert said in plan["sync"]


def test_a_vpg_without_a_checkpoint_is_told_so():
    """No age of nothing."""
    assert "no checkpoint" in checkpoint_text(None)


def test_a_command_in_a_plan_is_not_folded():
    """It can be copied as it stands, however long it is."""
    vpg = {**VPG, "VpgName": "a shop with a very long name indeed, longer than any line of a plan would be, on purpose"}
    checkpoint = {"CheckpointIdentifier": "9", "TimeStamp": "2026-11-25T09:30:00.000Z", "Tag": None}
    plan = failover_plan(
        API, vpg, ["db"], checkpoint,
        chosen=True, only_some=False, shutdown=0, shutdown_seconds=1, policy=0, seconds=1, reverse=False,
    )  # fmt: skip
    for command in ("protect-back", "rollback"):
        assert f"farshore vpg {command} '{vpg['VpgName']}' --site-dir '/srv/south side'" in plan.text()


@given(st.lists(st.tuples(st.text(min_size=1), st.text())))
def test_any_plan_can_be_shown(lines: list[tuple[str, str]]):
    """Names are data."""
    assert Plan("title", lines).text().startswith("title\n")


class Terminal(io.StringIO):
    """A terminal at which somebody has typed."""

    def isatty(self) -> bool:
        return True


PLAN = Plan("Failover of VPG shop", [("VMs", "db")])


@pytest.mark.parametrize("typed", ["y\n", "Yes\n", " YES \n"])
def test_a_yes_goes_on(typed: str, monkeypatch, capsys):
    """After the plan was shown, on stderr, so that stdout stays the result's."""
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    agree(PLAN, yes=False, as_json=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Failover of VPG shop" in captured.err


@pytest.mark.parametrize("typed", ["", "\n", "n\n", "yess\n"])
def test_anything_else_begins_nothing(typed: str, monkeypatch):
    """The end of the input too."""
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    with pytest.raises(BadInput, match="nothing was begun"):
        agree(PLAN, yes=False, as_json=False)


def test_without_a_terminal_only_yes_acts_and_the_plan_is_shown(monkeypatch, capsys):
    """A script that forgot --yes learns what it would have done."""
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    with pytest.raises(BadInput, match="no terminal to ask at"):
        agree(PLAN, yes=False, as_json=False)
    agree(PLAN, yes=True, as_json=False)
    assert capsys.readouterr().err.count("Failover of VPG shop") == 2


@pytest.mark.parametrize(
    ("note", "told", "seconds", "worth"),
    [
        ("Shutting down.", "", 0, True),
        ("Starting.", "Shutting down.", 0, True),
        ("", "Starting.", LINE_SECONDS, False),
        ("5 of 9 bytes", "5 of 9 bytes", LINE_SECONDS, False),
        ("7 of 9 bytes", "5 of 9 bytes", 1, False),
        ("7 of 9 bytes", "5 of 9 bytes", LINE_SECONDS, True),
    ],
)
def test_a_log_gets_a_line_for_new_words_and_now_and_then_for_new_figures(
    note: str, told: str, seconds: float, worth: bool
):
    """Where there is no terminal for a bar."""
    assert _worth_a_line(note, told, seconds) == worth


@pytest.mark.parametrize(
    ("despite", "said"), [(True, "it goes on all the same"), (False, "the move ends, with all as")]
)
def test_m5_the_plan_of_a_move_names_the_scripts_and_what_their_failure_does(despite: bool, said: str):
    """A VPG without scripts has no such line."""
    asked: dict[str, Any] = {"force": False, "shutdown_seconds": 300.0, "policy": 2, "seconds": 0}
    asked |= {"reverse": True, "keep": False, "despite_script": despite}
    scripted = VPG | {"PreRecoveryScript": "stop", "PostRecoveryScript": "start"}
    told = move_plan(API, scripted, ["db"], **asked).to_json()["scripts"]
    assert told.startswith("stop runs first at ")
    assert said in told
    assert told.endswith("start runs when the recovered VMs were started")
    assert "scripts" not in move_plan(API, VPG, ["db"], **asked).to_json()
