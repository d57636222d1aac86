"""What a rollback by itself has discarded, as it lies in `discarded/<operation>/` of the site's folder.

`record.json` says what it is of; `scratch/` holds what the recovered VMs had written, one qcow2 file a disk over the
volume at the checkpoint, which a pin of its own keeps in the journal. `remove` is a person's word that it may go. The
lock is held by whoever reads or removes it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from farshore.errors import Conflict, NotFound
from farshore.model.files import sync_directory, write_durably
from farshore.model.process_lock import ProcessLock

FOLDER = "discarded"
_OPERATION = re.compile(r"[0-9A-Za-z-]+")


class DiscardedDisk(BaseModel):
    """One disk: `scratch` is the file's name, `volume` the number in the VPG."""

    model_config = ConfigDict(frozen=True)

    vm_name: str
    disk_id: str
    volume: int
    scratch: str
    size_bytes: int


class DiscardedRecord(BaseModel):
    """What was discarded. `seconds_left` counts while the appliance runs."""

    model_config = ConfigDict(frozen=True)

    operation: str
    vpg_id: str
    vpg_name: str
    checkpoint_id: str
    checkpoint_time_ns: int | None
    discarded_ns: int
    seconds_left: float
    disks: tuple[DiscardedDisk, ...]

    @property
    def pin(self) -> str:
        """The name of the pin that keeps its checkpoint."""
        return f"{FOLDER}-{self.operation}"


@dataclass(frozen=True)
class Place:
    """The folder of one of them."""

    folder: Path

    @property
    def scratch(self) -> Path:
        """What the VMs had written; it is there once the VMs are gone."""
        return self.folder / "scratch"

    @property
    def is_asked_away(self) -> bool:
        """Whether a person has said that it may go."""
        return (self.folder / "remove").exists()

    def ask_away(self) -> None:
        """Say so; the appliance removes it within seconds, or when it runs again."""
        write_durably(self.folder / "remove", b"")

    def read(self) -> DiscardedRecord | None:
        """None where there is none that can be understood."""
        try:
            return DiscardedRecord.model_validate_json((self.folder / "record.json").read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def write(self, record: DiscardedRecord) -> None:
        """Durably."""
        self.folder.mkdir(parents=True, exist_ok=True)
        sync_directory(self.folder.parent)
        write_durably(self.folder / "record.json", record.model_dump_json(indent=1).encode())

    def lock(self) -> ProcessLock:
        """Keep all others from removing it. Raises Conflict."""
        try:
            return ProcessLock(self.folder / "lock")
        except BlockingIOError as error:
            raise Conflict(
                f"What {self.folder.name} discarded is just being read.", "Wait until that is done."
            ) from error


def place_of(site_folder: Path, operation: str) -> Place:
    """Where that operation's is; it need not be there. Raises NotFound for what is no identifier."""
    if not _OPERATION.fullmatch(operation):
        raise NotFound(f"Nothing {operation!r} is kept.", "farshore discarded list shows what is.")
    return Place(site_folder / FOLDER / operation)


def places(site_folder: Path) -> list[Place]:
    """All that there are."""
    found = (site_folder / FOLDER).glob("*")
    return [Place(path) for path in sorted(found) if path.is_dir() and not path.name.startswith(".")]


def kept(site_folder: Path) -> list[DiscardedRecord]:
    """What can be had back, oldest first."""
    found = [place.read() for place in places(site_folder) if place.scratch.is_dir() and not place.is_asked_away]
    return sorted((record for record in found if record is not None), key=lambda record: record.discarded_ns)


def demand(site_folder: Path, operation: str) -> tuple[Place, DiscardedRecord]:
    """One that can be had back. Raises NotFound."""
    place = place_of(site_folder, operation)
    record = place.read()
    if record is None or not place.scratch.is_dir() or place.is_asked_away:
        raise NotFound(f"Nothing {operation} is kept.", "farshore discarded list shows what is.")
    return place, record
