"""The part of the API's services that is about accounts, and the events that tell who changed what."""

from __future__ import annotations

import asyncio

from farshore.errors import BadInput
from farshore.model.access import Account, AccountOrder, AuditRecord, Role
from farshore.site.site import Site


class AccountServices:
    """Accounts are kept by the site's manager; what hashes runs in a thread."""

    _site: Site

    async def verify_password(self, user: str, password: str) -> Account | None:
        """The user's account if the password is right."""
        return await asyncio.to_thread(self._site.accounts.verify, user, "user", password)

    async def verify_client(self, client_id: str, secret: str) -> Account | None:
        """The program's account if the secret is right."""
        return await asyncio.to_thread(self._site.accounts.verify, client_id, "client", secret)

    async def account(self, name: str) -> Account | None:
        """The account of that name, or None."""
        return await asyncio.to_thread(self._site.accounts.find, name)

    async def accounts(self) -> list[Account]:
        """All accounts by name."""
        return await asyncio.to_thread(self._site.accounts.all)

    async def _check_vpgs(self, vpg_ids: tuple[str, ...]) -> None:
        known = {row.vpg.id for row in await asyncio.to_thread(self._site.vpgs.listed)}
        for vpg_id in vpg_ids:
            if vpg_id not in known:
                raise BadInput(f"VpgIdentifiers: there is no VPG {vpg_id}.", "List them with GET /v1/vpgs.")

    async def add_account(self, order: AccountOrder) -> str:
        """Make an account; its password or secret."""
        await self._check_vpgs(order.vpg_ids)
        return await asyncio.to_thread(self._site.accounts.add, order)

    async def change_account(self, name: str, role: Role, vpg_ids: tuple[str, ...]) -> Account:
        """Give it a role, bound to those VPGs."""
        await self._check_vpgs(vpg_ids)
        return await asyncio.to_thread(self._site.accounts.change_role, name, role, vpg_ids)

    async def change_secret(self, name: str, secret: str | None) -> str:
        """Give it another password or secret."""
        return await asyncio.to_thread(self._site.accounts.change_secret, name, secret)

    async def remove_account(self, name: str) -> None:
        """Remove it."""
        await asyncio.to_thread(self._site.accounts.remove, name)

    async def audit(self, kind: str, record: AuditRecord) -> None:
        """Write it into the events."""
        await asyncio.to_thread(
            self._site.alerts.record,
            kind,
            record.text,
            who=record.who,
            vpg_id=record.vpg_id,
            origin=record.origin,
            result=record.result,
        )
