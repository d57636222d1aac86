"""Runs a script of this site in a process that keeps it (`site.script_keeper`), and says in words what came of it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from farshore.errors import FarshoreError
from farshore.model.scripts import Phase, Script, ScriptRun
from farshore.site.script_folder import demand_runnable, identity_of, scripts_folder

OUTPUT_BYTES_MAX = 64 << 10
KEEPER = "farshore.site.script_keeper"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
KEEPER_SECONDS_MORE = 30.0
"""How long after the time limit the keeper may take to end all that the script has started."""
GRACE_SECONDS = 5.0
"""From the polite signal at the time limit to the other one."""
STOP_SECONDS = 3.0
"""How long is waited for the end of a script that is not wanted any more."""


async def run_script(
    site_folder: Path, user: str, script: Script, phase: Phase, environment: dict[str, str]
) -> ScriptRun:
    """Run it to its end or its time limit. Cancelled, it is killed at once. Whatever goes wrong is told, not raised.

    `environment` is what it gets besides PATH, HOME and LANG; `user` counts only where this process is root.
    """
    folder = scripts_folder(site_folder)
    told = ScriptRun(phase=phase, command=script.command)
    try:
        demand_runnable(site_folder, script.command)
        identity = identity_of(user)
    except FarshoreError as error:
        return told.model_copy(update={"failure": error.fact, "remedy": error.remedy})
    order = {
        "name": script.command,
        "arguments": script.arguments(),
        "folder": os.path.realpath(folder),
        "environment": {"PATH": PATH, "HOME": "/", "LANG": "C.UTF-8", **environment},
        "identity": identity,
        "seconds": script.timeout_seconds,
        "grace_seconds": GRACE_SECONDS,
        "output_bytes": OUTPUT_BYTES_MAX,
    }
    try:
        ended = await _kept(order, script.timeout_seconds + KEEPER_SECONDS_MORE)
    except OSError as error:
        return told.model_copy(update={"failure": f"{_name(told)} could not be started: {error.strerror}."})
    return told.model_copy(update=_what_came(told, script, ended, user if identity else ""))


async def _kept(order: dict[str, Any], seconds: float) -> dict[str, Any]:
    """The keeper's result; {} when it has none. Raises OSError when there is no keeper."""
    keeper = subprocess.Popen(  # not asyncio's: this works in whatever loop operations run in
        [sys.executable, "-m", KEEPER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    result: Future[bytes] = Future()
    # A thread of its own: those of the pool are the database's, and a script may take a day.
    threading.Thread(target=_await_result, args=(keeper, order, result), daemon=True).start()
    waiting = asyncio.wrap_future(result)
    try:
        done, _ = await asyncio.wait({waiting}, timeout=seconds)
        return json.loads(waiting.result() or b"{}") if done else {}
    finally:
        assert keeper.stdin is not None
        keeper.stdin.close()
        if not (await asyncio.wait({waiting}, timeout=STOP_SECONDS))[0]:
            keeper.send_signal(signal.SIGKILL)  # the script goes with it


def _await_result(keeper: subprocess.Popen[bytes], order: dict[str, Any], result: Future[bytes]) -> None:
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    try:
        keeper.stdin.write(json.dumps(order).encode() + b"\n")
        keeper.stdin.flush()
        told = keeper.stdout.read()
    except (OSError, ValueError):
        told = b""  # it was killed, or its stdin was closed before it had its order
    keeper.stdout.close()
    keeper.wait()
    if result.set_running_or_notify_cancel():
        result.set_result(told)


def _name(told: ScriptRun) -> str:
    return f"The {told.phase}-recovery script {told.command}"


def _what_came(told: ScriptRun, script: Script, ended: dict[str, Any], user: str) -> dict[str, Any]:
    """The members of a `ScriptRun` that tell how it ended."""
    if not ended:
        return {"failure": f"The process that ran {_name(told).lower()} was ended.", "remedy": "Look who did that."}
    if "not_started" in ended:
        whom = f" by user {user}" if user else ""
        remedy = "That user must be able to read and execute it, and its first line must name a program that is there."
        return {"failure": f"{_name(told)} could not be started{whom}: {ended['not_started']}.", "remedy": remedy}
    found = {
        "exit_status": ended["status"],
        "seconds": round(ended["seconds"], 3),
        "output": ended["output"],
        "is_cut": ended["is_cut"],
    }
    remedy = "The report tells what it printed."
    if ended["timed_out"]:
        failure = f"{_name(told)} did not end within {script.timeout_seconds} s and was ended."
        remedy = f"Mend it, or give it more time (TimeoutInSeconds). {remedy}"
    elif ended["stopped"]:
        failure = f"{_name(told)} was ended, since it was not wanted any more."
    elif ended["status"] is None or ended["status"] < 0:
        failure = f"{_name(told)} was ended by signal {_signal_name(ended['status'])}."
    elif ended["status"] > 0:
        failure = f"{_name(told)} ended with exit status {ended['status']}."
    else:
        failure = remedy = ""
    if ended["left"]:
        failure = f"{failure} Not all that it had started could be ended.".strip()
    if ended["timed_out"] or ended["stopped"] or (found["exit_status"] or 0) < 0:
        found["exit_status"] = None
    return {**found, "failure": failure, "remedy": remedy}


def _signal_name(status: int | None) -> str:
    if status is None:
        return "KILL, and has not ended yet"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return str(-status)
