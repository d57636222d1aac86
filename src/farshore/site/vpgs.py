"""The site's rows of VPGs. Both sites keep one; on contact the one with the higher (epoch, version) wins whole [I8].

A row's phase: creating, active, removing, or released: this site is done with the VPG and has still to tell the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from farshore.errors import Conflict
from farshore.model.vpg import Vpg
from farshore.site.persistence import Database
from farshore.site.persistence.tables import vpg as table


class RowChanged(Conflict):
    """The row is not any more what was decided upon; look at it again."""


Phase = Literal["creating", "active", "removing", "released"]


@dataclass(frozen=True)
class VpgRow:
    """A VPG and the phase of its life at this site."""

    vpg: Vpg
    phase: Phase

    @property
    def rank(self) -> tuple[int, int]:
        """Of two rows of one VPG the one of higher rank is right."""
        return (self.vpg.epoch, self.vpg.version)

    def to_json(self) -> dict[str, Any]:
        """As sites tell it to each other."""
        return {"vpg": self.vpg.model_dump(mode="json"), "phase": self.phase}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> VpgRow:
        """What `to_json` wrote."""
        return cls(Vpg.model_validate(data["vpg"]), data["phase"])

    def raised(self, phase: Phase, **changes: Any) -> VpgRow:
        """The next version of it."""
        changed = self.vpg.model_dump() | changes | {"version": self.vpg.version + 1}
        return VpgRow(Vpg.model_validate(changed), phase)


def _values(row: VpgRow) -> dict[str, Any]:
    vpg = row.vpg
    return {
        "id": vpg.id,
        "name": vpg.name,
        "protected_site_id": vpg.protected_site_id,
        "recovery_site_id": vpg.recovery_site_id,
        "owner_site_id": vpg.owner_site_id,
        "epoch": vpg.epoch,
        "version": vpg.version,
        "phase": row.phase,
        "body": vpg.model_dump(mode="json"),
    }


def _row(found: sa.Row[Any]) -> VpgRow:
    return VpgRow(Vpg.model_validate(found.body), cast("Phase", found.phase))


class Vpgs:
    """The table of VPGs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def insert(self, connection: sa.Connection, row: VpgRow) -> None:
        """Add it within a transaction. Raises Conflict when its name is taken."""
        try:
            connection.execute(table.insert().values(**_values(row)))
        except IntegrityError as error:
            raise Conflict(f"There is a VPG named {row.vpg.name} already.", "Choose another name.") from error

    def get(self, vpg_id: str) -> VpgRow | None:
        """The row, or None."""
        with self._database.transaction() as connection:
            found = connection.execute(sa.select(table).where(table.c.id == vpg_id)).first()
        return _row(found) if found else None

    def all(self) -> list[VpgRow]:
        """All rows by name, released ones too."""
        with self._database.transaction() as connection:
            return [_row(found) for found in connection.execute(sa.select(table).order_by(table.c.name, table.c.id))]

    def listed(self) -> list[VpgRow]:
        """The rows that people see."""
        return [row for row in self.all() if row.phase != "released"]

    def put(self, row: VpgRow) -> bool:
        """Take a row if it is new or of higher rank than the one that is here; True when it was taken.

        Raises Conflict when its name is another VPG's.
        """
        try:
            with self._database.transaction() as connection:
                found = connection.execute(sa.select(table).where(table.c.id == row.vpg.id)).first()
                if found and _row(found).rank >= row.rank:
                    return False
                connection.execute(table.delete().where(table.c.id == row.vpg.id))
                connection.execute(table.insert().values(**_values(row)))
        except IntegrityError as error:
            raise Conflict(f"There is a VPG named {row.vpg.name} already.", "Choose another name.") from error
        return True

    def replace(self, connection: sa.Connection, old: VpgRow, new: VpgRow) -> None:
        """Within a transaction put `new` in the place of `old`. Raises RowChanged when `old` is not there any more."""
        found = connection.execute(sa.select(table).where(table.c.id == old.vpg.id)).first()
        if found is None or _row(found).rank != old.rank:
            raise RowChanged(f"The VPG {old.vpg.name} has changed meanwhile.", "Look at its state and order it again.")
        connection.execute(table.delete().where(table.c.id == old.vpg.id))
        connection.execute(table.insert().values(**_values(new)))

    def remove(self, vpg_id: str) -> None:
        """Forget it; not there is fine."""
        with self._database.transaction() as connection:
            connection.execute(table.delete().where(table.c.id == vpg_id))

    def release(self, vpg_id: str) -> None:
        """This site is done with it, and the other one has still to be told."""
        with self._database.transaction() as connection:
            connection.execute(table.update().where(table.c.id == vpg_id).values(phase="released"))

    def protecting(self, vm_id: str) -> Vpg | None:
        """The VPG that the VM is in."""
        for row in self.listed():
            if any(vm.vm_id == vm_id for vm in row.vpg.vms):
                return row.vpg
        return None
