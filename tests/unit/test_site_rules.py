"""The site's rules on its rows: ranks, exclusion, ends that are final, late orders, and what is judged of a VPG."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farshore.errors import BadInput, Conflict, error_from_json
from farshore.model.access import Role
from farshore.model.vpg import Vpg, VpgVm
from farshore.operations.admission import resolve_vms
from farshore.operations.serializer import JsonSerializer
from farshore.site.accounts import Accounts
from farshore.site.alerts import Alerts
from farshore.site.failover_tests import FailoverTest, FailoverTests
from farshore.site.persistence import Database, open_database
from farshore.site.status import Heard, facts, reason, sync_percentage
from farshore.site.tasks import TaskRow, Tasks
from farshore.site.vpgs import VpgRow, Vpgs

FAILED, COMPLETED = 4, 6


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty site database."""
    opened = open_database(tmp_path / "site.sqlite")
    yield opened
    opened.close()


def vpg(name: str = "shop", **members: Any) -> Vpg:
    """A VPG between a and b."""
    whole = {"id": name, "name": name, "protected_site_id": "a", "recovery_site_id": "b", "owner_site_id": "b"}
    return Vpg.model_validate(whole | members)


def changing(task_id: str, vpg_id: str = "v") -> TaskRow:
    """A changing operation."""
    return TaskRow(task_id, "RemoveProtectionGroup", "a", changing=True, vpg_id=vpg_id)


def test_one_changing_operation_per_vpg(database: Database) -> None:
    """G8: the second is refused with the name of the first; reading ones and other VPGs go beside; an end frees it."""
    tasks = Tasks(database)
    assert tasks.begin(changing("t1"))
    with pytest.raises(Conflict, match="t1"):
        tasks.begin(changing("t2"))
    assert tasks.get("t2") is None
    assert tasks.begin(TaskRow("t3", "FailOverTest", "a", vpg_id="v"))
    assert tasks.begin(changing("t4", "w"))
    tasks.fail("t1", "why")
    assert tasks.begin(changing("t2"))


def test_an_order_that_comes_twice_is_begun_once(database: Database) -> None:
    """I8: the identifier decides."""
    tasks = Tasks(database)
    assert tasks.begin(changing("t1"))
    assert not tasks.begin(changing("t1"))


def test_an_end_is_final(database: Database) -> None:
    """Nothing moves a task that has ended."""
    tasks = Tasks(database)
    tasks.begin(changing("t1"))
    tasks.complete("t1", "done")
    tasks.fail("t1", "too late")
    tasks.progress("t1", 5, "too late")
    found = tasks.get("t1")
    assert found is not None
    assert (found.state, found.progress, found.note, found.reason) == (COMPLETED, 100, "done", "")


def test_an_order_that_was_asked_after_in_vain_is_never_begun(database: Database) -> None:
    """I8: "it had not begun" is a promise: the order that arrives late is refused."""
    tasks = Tasks(database)
    tasks.bar("t1", "a")
    assert not tasks.begin(changing("t1"))
    found = tasks.get("t1")
    assert found is not None
    assert found.state == FAILED
    tasks.begin(changing("t5"))
    tasks.bar("t5", "a")
    known = tasks.get("t5")
    assert known is not None
    assert known.live


@settings(deadline=None, max_examples=20)
@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 5)), min_size=1, max_size=12))
def test_of_two_rows_the_higher_rank_wins_whole(
    tmp_path_factory: pytest.TempPathFactory, ranks: list[tuple[int, int]]
) -> None:
    """In whatever order rows arrive, the highest (epoch, version) stays."""
    opened = open_database(tmp_path_factory.mktemp("rank") / "site.sqlite")
    rows = Vpgs(opened)
    for epoch, version in ranks:
        rows.put(VpgRow(vpg(epoch=epoch, version=version), "active"))
    found = rows.get("shop")
    opened.close()
    assert found is not None
    assert found.rank == max(ranks)


def test_names_are_taken_until_the_vpg_is_released(database: Database) -> None:
    """A name belongs to one VPG; a released row holds none and is not listed."""
    rows = Vpgs(database)
    rows.put(VpgRow(vpg(), "active"))
    with pytest.raises(Conflict, match="shop"):
        rows.put(VpgRow(vpg(id="other"), "creating"))
    rows.release("shop")
    assert rows.listed() == []
    assert rows.put(VpgRow(vpg(id="other"), "creating"))


def test_a_test_is_claimed_by_one_stop(database: Database) -> None:
    """The second stop finds nothing to stop."""
    tests = FailoverTests(database)
    with database.transaction() as connection:
        tests.insert(connection, FailoverTest("t1", "v", "o1"))
    with database.transaction() as connection, pytest.raises(Conflict):
        tests.claim(connection, "v", "s0", None)  # it is still starting
    tests.update("t1", state="running")
    with database.transaction() as connection:
        tests.claim(connection, "v", "s1", None)
    with database.transaction() as connection, pytest.raises(Conflict):
        tests.claim(connection, "v", "s2", None)
    assert [test.task_id for test in tests.claimed("s1")] == ["t1"]


def test_an_alert_stands_once_until_it_is_cleared(database: Database) -> None:
    """Raised again, its words change."""
    alerts = Alerts(database)
    alerts.raise_alert("k", "one", "")
    alerts.raise_alert("k", "two", "")
    assert [alert.fact for alert in alerts.all()] == ["two"]
    alerts.clear("k")
    assert alerts.all() == []


def test_accounts(database: Database) -> None:
    """Only the right secret of the right kind signs in; the secret itself is nowhere in the file."""
    accounts = Accounts(database)
    accounts.set_secret("admin", "user", Role.administrator, "correct horse")
    assert accounts.verify("admin", "user", "correct horse") is not None
    assert accounts.verify("admin", "user", "wrong") is None
    assert accounts.verify("admin", "client", "correct horse") is None
    assert accounts.verify("nobody", "user", "correct horse") is None
    with pytest.raises(BadInput):
        accounts.set_secret("x", "user", Role.administrator, "")


def test_vms_are_named_by_identifier_or_name() -> None:
    """G9: twice counts once; unknown and ambiguous ones are refused."""
    names = [("i1", "web"), ("i2", "db"), ("i3", "db")]
    group = vpg(vms=[VpgVm(vm_id=vm_id, vm_name=name) for vm_id, name in names])
    assert resolve_vms(group, None) == resolve_vms(group, []) == ["i1", "i2", "i3"]
    assert resolve_vms(group, ["web", "I1", "i2"]) == ["i1", "i2"]
    with pytest.raises(BadInput, match="i2, i3"):
        resolve_vms(group, ["db"])
    with pytest.raises(BadInput, match="nope"):
        resolve_vms(group, ["nope"])


def test_what_is_judged_follows_from_what_was_heard() -> None:
    """Age, sync, link and store become facts; silence is not health."""
    row = VpgRow(vpg(vms=[VpgVm(vm_id="v", vm_name="v")]), "active")
    syncing = {"state": "syncing", "sync": {"kind": "initial", "done_bytes": 1, "total_bytes": 4}, "link": "connected"}
    heard = Heard(syncing, {"state": "receiving"}, None, None)
    assert facts(row, heard, 0).syncing == "initial"
    assert sync_percentage(heard) == 25
    full = Heard(
        {"state": "protecting", "link": "no_space"}, {"state": "no_space", "reason": "full"}, {"time_ns": 10**9}
    )
    found = facts(row, full, 4 * 10**9)
    assert found.no_space
    assert found.newest_checkpoint_age_seconds == 3.0
    assert reason(full) == "full"
    silent = Heard(connected=False)
    assert not facts(row, silent, 0).connected
    assert reason(silent)
    lost = Heard({"state": "interrupted", "reason": "a disk left", "link": "connected"}, {"state": "idle"})
    assert facts(row, lost, 0).interrupted
    assert reason(lost) == "a disk left"
    attaching = Heard({"state": "attaching", "link": "connected"}, {"state": "idle"})
    assert facts(row, attaching, 0).preparing
    refused = Heard({"state": "protecting", "link": "old_epoch", "link_reason": "Epoch 3 is over"}, {"state": "idle"})
    assert reason(refused) == "Epoch 3 is over"
    assert reason(refused, changing_over=True) == ""


def test_workflow_data_is_json_and_errors_come_back_as_they_were() -> None:
    """Never pickle; what is no plain data is refused."""
    serializer = JsonSerializer()
    conflict = Conflict("fact", "remedy")
    back = serializer.deserialize(serializer.serialize({"args": ["t"], "error": conflict}))
    assert isinstance(back["error"], Conflict)
    assert back["error"].to_json() == conflict.to_json()
    assert serializer.deserialize(serializer.serialize(OSError("x"))).kind == "fault"
    assert type(error_from_json(conflict.to_json())) is Conflict
    with pytest.raises(TypeError):
        serializer.serialize({"x": object()})
