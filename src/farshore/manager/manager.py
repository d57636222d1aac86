"""A site's manager from start to stop: ports, database, operations taken up, timers; and all of it down again."""

from __future__ import annotations

import asyncio
import gc
import importlib
import signal
from pathlib import Path
from typing import Any

import structlog

from farshore.appliance.client import ApplianceClient
from farshore.identity.contexts import client_context, server_context
from farshore.manager.ports import bind, server
from farshore.manager.reports import Reports
from farshore.manager.services import ManagerServices
from farshore.manager.timers import Timers
from farshore.model.site import SiteConfig
from farshore.operations import engine
from farshore.operations.orders import Orders
from farshore.site.peer_calls import PeerCalls
from farshore.site.peer_server import Call, PeerServer
from farshore.site.site import Site, identity_folder, open_site
from farshore.site.vpg_views import VpgViews

STOP_SECONDS = 2.6
GARBAGE_LOOKED_FOR_AFTER = 20_000
"""New objects; a list of a thousand VPGs is that many, and none of them is garbage before it is sent."""
API_PACKAGE = "farshore.api"
"""The face for clients stands above the manager, so it is found by name, as a server finds its application."""

log = structlog.get_logger("manager")


def peer_server(site: Site, orders: Orders, views: VpgViews) -> PeerServer:
    """What other sites' managers talk to."""
    calls = {**PeerCalls(site).calls(), **orders.calls(), **views.calls(), **Reports(site).calls()}
    open_calls: dict[str, Call] = {"authority": site.pairing.answer_authority, "pair": site.pairing.answer_pair}
    return PeerServer(site.peers, calls, open_calls)


def _api(services: ManagerServices, site: Site) -> Any:
    settings = importlib.import_module(f"{API_PACKAGE}.settings")
    key = settings.load_signing_key(site.folder / "manager" / "signing.key")
    application = importlib.import_module(f"{API_PACKAGE}.application")
    return application.create_app(services, settings.ApiSettings.of(site.config, key))


async def run(folder: Path) -> None:
    """Run the manager of the site in `folder` until SIGTERM or SIGINT.

    Raises Unavailable when a port is taken, NotFound and BadInput when the folder is no site.
    """
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    config = SiteConfig.load(folder)
    identity = identity_folder(folder)
    # Ports first: while another manager of this site lives, nothing of it is touched.
    client_socket = bind(config.host, config.api_port, "API")
    peer_socket = bind(config.host, config.peer_port, "peers")
    own = ApplianceClient(config.host, config.appliance_port, client_context(identity, config.site_id))
    site = await asyncio.to_thread(open_site, folder, own)
    orders, views = Orders(site), VpgViews(site)
    engine.launch(site, folder / "manager" / "operations.sqlite")
    await orders.resume()
    timers = Timers(site, orders, views)
    timers.start()
    services = ManagerServices(site, orders, views)
    servers = [
        server(_api(services, site), server_context(identity, require_client=False), peers=False),
        server(
            peer_server(site, orders, views),
            server_context(identity, require_client=False, admit_without=True),
            peers=True,
        ),
    ]
    sockets = (client_socket, peer_socket)
    serving = [asyncio.create_task(s.serve(sockets=[at])) for s, at in zip(servers, sockets, strict=True)]
    gc.collect()
    gc.freeze()  # what is here stays: not to be looked through each time that a long list is answered
    gc.set_threshold(GARBAGE_LOOKED_FOR_AFTER)
    log.info("manager is up", site=config.name, site_id=config.site_id, api=config.api_port, peers=config.peer_port)
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([stopping, *serving], return_when=asyncio.FIRST_COMPLETED)
    log.info("manager is stopping")
    for one in servers:
        one.should_exit = True
    await asyncio.wait([*serving, asyncio.create_task(timers.stop())], timeout=STOP_SECONDS)
    await own.close()
    await site.client.close()
