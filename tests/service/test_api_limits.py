"""What one may send is bounded: bodies, heads, time, XML that expands or reaches out. The site goes on as before."""

from __future__ import annotations

import socket
import ssl
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from farshore.api.bounded import BODY_BYTES_MAX, FORM_BYTES_MAX
from farshore.manager import ports
from tests.service.made_up_site import VPG, Running, running_api

TOKEN_PATH = "/auth/realms/zerto/protocol/openid-connect/token"
ACTION = f"/v1/vpgs/{VPG}/FailoverTest"
XML = {"Content-Type": "application/xml"}


def chunks(count: int, size: int = 64 << 10) -> Iterator[bytes]:
    """A body whose length is not announced."""
    for _ in range(count):
        yield b" " * size


@pytest.mark.parametrize("path", [ACTION, "/v1/vpgSettings", "/v1/accounts", "/v1/nothing", "/v1/peersites"])
def test_a_body_over_4_mib_is_413_whether_it_is_announced_or_not(api: Running, path: str) -> None:
    """With words, and nothing is ordered."""
    headers = api.sign_in()
    for body in (b" " * (BODY_BYTES_MAX + 1), chunks(66)):
        reply = api.http.post(path, content=body, headers=headers)
        assert reply.status_code in {413, 404} if path == "/v1/nothing" else reply.status_code == 413
        assert reply.json()["Message"]
    assert api.site.calls == []
    assert api.http.post(ACTION, content=b" " * BODY_BYTES_MAX, headers=headers).status_code == 200


@pytest.mark.parametrize("path", [TOKEN_PATH, TOKEN_PATH.upper(), "/v1/session/add"])
def test_who_is_not_signed_in_sends_64_kib_at_most(api: Running, path: str) -> None:
    """Sign-in forms are short."""
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    body = b"grant_type=password&password=" + b"x" * FORM_BYTES_MAX
    assert api.http.post(path, content=body, headers=kind).status_code == 413


def test_a_long_body_is_not_kept_in_memory(api: Running) -> None:
    """64 MiB that are not announced leave less than their tenth."""
    tracemalloc.start()
    try:
        api.http.post(ACTION, content=chunks(1024), headers=api.sign_in())
        assert tracemalloc.get_traced_memory()[1] < 3 * BODY_BYTES_MAX
    except httpx.WriteError:
        pass  # the connection was closed before all was sent
    finally:
        tracemalloc.stop()
    assert api.http.get("/v1").status_code == 200


def raw(api: Running) -> ssl.SSLSocket:
    """A TLS connection to the API, without HTTP."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    address = (str(api.http.base_url.host), int(api.http.base_url.port or 0))
    return context.wrap_socket(socket.create_connection(address, timeout=10))


def ends(connection: ssl.SSLSocket) -> bytes:
    """What comes until the other end closes."""
    said = b""
    try:
        while part := connection.recv(4096):
            said += part
    except OSError:
        return said
    return said


def send_until_refused(connection: ssl.SSLSocket, more: bytes) -> int:
    """Send it again and again until the other end has closed; the bytes that were sent by then."""
    connection.settimeout(0.01)
    sent = 0
    while sent < 10 * ports.HEAD_BYTES_MAX:
        try:
            sent += connection.send(more)
            if not connection.recv(4096):
                return sent
        except TimeoutError:
            continue
        except OSError:
            return sent
    return sent


@pytest.mark.parametrize("start", [b"GET /v1/", b"GET /v1 HTTP/1.1\r\nX-Long: ", b"GET /v1 HTTP/1.1\r\n"])
def test_a_head_without_end_loses_its_connection(api: Running, start: bytes) -> None:
    """An address, one header, or many."""
    more = b"X-More: x\r\n" * 400 if start.endswith(b"\r\n") else b"x" * 4400
    with raw(api) as connection:
        connection.sendall(start)
        sent = send_until_refused(connection, more)
    assert sent < 10 * ports.HEAD_BYTES_MAX
    assert api.http.get("/v1").status_code == 200


def test_a_request_that_does_not_come_whole_loses_its_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing at all, half a head, half a body: each is ended after its time; who is quick is not."""
    monkeypatch.setattr(ports, "WHOLE_SECONDS_MAX", 0.5)
    half = b"POST /v1/session/add HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc"
    with running_api(tmp_path) as api:
        for sent in (b"", half[:20], half):
            with raw(api) as connection:
                connection.sendall(sent)
                began = time.monotonic()
                ends(connection)
                assert time.monotonic() - began < 5
        with httpx.Client(base_url=api.http.base_url, verify=False, trust_env=False) as client:
            for _ in range(8):
                assert client.get("/v1").status_code == 200
                time.sleep(0.1)  # a connection that is used goes on past the time for one request


MEMBER = "<A><CheckpointIdentifier>{}</CheckpointIdentifier></A>"
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
DOCUMENTS = {
    "billion laughs": f'<!DOCTYPE l [<!ENTITY l0 "lol">{LAUGHS}]>{MEMBER.format("&l9;")}',
    "quadratic": f'<!DOCTYPE l [<!ENTITY a "{"a" * 50_000}">]>{MEMBER.format("&a;" * 50)}',
    "external entity": f'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>{MEMBER.format("&x;")}',
    "external document type": '<!DOCTYPE a SYSTEM "http://127.0.0.1:1/a.dtd"><A/>',
    "parameter entity": '<!DOCTYPE a [<!ENTITY % x SYSTEM "file:///etc/passwd"> %x;]><A/>',
    "only a document type": "<!DOCTYPE a><A/>",
    "an entity that is not declared": MEMBER.format("&x;"),
    "too deep": "<A>" + "<x>" * 100_000 + "</x>" * 100_000 + "</A>",
    "too deep in a member": MEMBER.format("<x>" * 5000 + "</x>" * 5000),
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("name", DOCUMENTS)
def test_xml_with_a_document_type_or_an_entity_is_refused(api: Running, name: str, encoding: str) -> None:
    """400 in XML, at once, in any encoding; no file is read and nothing is ordered."""
    headers = api.sign_in() | XML
    began = time.monotonic()
    reply = api.http.post(ACTION, content=DOCUMENTS[name].encode(encoding), headers=headers)
    assert time.monotonic() - began < 2
    assert reply.status_code == 400, reply.text
    assert "<ErrorApi" in reply.text
    assert "root:" not in reply.text
    assert api.site.calls == []


def test_xinclude_and_stylesheets_are_nothing(api: Running) -> None:
    """Read as members that are not known; no file is opened."""
    body = '<A xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="file:///etc/passwd" parse="text"/></A>'
    reply = api.http.post(ACTION, content=body, headers=api.sign_in() | XML)
    assert reply.status_code == 200
    assert "root:" not in reply.text
    assert "include" in reply.headers["warning"]
