"""Exports of settings on the disk: whole, bounded, each under its own second, found again by another process."""

from __future__ import annotations

from pathlib import Path

import pytest

from farshore.errors import Fault
from farshore.model.settings_export import ExportedVpg
from farshore.site.settings_exports import KEPT_MAX, SettingsExports

SECOND = 1_000_000_000
SITES = {"protected_site_id": "n", "protected_site_name": "", "recovery_site_id": "s", "recovery_site_name": ""}
VPG = ExportedVpg(vpg_id="v", name="shop", **SITES)


def test_an_export_is_there_for_the_next_manager(tmp_path: Path) -> None:
    """Under the whole second in which it was made; nothing else is in the folder."""
    made = SettingsExports(tmp_path / "exports").add((VPG,), 7 * SECOND + 123)
    assert made.time_ns == 7 * SECOND
    again = SettingsExports(tmp_path / "exports")
    assert again.times_ns() == [7 * SECOND]
    assert again.get(7 * SECOND + 999) == made
    assert again.get(8 * SECOND) is None
    assert [path.name for path in (tmp_path / "exports").iterdir()] == ["7.json"]


def test_two_exports_of_a_second_do_not_take_each_others_place(tmp_path: Path) -> None:
    """The later gets the next second that is free."""
    exports = SettingsExports(tmp_path)
    first, second = exports.add((VPG,), 7 * SECOND), exports.add((), 7 * SECOND)
    assert (first.time_ns, second.time_ns) == (7 * SECOND, 8 * SECOND)
    assert exports.get(7 * SECOND) == first


def test_the_newest_hundred_are_kept(tmp_path: Path) -> None:
    """Also of a clock that was set back: what was just made is there."""
    exports = SettingsExports(tmp_path)
    for n in range(KEPT_MAX + 3):
        exports.add((), (1000 + n) * SECOND)
    assert exports.times_ns() == [(1000 + n) * SECOND for n in reversed(range(3, KEPT_MAX + 3))]
    exports.add((), 5 * SECOND)
    assert exports.get(5 * SECOND) is not None


def test_a_damaged_export_is_told(tmp_path: Path) -> None:
    """With its file; what else lies in the folder is no export."""
    exports = SettingsExports(tmp_path)
    exports.add((VPG,), 7 * SECOND)
    (tmp_path / "7.json").write_text("{")
    (tmp_path / "notes.json").write_text("{}")
    assert exports.times_ns() == [7 * SECOND]
    with pytest.raises(Fault, match=r"7\.json"):
        exports.get(7 * SECOND)
