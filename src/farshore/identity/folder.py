"""The identity folder: which file is what, and whose it is. Without the library of certificates, which is heavy.

Files: `ca.crt`, `ca.key`, `site.crt` (the site's certificate, then the CA's), `site.key`, `peers/<site id>.crt`, the CA
of each site that is trusted, and `api.pem`, `api_ca.crt`, if the owner brought a certificate for the API.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from farshore.errors import BadInput

SITE_URI_PREFIX = "farshore://site/"
CA_NAME_PREFIX = "Farshore CA of site "
RESTORE = "Restore the site's identity folder from a backup."


@dataclass(frozen=True)
class Identity:
    """The paths of one site's identity."""

    folder: Path

    @property
    def ca_certificate(self) -> Path:
        """The CA's certificate: what others are given."""
        return self.folder / "ca.crt"

    @property
    def site_certificate(self) -> Path:
        """The site's certificate and, after it, its CA's."""
        return self.folder / "site.crt"

    @property
    def site_key(self) -> Path:
        """The site's private key (0600)."""
        return self.folder / "site.key"

    @property
    def api_pem(self) -> Path:
        """The key and certificate that the owner brought for the API (0600), if any."""
        return self.folder / "api.pem"

    @property
    def api_ca(self) -> Path:
        """The CA that vouches for that one."""
        return self.folder / "api_ca.crt"

    @property
    def peers(self) -> Path:
        """The folder with one CA certificate for each site that is trusted."""
        return self.folder / "peers"

    def ca_pem(self) -> str:
        """The CA's certificate as PEM text."""
        return self.ca_certificate.read_text()

    def site_id(self) -> str:
        """Which site this is the identity of. Raises BadInput when its own CA certificate cannot be read."""
        reader = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            reader.load_verify_locations(cadata=self.ca_pem())
        except ssl.SSLError as error:
            raise BadInput(f"{self.ca_certificate} is no certificate: {error}.", RESTORE) from error
        certificates: list[dict[str, Any]] = reader.get_ca_certs()
        names = [
            value.removeprefix(CA_NAME_PREFIX)
            for certificate in certificates
            for part in certificate["subject"]
            for name, value in part
            if name == "commonName" and value.startswith(CA_NAME_PREFIX)
        ]
        if len(names) != 1:
            raise BadInput(f"{self.ca_certificate} is not the certificate of a site's CA.", RESTORE)
        return str(names[0])
