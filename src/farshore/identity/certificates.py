"""A site's own certification authority and the one certificate that it issues, to itself.

A CA's subject names its site, and a CA can have no authority below it. So whoever trusts a CA for one site
gives it no power to speak for another.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from farshore.errors import BadInput, Conflict
from farshore.identity.folder import CA_NAME_PREFIX, SITE_URI_PREFIX, Identity
from farshore.model.files import sync_directory, write_durably

CA_DAYS = 3650
SITE_DAYS = 825


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    issuer_key: ec.EllipticCurvePublicKey,
    days: int,
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=24))  # clocks of two sites may differ
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )


def _alternative_names(site_id: str, hosts: list[str]) -> x509.SubjectAlternativeName:
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(SITE_URI_PREFIX + site_id)]
    for host in dict.fromkeys([*hosts, "localhost", "127.0.0.1"]):
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host))
    return x509.SubjectAlternativeName(names)


def _make_ca(site_id: str) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(CA_NAME_PREFIX + site_id)
    certificate = (
        _builder(name, name, key.public_key(), key.public_key(), CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate, key


def _issue_site(
    ca: x509.Certificate, ca_key: ec.EllipticCurvePrivateKey, site_id: str, hosts: list[str]
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(_name(site_id), ca.subject, key.public_key(), ca_key.public_key(), SITE_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .add_extension(_alternative_names(site_id, hosts), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    return certificate, key


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def create_identity(folder: Path, site_id: str, hosts: list[str]) -> Identity:
    """Make a CA and a site certificate in `folder` (a site's `identity` folder) for a site reached at `hosts`.

    `hosts` are IP addresses or DNS names. Raises Conflict when there is an identity already.
    """
    identity = Identity(folder)
    if identity.ca_certificate.exists():
        raise Conflict(f"{folder} has an identity already.", "Use it, or choose another folder.")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    identity.peers.mkdir(mode=0o700, exist_ok=True)
    ca, ca_key = _make_ca(site_id)
    certificate, key = _issue_site(ca, ca_key, site_id, hosts)
    write_durably(folder / "ca.key", _key_pem(ca_key))
    write_durably(identity.site_key, _key_pem(key))
    write_durably(identity.site_certificate, _pem(certificate) + _pem(ca), mode=0o644)
    write_durably(identity.ca_certificate, _pem(ca), mode=0o644)  # last: its presence means a whole identity
    sync_directory(folder)
    return identity


def load_ca(pem: str) -> x509.Certificate:
    """The certificate in `pem`, checked to be a site's CA as this product makes them. Raises BadInput."""
    remedy = "Take the CA certificate of the other site (identity/ca.crt) as it is."
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        certificate.verify_directly_issued_by(certificate)
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound) as error:
        raise BadInput(f"This is no CA certificate: {str(error) or 'its signature is wrong'}.", remedy) from error
    if not constraints.ca or constraints.path_length != 0:
        raise BadInput("This certificate is not that of a site's CA.", remedy)
    return certificate


def ca_site_id(pem: str) -> str:
    """Which site a CA certificate speaks for. Raises BadInput when it is none of ours."""
    attributes = load_ca(pem).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    name = str(attributes[0].value) if len(attributes) == 1 else ""
    if not name.startswith(CA_NAME_PREFIX):
        raise BadInput("This CA certificate names no site of Farshore.", "Take the other site's identity/ca.crt.")
    return name.removeprefix(CA_NAME_PREFIX)


def fingerprint(ca_pem: str) -> str:
    """SHA-256 of the certificate, as 64 hexadecimal digits. Raises BadInput when it is no CA's."""
    return load_ca(ca_pem).fingerprint(hashes.SHA256()).hex()
