"""What several of the API's tests start from: a made-up site that answers over HTTPS."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.service.made_up_site import Running, running_api


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A made-up site, one for all tests of a file; nobody has signed in."""
    with running_api(tmp_path_factory.mktemp("site")) as found:
        yield found


@pytest.fixture
def api(running: Running) -> Running:
    """The same, with nothing ordered yet."""
    running.site.calls.clear()
    running.site.busy = False
    running.site.standing.clear()
    running.site.ending = None
    running.site.dismissed = frozenset()
    return running
