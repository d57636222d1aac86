"""Certificates, trust and tokens: who may connect to whom."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farshore.errors import BadInput, Conflict, NotPermitted
from farshore.identity.certificates import create_identity, fingerprint
from farshore.identity.contexts import client_context, server_context
from farshore.identity.folder import Identity
from farshore.identity.new_trust import trust_peer
from farshore.identity.token import PairingToken, proof, proves
from farshore.identity.trust import forget_peer, peer_site_id

NORTH, SOUTH, EAST = "11111111-aaaa", "22222222-bbbb", "33333333-cccc"


@pytest.fixture
def sites(tmp_path: Path) -> dict[str, Path]:
    """Three sites, none of which trusts another."""
    folders = {site: tmp_path / site for site in (NORTH, SOUTH, EAST)}
    for site, folder in folders.items():
        create_identity(folder, site, ["127.0.0.1"])
    return folders


def handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> str:
    """Connect the two over a socket pair; returns the site that the server saw. Raises ssl.SSLError or NotPermitted."""
    left, right = socket.socketpair()
    left.settimeout(5)
    right.settimeout(5)
    seen: list[object] = []

    def serve() -> None:
        try:
            with server.wrap_socket(left, server_side=True) as connection:
                seen.append(peer_site_id(connection.getpeercert()))
                connection.sendall(b"x")
        except (OSError, NotPermitted) as error:
            seen.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(right) as connection:
            connection.recv(1)
    except OSError as error:
        if isinstance(error, ssl.SSLCertVerificationError):
            raise
    finally:
        right.close()
        thread.join(10)
    if isinstance(seen[0], BaseException):
        raise seen[0]
    return str(seen[0])


def pair(sites: dict[str, Path], one: str, other: str) -> None:
    """Let two sites trust each other."""
    trust_peer(sites[one], other, Identity(sites[other]).ca_pem())
    trust_peer(sites[other], one, Identity(sites[one]).ca_pem())


def test_paired_sites_connect_and_are_known_by_their_certificates(sites: dict[str, Path]) -> None:
    """The server learns the site from the certificate, not from what is said."""
    pair(sites, NORTH, SOUTH)
    context = server_context(sites[SOUTH], True)
    assert handshake(context, client_context(sites[NORTH], SOUTH)) == NORTH
    assert handshake(context, client_context(sites[SOUTH], SOUTH)) == SOUTH


def test_a_strangers_certificate_and_none_at_all_are_refused(sites: dict[str, Path]) -> None:
    """Mutual TLS: without a trusted certificate there is no connection."""
    trust_peer(sites[EAST], SOUTH, Identity(sites[SOUTH]).ca_pem())  # one-sided
    context = server_context(sites[SOUTH], True)
    with pytest.raises(ssl.SSLError):
        handshake(context, client_context(sites[EAST], SOUTH))
    bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    bare.check_hostname = False
    bare.load_verify_locations(Identity(sites[SOUTH]).ca_certificate)
    with pytest.raises(ssl.SSLError):
        handshake(context, bare)


def test_pairing_and_unpairing_count_for_a_port_that_is_already_open(sites: dict[str, Path]) -> None:
    """A listening context follows the trust files without a restart."""
    trust_peer(sites[NORTH], SOUTH, Identity(sites[SOUTH]).ca_pem())
    context = server_context(sites[SOUTH], True)
    with pytest.raises(ssl.SSLError):
        handshake(context, client_context(sites[NORTH], SOUTH))
    trust_peer(sites[SOUTH], NORTH, Identity(sites[NORTH]).ca_pem())
    assert handshake(context, client_context(sites[NORTH], SOUTH)) == NORTH
    forget_peer(sites[SOUTH], NORTH)
    with pytest.raises(ssl.SSLError):
        handshake(context, client_context(sites[NORTH], SOUTH))


def test_a_client_refuses_a_trusted_site_that_is_not_the_expected_one(sites: dict[str, Path]) -> None:
    """Trusting three sites does not mean taking one for another."""
    pair(sites, NORTH, SOUTH)
    pair(sites, NORTH, EAST)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server_context(sites[EAST], True), client_context(sites[NORTH], SOUTH))
    with pytest.raises(NotPermitted):
        client_context(sites[SOUTH], EAST)


def test_a_ca_cannot_be_trusted_for_another_site(sites: dict[str, Path]) -> None:
    """Nor can a leaf certificate, or one's own CA."""
    with pytest.raises(BadInput):
        trust_peer(sites[NORTH], SOUTH, Identity(sites[EAST]).ca_pem())
    leaf = Identity(sites[SOUTH]).site_certificate.read_text().split("-----END CERTIFICATE-----")[0]
    with pytest.raises(BadInput):
        trust_peer(sites[NORTH], SOUTH, leaf + "-----END CERTIFICATE-----\n")
    with pytest.raises(BadInput):
        trust_peer(sites[NORTH], NORTH, Identity(sites[NORTH]).ca_pem())
    with pytest.raises(BadInput):
        trust_peer(sites[NORTH], "../x", Identity(sites[EAST]).ca_pem())


def test_a_certificate_whose_issuer_is_another_sites_ca_names_nobody() -> None:
    """A paired site's CA may not speak for a third one."""
    forged = {
        "subjectAltName": (("URI", f"farshore://site/{NORTH}"),),
        "issuer": ((("commonName", f"Farshore CA of site {EAST}"),),),
    }
    with pytest.raises(NotPermitted):
        peer_site_id(forged)
    with pytest.raises(NotPermitted):
        peer_site_id(None)


def test_keys_are_private_and_an_identity_is_never_overwritten(sites: dict[str, Path]) -> None:
    """0600 keys; a second create_identity is refused."""
    assert (sites[NORTH] / "ca.key").stat().st_mode & 0o077 == 0
    assert Identity(sites[NORTH]).site_key.stat().st_mode & 0o077 == 0
    with pytest.raises(Conflict):
        create_identity(sites[NORTH], NORTH, [])


def test_a_token_survives_the_trip_and_holds_the_issuers_fingerprint(sites: dict[str, Path]) -> None:
    """Text and back, with line breaks as mail puts them in."""
    mark = fingerprint(Identity(sites[NORTH]).ca_pem())
    token = PairingToken.issue(mark, 1000.5)
    text = token.text()
    assert PairingToken.parse(f" {text[:40]}\n{text[40:]}\n") == token
    assert token.expires == 4600
    assert token.fingerprint == mark


@given(st.text())
def test_anything_that_is_no_token_is_bad_input(text: str) -> None:
    """Garbage never raises anything else."""
    with pytest.raises(BadInput):
        PairingToken.parse(text)


def test_a_proof_is_bound_to_role_and_both_fingerprints() -> None:
    """A proof overheard cannot be used by another caller, nor sent back."""
    good = proof("s" * 43, "caller", "a", "b")
    assert proves(good, "s" * 43, "caller", "a", "b")
    assert not proves(good, "s" * 43, "issuer", "a", "b")
    assert not proves(good, "s" * 43, "caller", "a", "c")
    assert not proves(good, "t" * 43, "caller", "a", "b")
    assert not proves("é", "s" * 43, "caller", "a", "b")


def test_a_site_whose_own_ca_cannot_be_read_is_told_so(sites: dict[str, Path]) -> None:
    """No certificate, or the site's in the place of its CA's: it is said which file is wrong."""
    identity = Identity(sites[NORTH])
    assert identity.site_id() == NORTH
    end = "-----END CERTIFICATE-----\n"
    for wrong in ("no certificate", identity.site_certificate.read_text().split(end)[0] + end):
        identity.ca_certificate.write_text(wrong)
        with pytest.raises(BadInput, match=r"ca\.crt"):
            identity.site_id()
