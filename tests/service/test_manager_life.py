"""A manager's start and stop: what a person sees when a port is taken, how fast it stops, what outlives it."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.managers import PASSWORD, USER, RunningManager


@pytest.fixture
def site(tmp_path: Path) -> Iterator[RunningManager]:
    """A site whose manager is not started yet."""
    manager = RunningManager(tmp_path / "site", "north")
    yield manager
    if manager.process is not None:
        manager.kill()


def test_it_stops_within_three_seconds_and_starts_again(site: RunningManager) -> None:
    """SIGTERM: exit code 0; the database, the site and its accounts are there at the next start."""
    site.start()
    first = site.get("/v1/localsite")
    began = time.monotonic()
    assert site.kill(signal.SIGTERM) == 0
    assert time.monotonic() - began < 3
    site.start()
    assert site.get("/v1/localsite") == first


def test_a_port_that_is_taken_is_named_with_a_remedy(site: RunningManager) -> None:
    """Exit code 1, so that the supervisor backs off; nothing of the site was touched."""
    with socket.create_server(("127.0.0.1", site.config.api_port)):
        process = site.launch()
        _, said = process.communicate(timeout=30)
    assert process.returncode == 1
    assert str(site.config.api_port) in said
    assert "site.json" in said
    assert not (site.folder / "manager" / "operations.sqlite").exists()
    site.process = None


def test_a_folder_that_is_no_site_is_told(tmp_path: Path, site: RunningManager) -> None:
    """With exit code 1 and a remedy."""
    site.folder = tmp_path
    process = site.launch()
    _, said = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "farshore site init" in said
    site.process = None


def test_wrong_passwords_are_refused(site: RunningManager) -> None:
    """For a known and for an unknown user alike."""
    site.start()
    with site.client() as client:
        for user, password in ((USER, "wrong"), ("nobody", PASSWORD), (USER, "")):
            assert client.post("/v1/session/add", auth=httpx.BasicAuth(user, password)).status_code == 401
        assert client.get("/v1/vpgs", headers={"x-zerto-session": "no such"}).status_code == 401
