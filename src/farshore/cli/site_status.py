"""Looks at a site from its own host: processes by their command lines, the rest through the API."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from farshore.cli.access import Access
from farshore.cli.client import SiteClient
from farshore.cli.processes import site_processes
from farshore.errors import FarshoreError
from farshore.model.site import SiteConfig


def read_status(folder: Path) -> dict[str, Any]:
    """What is to be said of the site in `folder`; `Answers` False with a `Problem` when the API does not answer.

    Raises NotFound when the folder is no site.
    """
    config = SiteConfig.load(folder)
    access = Access.load(folder)
    found: dict[str, Any] = {
        "SiteIdentifier": config.site_id,
        "SiteName": config.name,
        "Url": access.url,
        "Folder": os.fspath(folder.absolute()),
        "Processes": [process.to_json() for process in site_processes(folder)],
        "Answers": False,
        "Problem": None,
        "LocalSite": None,
        "PeerSites": [],
        "Vpgs": [],
    }
    try:
        with SiteClient(access) as api:
            found["LocalSite"] = api.get("/localsite")
            found["PeerSites"] = api.get("/peersites")
            found["Vpgs"] = api.get("/vpgs")
        found["Answers"] = True
    except FarshoreError as error:
        found["Problem"] = error.fact
    return found
