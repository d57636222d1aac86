"""The real API of a site whose appliances are fakes, over HTTPS, and all that the site is, to be compared."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from farshore.api.application import create_app
from farshore.api.settings import ApiSettings
from farshore.errors import Unavailable
from farshore.identity.contexts import server_context
from farshore.manager.ports import bind, server
from farshore.manager.services import ManagerServices
from farshore.model.access import Role
from farshore.site.vpg_views import VpgViews
from tests.faked_site import FakedSite
from tests.operations_harness import VPG
from tests.service.made_up_site import serving

PASSWORD = "a password of the test"


def files_of(folder: Path) -> dict[str, str]:
    """The content of every file below the folder, but for databases and logs."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".sqlite" not in path.name and path.suffix != ".log"
    }


def rows_of(path: Path, leave_out: set[str]) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables of a database, but for those."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        wanted = sorted(set(tables) - leave_out - {"sqlite_sequence"})
        return {name: sorted(database.execute(f"SELECT * FROM {name}").fetchall(), key=repr) for name in wanted}


def state_of(faked: FakedSite, drafts: Any) -> dict[str, str]:
    """What the site is: VPGs, VMs, tasks, accounts, settings, files, drafts; a hash of each. Events are left out."""
    home = faked.site.folder
    told = {
        "site": rows_of(home / "manager" / "site.sqlite", {"event"}),
        "operations": rows_of(home / "operations.sqlite", set()),
        "files": files_of(home),
        "appliance": faked.south.state(),
        "other site": faked.north.vpgs(),
        "drafts": [draft.model_dump(mode="json") for draft in drafts.all()],
    }
    return {name: hashlib.sha256(json.dumps(part, default=str).encode()).hexdigest() for name, part in told.items()}


class Sender:
    """Signed in as an administrator; there is a draft of the VPG, and another account."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http
        reply = http.post("/v1/session/add", auth=("admin", PASSWORD))
        assert reply.status_code == 200, reply.text
        http.headers["x-zerto-session"] = reply.headers["x-zerto-session"]
        self.draft = http.post("/v1/vpgSettings", json={"VpgIdentifier": VPG}).json()
        http.post("/v1/accounts", json={"Name": "anna", "Role": "viewer"})
        self.vm = http.get(f"/v1/vpgSettings/{self.draft}").json()["Vms"][0]["VmIdentifier"]

    def send(self, path: str, method: str, text: bytes, notation: str) -> httpx.Response:
        """Send it to that route, to things that are there."""
        names = {"vpg_id": VPG, "settings_id": self.draft, "name": "anna", "vm_id": self.vm, "site_id": "x"}
        names |= {"piece_id": "a", "time_stamp": "2026-11-25", "kept_id": "x"}
        headers = {"Content-Type": f"application/{notation}"}
        return self.http.request(method, path.format(**names), content=text, headers=headers)


def _refuse_orders(faked: FakedSite) -> None:
    """The fake of the other site carries out no orders: one that is passed on to it is refused, as by a real one."""
    answer = faked.north.call

    async def call(site_id: str, call: str, arguments: dict[str, Any], seconds: float = 1.0) -> Any:
        if call == "order":
            raise Unavailable("The other site takes no orders.", "")
        return await answer(site_id, call, arguments, seconds)

    faked.north.call = call


@asynccontextmanager
async def serving_faked(faked: FakedSite) -> AsyncIterator[tuple[httpx.Client, Any]]:
    """A client that is not signed in, and the API's drafts. Calls of the client are for another thread."""
    faked.site.accounts.set_secret("admin", "user", Role.administrator, PASSWORD)
    _refuse_orders(faked)
    identity = faked.site.folder / "identity"
    services = ManagerServices(faked.site, faked.orders, VpgViews(faked.site))
    app = create_app(services, ApiSettings())
    running = server(app, server_context(identity, require_client=False), peers=False)
    async with serving(running, bind("127.0.0.1", 0, "API")) as port:
        context = ssl.create_default_context(cafile=str(identity / "ca.crt"))
        url = f"https://127.0.0.1:{port}"
        with httpx.Client(base_url=url, verify=context, trust_env=False, timeout=20) as http:
            yield http, app.state.farshore.store
