"""What holds for all tests: those that need root are left out for a user, and a long run can be taken up again."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

NEEDS_ROOT = "needs root: "
PASSED = pytest.StashKey[frozenset[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--resume=FILE` (with the sign: as two words pytest would take a FILE that exists for tests to run)."""
    meaning = "leave out what passed in an earlier run of the same source; FILE is kept until all has passed"
    parser.addoption("--resume", metavar="FILE", default=None, help=meaning)


def pytest_configure(config: pytest.Config) -> None:
    """Only the process that a person started keeps the record; xdist's workers are told what is in it."""
    # A run in the background of a script ignores Ctrl-C, and so would all that it starts; some tests send it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    file = config.getoption("resume")
    if hasattr(config, "workerinput"):
        config.stash[PASSED] = frozenset(config.workerinput["passed"])
    elif file:
        record = Record(Path(file), state_of_source())
        config.stash[PASSED] = frozenset(record.passed)
        config.pluginmanager.register(record, "resume")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """All of xdist's workers must collect the same tests, also one that is started in the middle of the run."""
    node.workerinput["passed"] = sorted(node.config.stash.get(PASSED, frozenset()))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what passed before (--resume); mark what a user cannot run as skipped, with its reason."""
    passed = config.stash.get(PASSED, frozenset())
    if passed:
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid in passed])
        items[:] = [item for item in items if item.nodeid not in passed]
    if os.geteuid() == 0:
        return
    for item in items:
        for mark in item.iter_markers("root"):
            item.add_marker(pytest.mark.skip(reason=NEEDS_ROOT + mark.kwargs["reason"]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """End by saying which tests were left out for want of root, and why."""
    left_out = [r for r in terminalreporter.stats.get("skipped", []) if NEEDS_ROOT in str(r.longrepr)]
    if left_out:
        terminalreporter.section("left out, since this is not root (README lists them)")
        for report in left_out:
            reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
            terminalreporter.line(f"{report.nodeid}: {reason.partition(NEEDS_ROOT)[2]}")


def state_of_source() -> str:
    """One word for the source as it is: the last commit and what is not committed. Empty outside a repository."""
    root = Path(__file__).parent.parent
    try:
        parts = [
            subprocess.run(["git", "-C", root, *words], capture_output=True, check=True).stdout
            for words in (["rev-parse", "HEAD"], ["diff", "HEAD"], ["status", "--porcelain"])
        ]
    except (OSError, subprocess.CalledProcessError):
        return ""
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


class Record:
    """The tests that passed, for one state of the source. Another state begins anew, a run without failure ends it."""

    def __init__(self, file: Path, source: str) -> None:
        self.file = file
        self.source = source
        self.passed: set[str] = set()
        try:
            kept = json.loads(file.read_text())
        except (FileNotFoundError, ValueError):
            return  # no earlier run, or one that was ended while it wrote
        if source and kept["source"] == source:
            self.passed = set(kept["passed"])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep each test as it passes: the run may be ended at any moment."""
        if report.when == "call" and report.passed:
            self.passed.add(report.nodeid)
            aside = self.file.with_suffix(".new")
            aside.write_text(json.dumps({"source": self.source, "passed": sorted(self.passed)}))
            aside.replace(self.file)

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """All has passed: the next run is a whole one again."""
        if exitstatus == pytest.ExitCode.OK:
            self.file.unlink(missing_ok=True)
