"""Set-up's scripts on made-up machines: programs on PATH that answer as such a machine would."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

TOP = Path(__file__).parent.parent.parent
REAL = ["sh", "grep", "tr", "awk", "tail", "rm", "mv", "chmod", "mkdir", "touch", "sleep", "cat", "env"]
LINES = [line for line in (TOP / "setup/packages.txt").read_text().splitlines() if not line.startswith("#")]
PACKAGES = [line.split("|")[0].strip() for line in LINES]

Fake = Callable[[str, str], None]


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder that is all of PATH: the plain tools, and no apt, no sudo, no dpkg."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in REAL:
        (folder / name).symlink_to(next(p for d in ("/usr/bin", "/bin") if (p := Path(d, name)).exists()))
    return folder


@pytest.fixture
def fake(machine: Path) -> Fake:
    """`fake(name, script)` puts a program on the machine."""

    def put(name: str, script: str) -> None:
        (machine / name).write_text(f"#!/bin/sh\n{script}\n")
        (machine / name).chmod(0o755)

    return put


def run(machine: Path, script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one of setup's scripts on the machine."""
    return subprocess.run(
        ["/bin/sh", f"setup/{script}", *arguments],
        check=False,
        cwd=TOP,
        env={"PATH": str(machine), "LANG": "C", **environment},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=20,
    )


def test_without_root_or_sudo_the_command_is_printed_and_nothing_done(machine: Path, fake: Fake) -> None:
    """Each missing package has its reason, and the last line is what to give to an administrator."""
    fake("dpkg-query", "exit 1")
    fake("id", "echo 1000")
    fake("getent", "exit 2")
    fake("apt-get", f"touch {machine}/apt-was-called")
    result = run(machine, "packages.sh")
    assert result.returncode == 1
    assert "qemu-system-x86  runs the guests" in result.stdout
    assert "rdma             a system group" in result.stdout, "accounts are named"
    assert "apt-get update && apt-get install -y --no-install-recommends python3 " in result.stderr
    assert "Nothing was done" in result.stderr
    assert not (machine / "apt-was-called").exists()
    assert "fio" not in result.stdout, "what only the benchmarks need"


def test_a_package_that_is_there_is_not_asked_for(machine: Path, fake: Fake) -> None:
    """Only what is missing is named; with nothing missing nothing is said."""
    fake("getent", "")
    fake("dpkg-query", 'case "$*" in *cpio*) exit 1 ;; esac; echo installed')
    fake("id", "echo 1000")
    result = run(machine, "packages.sh")
    assert [name for name in PACKAGES if f"\n  {name} " in result.stdout] == ["cpio"]
    fake("dpkg-query", "echo installed")
    assert run(machine, "packages.sh").stdout == ""


def test_sudo_is_used_and_told_the_proxy(machine: Path, fake: Fake) -> None:
    """A user who has sudo gets the packages; sudo keeps no environment, so the proxy goes by name."""
    fake("getent", "")
    fake("dpkg-query", 'case "$*" in *cpio*) exit 1 ;; esac; echo installed')
    fake("id", "echo 1000")
    fake("sudo", f'[ "$1" = -n ] || echo "$*" >{machine}/asked')
    assert run(machine, "packages.sh", http_proxy="http://proxy.example:3128").returncode == 0
    asked = (machine / "asked").read_text()
    assert "http_proxy=http://proxy.example:3128" in asked
    assert asked.endswith("sh setup/install_packages.sh cpio\n")


@pytest.mark.parametrize("own", ["", "#!/bin/sh\nexit 104\n"], ids=["none before", "one before"])
def test_no_service_may_start_while_packages_are_installed(own: str, machine: Path, fake: Fake, tmp_path: Path) -> None:
    """While apt-get runs the policy says 101; afterwards the machine's own one stands again, or none."""
    policy = made_up_policy(tmp_path, own)
    fake("dpkg", "")
    fake("apt-get", f'"{policy}"; echo "$? $*" >>{tmp_path}/seen')
    result = run(machine, "install_packages.sh", "cpio", DPKG_ROOT=str(tmp_path))
    assert result.returncode == 0, result.stderr
    seen = (tmp_path / "seen").read_text()
    assert seen.startswith("101 install")
    assert "--no-install-recommends" in seen
    assert "--no-remove" in seen
    assert [(f.name, f.read_text()) for f in policy.parent.iterdir()] == ([(policy.name, own)] if own else [])


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_the_policy_is_put_back_when_set_up_is_ended(
    end: signal.Signals, machine: Path, fake: Fake, tmp_path: Path
) -> None:
    """Ctrl-C in the middle of an installation leaves the machine's own policy as it was."""
    policy = made_up_policy(tmp_path, "own")
    ended = start_and_end(machine, fake, tmp_path, end)
    assert ended == 130
    assert [(f.name, f.read_text()) for f in policy.parent.iterdir()] == [(policy.name, "own")]


def test_the_next_run_puts_back_what_a_killed_one_left(machine: Path, fake: Fake, tmp_path: Path) -> None:
    """Kill -9 leaves the policy; the next run restores the machine's own one."""
    policy = made_up_policy(tmp_path, "own")
    start_and_end(machine, fake, tmp_path, signal.SIGKILL)
    assert "exit 101" in policy.read_text()
    fake("apt-get", "")
    assert run(machine, "install_packages.sh", "cpio", DPKG_ROOT=str(tmp_path)).returncode == 0
    assert [(f.name, f.read_text()) for f in policy.parent.iterdir()] == [(policy.name, "own")]


def test_lists_that_are_old_are_fetched_and_the_installation_tried_again(
    machine: Path, fake: Fake, tmp_path: Path
) -> None:
    """A first failure is answered by `apt-get update` and one more try; what was half installed is ended first."""
    made_up_policy(tmp_path, "")
    fake("dpkg", f'[ "$1" = --audit ] && echo half; echo "dpkg $*" >>{tmp_path}/seen')
    once = tmp_path / "once"
    failing_once = f"[ -e {once} ] || ! touch {once} || exit 100"
    fake("apt-get", f"echo apt-get $1 >>{tmp_path}/seen; [ $1 = update ] || {failing_once}")
    assert run(machine, "install_packages.sh", "cpio", DPKG_ROOT=str(tmp_path)).returncode == 0
    seen = (tmp_path / "seen").read_text().splitlines()
    assert seen[1:] == ["dpkg --configure -a", "apt-get install", "apt-get update", "apt-get install"]


@pytest.mark.parametrize(
    ("name", "answer", "said"),
    [
        ("awk", "echo 1000000", "976 MiB of memory; 4 GiB"),
        ("df", "echo 1000000", "5 GiB are needed"),
        ("dpkg", "echo riscv64", "riscv64"),
    ],
)
def test_a_machine_that_is_too_small_is_told_so_first(
    name: str, answer: str, said: str, machine: Path, fake: Fake
) -> None:
    """Short memory, short disk or another processor: the fact, and how to try all the same."""
    for program, usual in {"apt-get": "", "dpkg-deb": "", "dpkg": "echo amd64", "df": "echo 99999999"}.items():
        fake(program, usual)
    fake("du", "echo 0 total")
    (machine / name).unlink(missing_ok=True)
    fake(name, answer)
    result = run(machine, "machine.sh")
    assert result.returncode == 1
    assert said in result.stderr
    assert "FARSHORE_SETUP_ANYWAY=yes" in result.stderr
    assert run(machine, "machine.sh", FARSHORE_SETUP_ANYWAY="yes").returncode == 0


def made_up_policy(root: Path, own: str) -> Path:
    """Where the policy of the machine below `root` is; with the content `own` where that is not empty."""
    policy = root / "usr/sbin/policy-rc.d"
    policy.parent.mkdir(parents=True)
    if own:
        policy.write_text(own)
        policy.chmod(0o755)
    return policy


def start_and_end(machine: Path, fake: Fake, root: Path, end: signal.Signals) -> int:
    """Start an installation, wait until apt-get runs, and send the signal to the whole group, as a terminal does."""
    fake("dpkg", "")
    fake("apt-get", f"touch {root}/runs; exec sleep 30")
    process = subprocess.Popen(
        ["/bin/sh", "setup/install_packages.sh", "cpio"],
        cwd=TOP,
        env={"PATH": str(machine), "DPKG_ROOT": str(root)},
        start_new_session=True,
    )
    deadline = time.monotonic() + 10
    while not (root / "runs").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, end)
    return process.wait(10)
