"""The scratch of a recovered disk is written into its plain file by the image tool: the VM's process has ended."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from farshore.errors import Fault, Unavailable
from farshore.hypervisor.block_layer.blockdevs import check_base, program
from farshore.hypervisor.block_layer.pivot_mark import Pivot, read_mark, write_mark
from farshore.model.vm import DiskDefinition

REBASE_SECONDS = 30.0
COMMIT_SECONDS = 6 * 3600.0
LOCK_SECONDS = 5.0
RETRY_SECONDS = 0.05


async def commit_off(disk: DiskDefinition, scratch: Path, base: Path) -> None:
    """Write `scratch` into `base`, unless a live promotion had come so far that `base` is the newer one.

    Repeated after it was cut short it writes the same again; the tool empties the scratch only when all is written.
    """
    await asyncio.to_thread(check_base, base, disk.id, disk.size_bytes)
    if not scratch.exists() or await asyncio.to_thread(_base_is_newer, scratch, base):
        return
    below = ["-F", "raw", "-b", f"json:{json.dumps({'driver': 'raw', 'file': _file(base)})}"]
    await _image_tool(REBASE_SECONDS, "rebase", "-q", "-f", "qcow2", "-u", *below, str(scratch))
    await _image_tool(COMMIT_SECONDS, "commit", "-q", "-f", "qcow2", str(scratch))


def _base_is_newer(scratch: Path, base: Path) -> bool:
    """Whether the guest was moved to `base` before its process ended.

    Where that had been ordered and nobody saw its end, the last write tells: after the move only `base` gets any. What
    was found is marked, since we are about to write to both.
    """
    if read_mark(scratch) is Pivot.ORDERED:
        newer = base.stat().st_mtime_ns > scratch.stat().st_mtime_ns
        write_mark(scratch, Pivot.DONE if newer else Pivot.NOT_ORDERED)
    return read_mark(scratch) is Pivot.DONE


def _file(path: Path) -> dict[str, str]:
    return {"driver": "host_device" if path.is_block_device() else "file", "filename": str(path.resolve())}


async def _image_tool(bound_seconds: float, *arguments: str) -> None:
    """Run it; again for a while when QEMU's lock is held: a killed process may outlive its first thread."""
    deadline = asyncio.get_running_loop().time() + LOCK_SECONDS
    while True:
        status, words = await _run(bound_seconds, *arguments)
        if status == 0:
            return
        locked = "Failed to get" in words and "lock" in words
        if not locked:
            raise Fault(f"qemu-img {arguments[0]} failed: {words}", "Look at the room left.")
        if asyncio.get_running_loop().time() > deadline:
            raise Unavailable(f"Another process has the disk open: {words}", "It is tried again.")
        await asyncio.sleep(RETRY_SECONDS)


async def _run(bound_seconds: float, *arguments: str) -> tuple[int | None, str]:
    child = await asyncio.create_subprocess_exec(
        program("qemu-img"), *arguments,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        said, _ = await asyncio.wait_for(child.communicate(), bound_seconds)
    except BaseException as error:
        child.kill()
        await child.wait()
        if isinstance(error, TimeoutError):
            raise Unavailable(f"qemu-img {arguments[0]} took too long.", "It is tried again.") from error
        raise
    return child.returncode, said.decode(errors="replace").strip()
