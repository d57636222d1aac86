"""The guest agent, where the definition has a channel for one: it shuts down a guest that ignores a power button."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from collections.abc import Sequence
from pathlib import Path

from farshore.model.vm import VmDefinition

log = logging.getLogger(__name__)

CHANNEL = "org.qemu.guest_agent.0"
ASK_SECONDS = 1.0


def agent_socket(definition: VmDefinition) -> Path | None:
    """The socket of the agent's channel among the definition's own arguments, None when there is none."""
    options = [_parsed(text) for text in _values(definition.extra_arguments)]
    wanted = {option.get("chardev") for option in options if option.get("name") == CHANNEL}
    for option in options:
        if option.get("") == "socket" and option.get("id") in wanted - {None} and "path" in option:
            return Path(option["path"])
    return None


async def ask_to_shut_down(socket: Path) -> None:
    """Ask the agent to shut the guest down. It answers only if it cannot; an agent that is not there is no error."""
    order = json.dumps({"execute": "guest-shutdown", "arguments": {"mode": "powerdown"}}).encode()
    try:
        async with asyncio.timeout(ASK_SECONDS):
            _, writer = await asyncio.open_unix_connection(str(socket))
            try:
                # 0xFF lets the agent throw away what an earlier client may have left unfinished.
                writer.write(b"\xff" + order + b"\n")
                await writer.drain()
            finally:
                writer.close()
                await writer.wait_closed()
    except (OSError, TimeoutError) as error:
        log.warning("the guest agent at %s could not be asked: %s", socket, str(error) or type(error).__name__)


def _values(arguments: Sequence[str]) -> list[str]:
    return [value for option, value in itertools.pairwise(arguments) if option in ("-chardev", "-device")]


def _parsed(text: str) -> dict[str, str]:
    """An option list; its first, nameless value has the name "". Doubled commas are plain ones."""
    fields = [field.replace("\0", ",") for field in text.replace(",,", "\0").split(",")]
    return {name if mark else "": value if mark else name for name, mark, value in (f.partition("=") for f in fields)}
