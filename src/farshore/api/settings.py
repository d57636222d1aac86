"""What of a site's settings the API needs."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from farshore.errors import Damaged
from farshore.model.files import write_durably
from farshore.model.site import SiteConfig

Dialect = Literal["auto", "object", "string"]
KEY_BYTES = 32


@dataclass(frozen=True)
class ApiSettings:
    """`task_dialect` holds for the site; `account_dialects` (by name of account or client) goes before it."""

    session_idle_seconds: float = 1800.0
    settings_idle_seconds: float = 1800.0
    """How long a vpgSettings object lives unused."""
    token_seconds: int = 3600
    refresh_seconds: int = 8 * 3600
    task_dialect: str = "auto"
    account_dialects: Mapping[str, str] = field(default_factory=dict)
    classic_dates: str = "iso"
    """How times are written for classic sessions: iso, or dotnet for `/Date(ms)/`."""
    signing_key: bytes = field(default_factory=lambda: secrets.token_bytes(KEY_BYTES))
    """Signs bearer tokens; kept by the manager, so that they outlive it."""

    @classmethod
    def of(cls, config: SiteConfig, signing_key: bytes) -> ApiSettings:
        """Those of a site."""
        settings = config.settings
        return cls(
            session_idle_seconds=settings.session_idle_seconds,
            task_dialect=settings.task_dialect,
            account_dialects=settings.task_dialects,
            classic_dates=settings.classic_dates,
            signing_key=signing_key,
        )


def load_signing_key(path: Path) -> bytes:
    """The key in that file, made (readable by its owner alone) when there is none. Raises Damaged."""
    if not path.exists():
        write_durably(path, secrets.token_bytes(KEY_BYTES), mode=0o600)
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise Damaged(f"{path} is not a signing key.", "Remove it; all who are signed in by token sign in again.")
    return key
