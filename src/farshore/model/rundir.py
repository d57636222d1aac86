"""The short folder for a site's sockets: their paths must stay under 107 bytes, however long the site's own path is."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from farshore.errors import BadInput

SOCKET_PATH_BYTES_MAX = 107
SOCKET_NAME_BYTES_MAX = 40
MAKE_TRIES = 100


def run_directory(site_folder: Path) -> Path:
    """Where the sockets of the site in `site_folder` are (not made here): <TMP>/farshore-<uid>/<8 hex digits>.

    Raises BadInput when that is itself too long for a socket's name to fit.
    """
    digest = hashlib.sha256(os.fsencode(os.path.realpath(site_folder))).hexdigest()[:8]
    path = Path(tempfile.gettempdir()) / f"farshore-{os.getuid()}" / digest
    if len(os.fsencode(path)) + 1 + SOCKET_NAME_BYTES_MAX > SOCKET_PATH_BYTES_MAX:
        raise BadInput(f"The run directory {path} is too long for sockets.", "Set TMPDIR to a shorter path.")
    return path


def make_run_directory(site_folder: Path) -> Path:
    """Make the run directory (0700) and return it. Raises BadInput (also when it is somebody else's), OSError."""
    path = run_directory(site_folder)
    for _ in range(MAKE_TRIES):
        # Another site that ends at this moment may take the empty parent away, before or between these two.
        with suppress(FileExistsError, FileNotFoundError):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.mkdir(mode=0o700, exist_ok=True)
            _check_own(path.parent)
            _check_own(path)
            return path
    raise BadInput(f"The run directory {path} cannot be made.", f"See what {path.parent} is, or set another TMPDIR.")


def _check_own(path: Path) -> None:
    """Raises BadInput when another user could put something into the folder, which anybody may have made before us."""
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        fact = f"The run directory {path} is not this user's alone."
        raise BadInput(fact, "See whose it is, and have it removed; or set another TMPDIR.")


def remove_run_directory(site_folder: Path) -> None:
    """Remove the run directory with all that is in it, and its parent when no other site has one; none is fine."""
    path = run_directory(site_folder)
    if path.exists():
        shutil.rmtree(path)
    with suppress(OSError):  # not empty: another site's run directory is there
        path.parent.rmdir()
