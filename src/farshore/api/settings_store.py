"""The vpgSettings objects: drafts of a VPG that one client fills before it commits them.

They live in the API's memory. A draft dies when it is committed, deleted, unused for the site's time, with the session
that made it, or with the manager; committing is what makes an order.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass

from farshore.api.wire.vpg_settings import VpgSettingsApi
from farshore.errors import Conflict, NotFound

DRAFTS_MAX = 1000


@dataclass
class Draft:
    """A settings object, whose session it is of (empty: a token's), and when it was used."""

    content: VpgSettingsApi
    session: str
    used: float


class SettingsStore:
    """All drafts of one API."""

    def __init__(self, idle_seconds: float) -> None:
        self._idle_seconds = idle_seconds
        self._drafts: dict[str, Draft] = {}

    def add(self, content: VpgSettingsApi, session: str) -> str:
        """Keep a draft; its identifier, a GUID. Raises Conflict when there are too many."""
        self._forget_old()
        if len(self._drafts) >= DRAFTS_MAX:
            raise Conflict(f"There are {DRAFTS_MAX} settings objects.", "Commit or delete some first.")
        identifier = str(uuid.uuid4())
        self.put(identifier, content, session)
        return identifier

    def put(self, identifier: str, content: VpgSettingsApi, session: str = "") -> None:
        """Replace a draft's content."""
        content = content.model_copy(update={"vpg_settings_identifier": identifier})
        known = self._drafts.get(identifier)
        self._drafts[identifier] = Draft(content, known.session if known else session, time.monotonic())

    def get(self, identifier: str) -> VpgSettingsApi:
        """A draft's content; it counts as used. Raises NotFound."""
        self._forget_old()
        draft = self._drafts.get(identifier.lower())
        if draft is None:
            fact = f"There is no settings object {identifier}, or it was unused for too long."
            raise NotFound(fact, "Make a new one with POST /v1/vpgSettings.")
        draft.used = time.monotonic()
        return draft.content

    def all(self) -> list[VpgSettingsApi]:
        """The contents of all drafts."""
        self._forget_old()
        return [draft.content for draft in self._drafts.values()]

    def remove(self, identifier: str) -> None:
        """Drop a draft. Raises NotFound."""
        self.get(identifier)
        del self._drafts[identifier.lower()]

    def drop_session(self, session: str) -> None:
        """Drop the drafts of a session that has ended."""
        self._drafts = {key: draft for key, draft in self._drafts.items() if draft.session != session}

    def _forget_old(self) -> None:
        oldest = time.monotonic() - self._idle_seconds
        self._drafts = {key: draft for key, draft in self._drafts.items() if draft.used >= oldest}
