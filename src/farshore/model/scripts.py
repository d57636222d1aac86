"""Scripts of the recovery site, before and after a recovery: what a VPG says of them, and what came of a run."""

from __future__ import annotations

import shlex
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

SCRIPT_SECONDS_DEFAULT = 300
SCRIPT_SECONDS_MAX = 24 * 3600
NAME_BYTES_MAX = 255
PARAMETERS_MAX = 4096

Phase = Literal["pre", "post"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Script(_Record):
    """A script that a VPG names: a file of the recovery site's own folder, never a path."""

    command: str
    parameters: str = Field(default="", max_length=PARAMETERS_MAX)
    """Split as a shell would split them, and handed over as arguments; no shell sees them."""
    timeout_seconds: int = Field(default=SCRIPT_SECONDS_DEFAULT, ge=1, le=SCRIPT_SECONDS_MAX)

    @field_validator("command")
    @classmethod
    def _is_a_bare_name(cls, name: str) -> str:
        if not name or "/" in name or "\\" in name or ".." in name or name.startswith("."):
            raise ValueError("it must be the bare name of a file in the recovery site's folder for scripts, not a path")
        if not name.isprintable() or len(name.encode()) > NAME_BYTES_MAX:
            raise ValueError(f"a script's name has printable characters only, {NAME_BYTES_MAX} bytes at most")
        return name

    @field_validator("parameters")
    @classmethod
    def _can_be_split(cls, parameters: str) -> str:
        if "\0" in parameters:
            raise ValueError("they must not hold a zero character")
        try:
            shlex.split(parameters)
        except ValueError as error:
            raise ValueError(f"they cannot be split into arguments ({str(error).lower()})") from error
        return parameters

    def arguments(self) -> list[str]:
        """The parameters, one by one."""
        return shlex.split(self.parameters)


class ScriptRun(_Record):
    """What came of one run. `failure` says in a sentence what went wrong, "" when nothing did."""

    phase: Phase
    command: str
    exit_status: int | None = None
    """None: it was not begun, or was ended from outside."""
    seconds: float = 0.0
    failure: str = ""
    remedy: str = ""
    output: str = ""
    """The end of what it printed, both streams together, as text without control characters."""
    is_cut: bool = False
    """It had printed more than is kept."""

    def words(self) -> str:
        """What went wrong and what to do about it, "" when nothing did."""
        return f"{self.failure} {self.remedy}".strip()
