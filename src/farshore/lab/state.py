"""What a lab is, in DIR/lab.json, and which labs this user has, in the cache folder.

The list of labs is kept under a lock: two labs that are started at once get different folders and addresses.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from farshore.errors import BadInput, NotFound
from farshore.lab.addresses import SiteAddress
from farshore.lab.names import SITE_NAMES, GuestKind
from farshore.model.files import write_durably

FILE_NAME = "lab.json"


class LabSite(BaseModel):
    """One site of a lab: its name, and where it and the link on its behalf listen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    address: SiteAddress


class Lab(BaseModel):
    """A lab as lab.json keeps it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path
    made_folder: bool
    guest: GuestKind
    sites: tuple[LabSite, ...]
    vpg: str | None = None

    def site(self, name: str) -> LabSite:
        """The site of that name. Raises NotFound."""
        for site in self.sites:
            if site.name == name:
                return site
        raise NotFound(f"The lab has no site {name}.", f"Its sites are {' and '.join(SITE_NAMES)}.")

    def site_folder(self, name: str) -> Path:
        """The folder of the site of that name. Raises NotFound."""
        return self.folder / self.site(name).name

    def save(self) -> None:
        """Write lab.json."""
        write_durably(self.folder / FILE_NAME, self.model_dump_json(indent=1).encode())

    @classmethod
    def load(cls, folder: Path) -> Lab:
        """Read a folder's lab.json. Raises NotFound, BadInput."""
        path = folder / FILE_NAME
        try:
            return cls.model_validate_json(path.read_text())
        except FileNotFoundError:
            raise NotFound(f"There is no lab in {folder}.", "Start one with: farshore lab up") from None
        except ValidationError as error:
            raise BadInput(f"{path} is not valid: {error}.", "Remove the folder by hand.") from error


def cache_folder() -> Path:
    """The project's folder in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "farshore"


class LabList:
    """The labs of this user, oldest first, as a list of folders. Made by `lab_list()`, which holds the lock."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.folders: list[Path] = []
        if path.exists():
            self.folders = [Path(text) for text in json.loads(path.read_text())]
        self.folders = [folder for folder in self.folders if (folder / FILE_NAME).exists()]

    def labs(self) -> list[Lab]:
        """All that can be read."""
        return [Lab.load(folder) for folder in self.folders]

    def add(self, folder: Path) -> None:
        """Remember a lab as the newest; it counts from the moment its lab.json exists."""
        self.folders = [known for known in self.folders if known != folder] + [folder]
        self._save()

    def remove(self, folder: Path) -> None:
        """Forget a lab."""
        self.folders = [known for known in self.folders if known != folder]
        self._save()

    def _save(self) -> None:
        write_durably(self._path, json.dumps([os.fspath(folder) for folder in self.folders], indent=1).encode())


@contextmanager
def lab_list() -> Iterator[LabList]:
    """The list of labs, locked against other `farshore lab` commands."""
    cache = cache_folder()
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (cache / "labs.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield LabList(cache / "labs.json")


def find_lab(folder: Path | None) -> Lab:
    """The lab in `folder`, or the newest that is remembered. Raises NotFound."""
    if folder is not None:
        return Lab.load(folder.resolve())
    with lab_list() as labs:
        if not labs.folders:
            raise NotFound("There is no lab.", "Start one with: farshore lab up")
        return Lab.load(labs.folders[-1])


def fresh_folder() -> Path:
    """A new empty folder for a lab in the user's cache."""
    parent = cache_folder() / "labs"
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix="lab-", dir=parent)).resolve()


def own_files(folder: Path) -> list[Path]:
    """What a lab puts into its folder."""
    return [folder / name for name in (*SITE_NAMES, FILE_NAME, "link.log")]


def to_json(lab: Lab) -> dict[str, Any]:
    """The lab itself for --json."""
    return {"folder": os.fspath(lab.folder), "guest": lab.guest, "vpg": lab.vpg}
