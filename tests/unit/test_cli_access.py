"""Where a command connects: options before the site's folder before the environment."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from farshore.cli.access import FILE_NAME, Access, choose_access
from farshore.errors import BadInput, NotFound

STORED = Access("https://127.0.0.1:9669", "admin", "stored", "/ca.crt", "id", "secret")
ENVIRONMENT = {
    "FARSHORE_URL": "https://env:1",
    "FARSHORE_USER": "eve",
    "FARSHORE_PASSWORD": "p",
    "FARSHORE_CA": "/env.crt",
}


def test_the_access_file_comes_back_as_it_was_and_is_for_its_owner_only(tmp_path: Path):
    """cli.json holds a password: 0600, and read back it is the same."""
    STORED.save(tmp_path)
    assert Access.load(tmp_path) == STORED
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600


def test_the_sites_folder_comes_before_the_environment(tmp_path: Path):
    """--site-dir is what the person typed; variables may be left over from before."""
    STORED.save(tmp_path)
    assert choose_access(site_dir=tmp_path, environment=ENVIRONMENT) == STORED
    assert choose_access(site_dir=tmp_path, user="u", password="p", environment={}).user == "u"


def test_the_environment_is_used_when_no_option_names_a_site():
    """All four values can come from the environment."""
    assert choose_access(environment=ENVIRONMENT) == Access("https://env:1", "eve", "p", "/env.crt")


def test_a_value_missing_beside_the_url_is_taken_from_the_environment():
    """So that a password need not stand on a command line."""
    chosen = choose_access(url="https://here:9669/", environment=ENVIRONMENT)
    assert (chosen.url, chosen.user, chosen.password) == ("https://here:9669", "eve", "p")


@pytest.mark.parametrize(
    "options", [{}, {"url": "http://plain:9669", "user": "u", "password": "p"}, {"url": "https://h", "user": "u"}]
)
def test_too_little_or_an_unsafe_address_is_refused_with_what_to_do(options: dict[str, str]):
    """No site, no password, or http: nothing is sent anywhere."""
    with pytest.raises(BadInput) as caught:
        choose_access(**options, environment={})
    assert caught.value.remedy


def test_a_folder_without_an_access_file_is_not_found(tmp_path: Path):
    """The folder that was named is in the error."""
    with pytest.raises(NotFound, match=str(tmp_path)):
        choose_access(site_dir=tmp_path, environment={})


def test_an_access_file_that_is_not_valid_is_told_of(tmp_path: Path):
    """A cut file is bad input, not a trace."""
    (tmp_path / FILE_NAME).write_text('{"url": ')
    with pytest.raises(BadInput, match="cannot be read"):
        Access.load(tmp_path)
