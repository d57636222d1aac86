"""Small files: the old one or the new one, and nothing left of what a killed process was writing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from farshore.model.files import remove_unfinished, write_durably

WRITE_AND_STOP = """
import os, sys
from pathlib import Path
from farshore.model import files
os.replace = lambda *paths: (print("written", flush=True), sys.stdin.read())
files.write_durably(Path(sys.argv[1]), b"new")
"""


def test_only_what_nobody_writes_any_more_is_removed(tmp_path):
    """What a killed process was writing goes; what a living one writes stays, and so do folders that are not asked."""
    kept, besides = tmp_path / "below" / "record.json", tmp_path / "elsewhere" / "record.json"
    for path in (kept, besides):
        path.parent.mkdir()
        write_durably(path, b"old")
    writers = []
    for path in (kept, kept, besides):
        command = [sys.executable, "-c", WRITE_AND_STOP, str(path)]
        writer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert writer.stdout.readline() == b"written\n"
        writers.append(writer)
    alive, killed, killed_besides = writers
    for writer in (killed, killed_besides):
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    earlier_with_our_number = kept.with_name(f".record.json.{os.getpid()}.new")
    earlier_with_our_number.write_bytes(b"ne")
    remove_unfinished(tmp_path, besides=("elsewhere",))
    assert sorted(os.listdir(kept.parent)) == [f".record.json.{alive.pid}.new", "record.json"]
    assert len(os.listdir(besides.parent)) == 2
    for writer in writers:
        writer.kill()
        writer.communicate()
    remove_unfinished(tmp_path)
    assert [os.listdir(path.parent) for path in (kept, besides)] == [["record.json"]] * 2
    assert kept.read_bytes() == besides.read_bytes() == b"old"
