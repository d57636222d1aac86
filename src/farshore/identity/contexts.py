"""TLS contexts: TLS 1.3 only, mutual between sites, and always in step with what is trusted at the moment.

Clients of the API may speak TLS 1.2; they see the site's own certificate, or the one that the owner brought.
"""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path

from farshore.errors import NotPermitted
from farshore.identity.folder import Identity
from farshore.identity.trust import trusted_peers


def _trust_stamp(folder: Path) -> tuple[tuple[str, int], ...]:
    peers = Identity(folder).peers
    return tuple(sorted((path.name, path.stat().st_mtime_ns) for path in peers.glob("*.crt")))


def _mutual_server_context(folder: Path, mode: ssl.VerifyMode) -> ssl.SSLContext:
    identity = Identity(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(identity.site_certificate, identity.site_key)
    context.num_tickets = 0  # a resumed session would not be checked against what is trusted now
    context.load_verify_locations(cadata="\n".join([identity.ca_pem(), *trusted_peers(folder).values()]))
    context.verify_mode = mode
    return context


class _LiveTrust:
    """Hands each handshake a context made from the trust files as they are now."""

    def __init__(self, folder: Path, mode: ssl.VerifyMode) -> None:
        self._folder = folder
        self._mode = mode
        self._stamp = _trust_stamp(folder)
        self._context = _mutual_server_context(folder, mode)

    def choose(self, connection: ssl.SSLObject, server_name: str | None, context: ssl.SSLContext) -> None:
        """OpenSSL's callback at the start of each handshake (also when the client names no server)."""
        stamp = _trust_stamp(self._folder)
        if stamp != self._stamp:
            self._context = _mutual_server_context(self._folder, self._mode)
            self._stamp = stamp
        connection.context = self._context


def _api_context(folder: Path) -> ssl.SSLContext:
    identity = Identity(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # clients of the API may be old; between sites it is 1.3
    if identity.api_pem.exists():
        context.load_cert_chain(identity.api_pem, password=lambda: b"")
    else:
        context.load_cert_chain(identity.site_certificate, identity.site_key)
    return context


class _LiveCertificate:
    """Hands each handshake the certificate that the API has now: the owner's, or the site's own."""

    def __init__(self, folder: Path, context: ssl.SSLContext) -> None:
        self._folder = folder
        self._stamp = self._look()
        self._context = context

    def _look(self) -> int:
        path = Identity(self._folder).api_pem
        return path.stat().st_mtime_ns if path.exists() else 0

    def choose(self, connection: ssl.SSLObject, server_name: str | None, context: ssl.SSLContext) -> None:
        """OpenSSL's callback at the start of each handshake. A file that cannot be read leaves the one before."""
        stamp = self._look()
        if stamp != self._stamp:
            self._stamp = stamp
            with contextlib.suppress(OSError):  # ssl.SSLError is one
                self._context = _api_context(self._folder)
        connection.context = self._context


def server_context(folder: Path, require_client: bool, *, admit_without: bool = False) -> ssl.SSLContext:
    """A listening port's context; `folder` is the identity folder.

    `require_client`: the other end must show the certificate of a trusted site (or of this one); pairing and unpairing
    count from the next handshake on. With `admit_without` an end that shows no certificate at all is let in too (the
    peer port, for pairing), and the program must look. Neither: no client certificate is asked for (the API's port).
    """
    if not require_client and not admit_without:
        context = _api_context(folder)
        context.sni_callback = _LiveCertificate(folder, context).choose
        return context
    mode = ssl.CERT_REQUIRED if require_client else ssl.CERT_OPTIONAL
    context = _mutual_server_context(folder, mode)
    context.sni_callback = _LiveTrust(folder, mode).choose
    return context


def client_context(folder: Path, expect_site_id: str) -> ssl.SSLContext:
    """For connecting to `expect_site_id` (this site itself or a trusted one), showing this site's certificate.

    Only that site's CA is trusted, and a CA vouches for its own site alone, so the host's name need not match: sites
    are reached through addresses that change. Raises NotPermitted when the site is not trusted.
    """
    identity = Identity(folder)
    if expect_site_id == identity.site_id():
        authority = identity.ca_pem()
    else:
        trusted = trusted_peers(folder).get(expect_site_id)
        if trusted is None:
            raise NotPermitted(f"Site {expect_site_id} is not paired with this one.", "Pair the two sites.")
        authority = trusted
    context = pairing_context(authority)
    context.load_cert_chain(identity.site_certificate, identity.site_key)
    return context


def pairing_context(authority: str | None) -> ssl.SSLContext:
    """For connecting without a certificate of one's own, trusting only the CA `authority` (PEM).

    None trusts anybody: it serves only to fetch the other site's CA, whose fingerprint is then compared.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    if authority is None:
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(cadata=authority)
    return context
