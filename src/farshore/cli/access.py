"""Where a command finds the site's API, and as whom it signs in.

In this order: `--url` with `--user`, `--password`, `--ca`; `--site-dir`, whose `cli.json` (0600, written by
`farshore site init`) holds the same; the environment: FARSHORE_URL, FARSHORE_USER, FARSHORE_PASSWORD,
FARSHORE_CA. A single value that is missing beside `--url` is taken from the environment.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from farshore.errors import BadInput, NotFound
from farshore.model.files import write_durably

FILE_NAME = "cli.json"

SignIn = Literal["classic", "token"]


@dataclass(frozen=True)
class Access:
    """One site's API and an account there. `ca` is the file of the CA that signed the site's certificate."""

    url: str
    user: str
    password: str
    ca: str
    client_id: str = ""
    client_secret: str = ""

    def save(self, site_folder: Path) -> None:
        """Write it into the site's folder, readable by its owner only."""
        write_durably(site_folder / FILE_NAME, json.dumps(asdict(self), indent=1).encode(), mode=0o600)

    @classmethod
    def load(cls, site_folder: Path) -> Access:
        """Read a site folder's `cli.json`. Raises NotFound, or BadInput when it is not what `save` wrote."""
        path = site_folder / FILE_NAME
        try:
            return cls(**json.loads(path.read_text()))
        except FileNotFoundError:
            raise NotFound(
                f"{os.fspath(site_folder)} holds no {FILE_NAME}.",
                "Name the folder that `farshore site init` made, or use --url, --user, --password and --ca.",
            ) from None
        except (ValueError, TypeError) as error:
            raise BadInput(f"{path} cannot be read: {error}.", "Take it from a backup.") from error


def choose_access(
    *,
    site_dir: Path | None = None,
    url: str | None = None,
    user: str | None = None,
    password: str | None = None,
    ca: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Access:
    """The access that options and environment name. Raises BadInput when they name none, NotFound for a bad folder."""
    env = os.environ if environment is None else environment
    if url is None and site_dir is not None:
        stored = Access.load(site_dir)
        return Access(
            stored.url,
            user or stored.user,
            password or stored.password,
            ca or stored.ca,
            stored.client_id,
            stored.client_secret,
        )
    url = url or env.get("FARSHORE_URL")
    if not url:
        raise BadInput(
            "No site is named.",
            "Use --site-dir DIR, or --url with --user, --password and --ca, or the variables FARSHORE_URL ...",
        )
    if not url.startswith("https://"):
        raise BadInput(f"{url} is not an https:// address.", "Name the site as https://HOST:9669.")
    user = user or env.get("FARSHORE_USER", "")
    password = password or env.get("FARSHORE_PASSWORD", "")
    if not user or not password:
        raise BadInput(f"No user or no password for {url}.", "Use --user and --password, or FARSHORE_USER and so on.")
    return Access(url.rstrip("/"), user, password, ca or env.get("FARSHORE_CA", ""))
