"""The owner's certificate for the API: accepted only if a client would accept it, and shown without a restart."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import socket
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from farshore.__main__ import run
from farshore.cli.site_folder import NewSite, init_site
from farshore.identity.certificates import create_identity
from farshore.identity.contexts import server_context

SITE = "11111111-aaaa"
HOST = "dr.example.org"


@dataclass
class Pair:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(Encoding.PEM)

    def key_pem(self, passphrase: bytes | None = None) -> bytes:
        """The key."""
        lock = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)


def make(
    name: str, issuer: Pair | None = None, *, hosts: tuple[str, ...] = (), days: tuple[int, int] = (-1, 30)
) -> Pair:
    """A CA when there is no issuer, else a certificate for those hosts; valid for those days from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    by = issuer or Pair(None, key)  # type: ignore[arg-type]
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + dt.timedelta(days=days[0]))
        .not_valid_after(now + dt.timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.key.public_key()), critical=False)
    )
    if issuer is None:
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        builder = builder.add_extension(usage, critical=True)
    if hosts:
        names = [_name(host) for host in hosts]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return Pair(builder.sign(by.key, hashes.SHA256()), key)


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def subject_seen(server: ssl.SSLContext, client: ssl.SSLContext, host: str) -> str:
    """The common name that a client is shown. Raises ssl.SSLError."""
    left, right = socket.socketpair()
    for end in (left, right):
        end.settimeout(5)

    def serve() -> None:
        try:
            with server.wrap_socket(left, server_side=True) as connection:
                connection.recv(1)
        except OSError:
            left.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(right, server_hostname=host) as connection:
            shown = connection.getpeercert()
            assert shown is not None
            return str(shown["subject"][0][0][1])
    finally:
        right.close()
        thread.join(10)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site's folder."""
    ports = {"api_port": 9001, "peer_port": 9002, "appliance_port": 9003}
    init_site(tmp_path / "site", NewSite("north", **ports, password="correct horse"))
    return tmp_path / "site"


def bring(site: Path, pair: Pair, *more: str, key: bytes | None = None, chain: bytes = b"") -> int:
    """`farshore site certificate`; its exit code."""
    cert, secret = site.parent / "cert.pem", site.parent / "key.pem"
    cert.write_bytes(pair.pem + chain)
    secret.write_bytes(pair.key_pem() if key is None else key)
    return run(["site", "certificate", "--dir", str(site), "--cert", str(cert), "--key", str(secret), "--json", *more])


def test_a_brought_certificate_is_shown_from_the_next_connection_on(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a restart; the command line goes by it; removed, the site's own is back."""
    server = server_context(site / "identity", require_client=False)
    own = ssl.create_default_context(cafile=str(site / "identity" / "ca.crt"))
    own_name = subject_seen(server, own, "127.0.0.1")
    ca = make("Example CA")
    leaf = make("the site", ca, hosts=(HOST,))
    assert bring(site, leaf, "--host", HOST, chain=ca.pem) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["Names"], told["Own"]) == ([HOST], True)
    theirs = ssl.create_default_context(cadata=ca.pem.decode())
    assert subject_seen(server, theirs, HOST) == "the site"
    with pytest.raises(ssl.SSLError):
        subject_seen(server, own, HOST)
    access = json.loads((site / "cli.json").read_text())
    assert access["url"] == f"https://{HOST}:9001"
    assert ssl.create_default_context(cafile=access["ca"]).get_ca_certs()
    assert (site / "identity" / "api.pem").stat().st_mode & 0o777 == 0o600
    assert run(["site", "certificate", "--dir", str(site), "--remove", "--json"]) == 0
    assert subject_seen(server, own, "127.0.0.1") == own_name
    assert json.loads((site / "cli.json").read_text())["url"] == "https://127.0.0.1:9001"


CA = make("Example CA")
OTHER = make("Another CA")
GOOD = make("the site", CA, hosts=(HOST,))


@pytest.mark.parametrize(
    ("pair", "arguments"),
    [
        (make("another name", CA, hosts=("other.example.org",)), {}),
        (make("no name", CA), {}),
        (make("over", CA, hosts=(HOST,), days=(-30, -1)), {}),
        (make("not yet", CA, hosts=(HOST,), days=(1, 30)), {}),
        (make("another CA's", OTHER, hosts=(HOST,)), {}),
        (GOOD, {"key": OTHER.key_pem()}),
        (GOOD, {"key": GOOD.key_pem(b"secret")}),
        (GOOD, {"key": b"no key"}),
        (GOOD, {"key": b""}),
    ],
    ids=["name", "nameless", "over", "early", "ca", "other key", "locked key", "no key", "empty key"],
)
def test_a_certificate_that_no_client_would_accept_is_refused(
    site: Path, pair: Pair, arguments: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    """In words; what clients see is as it was, and the key is nowhere."""
    before = sorted(path.name for path in (site / "identity").iterdir())
    assert bring(site, pair, "--host", HOST, chain=CA.pem, **arguments) == 2
    assert json.loads(capsys.readouterr().err)["remedy"]
    assert sorted(path.name for path in (site / "identity").iterdir()) == before


def test_what_is_missing_is_said(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A certificate without its key, files that are not there."""
    assert run(["site", "certificate", "--dir", str(site), "--cert", "x.pem", "--json"]) == 2
    assert "--key" in json.loads(capsys.readouterr().err)["fact"]
    assert run(["site", "certificate", "--dir", str(site), "--cert", "x.pem", "--key", "y.pem", "--json"]) == 3
    assert run(["site", "certificate", "--dir", str(site), "--json"]) == 0
    assert capsys.readouterr().out.count('"Own": false') == 1


@pytest.mark.parametrize(
    ("version", "accepted"),
    [
        (ssl.TLSVersion.TLSv1, False),
        (ssl.TLSVersion.TLSv1_1, False),
        (ssl.TLSVersion.TLSv1_2, True),
        (ssl.TLSVersion.TLSv1_3, True),
    ],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_the_api_speaks_tls_1_2_and_later_alone(tmp_path: Path, version: ssl.TLSVersion, accepted: bool) -> None:
    """Older ones are refused whatever the client would take."""
    identity = create_identity(tmp_path / "identity", SITE, ["127.0.0.1"])
    client = ssl.create_default_context(cadata=identity.ca_pem())
    client.set_ciphers("DEFAULT:@SECLEVEL=0")
    client.minimum_version = client.maximum_version = version
    server = server_context(identity.folder, require_client=False)
    if accepted:
        assert subject_seen(server, client, "127.0.0.1") == SITE
    else:
        with pytest.raises(ssl.SSLError):
            subject_seen(server, client, "127.0.0.1")


def test_sites_speak_tls_1_3_to_each_other(tmp_path: Path) -> None:
    """1.2 is not let in there."""
    identity = create_identity(tmp_path / "identity", SITE, ["127.0.0.1"])
    client = ssl.create_default_context(cadata=identity.ca_pem())
    client.load_cert_chain(identity.site_certificate, identity.site_key)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        subject_seen(server_context(identity.folder, require_client=True), client, "127.0.0.1")
