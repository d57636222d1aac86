"""A site's own folder for scripts: which of its files may be run, and as whom.

Whoever can write a file there decides what the site runs, so only files that the site's user or root alone can write
are run, and only from a folder of the same kind.
"""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

from farshore.errors import Conflict, NotFound

FOLDER_MODE = 0o711
"""The script's own user must get through it; that nobody else gets there is the site's folder's business."""
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def scripts_folder(site_folder: Path) -> Path:
    """Where a site's scripts are."""
    return site_folder / "scripts"


def demand_runnable(site_folder: Path, name: str) -> None:
    """Raises NotFound or Conflict when the file is not there or must not be run. `name` is a bare file name."""
    folder = scripts_folder(site_folder)
    try:
        about_folder, about = os.lstat(folder), os.lstat(folder / name)
    except FileNotFoundError:
        remedy = "Put it there at the site that recovers, executable; or name another script in the VPG's settings."
        raise NotFound(f"There is no script {name} in {folder}.", remedy) from None
    if not stat.S_ISDIR(about_folder.st_mode) or not stat.S_ISREG(about.st_mode):
        raise Conflict(
            f"{folder / name} is no regular file in a folder.", "Put the script itself there, no link to it."
        )
    for path, found in ((folder, about_folder), (folder / name, about)):
        if found.st_uid not in (0, os.geteuid()) or found.st_mode & _OTHERS_WRITE:
            fact = f"{path} can be written by others than the site's user, so nothing of it is run."
            raise Conflict(fact, f"Let it belong to that user or to root: chown, and chmod go-w {path}")
    if not about.st_mode & (stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH):
        raise Conflict(f"{folder / name} is not executable.", f"chmod 755 {folder / name}")


def identity_of(user: str) -> tuple[int, int] | None:
    """User and group of the scripts; None: those of this process, which is not root and cannot choose.

    Raises NotFound when there is no such user.
    """
    if os.geteuid() != 0:
        return None
    try:
        found = pwd.getpwnam(user)
    except KeyError:
        fact = f"There is no user {user} on this host, as whom scripts are to run."
        raise NotFound(fact, "Make that user, or name another: farshore site set script_user NAME") from None
    return found.pw_uid, found.pw_gid
