"""The lab's own words: its two sites, and the kinds of guests."""

from __future__ import annotations

from typing import Literal

SITE_NAMES = ("north", "south")

GuestKind = Literal["real", "storage"]
"""`real`: QEMU with a guest that boots and writes. `storage`: disks without a guest, reached over NBD."""
