"""`python -m farshore.manager DIR`: run the manager of the site in DIR. Exit code 0 after a clean stop, else 1."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path

import structlog

from farshore.errors import FarshoreError
from farshore.manager.log import set_up
from farshore.manager.manager import run
from farshore.model.site import SiteConfig


def main(arguments: list[str]) -> int:
    """Run it; what stops it from starting is said on standard error and in the log."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m farshore.manager DIR\n")
        return 1
    folder = Path(arguments[0])
    try:
        set_up(folder / "log" / "manager.log", SiteConfig.load(folder).settings.log_level)
        asyncio.run(_run_and_leave(folder))
    except FarshoreError as error:
        sys.stderr.write(f"farshore manager: {error}\n")
        structlog.get_logger("manager").error("the manager could not start", fact=error.fact, remedy=error.remedy)
    return 1


async def _run_and_leave(folder: Path) -> None:
    """Run, then end the process from inside the loop.

    Operations under way are left as a kill would leave them, which is what they are made for: they are taken up at the
    next start. Ending the loop first would cancel them in the middle of a step, and a cancelled one does not go on.
    """
    await run(folder)
    logging.shutdown()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
