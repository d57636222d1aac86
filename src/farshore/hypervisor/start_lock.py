"""One start or stop of a VM at a time, whichever process asks: a second start would take over the first one's sockets.

Each thing that is locked has a file in the site's run directory while somebody holds it or waits for it. The kernel
holds the lock, so it ends with the process.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from farshore.errors import Unavailable

WAIT_SECONDS = 30.0
POLL_SECONDS = 0.05


@asynccontextmanager
async def one_at_a_time(run_dir: Path, names: Iterable[str], wait_seconds: float = WAIT_SECONDS) -> AsyncIterator[None]:
    """Hold all of `names`. Always taken in one order, so that two who want the same ones cannot wait for each other.

    Raises Unavailable when another one holds a name for longer than `wait_seconds`.
    """
    deadline = asyncio.get_running_loop().time() + wait_seconds
    async with AsyncExitStack() as held:
        for name in sorted(set(names)):
            path = run_dir / f"lock-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
            while (handle := _take(path)) is None:
                if asyncio.get_running_loop().time() > deadline:
                    fact = f"Another start or stop of {name} is going on for more than {wait_seconds:g} s."
                    raise Unavailable(fact, "Try it again when that has ended.")
                await asyncio.sleep(POLL_SECONDS)
            held.callback(_let_go, path, handle)
        yield


def _take(path: Path) -> int | None:
    """The open file that holds the lock, None while another one has it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever held it has removed the file before letting go: then this is a lock on nothing that has a name.
        if os.path.samestat(os.fstat(handle), path.stat()):
            return handle
    except (BlockingIOError, FileNotFoundError):
        os.close(handle)
        return None
    except BaseException:
        os.close(handle)
        raise
    os.close(handle)
    return None


def _let_go(path: Path, handle: int) -> None:
    path.unlink(missing_ok=True)
    os.close(handle)
