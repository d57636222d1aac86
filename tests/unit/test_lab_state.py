"""The lab's own record, the list of labs, and what `lab up` refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farshore.cli.output import Output
from farshore.errors import BadInput, Conflict, NotFound
from farshore.lab.addresses import SiteAddress
from farshore.lab.commands import parse_guest, parse_size
from farshore.lab.playground import Wanted, bring_up
from farshore.lab.state import Lab, LabSite, find_lab, lab_list


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _lab(folder: Path) -> Lab:
    folder.mkdir()
    sites = tuple(
        LabSite(name=name, address=SiteAddress(host)) for name, host in (("north", "127.0.0.1"), ("south", "127.0.0.2"))
    )
    lab = Lab(folder=folder, made_folder=True, guest="storage", sites=sites)
    lab.save()
    return lab


def test_a_lab_comes_back_as_it_was_saved(tmp_path: Path):
    """lab.json holds all that later commands need."""
    lab = _lab(tmp_path / "lab")
    assert Lab.load(lab.folder) == lab
    assert lab.site_folder("south") == lab.folder / "south"
    with pytest.raises(NotFound, match="no site west"):
        lab.site("west")


@pytest.mark.usefixtures("cache")
def test_later_commands_find_the_newest_lab_that_is_still_there(tmp_path: Path):
    """Without --dir the newest counts; one whose folder is gone is forgotten."""
    with pytest.raises(NotFound, match="no lab"):
        find_lab(None)
    first, second = _lab(tmp_path / "first"), _lab(tmp_path / "second")
    with lab_list() as labs:
        labs.add(first.folder)
        labs.add(second.folder)
    assert find_lab(None) == second
    assert find_lab(first.folder) == first
    (second.folder / "lab.json").unlink()
    assert find_lab(None) == first
    with lab_list() as labs:
        assert [lab.folder for lab in labs.labs()] == [first.folder]


@pytest.mark.usefixtures("cache")
def test_a_folder_that_is_in_use_is_refused_and_left_alone(tmp_path: Path):
    """A lab that is there already, or files of somebody: nothing is begun, nothing is removed."""
    lab = _lab(tmp_path / "lab")
    other = tmp_path / "other"
    other.mkdir()
    (other / "precious").touch()
    for folder in (lab.folder, other):
        with pytest.raises(Conflict):
            bring_up(Wanted(folder=folder), Output())
    assert (other / "precious").exists()
    assert Lab.load(lab.folder) == lab


@pytest.mark.parametrize("wanted", [Wanted(vms=0), Wanted(disks=0), Wanted(size_bytes=512)])
def test_a_lab_without_vms_or_disks_is_refused(wanted: Wanted, cache: Path):
    """Before anything is made."""
    with pytest.raises(BadInput):
        bring_up(wanted, Output())
    assert not (cache / "farshore" / "labs").exists()


@given(st.integers(min_value=1, max_value=4096))
def test_sizes_are_read_in_binary_units(number: int):
    """64M is 64 MiB, in any case, with or without B."""
    assert parse_size(f"{number}M") == parse_size(f"{number}mb") == parse_size(f"{number}MiB") == number << 20
    assert parse_size(f"{number}G") == number << 30


@pytest.mark.parametrize("text", ["", "M", "-1M", "1.5G", "64X", "100"])
def test_what_is_no_size_of_a_disk_is_refused(text: str):
    """Nothing is guessed, and a disk is whole sectors."""
    with pytest.raises(BadInput):
        parse_size(text)


def test_kinds_of_guests_are_checked():
    """real and storage, nothing else."""
    assert (parse_guest("real"), parse_guest("storage")) == ("real", "storage")
    with pytest.raises(BadInput):
        parse_guest("virtual")
