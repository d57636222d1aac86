"""The time that is left in Before Commit, as seconds and not as a moment: no clock that steps can end it [I19]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from farshore.site.clock import now_ns
from farshore.site.persistence import Database
from farshore.site.persistence.tables import before_commit as table

SHOWN_SECONDS_MAX = 12.0
"""How much time since the last save is taken off what is shown (it is saved every 10 s)."""


@dataclass(frozen=True)
class Deadline:
    """What is left for one VPG, when that was written down (wall clock), and which alerts were given."""

    vpg_id: str
    seconds_left: float
    saved_ns: int
    told: int = 0

    def shown_seconds(self) -> int:
        """What is left now, for people."""
        since = max(0.0, min(SHOWN_SECONDS_MAX, (now_ns() - self.saved_ns) / 1e9))
        return max(0, round(self.seconds_left - since))


class Deadlines:
    """The table of what is left. A VPG whose policy is None has no row."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, connection: sa.Connection, vpg_id: str, seconds: float) -> None:
        """Within a transaction: from now on."""
        self.end(connection, vpg_id)
        connection.execute(table.insert().values(vpg_id=vpg_id, seconds_left=seconds, saved_ns=now_ns(), told=0))

    def end(self, connection: sa.Connection, vpg_id: str) -> None:
        """Within a transaction: it counts no more; none is fine."""
        connection.execute(table.delete().where(table.c.vpg_id == vpg_id))

    def all(self) -> list[Deadline]:
        """All that count."""
        with self._database.transaction() as connection:
            return [Deadline(**row) for row in connection.execute(sa.select(table)).mappings()]

    def get(self, vpg_id: str) -> Deadline | None:
        """The VPG's, or None."""
        return next((deadline for deadline in self.all() if deadline.vpg_id == vpg_id), None)

    def save(self, left: Sequence[tuple[str, float, int]]) -> None:
        """Write down what is left, (vpg_id, seconds_left, told) each; one that has ended meanwhile stays ended."""
        if not left:
            return
        at_ns = now_ns()
        order = table.update().where(table.c.vpg_id == sa.bindparam("of")).values(saved_ns=at_ns)
        values = [{"of": vpg_id, "seconds_left": seconds, "told": told} for vpg_id, seconds, told in left]
        order = order.values(seconds_left=sa.bindparam("seconds_left"), told=sa.bindparam("told"))
        with self._database.transaction() as connection:
            connection.execute(order, values)
