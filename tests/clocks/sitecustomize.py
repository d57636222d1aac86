"""Moves a site's wall clock; every Python process of a lab that has this on its path loads it at start.

The folder FARSHORE_CLOCKS has a file for each site, named as the site's folder, with the seconds by which its clock is
off; it is looked at again at every reading. The monotonic clock is left alone, as by whoever sets a machine's clock.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

FOLDER, SITE = "FARSHORE_CLOCKS", "FARSHORE_CLOCK_OF"
LOOK_SECONDS = 0.1


def site_of_this_process():
    """The file of this process's site, None for what belongs to none; children are told by the environment."""
    if SITE not in os.environ:
        words = {Path(word).name for word in sys.orig_argv[1:]}
        names = [path.name for path in Path(os.environ[FOLDER]).iterdir() if path.name in words]
        if len(names) != 1 or "run" not in sys.orig_argv:
            return None
        os.environ[SITE] = names[0]
    return Path(os.environ[FOLDER]) / os.environ[SITE]


class MovedClock:
    """The real clock and what it is off by."""

    def __init__(self, path):
        self.path = path
        self.real, self.real_ns, self.monotonic = time.time, time.time_ns, time.monotonic
        self.off_seconds, self.looked = 0, float("-inf")

    def off(self):
        """By how much it is off now."""
        if self.monotonic() - self.looked > LOOK_SECONDS:
            self.looked = self.monotonic()
            self.off_seconds = int(self.path.read_text() or "0")
        return self.off_seconds

    def time(self):
        """In place of time.time."""
        return self.real() + self.off()

    def time_ns(self):
        """In place of time.time_ns."""
        return self.real_ns() + self.off() * 10**9


if FOLDER in os.environ:
    found = site_of_this_process()
    if found is not None:
        clock = MovedClock(found)
        time.time, time.time_ns = clock.time, clock.time_ns
