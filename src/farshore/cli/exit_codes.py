"""What the exit code of `farshore` says; the table in docs/cli.md is this one."""

from __future__ import annotations

from enum import IntEnum

from farshore.errors import (
    BadInput,
    Conflict,
    FarshoreError,
    NotFound,
    NotPermitted,
    NotSignedIn,
    Unavailable,
    Unsupported,
)


class ExitCode(IntEnum):
    """The exit codes of every command."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    REFUSED = 4
    UNREACHABLE = 5
    NOT_SIGNED_IN = 6
    INTERRUPTED = 130


MEANINGS: dict[ExitCode, str] = {
    ExitCode.OK: "done, and everything that was checked holds",
    ExitCode.FAILED: "begun and failed, or a check does not hold",
    ExitCode.USAGE: "the command line or a value in it cannot be accepted; nothing was begun",
    ExitCode.NOT_FOUND: "what was named does not exist",
    ExitCode.REFUSED: "the present state, or the account's rights, do not allow it; nothing was changed",
    ExitCode.UNREACHABLE: "the site, or what it needs for this, does not answer",
    ExitCode.NOT_SIGNED_IN: "user and password, or client and secret, were not accepted",
    ExitCode.INTERRUPTED: "stopped by Ctrl-C",
}

_BY_ERROR: tuple[tuple[type[FarshoreError], ExitCode], ...] = (
    (NotFound, ExitCode.NOT_FOUND),
    (BadInput, ExitCode.USAGE),
    (Conflict, ExitCode.REFUSED),
    (NotPermitted, ExitCode.REFUSED),
    (Unsupported, ExitCode.REFUSED),
    (NotSignedIn, ExitCode.NOT_SIGNED_IN),
    (Unavailable, ExitCode.UNREACHABLE),
)


def exit_code_of(error: FarshoreError) -> ExitCode:
    """The exit code with which `error` ends a command."""
    for kind, code in _BY_ERROR:
        if isinstance(error, kind):
            return code
    return ExitCode.FAILED
