"""Alerts that were dismissed, and events as they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from farshore.errors import NotFound
from farshore.model.event_kinds import EventType, alert_help, event_type, kinds_of
from farshore.site.alerts import Alerts
from farshore.site.persistence import open_database


@pytest.fixture
def alerts(tmp_path: Path) -> Iterator[Alerts]:
    """Of an empty site."""
    database = open_database(tmp_path / "site.sqlite")
    yield Alerts(database)
    database.close()


def test_a_dismissed_alert_is_taken_up_again_when_it_gets_worse(alerts: Alerts) -> None:
    """Other words leave it dismissed, another level does not; gone and back again it is a new one."""
    alerts.raise_alert("vpg v", "late", "look", vpg_id="v")
    (alert,) = alerts.all()
    alerts.dismiss(alert.id, True)
    alerts.raise_alert("vpg v", "later still", "look", vpg_id="v")
    assert [(a.fact, a.dismissed) for a in alerts.all()] == [("later still", 1)]
    alerts.raise_alert("vpg v", "lost", "look", level="error", vpg_id="v")
    assert [(a.id, a.dismissed) for a in alerts.all()] == [(alert.id, 0)]
    alerts.dismiss(alert.id, True)
    alerts.clear("vpg v")
    alerts.raise_alert("vpg v", "late", "look", vpg_id="v")
    assert [a.dismissed for a in alerts.all()] == [0]
    with pytest.raises(NotFound):
        alerts.dismiss(alert.id, True)


def test_the_newest_events_are_told_first(alerts: Alerts) -> None:
    """As many as were asked for, of those that meet the conditions."""
    for number in range(5):
        alerts.record("clock" if number % 2 else "Move", f"text {number}", who="a")
    assert [event.text for event in alerts.newest_events(2)] == ["text 4", "text 3"]
    assert [event.text for event in alerts.newest_events(9, alerts.columns.kind == "clock")] == ["text 3", "text 1"]


def test_events_are_called_as_clients_know_them() -> None:
    """And what they do not know is Unknown; a filter finds every kind that bears its word."""
    assert event_type("FailOverTest") is EventType.FailOverTest
    assert event_type("paired") is event_type("PairSite") is EventType.Pair
    assert event_type("sign_in") is EventType.Unknown
    assert set(kinds_of(EventType.Pair)) == {"Pair", "PairSite", "paired"}
    assert (alert_help("peer 1234"), alert_help("something else")) == ("FSH0004", "FSH0000")
