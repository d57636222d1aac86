"""An export brought back on a real manager, over HTTPS: what was changed is as before, what was deleted is anew."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx

from farshore.model.task import TaskState, TaskType
from farshore.site.settings_exports import SettingsExports
from tests.faked_site import FakedSite, with_site
from tests.operations_harness import VPG
from tests.service.api_of_faked_site import Sender, serving_faked

PATH = "/v1/vpgSettings"


def imported(http: httpx.Client, vpgs: Any) -> dict[str, Any]:
    """What the answer to an import is."""
    reply = http.post(f"{PATH}/import", json={"ExportedVpgSettingsApi": vpgs})
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


async def completed(faked: FakedSite, told: dict[str, Any]) -> None:
    """Its one task has ended well."""
    assert told["ValidationFailedResults"] == told["ImportFailedResults"] == []
    ((one),) = told["ImportTaskIdentifiers"]
    task = await faked.ended(one["TaskIdentifier"])
    assert (one["VpgName"], task.state) == ("shop", TaskState.Completed), task.reason


async def change(faked: FakedSite, http: httpx.Client) -> None:
    """Another RPO, by a commit."""
    draft = (await asyncio.to_thread(http.post, PATH, json={"VpgIdentifier": VPG, "Basic": {"RpoInSeconds": 7}})).json()
    task = (await asyncio.to_thread(http.post, f"{PATH}/{draft}/commit")).json()
    assert (await faked.ended(task)).state == TaskState.Completed


def test_an_export_is_brought_back(tmp_path: Path) -> None:
    """The VPG keeps its identifier when it is changed back; deleted and imported it is protected under a new one."""

    async def test(faked: FakedSite) -> None:
        async with serving_faked(faked) as (http, _):
            await asyncio.to_thread(Sender, http)
            made = (await asyncio.to_thread(http.post, f"{PATH}/exportSettings", json={})).json()
            before = faked.vpg
            await change(faked, http)
            assert faked.vpg.settings.rpo_seconds == 7
            again = SettingsExports(faked.site.folder / "manager" / "exports")  # as the next manager finds them
            found = again.get(again.times_ns()[0])
            assert found is not None
            assert [vpg.name for vpg in found.vpgs] == ["shop"]
            path = f"{PATH}/exportedSettings/{made['TimeStamp']}"
            vpgs = (await asyncio.to_thread(http.post, path)).json()["ExportedVpgSettingsApi"]
            await completed(faked, await asyncio.to_thread(imported, http, vpgs))
            assert (faked.vpg.settings, faked.vpg.vms, faked.vpg.volumes) == (
                before.settings, before.vms, before.volumes,
            )  # fmt: skip
            request = {"force": False, "keep_recovery_volumes": False}
            assert (await faked.ended(await faked.place(TaskType.RemoveProtectionGroup, request))).state == 6
            assert faked.site.vpgs.listed() == []
            await completed(faked, await asyncio.to_thread(imported, http, vpgs))
            (row,) = faked.site.vpgs.listed()
            assert (row.vpg.name, row.vpg.settings, row.vpg.vms) == ("shop", before.settings, before.vms)
            assert row.vpg.id != before.id
            told = await asyncio.to_thread(imported, http, vpgs)
            assert "it is another one" in told["ValidationFailedResults"][0]["ErrorMessages"][0]

    with_site(tmp_path, test)
