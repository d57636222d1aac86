"""The accounts of a made-up site: one of each role, and what was written into its events."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from farshore.errors import Conflict
from farshore.model.access import Account, AccountOrder, AuditRecord, Role

PASSWORD = "pass:wörd"
VPG = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
OTHER_VPG = "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"


def _accounts() -> dict[str, Account]:
    known = [
        Account(name="admin"),
        Account(name="operator", role=Role.operator),
        Account(name="viewer", role=Role.viewer),
        Account(name="shop", role=Role.operator, vpg_ids=(VPG,)),
        Account(name="stranger", role=Role.operator, vpg_ids=(OTHER_VPG,)),
        Account(name="robot", kind="client"),
    ]
    return {account.name: account for account in known}


@dataclass
class MadeUpAccounts:
    """Users with the password `pass:wörd`, and one client."""

    known_accounts: dict[str, Account] = field(default_factory=_accounts)
    audited: list[tuple[str, AuditRecord]] = field(default_factory=list)

    async def verify_password(self, user: str, password: str) -> Account | None:
        """By that password."""
        account = self.known_accounts.get(user)
        if account and account.kind == "user" and password == PASSWORD:
            return account
        await asyncio.sleep(0.01)  # others have their turn meanwhile, as with real hashes
        return None

    async def verify_client(self, client_id: str, secret: str) -> Account | None:
        """One client."""
        return self.known_accounts["robot"] if (client_id, secret) == ("robot", "secret") else None

    async def account(self, name: str) -> Account | None:
        """One of them."""
        return self.known_accounts.get(name)

    async def accounts(self) -> list[Account]:
        """All of them."""
        return list(self.known_accounts.values())

    async def add_account(self, order: AccountOrder) -> str:
        """Kept, with a secret that is told."""
        if order.name in self.known_accounts:
            raise Conflict(f"There is an account {order.name} already.", "")
        self.known_accounts[order.name] = Account(
            name=order.name, kind=order.kind, role=order.role, vpg_ids=order.vpg_ids
        )
        return order.secret or "made up"

    async def change_account(self, name: str, role: Role, vpg_ids: tuple[str, ...]) -> Account:
        """Changed."""
        changed = self.known_accounts[name].model_copy(update={"role": role, "vpg_ids": vpg_ids})
        self.known_accounts[name] = changed
        return changed

    async def change_secret(self, name: str, secret: str | None) -> str:
        """What was opened with the old one ends."""
        known = self.known_accounts[name]
        self.known_accounts[name] = known.model_copy(update={"stamp": known.stamp + 1})
        return secret or "made up"

    async def remove_account(self, name: str) -> None:
        """Gone."""
        del self.known_accounts[name]

    async def audit(self, kind: str, record: AuditRecord) -> None:
        """Kept."""
        self.audited.append((kind, record))
