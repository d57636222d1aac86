"""M5: which names of scripts a VPG may bear, and which files of the site's own folder are run."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from farshore.api.scripting import scripts_of, tell_scripts
from farshore.api.wire.vpg_settings import VpgSettingsScriptsApi
from farshore.errors import BadInput, Conflict, NotFound
from farshore.model.scripts import SCRIPT_SECONDS_MAX, Script
from farshore.model.site import SiteSettings
from farshore.model.vpg import VpgSettings
from farshore.site.script_folder import demand_runnable, scripts_folder
from tests.faked_site import prepared

BAD_NAMES = ["/bin/sh", "../x", "..", ".", ".hidden", "a/b", "a\\b", "a..b", "x\0", "x\n", "\x1b[2J", "ä" * 128, ""]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_m5_a_script_has_a_bare_name(name):
    """No path, nothing hidden, nothing that a terminal would take for more than text."""
    with pytest.raises(ValidationError):
        Script(command=name)


@given(st.text(max_size=40))
def test_m5_no_name_that_is_taken_leads_out_of_the_folder(name):
    """Whatever it is: it is one file's name in a folder."""
    try:
        Script(command=name)
    except ValidationError:
        return
    assert os.path.dirname(os.path.normpath(f"/scripts/{name}")) == "/scripts"
    assert os.path.basename(os.path.normpath(f"/scripts/{name}")) == name


@pytest.mark.parametrize(
    ("member", "value", "named"),
    [
        ("Command", "../evil", "Command"),
        ("Parameters", "an 'open quote", "Parameters"),
        ("Parameters", "x" * 5000, "Parameters"),
        ("TimeoutInSeconds", -1, "TimeoutInSeconds"),
        ("TimeoutInSeconds", SCRIPT_SECONDS_MAX + 1, "TimeoutInSeconds"),
    ],
)
@pytest.mark.parametrize("when", ["PreRecovery", "PostRecovery"])
def test_m5_what_is_wrong_is_named(when, member, value, named):
    """By its place in the settings object."""
    scripting = VpgSettingsScriptsApi.model_validate({when: {"Command": "x", member: value}})
    with pytest.raises(BadInput, match=rf"^Scripting\.{when}\.{named}: "):
        scripts_of(scripting)


def test_m5_a_settings_object_and_a_vpg_say_the_same():
    """There and back; 0 s stand for the default, and without a name there is no script."""
    told = {"PreRecovery": {"Command": " stop.sh ", "Parameters": "a 'b c'", "TimeoutInSeconds": 0}}
    settings = VpgSettings.model_validate(scripts_of(VpgSettingsScriptsApi.model_validate(told)))
    assert settings.pre_recovery == Script(command="stop.sh", parameters="a 'b c'", timeout_seconds=300)
    assert settings.post_recovery is None
    assert settings.pre_recovery.arguments() == ["a", "b c"]
    assert scripts_of(tell_scripts(settings)) == {"pre_recovery": settings.pre_recovery, "post_recovery": None}
    nameless = VpgSettingsScriptsApi.model_validate({"PostRecovery": {"Parameters": "'", "TimeoutInSeconds": -5}})
    assert scripts_of(nameless) == {"pre_recovery": None, "post_recovery": None}


@pytest.fixture
def site(tmp_path):
    """A new site with one script that may be run."""
    folder = prepared(tmp_path)
    path = scripts_folder(folder) / "start"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    demand_runnable(folder, "start")
    return folder


def test_m5_a_file_that_is_not_there_is_told_with_its_place(site):
    """And what to do; so is a folder that is not there."""
    with pytest.raises(NotFound, match="no script stop in") as refused:
        demand_runnable(site, "stop")
    assert "Put it there" in refused.value.remedy
    scripts_folder(site).rename(site / "gone")
    with pytest.raises(NotFound):
        demand_runnable(site, "start")


def _linked(path):
    path.rename(path.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent / "elsewhere")


def _a_folder(path):
    path.unlink()
    path.mkdir()


def _linked_folder(path):
    path.parent.rename(path.parent.parent / "elsewhere")
    path.parent.symlink_to(path.parent.parent / "elsewhere")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda path: path.chmod(0o644), "not executable"),
        (lambda path: path.chmod(0o757), "written by others"),
        (lambda path: path.chmod(0o775), "written by others"),
        (lambda path: path.parent.chmod(0o777), "written by others"),
        (_linked, "no regular file"),
        (_linked_folder, "no regular file"),
        (_a_folder, "no regular file"),
        pytest.param(
            lambda path: os.chown(path, 12345, 12345),
            "written by others",
            marks=pytest.mark.root(reason="gives files away"),
        ),
    ],
)
def test_m5_a_file_that_others_could_have_written_is_not_run(site, change, words):
    """Nor what is no file, or not executable."""
    change(scripts_folder(site) / "start")
    with pytest.raises(Conflict, match=words):
        demand_runnable(site, "start")


@pytest.mark.parametrize("user", ["", "-x", "a b", "../x", "x" * 33])
def test_m5_a_user_that_cannot_be_one_is_refused(user):
    """In the site's own settings."""
    with pytest.raises(ValidationError):
        SiteSettings(script_user=user)
