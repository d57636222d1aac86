"""Whatever stands where an identifier is expected, in each route: it is told as unknown, and reaches no file.

On a real site, whose files are compared before and after; the names of files that somebody would aim at are watched.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from farshore.api.rights import RIGHTS
from farshore.api.shapes import SHAPES
from farshore.model.access import Right
from tests.faked_site import FakedSite, with_site
from tests.operations_harness import VPG
from tests.service.api_of_faked_site import Sender, serving_faked, state_of

HOSTILE = {
    "up": "../../../../etc/passwd",
    "up in capitals": "..%2F..%2Fetc%2Fpasswd",
    "up backwards": "..\\..\\etc\\passwd",
    "absolute": "/etc/passwd",
    "nothing": "\0",
    "nothing behind": f"{VPG}\0.sqlite",
    "nothing in the middle": "a\0b",
    "long": "x" * 10_240,
    "long up": "../" * 3_413,
    "shell": "$(touch /tmp/farshore-was-here);`id`|cat&",
    "quote": "'; DROP TABLE vpg; --",
    "line": f"{VPG}\r\nX-Injected: yes",
    "format": "{0.__class__}%s%n",
    "not text": "\ud800",
    "wide": "\u202e\u0000\uffff",
    "dots": "..",
    "dot": ".",
    "template": "{{7*7}}",
    "glob": "*",
    "empty": " ",
}
URL_CHARACTERS_MAX = 20_480
"""Of all places of a path together: coded they are three times as long, and this client sends no longer ones."""
PLACES = [shape for shape in SHAPES if "{" in shape.path]


@contextmanager
def watched_files() -> Iterator[list[str]]:
    """The files and programs that this process opens or starts meanwhile, by Python's own audit events."""
    seen: list[str] = []
    watching = True

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        if watching and event in {"open", "os.listdir", "os.mkdir", "os.remove", "os.rename", "subprocess.Popen"}:
            seen.append(f"{event} {arguments[:2]!r}")

    sys.addaudithook(look)  # a hook cannot be taken back: it is told to look away
    try:
        yield seen
    finally:
        watching = False


def bodies_with(text: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Bodies in which the text stands where an identifier is expected."""
    vpg = f"/v1/vpgs/{VPG}"
    return [
        ("POST", f"{vpg}/Failover", {"VmIdentifiers": [text]}),
        ("POST", f"{vpg}/Failover", {"CheckpointIdentifier": text}),
        ("POST", f"{vpg}/FailoverTest", {"VmIdentifiers": [text]}),
        ("POST", f"{vpg}/FailoverTestStop", {"TaskIdentifier": text}),
        ("POST", f"{vpg}/CloneStart", {"DatastoreIdentifier": text}),
        ("POST", f"{vpg}/CloneStart", {"VmIdentifiers": [text]}),
        ("POST", "/v1/vpgSettings", {"VpgIdentifier": text}),
        ("POST", "/v1/accounts", {"Name": text, "Role": "operator", "VpgIdentifiers": [text]}),
    ]


def call_all(http: httpx.Client, text: str) -> None:
    """Every route with the text in each place of its path, and in the bodies that hold identifiers."""
    for shape in PLACES:
        part = text[: URL_CHARACTERS_MAX // shape.path.count("{")]
        coded = quote(part.encode("utf-8", "surrogatepass"), safe="").replace(".", "%2E")  # clients put dots right
        pieces = [coded if piece.startswith("{") else piece for piece in shape.path.split("/")]
        reply = http.request(shape.method, "/".join(pieces), json={"Role": "viewer", "CheckpointName": "x"})
        assert reply.status_code in {400, 401, 404, 405, 501, 503}, (
            shape,
            text[:40],
            reply.status_code,
            reply.text[:300],
        )
        assert "X-Injected" not in reply.headers
        assert "root:" not in reply.text
        assert RIGHTS[shape.method, shape.path] is not Right.anybody
    for method, path, body in bodies_with(text):
        reply = http.request(method, path, content=_json(body))
        assert reply.status_code in {400, 404}, (path, body, reply.status_code, reply.text[:300])


def _json(body: dict[str, Any]) -> bytes:
    import json

    return json.dumps(body).encode()


def test_no_identifier_reaches_a_file_or_a_program(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """../, NULs, 10 kB, shell, SQL, half characters, in every place of every route: 400 or 404, and all as it was."""

    async def test(faked: FakedSite) -> None:
        async with serving_faked(faked) as (http, drafts):
            await asyncio.to_thread(Sender, http)
            before = state_of(faked, drafts)
            with watched_files() as seen:
                for text in HOSTILE.values():
                    await asyncio.to_thread(call_all, http, text)
            marks = ("passwd", "xxxxxxxx", "was-here", "DROP", "{0.", "7*7", "../..")
            assert [one for one in seen if any(mark in one for mark in marks)] == []
            assert [one for one in seen if one.startswith("subprocess")] == []
            assert state_of(faked, drafts) == before
            assert not Path("/tmp/farshore-was-here").exists()

    with_site(tmp_path, test)
    assert "could not be written" not in caplog.text


def test_the_watch_sees_a_file_that_is_opened(tmp_path: Path) -> None:
    """So that it can fail."""
    with watched_files() as seen:
        (tmp_path / "passwd").write_text("x")
    (tmp_path / "later").write_text("x")
    assert [one for one in seen if "passwd" in one]
    assert not [one for one in seen if "later" in one]
