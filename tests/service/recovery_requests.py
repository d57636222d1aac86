"""Orders of recoveries as clients write them, in JSON and in XML, and what the made-up site must be told by each."""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import fromstring

from farshore.model.policies import CommitPolicy, ShutdownPolicy
from farshore.model.task import TaskState
from tests.service.made_up_site import VPG, Running

API = "{http://schemas.zerto.com/zvm/api}"
NOTATIONS = ("json", "xml")
ROOTS = {
    "CloneStart": "CloneStartDataApi",
    "Failover": "FailoverDataApi",
    "FailoverCommit": "FailoverCommitDataApi",
    "move": "MoveVpgDataApi",
    "moveCommit": "MoveCommitVpgDataApi",
}
FAILOVER = {
    "checkpoint_id": None,
    "commit_policy": CommitPolicy.Rollback,
    "wait_seconds": None,
    "shutdown_policy": ShutdownPolicy.None_,
    "reverse_protection": False,
    "vm_ids": None,
}
MOVE = {
    "commit_policy": None,
    "wait_seconds": None,
    "force_shutdown": None,
    "reverse_protection": True,
    "keep_source_vms": False,
    "continue_on_script_failure": False,
}
MOVE_COMMIT: dict[str, Any] = {"reverse_protection": None, "keep_source_vms": None}

POLICIES = [
    (0, CommitPolicy.Rollback), ("0", CommitPolicy.Rollback), ("Rollback", CommitPolicy.Rollback),
    (1, CommitPolicy.Commit), ("COMMIT", CommitPolicy.Commit), ("commit", CommitPolicy.Commit),
    (2, CommitPolicy.None_), ("2", CommitPolicy.None_), ("None", CommitPolicy.None_), ("none", CommitPolicy.None_),
]  # fmt: skip

BAD_SECONDS = [-1, 2147483648, 0.5, "0.5", "soon", ""]
TRUE = [True, "true", "True", 1, "1"]
FALSE = [False, "false", "False", 0, "0"]
NO_BOOLEAN = [2, "yes", "", -1]


def _xml(value: Any) -> str:
    if isinstance(value, list):
        return "".join(f"<string>{item}</string>" for item in value)
    return "" if value is None else str(value)


def send(api: Running, notation: str, action: str, members: dict[str, Any]) -> Any:
    """The action with these members, written in that notation as clients of it do."""
    path = f"/v1/vpgs/{VPG}/{action}"
    if notation == "json":
        return api.http.post(path, json=members)
    inner = "".join(f"<{name}>{_xml(value)}</{name}>" for name, value in members.items() if value is not None)
    root = ROOTS.get(action, "any")
    body = f'<{root} xmlns="http://schemas.zerto.com/zvm/api">{inner}</{root}>'
    return api.http.post(path, content=body.encode(), headers={"Content-Type": "application/xml"})


def task_of(reply: Any, notation: str) -> str:
    """The task that a reply names, in the notation of the request."""
    assert reply.status_code == 200, reply.text
    if notation == "json":
        assert reply.json().keys() == {"TaskIdentifier"}
        return str(reply.json()["TaskIdentifier"])
    root = fromstring(reply.text)
    assert root.tag == f"{API}TaskIdentifierApi"
    return str(root.findtext(f"{API}TaskIdentifier"))


def check(api: Running, notation: str, action: str, members: dict[str, Any], order: tuple[str, dict[str, Any]]) -> Any:
    """The action is taken as just that order, and its task can be read at once; the reply."""
    reply = send(api, notation, action, members)
    task = api.http.get(f"/v1/tasks/{task_of(reply, notation)}").json()
    assert task["Status"]["State"] == TaskState.InProgress
    assert task["Type"] == order[0]
    assert api.site.calls == [order]
    return reply


def check_refused(api: Running, notation: str, action: str, members: dict[str, Any]) -> None:
    """400 that names the member, in the notation of the request; nothing is ordered."""
    reply = send(api, notation, action, members)
    assert reply.status_code == 400
    message = reply.json()["Message"] if notation == "json" else fromstring(reply.text).findtext(f"{API}Message")
    assert next(iter(members)) in str(message)
    assert api.site.calls == []
