"""Each cell of action x state (row G12), against a table that was written from the row, apart from the program's."""

from __future__ import annotations

import pytest

from farshore.model.actions import Action, Situation, refusal

A, S = Action, Situation
BEGINS_A_RECOVERY = {A.Failover, A.FailoverTest, A.CloneStart, A.Move}
STEERS = {A.ForceSync, A.Pause}
QUIET = BEGINS_A_RECOVERY | STEERS | {A.Checkpoints, A.Edit, A.Delete}
"""What a VPG takes of which nothing else is so."""

TAKEN: dict[Situation, set[Action]] = {
    S.Creating: {A.Delete},
    S.Deleting: set(),
    S.Committing: set(),
    S.RollingBack: set(),
    S.Promoting: set(),
    S.FailoverBeforeCommit: {A.FailoverCommit, A.FailoverRollback},
    S.PartialFailoverBeforeCommit: {A.FailoverCommit, A.FailoverRollback, A.Checkpoints},
    S.MoveBeforeCommit: {A.MoveCommit, A.MoveRollback},
    S.Moving: {A.Failover, A.CloneStart},
    S.FailingOver: {A.CloneStart},
    S.NeedsConfiguration: {A.Edit, A.CloneStart, A.Delete},
    S.NoVms: {A.Edit, A.Delete},
    S.NoCheckpoint: QUIET - BEGINS_A_RECOVERY,
    S.TestRunning: QUIET - {A.Move, A.Delete} | {A.FailoverTestStop},
    S.CloneRunning: QUIET | {A.CloneAbort},
    S.Paused: QUIET - STEERS - {A.Checkpoints, A.Move} | {A.Resume},
    S.Syncing: QUIET - {A.Checkpoints, A.Move},
    S.ProtectedInCloud: QUIET - {A.Checkpoints},
}
"""By the one thing that is so: what is taken; all else is a 409."""


@pytest.mark.parametrize("situation", list(Situation), ids=lambda situation: situation.name)
@pytest.mark.parametrize("action", list(Action), ids=lambda action: action.name)
def test_g12_each_cell(action: Action, situation: Situation) -> None:
    """Taken or refused as the row says; a refusal says what stands in the way."""
    conflict = refusal(action, [situation], "shop")
    assert (conflict is None) == (action in TAKEN[situation])
    if conflict is not None:
        assert action.value in conflict.fact
        assert "The VPG shop" in conflict.fact


@pytest.mark.parametrize("situation", [S.Paused, S.Syncing, S.TestRunning], ids=lambda situation: situation.name)
@pytest.mark.parametrize("other", list(Situation), ids=lambda situation: situation.name)
def test_g12_two_at_once_take_what_both_take(situation: Situation, other: Situation) -> None:
    """Paused or in a sync, with a test or a clone beside it, before a commit, and so on."""
    for action in QUIET:
        both = action in TAKEN[situation] and action in TAKEN[other]
        assert (refusal(action, [situation, other]) is None) == both, action
