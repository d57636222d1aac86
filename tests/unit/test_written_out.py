"""What a job writes goes to the disk beside it, again and again; what goes wrong with that is told and ends nothing."""

from __future__ import annotations

import errno
import logging
import os
import threading
from pathlib import Path

import pytest

from farshore.hypervisor.block_layer import written_out as module
from farshore.hypervisor.block_layer.written_out import written_out


def test_a_file_is_flushed_over_and_over_and_not_after_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of this very file; the thread ends with the block, once the flush that is under way is over."""
    path, third, seen = tmp_path / "base", threading.Event(), []
    path.write_bytes(b"x")

    def flush(descriptor: int) -> None:
        seen.append(os.fstat(descriptor).st_ino)
        if len(seen) == 3:
            third.set()

    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(os, "fdatasync", flush)
    with written_out(path):
        (thread,) = [each for each in threading.enumerate() if each.name == "writes out base"]
        assert third.wait(5)
    thread.join(5)
    assert not thread.is_alive()
    assert set(seen) == {path.stat().st_ino}


def test_an_error_is_told_and_the_job_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is QEMU's own flush that counts."""
    looked = threading.Event()

    def flush(_descriptor: int) -> None:
        assert looked.wait(5)
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(os, "fdatasync", flush)
    path = tmp_path / "base"
    path.touch()
    with caplog.at_level(logging.WARNING), written_out(path):
        (thread,) = [each for each in threading.enumerate() if each.name == "writes out base"]
        looked.set()
        thread.join(5)
    assert "broken" in caplog.text
