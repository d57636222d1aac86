"""A site as its manager holds it: the tables, the peers, the appliances, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from farshore.errors import NotFound
from farshore.identity.folder import Identity
from farshore.model.site import SiteConfig
from farshore.model.vpg import Vpg
from farshore.site.accounts import Accounts
from farshore.site.alerts import Alerts
from farshore.site.appliances import Appliance, Appliances
from farshore.site.deadlines import Deadlines
from farshore.site.debts import Debts
from farshore.site.failover_tests import FailoverTests
from farshore.site.pairing import Pairing
from farshore.site.peer_client import PeerClient
from farshore.site.peers import Peers
from farshore.site.persistence import Database, open_database
from farshore.site.settings import Settings
from farshore.site.settings_exports import SettingsExports
from farshore.site.tasks import Tasks
from farshore.site.vpgs import VpgRow, Vpgs


@dataclass
class Site:
    """What a site knows and keeps."""

    folder: Path
    config: SiteConfig
    database: Database
    identity: Identity
    accounts: Accounts
    alerts: Alerts
    settings: Settings
    peers: Peers
    tasks: Tasks
    tests: FailoverTests
    deadlines: Deadlines
    debts: Debts
    vpgs: Vpgs
    client: PeerClient
    appliances: Appliances
    pairing: Pairing
    exports: SettingsExports

    @property
    def id(self) -> str:
        """This site's identifier."""
        return self.config.site_id

    def vpg(self, vpg_id: str) -> VpgRow:
        """The row of a VPG that people see; raises NotFound."""
        row = self.vpgs.get(vpg_id)
        if row is None or row.phase == "released":
            raise NotFound(f"There is no VPG {vpg_id}.", "List the VPGs and use an identifier from there.")
        return row

    def other_site(self, vpg: Vpg) -> str:
        """The site that is not this one."""
        return vpg.recovery_site_id if vpg.protected_site_id == self.id else vpg.protected_site_id

    def site_name(self, site_id: str) -> str:
        """The name of this site or of a peer, its identifier when it is neither."""
        if site_id == self.id:
            return self.config.name
        peer = self.peers.find(site_id)
        return peer.name if peer else site_id

    async def close(self) -> None:
        """Close connections and database."""
        await self.client.close()
        self.database.close()


def database_path(folder: Path) -> Path:
    """Where a site's database is."""
    return folder / "manager" / "site.sqlite"


def identity_folder(folder: Path) -> Path:
    """Where a site's certificates are."""
    return folder / "identity"


def open_site(folder: Path, appliance: Appliance) -> Site:
    """Open the site in `folder`, its database migrated, with its own appliance. Raises NotFound, BadInput."""
    config = SiteConfig.load(folder)
    database = open_database(database_path(folder))
    identity = Identity(identity_folder(folder))
    peers, alerts = Peers(database), Alerts(database)
    client = PeerClient(identity.folder, peers)
    return Site(
        folder=folder,
        config=config,
        database=database,
        identity=identity,
        accounts=Accounts(database),
        alerts=alerts,
        settings=Settings(database),
        peers=peers,
        tasks=Tasks(database),
        tests=FailoverTests(database),
        deadlines=Deadlines(database),
        debts=Debts(database),
        vpgs=Vpgs(database),
        client=client,
        appliances=Appliances(config.site_id, appliance, client),
        pairing=Pairing(config, identity, database, peers, client, alerts),
        exports=SettingsExports(folder / "manager" / "exports"),
    )
