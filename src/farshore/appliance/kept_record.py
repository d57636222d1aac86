"""What is known of volumes that outlive their VPG: the record of their copying, and the file beside them.

Once they are whole they are a folder of their own, `disks/kept/<identifier>`: plain raw images, and `kept.json`, which
says of which VPG, VM and disk each is, and as of when. Nothing of the VPG is needed to read them.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from farshore.model.files import write_durably

NOTE = "kept.json"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_NAME_CHARACTERS_MAX = 64


class KeptVolume(BaseModel):
    """One image. `file` is its name in the folder."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    file: str
    vm_id: str
    vm_name: str
    disk_id: str
    size_bytes: int


class KeptSet(BaseModel):
    """The volumes of a VPG that was deleted, all as of one checkpoint."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    identifier: str
    vpg_id: str
    vpg_name: str
    checkpoint_id: str
    checkpoint_time: str
    checkpoint_time_ns: int
    kept: str
    kept_ns: int
    volumes: tuple[KeptVolume, ...]

    @classmethod
    def read(cls, folder: Path) -> KeptSet | None:
        """What the folder says of itself; None where it is no such folder. Raises ValueError for a damaged one."""
        try:
            return cls.model_validate_json((folder / NOTE).read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except ValidationError as error:
            raise ValueError(f"{folder / NOTE}: {error}") from error


@dataclass(slots=True)
class KeepRecord:
    """Volumes that are being copied. `state`: copying, failed (with `reason`), copied; `sizes`: of each, once known."""

    path: Path
    operation: str
    vpg_id: str
    vpg_name: str
    checkpoint_id: str
    checkpoint_time_ns: int
    folder: str
    volumes: list[dict[str, Any]]
    """Each with `number`, `vm_id`, `vm_name`, `disk_id`."""
    sizes: dict[str, int] = field(default_factory=dict)
    state: str = "copying"
    reason: str = ""

    @classmethod
    def load(cls, path: Path) -> KeepRecord:
        """Raises FileNotFoundError."""
        return cls(path=path, **json.loads(path.read_text()))

    def save(self) -> None:
        """Make it durable. Raises OSError."""
        data = asdict(self)
        del data["path"]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(self.path, json.dumps(data).encode())

    def disks(self) -> dict[str, int]:
        """{image: volume number}."""
        return {_file(volume): int(volume["number"]) for volume in self.volumes}

    def finished(self, kept_ns: int) -> KeptSet:
        """What will lie beside the images."""
        return KeptSet(
            identifier=self.operation,
            vpg_id=self.vpg_id,
            vpg_name=self.vpg_name,
            checkpoint_id=self.checkpoint_id,
            checkpoint_time=_moment(self.checkpoint_time_ns),
            checkpoint_time_ns=self.checkpoint_time_ns,
            kept=_moment(kept_ns),
            kept_ns=kept_ns,
            volumes=tuple(
                KeptVolume(
                    file=_file(volume),
                    vm_id=volume["vm_id"],
                    vm_name=volume["vm_name"],
                    disk_id=volume["disk_id"],
                    size_bytes=self.sizes[_file(volume)],
                )
                for volume in self.volumes
            ),
        )


def _file(volume: dict[str, Any]) -> str:
    """A name that a person knows; the number, which is the volume's own in its VPG, keeps two apart."""
    name = _UNSAFE.sub("_", volume["vm_name"])[:_NAME_CHARACTERS_MAX].strip(".")
    return f"{name or 'vm'}.{volume['disk_id']}.{volume['number']}.raw"


def _moment(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
