"""Whatever malformed body is sent to whatever action: 400 that names the member, and the site is what it was.

On a real site: its database, its operations, its files; the appliances are fakes that keep what they were told.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from farshore.api.shapes import SHAPES, models
from tests.faked_site import FakedSite, with_site
from tests.operations_harness import VPG
from tests.service.api_of_faked_site import Sender, serving_faked, state_of
from tests.service.malformed import wrong_bodies

pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module")  # the site's own thread does
ACTIONS = [shape for shape in SHAPES if shape.body is not None]
FEW, MANY = 250, 10_000


def run_examples(sender: Sender, count: int) -> None:
    """So many bodies over all actions; the first that is not refused as it must be fails, made small."""

    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    @given(st.data())
    def one(data: st.DataObject) -> None:
        shape = data.draw(st.sampled_from(ACTIONS))
        wrong = data.draw(wrong_bodies(models()[shape.body or ""]))
        reply = sender.send(shape.path, shape.method, wrong.text, wrong.notation)
        assert reply.status_code == 400, (shape, wrong, reply.status_code, reply.text)
        assert f"/{wrong.notation}" in reply.headers["content-type"]
        for member in wrong.members:
            assert member in reply.text, (shape, wrong, reply.text)

    one()


def play(folder: Path, count: int) -> None:
    """The site, its state before, the bodies, its state after."""

    async def test(faked: FakedSite) -> None:
        async with serving_faked(faked) as (http, drafts):
            sender = await asyncio.to_thread(Sender, http)
            before = state_of(faked, drafts)
            await asyncio.to_thread(run_examples, sender, count)
            assert state_of(faked, drafts) == before
            good = await asyncio.to_thread(http.post, f"/v1/vpgs/{VPG}/Checkpoints", json={"CheckpointName": "x"})
            assert good.status_code == 200, good.text
            assert state_of(faked, drafts) != before

    with_site(folder, test)


def test_a_malformed_body_is_refused_by_name_and_changes_nothing(tmp_path: Path) -> None:
    """Some hundreds over all routes that read a body, in JSON and in XML; what is right changes the state's hash."""
    play(tmp_path, FEW)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_thousand_malformed_bodies_change_nothing(tmp_path: Path) -> None:
    """The same with ten thousand."""
    play(tmp_path, int(os.environ.get("FARSHORE_BODIES", MANY)))
