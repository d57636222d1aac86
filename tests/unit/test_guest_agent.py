"""The guest agent's channel is found in the definition, and asked in the agent's own words."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from farshore.hypervisor.qemu.guest_agent import agent_socket, ask_to_shut_down
from farshore.model.vm import VmDefinition


def _with(*arguments: str) -> VmDefinition:
    return VmDefinition(id="v", name="v", extra_arguments=arguments)


def test_the_channel_is_found_by_the_agents_name() -> None:
    """Among other channels; a comma in its path is doubled, as QEMU has it."""
    vm = _with(
        *("-chardev", "socket,id=other,path=/run/other,server=on,wait=off"),
        *("-chardev", "socket,path=/run/a,,b,id=qga0,server=on,wait=off"),
        *("-device", "virtio-serial-pci"),
        *("-device", "virtserialport,chardev=other,name=com.example.other"),
        *("-device", "virtserialport,chardev=qga0,name=org.qemu.guest_agent.0"),
    )
    assert agent_socket(vm) == Path("/run/a,b")


def test_without_a_channel_there_is_none() -> None:
    """Nothing at all, or a channel that is not a socket."""
    assert agent_socket(_with()) is None
    pty = ("-chardev", "pty,id=q", "-device", "virtserialport,chardev=q,name=org.qemu.guest_agent.0")
    assert agent_socket(_with(*pty)) is None


def test_the_agent_is_asked_for_a_shutdown(tmp_path: Path) -> None:
    """After a byte that lets it forget what an earlier client left unfinished; nobody waits for an answer."""

    async def ask() -> bytes:
        got: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def agent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            got.set_result(await reader.readline())
            writer.close()

        async with await asyncio.start_unix_server(agent, str(tmp_path / "s")):
            await ask_to_shut_down(tmp_path / "s")
            return await asyncio.wait_for(got, 5)

    said = asyncio.run(ask())
    assert said[:1] == b"\xff"
    assert json.loads(said[1:]) == {"execute": "guest-shutdown", "arguments": {"mode": "powerdown"}}


def test_an_agent_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    """The power button is pressed all the same."""
    asyncio.run(ask_to_shut_down(tmp_path / "nobody"))
