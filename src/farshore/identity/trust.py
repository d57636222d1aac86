"""Which other sites are trusted (a CA file each in `identity/peers`), and who is at the other end of a connection."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from farshore.errors import BadInput, NotPermitted
from farshore.identity.folder import CA_NAME_PREFIX, SITE_URI_PREFIX, Identity
from farshore.model.files import remove_durably

_SITE_ID = re.compile(r"^[A-Za-z0-9][A-Za-z0-9-]{0,63}$")


def peer_file(folder: Path, site_id: str) -> Path:
    """Where the CA of that site is kept. Raises BadInput when the identifier can be none."""
    if not _SITE_ID.match(site_id):
        raise BadInput(f"{site_id!r} is no identifier of a site.", "Give the site's identifier as it was shown.")
    return Identity(folder).peers / f"{site_id}.crt"


def forget_peer(folder: Path, site_id: str) -> None:
    """Trust `site_id` no longer, from the next connection on; not trusted before is fine."""
    path = peer_file(folder, site_id)
    if path.parent.is_dir():
        remove_durably(path)


def trusted_peers(folder: Path) -> dict[str, str]:
    """The CA (PEM) of every trusted site, by site identifier."""
    return {path.stem: path.read_text() for path in sorted(Identity(folder).peers.glob("*.crt"))}


def peer_site_id(certificate: Mapping[str, Any] | None) -> str:
    """The site that a verified peer certificate (as `SSLObject.getpeercert()` gives it) belongs to.

    Raises NotPermitted when there is none, when it names no site, or when the CA that issued it is another site's.
    """
    remedy = "Pair the two sites; only paired sites may connect."
    if not certificate:
        raise NotPermitted("The other end showed no certificate.", remedy)
    sites = [
        value.removeprefix(SITE_URI_PREFIX)
        for kind, value in certificate.get("subjectAltName", ())
        if kind == "URI" and value.startswith(SITE_URI_PREFIX)
    ]
    issuers = [value for part in certificate.get("issuer", ()) for name, value in part if name == "commonName"]
    if len(sites) != 1 or issuers != [CA_NAME_PREFIX + sites[0]]:
        raise NotPermitted("The other end's certificate is not that of a site.", remedy)
    return str(sites[0])
