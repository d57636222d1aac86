"""M5: what a pre- or post-recovery script gets, what it is kept from, and that nothing of it is left when it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from farshore.model.scripts import Script
from farshore.site import script_run
from farshore.site.script_folder import FOLDER_MODE, scripts_folder
from farshore.site.script_run import OUTPUT_BYTES_MAX, run_script

NOBODY = 65534


@pytest.fixture
def site(tmp_path):
    """A site's folder as `site init` makes it: closed to all but its owner, as is all that is above it."""
    tmp_path.chmod(0o700)
    folder = scripts_folder(tmp_path)
    folder.mkdir()
    folder.chmod(FOLDER_MODE)
    return tmp_path


def put(site, text, name="quiesce", mode=0o755, program="/bin/sh"):
    """Write a script."""
    path = scripts_folder(site) / name
    path.write_text(f"#!{program}\n{text}\n")
    path.chmod(mode)
    return path


def ran(site, name="quiesce", user="nobody", environment=None, **more):
    """Run it; what came of it."""
    script = Script(command=name, **more)
    return asyncio.run(run_script(site, user, script, "pre", environment or {}))


def is_gone(pid):
    """Whether no such process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


def await_gone(pid):
    """It ends within seconds."""
    deadline = time.monotonic() + 10
    while not is_gone(pid):
        assert time.monotonic() < deadline, f"{pid} still runs"
        time.sleep(0.02)


def await_pid(path):
    """The process that a script has written down."""
    deadline = time.monotonic() + 10
    while not (path.exists() and path.read_text().strip()):
        assert time.monotonic() < deadline, "it did not begin"
        time.sleep(0.02)
    return int(path.read_text())


def test_m5_a_script_gets_its_parameters_and_a_clean_environment(site, monkeypatch):
    """No shell sees the parameters; nothing of the manager's environment, files or input is there."""
    monkeypatch.setenv("SECRET_OF_THE_MANAGER", "secret")
    with (site / "open").open("w") as inherited:
        os.set_inheritable(inherited.fileno(), True)
        put(
            site,
            'for word in "$@"; do echo "<$word>"; done; env | sort; ls /proc/self/fd; readlink /proc/self/fd/0; pwd',
        )
        told = {"FARSHORE_VPG_NAME": "a $(id) `b`", "FARSHORE_VMS": "web 1\ndb"}
        run = ran(site, parameters="one 'two three' $HOME `id` ; echo", environment=told)
    assert (run.exit_status, run.failure, run.is_cut) == (0, "", False)
    lines = run.output.splitlines()
    assert lines[:6] == ["<one>", "<two three>", "<$HOME>", "<`id`>", "<;>", "<echo>"]
    names = {line.partition("=")[0] for line in lines if "=" in line}
    assert names - {"PWD", "OLDPWD", "SHLVL", "_"} == {"PATH", "HOME", "LANG", "FARSHORE_VPG_NAME", "FARSHORE_VMS"}
    assert "FARSHORE_VPG_NAME=a $(id) `b`" in lines
    assert lines[-6:] == ["0", "1", "2", "3", "/dev/null", str(scripts_folder(site))]  # 3: what ls itself reads


@pytest.mark.root(reason="becomes another user")
def test_m5_run_by_root_a_script_is_another_user_without_groups(site):
    """The user that the site names, though it could not get to the folder by its path; root only if that is said."""
    put(site, "id -u; id -g; id -G")
    own = os.getgroups()
    os.setgroups([1, 2])
    try:
        assert ran(site).output.split() == [str(NOBODY)] * 3
    finally:
        os.setgroups(own)
    assert ran(site, user="root").output.split() == ["0", "0", "0"]
    unknown = ran(site, user="no-such-user")
    assert (unknown.exit_status, "no user no-such-user" in unknown.failure) == (None, True)
    assert "script_user" in unknown.remedy
    put(site, "echo", mode=0o700)
    closed = ran(site)
    assert "could not be started by user nobody: Permission denied" in closed.failure


def test_m5_who_is_not_root_runs_scripts_as_itself(site, monkeypatch):
    """It cannot become anybody else."""
    put(site, "id -u")
    own = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: own or 1)
    monkeypatch.setattr("farshore.site.script_folder.demand_runnable", lambda _folder, _name: None)
    assert ran(site).output.strip() == str(own)


def test_m5_how_a_script_ended_is_told(site):
    """Its status, its signal, or why it could not begin; with what it printed on both streams, in order."""
    put(site, "echo out; echo err >&2; exit 3")
    run = ran(site)
    assert (run.exit_status, run.output) == (3, "out\nerr\n")
    assert run.failure == "The pre-recovery script quiesce ended with exit status 3."
    put(site, "kill -SEGV $$")
    run = ran(site)
    assert (run.exit_status, run.failure) == (None, "The pre-recovery script quiesce was ended by signal SIGSEGV.")
    put(site, "", program="/no/such/program")
    run = ran(site)
    assert "could not be started" in run.failure
    assert "first line" in run.remedy


def test_m5_of_what_it_prints_the_end_is_kept_as_plain_text(site):
    """64 KiB; nothing in it steers the terminal of who reads the report."""
    put(
        site,
        "i=0; while [ $i -lt 20000 ]; do echo \"line $i\"; i=$((i+1)); done; printf '\\033[2J\\000\\r\\377löhne\\n'",
    )
    run = ran(site)
    assert run.is_cut
    assert len(run.output.encode()) <= OUTPUT_BYTES_MAX + 16
    assert run.output.endswith("line 19999\n\ufffd[2J\ufffd\ufffd\ufffdlöhne\n")


def test_m5_at_its_time_limit_a_script_is_asked_to_end_and_then_killed(site, monkeypatch):
    """One that cleans up may; one that does not listen goes all the same, with what it has started."""
    put(site, "trap 'echo cleaned; exit 0' TERM; echo began; sleep 1000 & wait")
    run = ran(site, timeout_seconds=1)
    assert (run.exit_status, run.output) == (None, "began\ncleaned\n")
    assert run.failure == "The pre-recovery script quiesce did not end within 1 s and was ended."
    monkeypatch.setattr(script_run, "GRACE_SECONDS", 0.2)
    put(site, "trap '' TERM; echo $$; sleep 1000 & echo $!; wait; wait")
    run = ran(site, timeout_seconds=1)
    assert run.failure
    assert 1 <= run.seconds < 4
    assert [is_gone(int(pid)) for pid in run.output.split()] == [True, True]


def test_m5_nothing_that_it_has_started_outlives_it(site):
    """Children that hold its output, and a daemon in a session of its own."""
    put(
        site,
        "sleep 1000 & echo child $!; setsid -f sh -c 'echo daemon $$; echo > ./begun; sleep 1000'; read it < ./begun",
    )
    os.mkfifo(scripts_folder(site) / "begun")
    (scripts_folder(site) / "begun").chmod(0o666)
    run = ran(site)
    assert (run.exit_status, run.failure) == (0, "")
    assert run.seconds < 5
    pids = {words.split()[0]: int(words.split()[1]) for words in run.output.splitlines()}
    assert pids.keys() == {"child", "daemon"}
    assert all(is_gone(pid) for pid in pids.values())


def test_m5_a_script_that_is_not_wanted_any_more_is_killed_at_once(site):
    """Whoever supersedes its operation does not wait for it, whatever it does with signals."""
    noted = site / "pid"
    noted.touch()
    noted.chmod(0o666)
    put(site, "trap '' TERM; echo $$ > ../pid; sleep 1000; sleep 1000")
    site.chmod(0o711)

    async def stopped():
        work = asyncio.ensure_future(run_script(site, "nobody", Script(command="quiesce"), "pre", {}))
        pid = await asyncio.to_thread(await_pid, noted)
        begun = time.monotonic()
        work.cancel()
        await asyncio.wait({work})
        return pid, time.monotonic() - begun

    pid, seconds = asyncio.run(stopped())
    assert is_gone(pid)
    assert seconds < 2


@pytest.mark.parametrize("whom", ["manager", "keeper"])
def test_m5_a_script_ends_with_the_manager_and_with_its_keeper(site, whom):
    """Killed (-9), either of them: no script runs on that nobody answers for."""
    noted = site / "pid"
    noted.touch()
    noted.chmod(0o666)
    put(site, "echo $$ > ../pid; exec sleep 1000")
    site.chmod(0o711)
    program = (
        "import asyncio, sys; from pathlib import Path; from farshore.model.scripts import Script;"
        "from farshore.site.script_run import run_script;"
        "print(asyncio.run(run_script(Path(sys.argv[1]), 'nobody', Script(command='quiesce'), 'pre', {})).failure)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(site)], stdout=subprocess.PIPE, text=True) as manager:
        pid = await_pid(noted)
        keeper = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        assert b"script_keeper" in Path(f"/proc/{keeper}/cmdline").read_bytes()
        os.kill(manager.pid if whom == "manager" else keeper, signal.SIGKILL)
        await_gone(pid)
        await_gone(keeper)
        told = manager.communicate(timeout=20)[0]
    assert ("was ended" in told) == (whom == "keeper")
