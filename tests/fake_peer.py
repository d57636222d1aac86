"""A stand-in for the other site's manager, for tests of operations; its rows are in a file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from farshore.errors import Unavailable
from tests.fake_appliance import FakeAppliance


@dataclass
class FakePeer:
    """The other site's manager: its appliance, and its rows of VPGs."""

    appliance: FakeAppliance
    rows: Path

    def vpgs(self) -> dict[str, Any]:
        """Its rows."""
        return json.loads(self.rows.read_text()) if self.rows.exists() else {}

    async def call(self, site_id: str, call: str, arguments: dict[str, Any], seconds: float = 1.0) -> Any:
        """As PeerClient.call."""
        if call == "appliance":
            return await self.appliance.call(arguments["call"], 1.0, **arguments["args"])
        if self.appliance.silent:
            raise Unavailable("The other site does not answer.", "")
        self.appliance.killer.before()
        rows = self.vpgs()
        if call == "put_vpg":
            row = arguments["row"]
            rows[row["vpg"]["id"]] = {"phase": row["phase"], "version": row["vpg"]["version"]} | {
                "epoch": row["vpg"]["epoch"],
                "protected": row["vpg"]["protected_site_id"],
            }
        elif call == "release_vpg":
            rows.pop(arguments["vpg_id"], None)
            state = self.appliance.state()
            state["protect"].pop(arguments["vpg_id"], None)
            self.appliance.save(state)
        self.rows.write_text(json.dumps(rows))
        self.appliance.killer.after()
        return None

    async def drop(self, site_id: str) -> None:
        """No connections to close."""

    async def close(self) -> None:
        """No connections to close."""
