"""What parts 4 to 7 do alike with recovered guests: find them, time their first word, wait, and check from inside."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from farshore.cli.output import time_ns_of
from farshore.errors import Fault
from farshore.lab.demo import checks
from farshore.lab.demo.checks import Check
from farshore.lab.demo.evidence import FirstWords, guest_events
from farshore.lab.demo.stage import Stage, say
from farshore.lab.serial import Acknowledged, Booted, Event, last_lines

GUEST_SECONDS = 90.0
RECORDS_AFTER_RECOVERY = 40
SERIAL_LINES_SHOWN = 15

Logs = Mapping[str, Path]


def recover(stage: Stage, site: str, *words: str) -> tuple[dict[str, Any], float, float]:
    """Give the order at `site`; what it printed, its seconds, and those from the call to the first output of a guest.

    Raises Fault when it fails, or no guest says a word.
    """
    first = FirstWords(stage.site(site) / "log")
    try:
        begun = time.monotonic()
        done: dict[str, Any] = stage.ask(*words, "--site-dir", os.fspath(stage.site(site)))
        seconds = time.monotonic() - begun
        wait(lambda: first.seen_ns is not None, GUEST_SECONDS, "No recovered guest said a word")
    finally:
        seen_ns = first.end()
    assert seen_ns is not None  # or `wait` had raised
    return done, seconds, (seen_ns - time_ns_of(done["Asked"])) / 1e9


def recovered_logs(stage: Stage, site: str) -> dict[str, Path]:
    """The serial logs of the site's recovered VMs, by name. Raises Fault when there are none."""
    found = stage.ask("lab", "status", "--dir", os.fspath(stage.folder))["vms"]
    there = [vm for vm in found if vm["site"] == site and vm["recovered"] and vm["power"] == "running"]
    if not there:
        raise Fault(f"Site {site} has no recovered VM.", "See the task: farshore task list")
    return {vm["name"]: Path(vm["serial_log"]) for vm in there}


def wait_for_guests(logs: Logs) -> dict[str, list[Event]]:
    """What the recovered guests have said, once they have verified, judged, and written on."""
    say("  the recovered guests verify their disks ...")

    def done() -> bool:
        events = guest_events(logs)
        written = sum(isinstance(event, Acknowledged) for found in events.values() for event in found)
        judged = checks.check_goes_on(events).good and checks.check_guests_law(events).good
        return judged and written >= RECORDS_AFTER_RECOVERY

    try:
        wait(done, GUEST_SECONDS, "")
    except Fault:
        say("  they have not come to writing on in time; the checks say how far they came")
    return guest_events(logs)


def boots_of(logs: Logs) -> list[str]:
    """The boots of the guests of these logs, so far."""
    return [event.boot for events in guest_events(logs).values() for event in events if isinstance(event, Booted)]


def check_from_inside(
    stage: Stage, guests: Mapping[str, list[Event]], logs: Logs, protected_boots: list[str], when: str = ""
) -> None:
    """Every check of what the guests themselves say. `when` stands before the checks' names."""
    named = naming(when)
    stage.check(named(checks.check_guests_verified(guests, disks_per_guest=2)))
    stage.check(named(checks.check_mounts(guests)))
    stage.check(named(checks.check_guests_law(guests)))
    if not stage.check(named(checks.check_isolated(guests, protected_boots))).good:
        for name, log in logs.items():
            say(f"  {name} said last ({log}):")
            for line in last_lines(log, SERIAL_LINES_SHOWN):
                say(f"    {line}")
    stage.check(named(checks.check_goes_on(guests)))


def naming(when: str) -> Callable[[Check], Check]:
    """Puts a word before a check's name: the same check is made of more than one recovery."""
    return lambda check: replace(check, name=f"{when}: {check.name}") if when else check


def wait(condition: Callable[[], bool], seconds: float, fact: str) -> None:
    """Wait for a condition. Raises Fault."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Fault(f"{fact} within {seconds:.0f} s.", "See the logs.")
        time.sleep(0.05)
