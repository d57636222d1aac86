"""Trusting another site: its CA is looked at before it is kept."""

from __future__ import annotations

from pathlib import Path

from farshore.errors import BadInput
from farshore.identity.certificates import ca_site_id
from farshore.identity.folder import Identity
from farshore.identity.trust import peer_file
from farshore.model.files import write_durably


def trust_peer(folder: Path, site_id: str, ca_pem: str) -> None:
    """Trust `ca_pem` as the CA of `site_id`, from the next connection on; again is fine.

    `folder` is the identity folder. Raises BadInput when the CA speaks for another site, or is this site's own.
    """
    if ca_site_id(ca_pem) != site_id:
        raise BadInput(f"The CA certificate is not that of site {site_id}.", "Pair again with a fresh token.")
    if Identity(folder).site_id() == site_id:
        raise BadInput("A site cannot pair with itself.", "Give the address and a token of another site.")
    path = peer_file(folder, site_id)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    write_durably(path, ca_pem.encode(), mode=0o644)
