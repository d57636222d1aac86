"""Status and substatus follow from the facts: one sentence each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farshore.model.enumerations import word
from farshore.model.recovery import RecoveryKind, RecoveryStage
from farshore.model.task import TaskState, new_task_id, understand_task_id
from farshore.model.vpg_state_table import STATUS_LINES, SUBSTATUS_LINES, Line, judge
from farshore.model.vpg_states import VpgFacts, VpgStatus, VpgSubStatus

STAGES: tuple[RecoveryStage, ...] = ("recovering", "before_commit", "committing", "rolling_back")
SITE = "11111111-1111-4111-8111-111111111111"


@pytest.mark.parametrize(
    ("facts", "status", "substatus"),
    [
        (VpgFacts(newest_checkpoint_age_seconds=4), VpgStatus.MeetingSLA, VpgSubStatus.None_),
        (VpgFacts(newest_checkpoint_age_seconds=301), VpgStatus.RpoNotMeetingSLA, VpgSubStatus.None_),
        (VpgFacts(has_vms=False), VpgStatus.Initializing, VpgSubStatus.EmptyProtectionGroup),
        (VpgFacts(creating=True), VpgStatus.Initializing, VpgSubStatus.Creating),
        (VpgFacts(syncing="initial"), VpgStatus.Initializing, VpgSubStatus.InitialSync),
        (
            VpgFacts(syncing="bitmap", newest_checkpoint_age_seconds=40),
            VpgStatus.MeetingSLA,
            VpgSubStatus.BitmapSync,
        ),
        (
            VpgFacts(connected=False, newest_checkpoint_age_seconds=400),
            VpgStatus.RpoNotMeetingSLA,
            VpgSubStatus.DisconnectedFromPeer,
        ),
        (
            VpgFacts(connected=False),
            VpgStatus.Initializing,
            VpgSubStatus.DisconnectedFromPeerNoRecoveryPoints,
        ),
        (
            VpgFacts(no_space=True, newest_checkpoint_age_seconds=4),
            VpgStatus.MeetingSLA,
            VpgSubStatus.JournalStorageError,
        ),
        (
            VpgFacts(interrupted=True, newest_checkpoint_age_seconds=4),
            VpgStatus.MeetingSLA,
            VpgSubStatus.VmNotProtectedError,
        ),
        (
            VpgFacts(damaged=True, newest_checkpoint_age_seconds=4),
            VpgStatus.NotMeetingSLA,
            VpgSubStatus.RecoveryStorageError,
        ),
        (VpgFacts(recovery=("failover", "recovering"), creating=True), VpgStatus.FailingOver, VpgSubStatus.None_),
        (
            VpgFacts(recovery=("failover", "before_commit"), newest_checkpoint_age_seconds=4),
            VpgStatus.FailingOver,
            VpgSubStatus.FailingOverBeforeCommit,
        ),
        (
            VpgFacts(recovery=("failover", "committing")),
            VpgStatus.FailingOver,
            VpgSubStatus.FailingOverCommitting,
        ),
        (VpgFacts(recovery=("move", "committing"), promoting=True), VpgStatus.Moving, VpgSubStatus.Promoting),
        (
            VpgFacts(recovery=("failover", "rolling_back"), connected=False),
            VpgStatus.FailingOver,
            VpgSubStatus.FailingOverRollingBack,
        ),
        (VpgFacts(recovery=("move", "before_commit")), VpgStatus.Moving, VpgSubStatus.MovingBeforeCommit),
        (VpgFacts(recovery=("move", "rolling_back")), VpgStatus.Moving, VpgSubStatus.MovingRollingBack),
        (VpgFacts(recovery=("move", "committing")), VpgStatus.Moving, VpgSubStatus.MovingCommitting),
        (
            VpgFacts(way_home="needed", connected=False, newest_checkpoint_age_seconds=4),
            VpgStatus.NotMeetingSLA,
            VpgSubStatus.NeedsConfiguration,
        ),
        (VpgFacts(way_home="asked", connected=False), VpgStatus.NotMeetingSLA, VpgSubStatus.DisconnectedFromPeer),
        (VpgFacts(way_home="asked"), VpgStatus.NotMeetingSLA, VpgSubStatus.Sync),
        (
            VpgFacts(way_home="began", syncing="delta", newest_checkpoint_age_seconds=4),
            VpgStatus.NotMeetingSLA,
            VpgSubStatus.DeltaSync,
        ),
        (VpgFacts(deleting=True, syncing="initial"), VpgStatus.Deleting, VpgSubStatus.Deleting),
    ],
)
def test_facts_make_the_state(facts: VpgFacts, status: VpgStatus, substatus: VpgSubStatus) -> None:
    """Case by case."""
    assert judge(facts) == (status, substatus)


@given(st.floats(0, 1e9), st.floats(1, 1e6))
def test_a_vpg_is_never_shown_as_meeting_its_rpo_when_it_does_not(age: float, rpo: float) -> None:
    """MeetingSLA exactly when the newest checkpoint is young enough."""
    status, _ = judge(VpgFacts(newest_checkpoint_age_seconds=age, rpo_seconds=rpo))
    assert (status is VpgStatus.MeetingSLA) == (age <= rpo)


def test_a_vpg_without_a_checkpoint_is_never_shown_as_protected() -> None:
    """Whatever else is so."""
    for syncing in (None, "initial", "delta", "bitmap"):
        for interrupted in (False, True):
            status, _ = judge(VpgFacts(syncing=syncing, interrupted=interrupted))  # type: ignore[arg-type]
            assert status in {VpgStatus.Initializing, VpgStatus.NotMeetingSLA}


SAYS_ALL = [
    VpgFacts(),
    VpgFacts(deleting=True),
    *[VpgFacts(recovery=(k, s), promoting=p) for k in ("failover", "move") for s in STAGES for p in (False, True)],
    *[VpgFacts(way_home=way, connected=up) for way in ("needed", "asked") for up in (False, True)],  # type: ignore[arg-type]
    *[VpgFacts(newest_checkpoint_age_seconds=age) for age in (1, 1000)],
    *[VpgFacts(syncing=kind) for kind in ("initial", "delta", "bitmap")],  # type: ignore[arg-type]
    *[VpgFacts(connected=False, newest_checkpoint_age_seconds=age) for age in (None, 1)],
    *[VpgFacts(interrupted=True, newest_checkpoint_age_seconds=age) for age in (None, 1)],
    VpgFacts(creating=True),
    VpgFacts(has_vms=False),
    VpgFacts(damaged=True, newest_checkpoint_age_seconds=1),
    VpgFacts(no_space=True, newest_checkpoint_age_seconds=1),
    VpgFacts(paused=True, newest_checkpoint_age_seconds=1),
    VpgFacts(preparing=True, newest_checkpoint_age_seconds=1),
]


def test_each_line_of_the_table_is_reached() -> None:
    """None stands behind another that always fits before it."""
    for lines in (STATUS_LINES, SUBSTATUS_LINES):
        met = {next(line.words for line in lines if line.fits(facts)) for facts in SAYS_ALL}
        assert [line.words for line in lines if line.words not in met] == []


def test_a_person_sees_that_a_vpg_is_paused_and_how_old_its_newest_checkpoint_is() -> None:
    """Paused is a substatus; the status still says whether the RPO is kept."""
    paused = VpgSubStatus.ReplicationPausedUserInitiated
    assert judge(VpgFacts(paused=True, newest_checkpoint_age_seconds=4)) == (VpgStatus.MeetingSLA, paused)
    assert judge(VpgFacts(paused=True, newest_checkpoint_age_seconds=400)) == (VpgStatus.RpoNotMeetingSLA, paused)


def _rows(lines: Sequence[Line[Any]]) -> list[str]:
    return [f"| {line.words} | {word(line.code)} | {line.code.value} |" for line in lines]


@pytest.mark.docs
def test_the_docs_page_is_the_table() -> None:
    """docs/vpg-states.md: each line in its order, then the words that no line makes."""
    page = (Path(__file__).parents[2] / "docs" / "vpg-states.md").read_text(encoding="utf-8").splitlines()
    shown = [
        line for line in page if line.startswith("| ") and line.endswith(" |") and not line.startswith("| The VPG")
    ]
    assert shown == [*_rows(STATUS_LINES), *_rows(SUBSTATUS_LINES)]
    for kind, lines in ((VpgStatus, STATUS_LINES), (VpgSubStatus, SUBSTATUS_LINES)):
        made = {line.code for line in lines}
        never = ", ".join(f"{word(code)} ({code.value})" for code in kind if code not in made)
        assert f"Never told: {never}." in page


@pytest.mark.docs
def test_the_docs_tell_every_state_of_a_recovery() -> None:
    """docs/operations.md says what each of them means and what to do."""
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
    kinds: tuple[RecoveryKind, ...] = ("failover", "move")
    stages: tuple[RecoveryStage, ...] = ("recovering", "before_commit", "committing", "rolling_back")
    seen = [VpgFacts(recovery=(kind, stage), promoting=p) for kind in kinds for stage in stages for p in (False, True)]
    seen += [VpgFacts(way_home=way, connected=up) for way in ("needed", "asked") for up in (False, True)]  # type: ignore[arg-type]
    names = {word.name for facts in seen for word in judge(facts)} - {"None_"}
    assert [name for name in names if name not in page] == []


def test_a_task_is_found_by_either_form_of_its_identifier() -> None:
    """GUID.GUID, or GUID:GUID as some clients keep it, in any case."""
    task_id = new_task_id(SITE)
    assert understand_task_id(task_id) == task_id
    assert understand_task_id(task_id.replace(".", ":").upper()) == task_id


@pytest.mark.parametrize("text", ["", "x", SITE, f"{SITE}-{SITE}", f"{SITE}.{SITE}.{SITE}", f"{SITE}.{SITE[:-1]}"])
def test_anything_else_is_no_task(text: str) -> None:
    """It is not found, not an error of the server."""
    assert understand_task_id(text) is None


def test_a_task_is_over_in_three_states() -> None:
    """Failed, Stopped, Completed."""
    assert {state for state in TaskState if state.over} == {TaskState.Failed, TaskState.Stopped, TaskState.Completed}
