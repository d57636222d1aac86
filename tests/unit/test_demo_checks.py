"""Each of the demo's checks holds for what a good run sees, and fails by its name for each thing that can be wrong."""

from __future__ import annotations

import pytest

from farshore.lab.demo import checks, recovered
from farshore.lab.demo.stage import Stage
from farshore.lab.serial import Acknowledged, Booted, GuestFailure, HeardBoot, LawJudged, Mounted, Verified

BOOT_1, BOOT_2, PROTECTED = "1" * 36, "2" * 36, "9" * 36
SECOND = 1_000_000_000


def _guests() -> dict[str, list]:
    """What two recovered guests say when all is well."""
    return {
        "vm1": [
            Booted(1, BOOT_1), Mounted("b", clean=True, words=""), Verified("a", 7, ""), Verified("b", 7, ""),
            HeardBoot(2, BOOT_2, as_peer=True), LawJudged(good=True, words="top=7"),
            Acknowledged("a", 8), Acknowledged("b", 8),
        ],
        "vm2": [
            Booted(2, BOOT_2), Mounted("d", clean=True, words=""), Verified("c", 7, ""), Verified("d", 6, ""),
            HeardBoot(1, BOOT_1, as_peer=True), LawJudged(good=True, words="top=7"),
            Acknowledged("c", 8), Acknowledged("d", 7),
        ],
    }  # fmt: skip


OF_GUESTS = [
    lambda guests: checks.check_guests_verified(guests, 2),
    checks.check_mounts,
    checks.check_guests_law,
    lambda guests: checks.check_isolated(guests, [PROTECTED]),
    checks.check_goes_on,
]


@pytest.mark.parametrize("check", OF_GUESTS)
def test_a_good_test_passes_every_check_of_the_guests(check):
    """Nothing is reported wrong where nothing is."""
    assert check(_guests()).good


@pytest.mark.parametrize("check", OF_GUESTS)
@pytest.mark.parametrize("guests", [{}, {"vm1": [], "vm2": []}])
def test_guests_that_said_nothing_pass_no_check(check, guests):
    """An empty serial log is no proof of anything."""
    assert not check(guests).good


@pytest.mark.parametrize(
    ("guest", "event", "failing"),
    [
        ("vm1", Verified("a", None, "slot 3 differs"), "the recovered guests verify their own disks"),
        ("vm2", Mounted("d", clean=False, words="errors"), "ext4 mounts clean"),
        ("vm2", LawJudged(good=False, words="a=7 c=9"), "the chain is unbroken, say the guests"),
        ("vm1", HeardBoot(1, PROTECTED, as_peer=False), "recovered VMs reach each other and no protected one"),
        ("vm1", HeardBoot(1, "5" * 36, as_peer=False), "recovered VMs reach each other and no protected one"),
        ("vm2", GuestFailure("d 8 Input/output error"), "the recovered guests go on writing"),
    ],
)
def test_one_bad_word_of_one_guest_fails_its_check_and_no_other(guest, event, failing):
    """The check that fails is the one whose name says what is wrong."""
    guests = _guests()
    guests[guest].append(event)
    assert [c.name for c in (check(guests) for check in OF_GUESTS) if not c.good] == [failing]


def test_a_guest_that_hears_no_other_is_not_taken_for_isolated():
    """A network that is dead would hide a leak, so hearing the other recovered VM is part of the check."""
    guests = _guests()
    guests["vm1"] = [event for event in guests["vm1"] if not isinstance(event, HeardBoot)]
    check = checks.check_isolated(guests, [PROTECTED])
    assert not check.good
    assert "vm1 did not hear" in check.words


def test_without_a_protected_guests_boot_isolation_cannot_be_judged():
    """No boot to look for, no proof."""
    assert not checks.check_isolated(_guests(), []).good


def test_guests_and_host_must_find_the_same_last_records():
    """Two readings by different code agree, or it is said where not."""
    tops = {"a": 7, "b": 7, "c": 7, "d": 6}
    assert checks.check_same_tops(_guests(), tops).good
    assert "d: inside 6, outside 7" in checks.check_same_tops(_guests(), tops | {"d": 7}).words
    assert not checks.check_same_tops(_guests(), {}).good


@pytest.mark.parametrize("mute", [False, True])
def test_guests_that_did_not_hear_each_other_are_shown_by_their_last_words(tmp_path, monkeypatch, capsys, mute):
    """The next failure explains itself: the last 15 lines of each recovered guest's serial log, and only then."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    guests = _guests()
    if mute:
        guests["vm1"] = [event for event in guests["vm1"] if not isinstance(event, HeardBoot)]
    logs = {name: tmp_path / f"{name}.serial" for name in guests}
    for name, log in logs.items():
        log.write_text("".join(f"{name} line {number}\n" for number in range(1, 21)))
    stage = Stage(step=False)
    stage.logs = {"protected": tmp_path / "protected.serial"}
    stage.logs["protected"].write_text(f"FARSHORE GUEST vm=1 boot={PROTECTED}\n")
    recovered.check_from_inside(stage, guests, logs, recovered.boots_of(stage.logs))
    said = capsys.readouterr().out
    shown = [line.strip() for line in said.splitlines() if " line " in line]
    assert shown == ([f"{name} line {number}" for name in logs for number in range(6, 21)] if mute else [])


def test_a_checkpoint_that_is_listed_before_it_is_durable_is_named():
    """Listed by the API and not in the journal's files, or there with another tag: it fails and says which."""
    files = [{"CheckpointIdentifier": "5", "Tag": None}, {"CheckpointIdentifier": "9", "Tag": "t"}]
    listed = [{"CheckpointIdentifier": "5"}, {"CheckpointIdentifier": "9", "Tag": "t"}]
    assert checks.check_listed_is_durable(listed, files).good
    early = checks.check_listed_is_durable([*listed, {"CheckpointIdentifier": "12"}], files)
    assert not early.good
    assert "not in the files: 12" in early.words
    assert not checks.check_listed_is_durable([{"CheckpointIdentifier": "9", "Tag": "other"}], files).good
    assert not checks.check_listed_is_durable([], files).good


@pytest.mark.parametrize(
    ("seconds", "until", "good"),
    [((0, 5, 10, 15), 18, True), ((0, 5, 10), 21, False), ((0, 5, 17), 18, False), ((0, 5), 6, False), ((), 6, False)],
)
def test_checkpoints_must_come_at_their_interval_up_to_now(seconds, until, good):
    """A gap in the middle, a stop at the end, and too few to tell all fail."""
    times = [second * SECOND for second in seconds]
    assert checks.check_rhythm(times, 5.0, until * SECOND).good is good


def test_every_disk_must_have_grown():
    """One disk that stands still is one VM that does not write."""
    assert checks.check_grew("x", {"a": 1, "b": 1}, {"a": 2, "b": 2}).good
    assert not checks.check_grew("x", {"a": 1, "b": 1}, {"a": 2, "b": 1}).good
    assert not checks.check_grew("x", {}, {}).good


@pytest.mark.parametrize(
    ("worst", "failures", "good"), [(0.4, [], True), (2.1, [], False), (0.1, ["vm1: a 3 EIO"], False)]
)
def test_a_slow_or_failed_write_of_a_protected_guest_fails(worst, failures, good):
    """The guest comes first: 2 s, and no error."""
    assert checks.check_write_times(worst, failures).good is good


@pytest.mark.parametrize(
    ("peers", "good"), [({"n": [0], "s": [0]}, True), ({"n": [0], "s": []}, False), ({"n": [0], "s": [2]}, False)]
)
def test_pairing_counts_only_from_both_sides(peers, good):
    """One side that knows the other is not enough."""
    listed = {site: [{"PairingStatus": state} for state in states] for site, states in peers.items()}
    assert checks.check_paired(listed).good is good
