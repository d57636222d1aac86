"""The names of everything that Farshore adds to a QEMU: by them it is found again, and told from the owner's things.

QEMU's node names have at most 31 bytes, identifiers of disks up to 32: a long one is cut and given a digest.
"""

from __future__ import annotations

import hashlib
import re

NODE_NAME_BYTES_MAX = 31
_LABEL_BYTES_MAX = NODE_NAME_BYTES_MAX - len("fs-filter-")

BITMAP_PREFIX = "farshore-"
UNSHIPPED = "farshore-unshipped"
SYNC = "farshore-sync"
JOB_PREFIX = "fs-mirror-"
SYNC_EXPORT_PREFIX = "fs-sync-"
_GENERATION = re.compile(r"^farshore-g(\d+)$")


def label(disk_id: str) -> str:
    """A name for the disk that fits into a node's name, and is the same in every process."""
    if len(disk_id) <= _LABEL_BYTES_MAX:
        return disk_id
    digest = hashlib.sha256(disk_id.encode()).hexdigest()[:8]
    return f"{disk_id[: _LABEL_BYTES_MAX - 9]}-{digest}"


def disk_node(disk_id: str) -> str:
    """The node on which a VM's disk is started by our own drivers (an owner's snapshot may put others over it)."""
    return f"disk-{label(disk_id)}"


def view_node(disk_id: str) -> str:
    """The node through which a recovered disk reads its view."""
    return f"view-{label(disk_id)}"


def base_node(disk_id: str) -> str:
    """The plain file onto which a recovered disk is promoted; its disk from then on, as long as the process lives."""
    return f"base-{label(disk_id)}"


def commit_job(disk_id: str) -> str:
    """The job that writes a recovered disk's scratch into its plain file."""
    return f"fs-commit-{label(disk_id)}"


def device(disk_id: str) -> str:
    """The guest's device (QEMU), or the writable export (storage daemon)."""
    return f"vd-{disk_id}"


def shim_node(disk_id: str) -> str:
    """The pass-through node over the disk's top node."""
    return f"fs-shim-{label(disk_id)}"


def tap_node(disk_id: str) -> str:
    """The NBD client node that leads to the tap."""
    return f"fs-tap-{label(disk_id)}"


def filter_node(disk_id: str) -> str:
    """The node that the mirror job puts over the disk or its shim."""
    return f"fs-filter-{label(disk_id)}"


def job(disk_id: str, token: str) -> str:
    """The mirror job of one attach; `token` makes it another one each time."""
    return f"{job_prefix(disk_id)}{token}"


def job_prefix(disk_id: str) -> str:
    """What the mirror jobs of a disk begin with, whichever attach made them."""
    return f"{JOB_PREFIX}{label(disk_id)}."


def sync_export(disk_id: str) -> str:
    """The identifier and name of the read-only export for a sync."""
    return f"{SYNC_EXPORT_PREFIX}{label(disk_id)}"


def generation(number: int) -> str:
    """The bitmap of a generation."""
    return f"{BITMAP_PREFIX}g{number}"


def generation_number(bitmap: str) -> int | None:
    """The generation that a bitmap is, None for all others."""
    match = _GENERATION.match(bitmap)
    return int(match.group(1)) if match else None
