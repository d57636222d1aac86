"""A site's own record: who it is, where it listens, and where others reach it (`site.json` in its folder)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from farshore.errors import BadInput, NotFound
from farshore.model.files import write_durably
from farshore.model.policies import CommitPolicy
from farshore.model.site_kinds import SiteKind

API_PORT_DEFAULT = 9669
PEER_PORT_DEFAULT = 9670
APPLIANCE_PORT_DEFAULT = 9671


class SiteSettings(BaseModel):
    """Settings of a site that are not a VPG's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: SiteKind = SiteKind.Kvm
    """What the site is: the page has rules for some kinds."""
    store_reserve_bytes: int | None = Field(default=None, ge=0)
    """What is left free on the store of journal, replica and scratch; None: the lesser of 2 GiB and 3 %."""
    generation_seconds: float = Field(default=30.0, ge=0.2)
    """How often the dirty bitmaps begin a new generation."""
    session_idle_seconds: int = Field(default=1800, ge=1)
    pairing_token_seconds: int = Field(default=3600, ge=1)
    task_dialect: str = Field(default="auto", pattern="^(auto|object|string)$")
    task_dialects: dict[str, Literal["object", "string"]] = Field(default_factory=dict)
    """The same for one account or one program, by its name or client id; goes before `task_dialect`."""
    classic_dates: str = Field(default="iso", pattern="^(iso|dotnet)$")
    """How times are written for classic sessions, in JSON: ISO 8601, or `/Date(ms)/` as old clients read them."""
    accelerator: str = Field(default="auto", pattern="^(auto|kvm|tcg)$")
    """What recovered and embedded VMs run on; auto: KVM where a probe showed that it works."""
    commit_seconds: int = Field(default=3600, ge=0, le=2147483647)
    """How long Before Commit lasts before the policy is carried out, where the order does not say it."""
    shutdown_seconds: float = Field(default=300.0, ge=0.1)
    """How long VMs may take to shut down before a failover or move."""
    overdue_seconds: float = Field(default=300.0, ge=0.0)
    """How long a policy waits, after an alert, whose time ran out while no manager was alive."""
    keep_discarded_seconds: float = Field(default=86400.0, ge=0.0)
    """How long what is kept that a policy's rollback discarded while the other site was away; 0: it is not kept."""
    forget_pins_seconds: float = Field(default=3600.0, ge=1.0)
    """How old a pin of a journal is, that no operation knows, before it is dropped."""
    keep_records_seconds: float = Field(default=90 * 86400.0, ge=1.0)
    """How long ended tasks, with the reports of their steps, and events are kept."""
    default_move_commit_policy: CommitPolicy = CommitPolicy.None_
    script_user: str = Field(default="nobody", min_length=1, max_length=32, pattern="^[a-z_][a-z0-9_.-]*[$]?$")
    """As whom pre- and post-recovery scripts run, where the site runs as root; else they run as the site's user."""
    datastores: dict[str, str] = Field(default_factory=dict)
    """Further places for disks besides the site's own store: by name the absolute path of a folder that is there."""
    log_level: str = Field(default="info", pattern="^(debug|info|warning|error)$")


class SiteConfig(BaseModel):
    """Who a site is and where it listens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    site_id: str
    name: str = Field(min_length=1, max_length=255)
    host: str = "127.0.0.1"
    api_port: int = API_PORT_DEFAULT
    peer_port: int = PEER_PORT_DEFAULT
    appliance_port: int = APPLIANCE_PORT_DEFAULT
    advertised_peer: str = ""
    """host:port at which the other site's manager reaches this one; empty: host and peer_port."""
    advertised_appliance: str = ""
    """host:port at which the other site's appliance reaches this one; empty: host and appliance_port."""
    settings: SiteSettings = SiteSettings()

    def peer_address(self) -> str:
        """host:port for managers of other sites."""
        return self.advertised_peer or f"{self.host}:{self.peer_port}"

    def appliance_address(self) -> str:
        """host:port for appliances of other sites."""
        return self.advertised_appliance or f"{self.host}:{self.appliance_port}"

    def save(self, folder: Path) -> None:
        """Write `site.json` durably."""
        write_durably(folder / "site.json", json.dumps(self.model_dump(mode="json"), indent=1).encode())

    @classmethod
    def load(cls, folder: Path) -> SiteConfig:
        """Read `site.json`. Raises NotFound when the folder is no site, BadInput when the file is not valid."""
        path = folder / "site.json"
        try:
            data: Any = json.loads(path.read_text())
        except FileNotFoundError:
            raise NotFound(
                f"{os.fspath(folder)} is not the folder of a site.", "Make one with: farshore site init --dir DIR"
            ) from None
        except ValueError as error:
            raise BadInput(f"{path} is not JSON: {error}.", "Mend the file or take it from a backup.") from error
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise BadInput(f"{path} is not valid: {error}.", "Mend the member that is named.") from error
