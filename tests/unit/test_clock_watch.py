"""CA9: an alert tells of a clock that was set, and of one that is not the other site's; it goes when that has."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from farshore.manager.clock_watch import CALM_SECONDS, ClockWatch, span
from farshore.site.peers import Peer
from farshore.site.site import Site, open_site
from tests.fake_appliance import FakeAppliance
from tests.faked_site import prepared

HOUR = 3600.0
PEER = Peer("north-id", "north", "127.0.0.1:1", "127.0.0.1:2")


@dataclass
class Bench:
    """A site whose clocks are moved by hand."""

    site: Site
    monotonic: float = 1000.0
    wall: float = 1.7e9

    def pass_by(self, seconds: float) -> None:
        """Time passes, by both clocks."""
        self.monotonic += seconds
        self.wall += seconds

    def told(self) -> dict[str, str]:
        """{key: fact} of the alerts about clocks."""
        return {alert.key: alert.fact for alert in self.site.alerts.all() if alert.key.startswith("clock")}

    def watch(self) -> ClockWatch:
        """As a manager that starts now has it."""
        return ClockWatch(self.site, lambda: self.monotonic, lambda: int(self.wall * 1e9))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """See Bench."""
    site = open_site(prepared(tmp_path), FakeAppliance(tmp_path / "south.json"))
    yield Bench(site)
    asyncio.run(site.close())


@pytest.mark.parametrize(("step", "words"), [(-HOUR, "back by 1 h"), (48 * HOUR, "forward by 2 d"), (60, "1 min")])
def test_a_clock_that_was_set_is_told_of_for_an_hour(bench: Bench, step: float, words: str) -> None:
    """Time that only passes, or is slewed, tells nothing."""
    watch = bench.watch()
    for slew in (0.0, 0.1, -0.1):
        bench.pass_by(2.0)
        bench.wall += slew
        asyncio.run(watch.turn())
    assert bench.told() == {}
    bench.wall += step
    asyncio.run(watch.turn())
    assert words in bench.told()["clock"]
    bench.pass_by(CALM_SECONDS - 60)
    asyncio.run(watch.turn())
    assert bench.told()
    bench.pass_by(120)
    asyncio.run(watch.turn())
    assert bench.told() == {}


def test_two_sites_whose_clocks_are_apart(bench: Bench) -> None:
    """By more than the answer's own time allows for; it goes once they agree."""
    watch = bench.watch()

    def hear(apart: float, took: float) -> None:
        asked = bench.wall
        bench.pass_by(took)
        theirs = asked + took / 2 + apart
        asyncio.run(watch.compare(PEER, {"now_ns": str(int(theirs * 1e9))}, int(asked * 1e9)))

    hear(5, took=0.1)
    hear(11, took=4.0)
    assert bench.told() == {}
    hear(-HOUR, took=0.1)
    assert "The clock of site north is 1 h behind that of site" in bench.told()[f"clock {PEER.site_id}"]
    asyncio.run(watch.compare(replace(PEER, site_id="older"), {}, 0))  # one that does not tell its time
    hear(0.5, took=0.1)
    assert bench.told() == {}


def test_lengths_of_time() -> None:
    """In the unit that a person would take."""
    assert [span(s) for s in (-7, 60, 5400, -3600, 172800)] == ["7 s", "1 min", "1.5 h", "1 h", "2 d"]
