"""How families of clients that exist speak: signing in, spelling, types, headers, and what reply they can read.

Written from what they were seen to send; each is as strict about replies as its client is. Values are given as Python
means them (an enumeration, True, 3600) and leave as that client writes them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal
from xml.sax.saxutils import escape

import httpx

from farshore.model.enumerations import word
from tests.service.made_up_site import Running

ARRAYS = "http://schemas.microsoft.com/2003/10/Serialization/Arrays"
API = "http://schemas.zerto.com/zvm/api"
ROBOT = {"grant_type": "client_credentials", "client_id": "robot", "client_secret": "secret", "expires_in": "3600"}

Text = Callable[[str], str]


def same(text: str) -> str:
    """As it is."""
    return text


def camel(text: str) -> str:
    """checkpointIdentifier."""
    return text[:1].lower() + text[1:]


def numbers(value: Any) -> Any:
    """Enumerations by number, the rest as it is."""
    return int(value) if isinstance(value, IntEnum) else value


def quoted(value: Any) -> Any:
    """Everything as a text, as modules write that fill templates."""
    if isinstance(value, list):
        return value
    return str(numbers(value))


def doubles(value: Any) -> Any:
    """Seconds as PowerShell writes a [double]: 3600.0; the rest as `numbers`."""
    return float(value) if type(value) is int else numbers(value)


def names(value: Any) -> Any:
    """Enumerations by name."""
    return word(value) if isinstance(value, IntEnum) else value


def lower_names(value: Any) -> Any:
    """Enumerations by name in lower case, booleans as 1 and 0."""
    if isinstance(value, IntEnum):
        return word(value).lower()
    return int(value) if isinstance(value, bool) else value


def bare_checkpoint(value: Any) -> Any:
    """As `numbers`, and a checkpoint's identifier as a bare number."""
    return int(value) if isinstance(value, str) and value.isdigit() else numbers(value)


def classic(api: Running) -> dict[str, str]:
    """At once with Basic."""
    return api.sign_in()


def challenged(api: Running) -> dict[str, str]:
    """As .NET does with a credential object: first without, then, because it was asked to, with."""
    first = api.http.post("/v1/session/add", headers={"Content-Type": "application/JSON"})
    assert (first.status_code, first.headers["www-authenticate"].split()[0]) == (401, "Basic")
    auth = httpx.BasicAuth("\\admin", "pass:wörd".encode())  # a module that writes an empty domain
    reply = api.http.post("/v1/session/add", auth=auth, json={"AuthenticationMethod": "1"})
    assert (reply.status_code, reply.content) == (200, b"")
    return {"X-ZERTO-SESSION": reply.headers["x-zerto-session"]}


def root_first(api: Running) -> dict[str, str]:
    """An old program reads GET /v1 before it signs in and calls nothing that is not listed."""
    listed = {one["href"].rpartition("/")[2] for one in api.http.get("/v1").json()}
    assert {"session", "localsite", "peersites", "alerts", "events", "tasks", "vms", "vpgs", "vras", "zorgs"} <= listed
    auth = httpx.BasicAuth(b"admin@example.org", "pass:wörd".encode())
    reply = api.http.post("/v1/session/add", auth=auth, json={"authenticationMethod": 1})
    return {"x-zerto-session": reply.headers["x-zerto-session"]}


def program(api: Running) -> dict[str, str]:
    """By client credentials, with the time that it wants."""
    return api.token(**ROBOT)


def person(api: Running) -> dict[str, str]:
    """By password, after it has looked for where tokens are to be had."""
    assert api.http.get("/auth/realms/zerto/.well-known/openid-configuration").json()["issuer"]
    return api.token()


@dataclass(frozen=True)
class Dialect:
    """One family of clients."""

    name: str
    sign_in: Callable[[Running], dict[str, str]]
    reads: Literal["text", "object", "either"]
    """What reply of an action it can go on from. text: a classic one needs the setting for its account."""
    path: Text = same
    member: Text = same
    value: Callable[[Any], Any] = numbers
    headers: Mapping[str, str] = field(default_factory=dict)
    xml: bool = False
    empty: bytes | None = None
    """What it sends as the body where there is nothing to say; None: no body."""
    always: Mapping[str, Any] = field(default_factory=dict)
    """Members that it sends with every action, whether they belong or not."""

    def body(self, root: str, members: Mapping[str, Any]) -> bytes | None:
        """The body of an action with these members."""
        told = {self.member(name): self.value(value) for name, value in {**self.always, **members}.items()}
        if not told:
            return self.empty
        return _xml(root, told).encode() if self.xml else json.dumps(told).encode()

    def task_of(self, reply: httpx.Response) -> str:
        """The task as this client takes it out of a reply."""
        assert reply.status_code == 200, reply.text
        if self.xml:
            return reply.text.rpartition("</")[0].rpartition("</")[0].rpartition(">")[2]
        told = reply.json()
        if self.reads == "text":
            assert isinstance(told, str)
        elif self.reads == "object":
            assert told.keys() == {"TaskIdentifier"}
        return told if isinstance(told, str) else str(told["TaskIdentifier"])


def _xml(root: str, members: Mapping[str, Any]) -> str:
    def one(value: Any) -> str:
        if isinstance(value, list):
            return "".join(f'<string xmlns="{ARRAYS}">{escape(str(item))}</string>' for item in value)
        return escape(str(value).lower() if isinstance(value, bool) else str(value))

    inner = "".join(f"<{name}>{one(value)}</{name}>" for name, value in members.items())
    return f'<{root} xmlns="{API}">{inner}</{root}>'


DIALECTS = (
    Dialect("the page itself", classic, "object"),
    Dialect("the page itself, in XML", classic, "object", value=names, xml=True, headers={"Content-Type": "text/xml"}),
    Dialect(
        "Zerto's SDK",
        program,
        "text",
        member=camel,
        headers={"Content-Type": "application/json", "Accept": "application/json"},
        always={"VmIdentifiers": []},
    ),
    Dialect("the SDK before it", person, "text", value=names, headers={"Content-Type": "application/json"}, empty=b""),
    Dialect(
        "PowerShell module, credential object",
        challenged,
        "text",
        path=str.lower,
        value=quoted,
        headers={"Content-Type": "application/JSON", "Accept": "application/json"},
        empty=b"{}",
    ),
    Dialect("PowerShell wrapper", classic, "text", path=str.lower, value=doubles, empty=b"{}"),
    Dialect("C# failover tool", classic, "text", value=bare_checkpoint, headers={"Accept": "application/json"}),
    Dialect("Ansible module", classic, "either", value=quoted, headers={"Content-Type": "application/json"}, empty=b""),
    Dialect("old Python program", root_first, "either", member=str.lower, value=lower_names, path=lambda p: p + "/"),
    Dialect(
        "shell script",
        classic,
        "either",
        path=lambda p: "/" + p.replace("/vpgs", "//VPGs"),
        value=names,
        headers={"Content-Type": "Content-Type", "Accept": "*/*"},
        empty=b"null",
    ),
    Dialect(
        "old XML script",
        classic,
        "object",
        value=names,
        xml=True,
        headers={"Content-Type": "application/xml", "Accept": ""},
    ),
    Dialect("Postman", person, "text", path=str.upper, member=str.upper, headers={"Content-Type": "application/json"}),
)
NEEDS_TEXT = {
    dialect.name for dialect in DIALECTS if dialect.reads == "text" and dialect.sign_in in {classic, challenged}
}
"""Classic clients that want a bare text: their site says so for their account."""
