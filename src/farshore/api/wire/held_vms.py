"""Held VMs as they are read: our own resource."""

from __future__ import annotations

from farshore.api.wire.model import Wire


class HeldVmApi(Wire):
    """A VM that cannot be started, and why. `NeededBy`: why it cannot be released either; empty when it can."""

    vm_identifier: str
    vm_name: str
    reason: str
    needed_by: str
    can_release: bool
