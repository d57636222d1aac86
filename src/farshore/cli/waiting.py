"""Waiting for what takes long: a task to its end, a VPG until it has checkpoints. With a bar for people."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from farshore.cli.client import SiteClient, task_id_of
from farshore.cli.names import SUBSTATUS_NAMES, TaskState, task_state_name
from farshore.cli.output import Output
from farshore.errors import Fault, Unavailable

POLL_SECONDS = 0.25
TASK_TIMEOUT_SECONDS = 900.0
LINE_SECONDS = 10.0
_FIGURES = re.compile(r"\d+")


def wait_for_task(
    api: SiteClient, task_id: str, out: Output, *, what: str = "", timeout_seconds: float = TASK_TIMEOUT_SECONDS
) -> dict[str, Any]:
    """The task's last state, once it has completed.

    Raises Fault with the task's reason when it ended in another way, Unavailable when it has not ended in time (it
    goes on at the site). While it runs, its note and percent are shown.
    """
    from rich.markup import escape

    deadline = time.monotonic() + timeout_seconds
    words = what or f"task {task_id}"
    told, told_at = "", 0.0
    with out.bar() as bar:
        line = bar.add_task(words, total=100)
        while True:
            task: dict[str, Any] = api.get(f"/tasks/{task_id}")
            state, progress = int(task["Status"]["State"]), int(task["Status"].get("Progress") or 0)
            note = str(task.get("CompleteReason") or "") if state == TaskState.IN_PROGRESS else ""
            bar.update(line, completed=progress, description=escape(f"{words}: {note}" if note else words))
            if bar.disable and _worth_a_line(note, told, time.monotonic() - told_at):
                out.note(f"{words}, {progress} %: {note}")
                told, told_at = note, time.monotonic()
            if state == TaskState.COMPLETED:
                return task
            if state in (TaskState.FAILED, TaskState.STOPPED):
                reason = task.get("CompleteReason") or "no reason was given"
                fact = f"Task {task_id} ended as {task_state_name(state)}: {reason}"
                raise Fault(fact, f"See its steps with: farshore report show {task_id}{api.named_by}")
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"Task {task_id} has not ended within {timeout_seconds:.0f} s; it goes on.",
                    f"Watch it with: farshore task watch {task_id}",
                )
            time.sleep(POLL_SECONDS)


def finish_order(
    api: SiteClient,
    out: Output,
    reply: Any,
    wait: bool,
    *,
    what: str,
    timeout_seconds: float | None = None,
) -> dict[str, Any] | None:
    """Wait for the task of an order's reply and return it; without `wait` print its identifier and return None."""
    task_id = task_id_of(reply)
    if wait:
        return wait_for_task(api, task_id, out, what=what, timeout_seconds=timeout_seconds or TASK_TIMEOUT_SECONDS)
    out.result({"TaskIdentifier": task_id}, f"Task {task_id}")
    return None


def finish_with_its_words(
    api: SiteClient, out: Output, reply: Any, wait: bool, *, what: str, timeout_seconds: float
) -> None:
    """The same, and tell how the task ended."""
    task = finish_order(api, out, reply, wait, what=what, timeout_seconds=timeout_seconds)
    if task is not None:
        out.result({"Task": task}, str(task.get("CompleteReason") or "Done."))


def _worth_a_line(note: str, told: str, seconds_since: float) -> bool:
    """Whether a note goes into a log: at once when its words are new, now and then when only its figures are."""
    same_words = _FIGURES.sub("", note) == _FIGURES.sub("", told)
    return note not in ("", told) and (not same_words or seconds_since >= LINE_SECONDS)


def wait_for_protection(
    api: SiteClient,
    vpg_id: str,
    out: Output,
    *,
    timeout_seconds: float = 600.0,
    seen: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """The VPG's state once it has its first checkpoint; the sync shown as a bar. `seen` gets each state that was read.

    Raises Unavailable when it has none in time; the sync goes on.
    """
    deadline = time.monotonic() + timeout_seconds
    with out.bar() as bar:
        line = bar.add_task("initial sync", total=100)
        while True:
            vpg: dict[str, Any] = api.get(f"/vpgs/{vpg_id}")
            if seen is not None:
                seen(vpg)
            name = SUBSTATUS_NAMES.get(int(vpg["SubStatus"]), "sync")
            bar.update(line, completed=int(vpg.get("ProgressPercentage") or 0), description=name)
            if _has_checkpoints(api, vpg_id):
                bar.update(line, completed=100, description="protected")
                return vpg
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"VPG {vpg['VpgName']} has no checkpoint after {timeout_seconds:.0f} s; its state is {name}.",
                    "Look at it with `farshore vpg show`, and at both sites with `farshore site status`.",
                )
            time.sleep(POLL_SECONDS)


def _has_checkpoints(api: SiteClient, vpg_id: str) -> bool:
    """Not yet while its journal is just being opened, or its site is coming back."""
    try:
        return bool(api.get(f"/vpgs/{vpg_id}/checkpoints"))
    except Unavailable:
        return False
