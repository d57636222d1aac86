"""The certificate that clients of the API see: the site's own, or one that the owner brings.

The owner's stands in `api.pem` of the identity folder (key, certificate and chain in one file, 0600, so that it changes
in one step), beside it `api_ca.crt`, the CA by which the site's own command line knows it. Other sites never see it.
"""

from __future__ import annotations

import datetime as dt
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from farshore.errors import BadInput
from farshore.identity.folder import Identity
from farshore.model.files import remove_durably, write_durably

HANDSHAKE_TURNS = 4
"""Each end has its say so often; three suffice."""
_REMEDY = "Give the certificate with its chain, its key without a passphrase, and the CA that signed it (PEM files)."


@dataclass(frozen=True)
class CertificateFacts:
    """What a person wants to know of the certificate that clients see; `ca` is the file that vouches for it."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    not_after: str
    own: bool
    ca: Path


def bring_certificate(folder: Path, host: str, chain: bytes, key: bytes, ca: bytes | None) -> CertificateFacts:
    """Show clients this certificate from now on; `host` is the name or address by which they reach the site.

    `ca` None: the chain ends with it. Nothing is changed unless a client that trusts the CA and asks for `host` would
    accept it. Raises BadInput.
    """
    identity = Identity(folder)
    certificates = _load(chain)
    authority = ca if ca is not None else _pem(certificates[-1])
    _load(authority)
    pem = key.strip() + b"\n" + chain.strip() + b"\n"
    trial = folder / "api.pem.trial"
    write_durably(trial, pem, mode=0o600)
    try:
        _try(trial, authority, host)
    finally:
        remove_durably(trial)
    write_durably(identity.api_ca, authority, mode=0o644)
    write_durably(identity.api_pem, pem, mode=0o600)
    return certificate_facts(folder)


def drop_certificate(folder: Path) -> CertificateFacts:
    """Show clients the site's own certificate again."""
    identity = Identity(folder)
    remove_durably(identity.api_pem)
    remove_durably(identity.api_ca)
    return certificate_facts(folder)


def certificate_facts(folder: Path) -> CertificateFacts:
    """What clients see now. Raises BadInput when it cannot be read."""
    identity = Identity(folder)
    brought = identity.api_pem.exists()
    leaf = _load((identity.api_pem if brought else identity.site_certificate).read_bytes())[0]
    return CertificateFacts(
        subject=leaf.subject.rfc4514_string(),
        issuer=leaf.issuer.rfc4514_string(),
        names=_names(leaf),
        not_after=leaf.not_valid_after_utc.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        own=brought,
        ca=identity.api_ca if brought else identity.ca_certificate,
    )


def _load(pem: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise BadInput(f"There is no certificate to be read: {error}.", _REMEDY) from error


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return (*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress)))


def _try(pem: Path, authority: bytes, host: str) -> None:
    """Let a client and a server that would use it shake hands in memory. Raises BadInput."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        server.load_cert_chain(pem, password=lambda: b"")
        client = ssl.create_default_context(cadata=authority.decode())
    except (ssl.SSLError, ValueError) as error:
        fact = f"Certificate and key do not go together, or one of the files cannot be read: {error}."
        raise BadInput(fact, _REMEDY) from error
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(back, there, server_hostname=host),
        server.wrap_bio(there, back, server_side=True),
    )
    for _ in range(HANDSHAKE_TURNS):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError as error:
                fact = f"A client that trusts that CA and asks for {host} would not accept the certificate: {error}."
                raise BadInput(fact, "Bring one that names the host by which the site is reached.") from error
