"""The site's rows of VPGs. Both sites keep one; on contact the one with the higher (epoch, version) wins whole [I8].

A row's phase: creating, active, removing, or released: this site is done with the VPG and has still to tell the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, KeysView
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, cast

import sqlalchemy as sa
import xxhash
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
        follows = {"version": self.vpg.version + 1, "numbered": self.vpg.next_number}
        changed = self.vpg.model_dump() | changes | follows
        return VpgRow(Vpg.model_validate(changed), phase)


def digest(rows: Iterable[VpgRow]) -> str:
    """The same at both sites if they have the same rows of the VPGs that they share."""
    ranks = sorted((row.vpg.id, row.vpg.epoch, row.vpg.version, row.phase) for row in rows)
    return xxhash.xxh3_128_hexdigest(repr(ranks).encode())


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
    """The table of VPGs. Only the site's manager writes it, so its rows are kept as long as it writes none.

    They are asked for many times a second, and to read five hundred takes longer than all else a manager does.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._changes = 0
        self._kept: tuple[int, dict[str, VpgRow]] = (-1, {})

    def _changed(self) -> None:
        self._changes += 1

    @contextmanager
    def _changing(self) -> Iterator[sa.Connection]:
        """A transaction of its own that may change rows."""
        with self._database.transaction() as connection:
            self._database.at_end(connection, self._changed)
            yield connection

    def _rows(self) -> dict[str, VpgRow]:
        changes, kept = self._kept
        if changes == self._changes:
            return kept
        changes = self._changes
        with self._database.transaction() as connection:
            found = connection.execute(sa.select(table).order_by(table.c.name, table.c.id)).all()
        rows = {each.id: _row(each) for each in found}
        self._kept = (changes, rows)
        return rows

    def insert(self, connection: sa.Connection, row: VpgRow) -> None:
        """Add it within a transaction. Raises Conflict when its name is taken."""
        self._database.at_end(connection, self._changed)
        try:
            connection.execute(table.insert().values(**_values(row)))
        except IntegrityError as error:
            raise Conflict(f"There is a VPG named {row.vpg.name} already.", "Choose another name.") from error

    def get(self, vpg_id: str) -> VpgRow | None:
        """The row, or None."""
        return self._rows().get(vpg_id)

    def all(self) -> list[VpgRow]:
        """All rows by name, released ones too."""
        return list(self._rows().values())

    def ids(self) -> KeysView[str]:
        """The identifiers of all rows."""
        return self._rows().keys()

    def listed(self) -> list[VpgRow]:
        """The rows that people see."""
        return [row for row in self.all() if row.phase != "released"]

    def put(self, row: VpgRow) -> bool:
        """Take a row if it is new or of higher rank than the one that is here; True when it was taken.

        Raises Conflict when its name is another VPG's.
        """
        try:
            with self._changing() as connection:
                found = connection.execute(sa.select(table).where(table.c.id == row.vpg.id)).first()
                if found and _row(found).rank >= row.rank:
                    return False
                connection.execute(table.delete().where(table.c.id == row.vpg.id))
                connection.execute(table.insert().values(**_values(row)))
        except IntegrityError as error:
            raise Conflict(f"There is a VPG named {row.vpg.name} already.", "Choose another name.") from error
        return True

    @staticmethod
    def demand_same(connection: sa.Connection, row: VpgRow) -> None:
        """Within a transaction: raises RowChanged when this row is not there any more as it was read."""
        columns = (table.c.epoch, table.c.version, table.c.phase)
        found = connection.execute(sa.select(*columns).where(table.c.id == row.vpg.id)).first()
        if found is None or tuple(found) != (row.vpg.epoch, row.vpg.version, row.phase):
            raise RowChanged(f"The VPG {row.vpg.name} has changed meanwhile.", "Look at its state and order it again.")

    def replace(self, connection: sa.Connection, old: VpgRow, new: VpgRow) -> None:
        """Within a transaction put `new` in the place of `old`.

        Raises RowChanged when `old` is not there any more, Conflict when the name of `new` is another VPG's.
        """
        self._database.at_end(connection, self._changed)
        found = connection.execute(sa.select(table).where(table.c.id == old.vpg.id)).first()
        if found is None or _row(found).rank != old.rank:
            raise RowChanged(f"The VPG {old.vpg.name} has changed meanwhile.", "Look at its state and order it again.")
        connection.execute(table.delete().where(table.c.id == old.vpg.id))
        try:
            connection.execute(table.insert().values(**_values(new)))
        except IntegrityError as error:
            raise Conflict(f"There is a VPG named {new.vpg.name} already.", "Choose another name.") from error

    def remove(self, vpg_id: str) -> None:
        """Forget it; not there is fine."""
        with self._changing() as connection:
            connection.execute(table.delete().where(table.c.id == vpg_id))

    def release(self, vpg_id: str) -> None:
        """This site is done with it, and the other one has still to be told."""
        with self._changing() as connection:
            connection.execute(table.update().where(table.c.id == vpg_id).values(phase="released"))

    def protecting(self, vm_id: str) -> Vpg | None:
        """The VPG that the VM is in."""
        for row in self.listed():
            if any(vm.vm_id == vm_id for vm in row.vpg.vms):
                return row.vpg
        return None
