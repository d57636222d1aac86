"""The places of a site where disks can be put: its own store, and the folders that its settings name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from farshore.errors import BadInput
from farshore.model.resources import resource_id
from farshore.model.site import SiteConfig
from farshore.model.store_room import room_bytes


@dataclass(frozen=True)
class Datastore:
    """One of them. `folder` is where its disks are put."""

    id: str
    name: str
    folder: Path


def own_disks(site_folder: Path) -> Path:
    """Where the site's own store has its disks: on the store of the journals, which may be one of its own."""
    journals = site_folder / "journal"
    elsewhere = journals.is_dir() and journals.stat().st_dev != site_folder.stat().st_dev
    return (journals if elsewhere else site_folder) / "disks"


class Datastores:
    """All datastores of a site."""

    def __init__(self, config: SiteConfig, site_folder: Path) -> None:
        """They are looked at anew for each call."""
        self._config = config
        self._site_folder = site_folder

    def calls(self) -> dict[str, Callable[..., Any]]:
        """By name."""
        return {"datastores": self.datastores}

    def all(self) -> list[Datastore]:
        """The site's own first."""
        config = self._config
        own = Datastore(resource_id(config.site_id, "datastore"), f"{config.name} store", own_disks(self._site_folder))
        return [own] + [
            Datastore(resource_id(config.site_id, f"datastore {name}"), name, Path(folder))
            for name, folder in config.settings.datastores.items()
        ]

    def find(self, datastore_id: str) -> Datastore:
        """The one of that identifier. Raises BadInput."""
        for datastore in self.all():
            if datastore.id == datastore_id.lower():
                return datastore
        raise BadInput(f"There is no datastore {datastore_id} here.", "List the site's datastores.")

    async def datastores(self) -> list[dict[str, Any]]:
        """Each with the bytes that may still be taken there; 0 for one whose folder is not there."""
        reserve = self._config.settings.store_reserve_bytes
        return [
            {"datastore_id": datastore.id, "name": datastore.name, "room_bytes": _room(datastore.folder, reserve)}
            for datastore in self.all()
        ]


def _room(folder: Path, reserve_bytes: int | None) -> int:
    own = folder if folder.is_dir() else folder.parent  # the site's own is made when it is first needed
    try:
        return max(0, room_bytes(own, reserve_bytes))
    except OSError:
        return 0
