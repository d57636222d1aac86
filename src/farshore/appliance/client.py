"""An appliance's client: how managers reach a host, over mutual TLS.

Every call is safe to repeat. Raises what the appliance raises, or Unavailable when it does not answer in time; then
it is not known whether the call took effect, and repeating it is the way to find out.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from typing import Any

from farshore.appliance.lines import LINE_BYTES_MAX, LineChannel
from farshore.appliance.recovery_client import LONG_CALL_SECONDS_MAX, RecoveryClient
from farshore.datapath.stream.messages import CONTROL_PREAMBLE
from farshore.errors import Unavailable
from farshore.model.appliance_specs import KeepSpec, ProtectSpec

CONNECT_SECONDS_MAX = 2.0
CALL_SECONDS_MAX = 10.0


class ApplianceClient(RecoveryClient):
    """One appliance. Connects when first needed, and again after a break; safe for concurrent calls of one loop."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext) -> None:
        """`context` shows this site's certificate (identity.client_context)."""
        self.host = host
        self.port = port
        self.context = context
        self._channel: LineChannel | None = None
        self._connecting = asyncio.Lock()

    async def call(self, call: str, timeout_seconds: float = CALL_SECONDS_MAX, /, **args: Any) -> Any:
        """Make a call by name."""
        async with self._connecting:
            if self._channel is None or not self._channel.is_open:
                self._channel = await self._connect()
        return await self._channel.call(call, timeout_seconds, **args)

    async def close(self) -> None:
        """Give the connection up."""
        if self._channel is not None:
            await self._channel.close()
            self._channel = None

    async def _connect(self) -> LineChannel:
        try:
            return await asyncio.wait_for(self._open(), CONNECT_SECONDS_MAX)
        except (OSError, TimeoutError) as error:
            raise Unavailable(
                f"The appliance at {self.host}:{self.port} cannot be reached: {str(error) or 'no answer in time'}.",
                "It is started again by itself; if not, look at: farshore site status.",
            ) from error

    async def _open(self) -> LineChannel:
        loop = asyncio.get_running_loop()
        plain = socket.socket(socket.AF_INET)
        try:
            plain.setblocking(False)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.sock_connect(plain, (self.host, self.port))
            await loop.sock_sendall(plain, CONTROL_PREAMBLE)
        except BaseException:
            plain.close()
            raise
        try:
            reader, writer = await asyncio.open_connection(
                sock=plain, ssl=self.context, server_hostname=self.host, limit=LINE_BYTES_MAX
            )
        except BaseException:
            # It is the transport's now. Closed under it, its number would be another connection's at once.
            with contextlib.suppress(OSError):
                plain.shutdown(socket.SHUT_RDWR)
            raise
        return LineChannel(f"the appliance at {self.host}:{self.port}", reader, writer)

    async def list_vms(self) -> list[dict[str, Any]]:
        """All VMs of the host: vm_id, name, power, hypervisor, problem, recovered, serial_log, disks."""
        return list(await self.call("list_vms"))

    async def vm_definition(self, vm_id: str) -> dict[str, Any]:
        """A VM's definition (model.vm.VmDefinition as JSON). Raises NotFound."""
        return dict(await self.call("vm_definition", vm_id=vm_id))

    async def protect_vpg(self, spec: ProtectSpec) -> dict[str, Any]:
        """Protect a VPG from now on; returns its protection_status."""
        return dict(await self.call("protect_vpg", spec=spec.model_dump(mode="json")))

    async def stop_protecting(self, vpg_id: str) -> None:
        """Take the taps off, for good."""
        await self.call("stop_protecting", LONG_CALL_SECONDS_MAX, vpg_id=vpg_id)

    async def protection_status(self, vpg_id: str) -> dict[str, Any]:
        """What the protection of a VPG is doing.

        epoch, state (starting, attaching, syncing, protecting, interrupted, stopped), reason, sync {kind (initial,
        delta, bitmap), done_bytes, total_bytes, read_bytes, hash_bytes, sent_bytes} or None, last_sync (the same of the
        last one that was done, began_ns and ended_ns) or None, link (connected, down, or the code of a refusal),
        unacknowledged_bytes, received_bytes, last_marker, last_vouched, holes.
        """
        return dict(await self.call("protection_status", vpg_id=vpg_id))

    async def cut_checkpoint(self, vpg_id: str, tag: str, task: str) -> dict[str, Any]:
        """Cut a tagged marker now: {"marker_id", "time_ns"}. Raises Conflict while the stream is not whole."""
        return dict(await self.call("cut_checkpoint", vpg_id=vpg_id, tag=tag, task=task))

    async def keep_vpg(self, spec: KeepSpec) -> None:
        """Keep a VPG's journal from now on."""
        await self.call("keep_vpg", spec=spec.model_dump(mode="json"))

    async def forget_vpg(self, vpg_id: str) -> None:
        """Remove a VPG's journal, replica and checkpoints."""
        await self.call("forget_vpg", LONG_CALL_SECONDS_MAX, vpg_id=vpg_id)

    async def journal_status(self, vpg_id: str) -> dict[str, Any]:
        """The journal carrier's `status`."""
        return dict(await self.call("journal_status", vpg_id=vpg_id))

    async def list_checkpoints(self, vpg_id: str, **filters: Any) -> list[dict[str, Any]]:
        """Checkpoints; filters from_ns, to_ns, limit, newest_first."""
        return list(await self.call("list_checkpoints", vpg_id=vpg_id, **filters))

    async def find_marker(
        self, vpg_id: str, *, marker_id: str | None = None, task: str | None = None
    ) -> dict[str, Any] | None:
        """The checkpoint of a marker or task, {"void": reason}, or None while it is not durable."""
        found = await self.call("find_marker", vpg_id=vpg_id, marker_id=marker_id, task=task)
        return None if found is None else dict(found)

    async def pin_checkpoint(self, vpg_id: str, checkpoint_id: str | None, operation: str) -> dict[str, Any]:
        """Keep a checkpoint (None: the latest) from being promoted over. Raises NotFound when it is gone."""
        return dict(await self.call("pin_checkpoint", vpg_id=vpg_id, checkpoint_id=checkpoint_id, operation=operation))

    async def unpin_checkpoint(self, vpg_id: str, operation: str) -> None:
        """Let it go."""
        await self.call("unpin_checkpoint", vpg_id=vpg_id, operation=operation)

    async def definitions_at(self, vpg_id: str, checkpoint_id: str) -> dict[str, dict[str, Any]]:
        """The VMs' definitions as of a checkpoint, by VM."""
        return dict(await self.call("definitions_at", vpg_id=vpg_id, checkpoint_id=checkpoint_id))
