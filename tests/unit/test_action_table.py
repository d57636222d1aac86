"""The table of which action a VPG takes when (row G12): each rule of the row, and the laws of the table."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farshore.errors import Conflict
from farshore.model.actions import NEEDS, RULES, Action, Situation, refusal, require, table_rows

A, S = Action, Situation
DOCS = Path(__file__).parent.parent.parent / "docs" / "vpgs-post.md"


def taken(*situations: Situation) -> set[Action]:
    """The actions that a VPG takes then, those that need something besides left out."""
    return {action for action in Action if action not in NEEDS and refusal(action, situations) is None}


EVERYDAY = set(Action) - set(NEEDS)


@pytest.mark.parametrize(
    ("situation", "refused"),
    [
        (S.NoCheckpoint, {A.Failover, A.FailoverTest, A.CloneStart, A.Move}),
        (S.TestRunning, {A.Move, A.Delete}),
        (S.CloneRunning, set()),
        (S.Paused, {A.ForceSync, A.Checkpoints, A.Pause, A.Move}),
        (S.Syncing, {A.Checkpoints, A.Move}),
        (S.ProtectedInCloud, {A.Checkpoints}),
        (S.NeedsConfiguration, EVERYDAY - {A.Edit, A.CloneStart, A.Delete}),
        (S.FailoverBeforeCommit, EVERYDAY),
        (S.PartialFailoverBeforeCommit, EVERYDAY - {A.Checkpoints}),
        (S.MoveBeforeCommit, EVERYDAY),
        (S.Committing, EVERYDAY),
        (S.RollingBack, EVERYDAY),
        (S.Promoting, EVERYDAY),
    ],
)
def test_each_situation_refuses_what_the_row_says(situation: Situation, refused: set[Action]) -> None:
    """Row G12, situation by situation."""
    assert EVERYDAY - taken(situation) == refused


def test_a_quiet_vpg_takes_everything_that_needs_nothing() -> None:
    """And of the others none: there is nothing to commit, stop or resume."""
    assert taken() == EVERYDAY
    assert all(refusal(action, []) is not None for action in NEEDS)


@pytest.mark.parametrize(
    ("action", "situation"),
    [
        (A.FailoverCommit, S.FailoverBeforeCommit),
        (A.FailoverRollback, S.PartialFailoverBeforeCommit),
        (A.MoveCommit, S.MoveBeforeCommit),
        (A.MoveRollback, S.MoveBeforeCommit),
        (A.FailoverTestStop, S.TestRunning),
        (A.CloneAbort, S.CloneRunning),
        (A.Resume, S.Paused),
    ],
)
def test_what_ends_something_is_taken_when_it_is_there(action: Action, situation: Situation) -> None:
    """Commit in Before Commit, resume when paused, and so on; a move's commit does not end a failover."""
    assert refusal(action, [situation]) is None
    others = set(Situation) - NEEDS[action][0]
    assert refusal(action, others) is not None


@pytest.mark.parametrize(
    "situation", [each for each in Situation if each is not S.Creating], ids=lambda situation: situation.name
)
def test_l4_a_clone_can_be_aborted_whatever_else_is_so(situation: Situation) -> None:
    """A commit and a deletion wait for it. A VPG that is being created has none."""
    assert refusal(A.CloneAbort, [S.CloneRunning, situation]) is None
    assert refusal(A.CloneAbort, {situation} - {S.CloneRunning}) is not None


@pytest.mark.parametrize("situation", [S.Syncing, S.Paused, S.TestRunning, S.CloneRunning, S.Moving])
def test_a_failover_supersedes_what_stands_in_its_way(situation: Situation) -> None:
    """Syncs, pauses, tests, and a move that is not yet in Before Commit do not refuse it."""
    assert refusal(A.Failover, [situation]) is None


@given(st.sampled_from(Action), st.sets(st.sampled_from(Situation)), st.sampled_from(Situation))
def test_a_further_situation_never_lifts_a_refusal_by_a_rule(
    action: Action, situations: set[Situation], more: Situation
) -> None:
    """What one situation refuses stays refused whatever else is so."""
    if any(action in RULES[situation].refuses for situation in situations):
        assert refusal(action, situations | {more}) is not None


@given(st.sampled_from(Action), st.sets(st.sampled_from(Situation), min_size=1))
def test_a_refusal_names_what_stands_in_the_way_and_what_to_do(action: Action, situations: set[Situation]) -> None:
    """The words name the VPG, the action and a situation that is so; there is always a remedy."""
    conflict = refusal(action, situations, "Payroll")
    if conflict is None:
        require(action, situations)
        return
    with pytest.raises(Conflict):
        require(action, situations)
    assert "Payroll" in conflict.fact
    assert action.value in conflict.fact
    assert conflict.remedy


def test_reading_actions_are_those_that_go_beside_each_other() -> None:
    """All others exclude each other, one at a time per VPG."""
    reading = {action for action in Action if not action.changing}
    assert reading == {A.Checkpoints, A.CloneStart, A.CloneAbort, A.FailoverTest, A.FailoverTestStop}


@pytest.mark.docs
def test_the_docs_show_the_table_as_it_is() -> None:
    """docs/vpgs-post.md, cell by cell, with situations as rows."""
    heading, *rows = table_rows()
    lines = ["| " + " | ".join(heading) + " |", "|" + "---|" * len(heading)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    assert "\n".join(lines) in DOCS.read_text(encoding="utf-8")
