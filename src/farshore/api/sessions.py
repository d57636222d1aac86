"""Who is signed in: classic sessions in memory (they end with the manager), bearer tokens signed (they do not).

A session ends when it was not used for the site's idle time, or by DELETE; a token at its time; both when the account
is removed or gets another password. A changed role counts from the next request on. Passwords and secrets are verified
two at a time, since each takes a tenth of a second of processor time and 64 MiB on purpose, and one at a time for an
address, so that nobody makes a hundred guesses before the first one is counted.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

import jwt

from farshore.api.services import Services
from farshore.api.settings import ApiSettings
from farshore.api.throttle import FREE_TRIES, Throttle, network_of
from farshore.errors import NotSignedIn, TooMany
from farshore.model.access import Account, AuditRecord, Role

SESSIONS_MAX = 10_000
VERIFICATIONS_AT_ONCE = 2
WAITING_MAX = 50
"""So many sign-ins of one address may wait for their turn."""
ACCOUNT_SECONDS = 1.0
"""How long a look at an account counts: a change on the site's own host is seen after that."""
_REMEDY = "Sign in at POST /v1/session/add, or fetch a token."


@dataclass(frozen=True)
class Caller:
    """Who sent a request, and how the task of an action is told to them. `session` is empty for a bearer token."""

    account: Account
    dialect: Literal["object", "string"]
    session: str = ""


class Sessions:
    """All sign-ins of one API."""

    def __init__(self, services: Services, settings: ApiSettings) -> None:
        self._services = services
        self._settings = settings
        self._sessions: dict[str, tuple[Caller, float]] = {}
        self._turn = asyncio.Semaphore(VERIFICATIONS_AT_ONCE)
        self._throttle = Throttle()
        self._turns: dict[str, tuple[asyncio.Lock, int]] = {}
        self._looked: dict[str, tuple[Account | None, float]] = {}

    async def verify_user(self, name: str, password: str, address: str) -> Account:
        """The user's account, with or without a Windows domain before or after the name. Raises NotSignedIn, TooMany.

        `address`: where the request came from.
        """
        plain = name.rpartition("\\")[2]
        short = plain.partition("@")[0]
        names = [wanted for wanted in dict.fromkeys([plain, short]) if wanted]

        async def verify() -> Account | None:
            for wanted in names:
                account = await self._services.verify_password(wanted, password)
                if account is not None:
                    return account
            return None

        found = await self._try(verify, short or plain, address)
        if found is None:
            raise NotSignedIn("User or password is wrong.", "Check both.")
        return found

    async def verify_client(self, client_id: str, secret: str, address: str) -> Account:
        """The program's account. Raises NotSignedIn, TooMany."""

        async def verify() -> Account | None:
            return await self._services.verify_client(client_id, secret)

        found = await self._try(verify, client_id, address)
        if found is None:
            raise NotSignedIn("Client or secret is wrong.", "Check both.")
        return found

    async def _try(self, verify: Callable[[], Awaitable[Account | None]], name: str, address: str) -> Account | None:
        """One try, if it is the address's turn; it is counted before the next one of that address begins."""
        network = network_of(address)
        async with self._turn_of(network):
            wait = self._throttle.wait_seconds(network, name)
            if wait > 0:
                fact = f"Too many wrong tries came from {address}."
                raise TooMany(fact, f"Try again in {wait:.0f} s; from another address it goes at once.", wait)
            async with self._turn:
                account = await verify()
            if account is None:
                tries = self._throttle.failed(network, name)
                if tries <= FREE_TRIES or tries & (tries - 1) == 0:  # then at each doubling: events are not flooded
                    await self._tell(name, address, "sign-in", f"401: wrong try {tries} from there")
                return None
            tries = self._throttle.succeeded(network, name)
            if tries:
                await self._tell(account.name, address, "sign-in", f"200: after {tries} wrong tries from there")
            return account

    async def _tell(self, name: str, address: str, text: str, result: str) -> None:
        await self._services.audit("sign_in", AuditRecord(who=name[:128], origin=address, text=text, result=result))

    @asynccontextmanager
    async def _turn_of(self, network: str) -> AsyncIterator[None]:
        lock, waiting = self._turns.get(network, (asyncio.Lock(), 0))
        if waiting >= WAITING_MAX:
            raise TooMany(f"{waiting} sign-ins of that address wait for their turn.", "Try again in a second.", 1.0)
        self._turns[network] = (lock, waiting + 1)
        try:
            async with lock:
                yield
        finally:
            waiting = self._turns[network][1] - 1
            if waiting:
                self._turns[network] = (lock, waiting)
            else:
                del self._turns[network]

    def open(self, account: Account) -> str:
        """A new classic session's identifier."""
        self._forget_old()
        session = str(uuid.uuid4())
        self._sessions[session] = (Caller(account, self._dialect(account, "object"), session), time.monotonic())
        return session

    def close(self, session: str) -> None:
        """End a session; none is fine."""
        self._sessions.pop(session, None)

    def find(self, session: str) -> Caller:
        """The session's owner; it counts as used. Raises NotSignedIn."""
        session = session.strip().lower()
        found = self._sessions.pop(session, None)
        now = time.monotonic()
        if found is None or now - found[1] > self._settings.session_idle_seconds:
            raise NotSignedIn("There is no such session, or it has ended.", _REMEDY)
        self._sessions[session] = (found[0], now)  # put back at the end: the order is that of the last use
        return found[0]

    async def current(self, caller: Caller) -> Caller:
        """The same with the account as it is now. Raises NotSignedIn when it is gone or has another password."""
        return replace(caller, account=await self.as_it_is(caller.account))

    async def as_it_is(self, account: Account) -> Account:
        """The account as it is now. Raises NotSignedIn when it is gone or has another password."""
        now = time.monotonic()
        found, looked = self._looked.get(account.name, (None, 0.0))
        if now - looked > ACCOUNT_SECONDS:
            found = await self._services.account(account.name)
            if len(self._looked) > SESSIONS_MAX:
                self._looked.clear()
            self._looked[account.name] = (found, now)
        if found is None or (found.kind, found.stamp) != (account.kind, account.stamp):
            fact = f"The account {account.name} is gone, or has another password since."
            raise NotSignedIn(fact, "Sign in again.")
        return found

    def look_again(self, name: str) -> None:
        """The account was changed: the next request looks at it anew."""
        self._looked.pop(name, None)

    def _forget_old(self) -> None:
        oldest = time.monotonic() - self._settings.session_idle_seconds
        while self._sessions:
            session, (_, used) = next(iter(self._sessions.items()))
            if used >= oldest and len(self._sessions) < SESSIONS_MAX:
                break
            del self._sessions[session]

    def sign_token(self, account: Account, use: Literal["access", "refresh"], client: str, seconds: int) -> str:
        """A token that says who it was given to, good for so long."""
        claims = {
            "sub": account.name,
            "kind": account.kind,
            "stamp": account.stamp,
            "use": use,
            "azp": client,
            "exp": int(time.time()) + seconds,
            "jti": str(uuid.uuid4()),
        }
        return jwt.encode(claims, self._settings.signing_key, algorithm="HS256")

    def read_token(self, token: str, use: Literal["access", "refresh"]) -> tuple[Account, str]:
        """The account that a token was given to, as it was then, and the client. Raises NotSignedIn."""
        try:
            claims: dict[str, Any] = jwt.decode(
                token, self._settings.signing_key, algorithms=["HS256"], options={"require": ["exp", "sub"]}
            )
            if claims.get("use") != use:
                raise NotSignedIn(f"This is not a token for {use}.", _REMEDY)
            account = Account(
                name=claims["sub"], kind=claims["kind"], role=Role.viewer, stamp=claims["stamp"]
            )  # its role is looked up
        except (jwt.InvalidTokenError, KeyError, ValueError) as error:
            raise NotSignedIn("The token is not valid, or has ended.", _REMEDY) from error
        return account, str(claims.get("azp", ""))

    def bearer(self, token: str) -> Caller:
        """Who sent a bearer token. Raises NotSignedIn."""
        account, client = self.read_token(token, "access")
        return Caller(account, self._dialect(account, "string", client), "")

    def _dialect(
        self, account: Account, default: Literal["object", "string"], client: str = ""
    ) -> Literal["object", "string"]:
        for name in (client, account.name):
            if name and self._settings.account_dialects.get(name) in {"object", "string"}:
                return "object" if self._settings.account_dialects[name] == "object" else "string"
        if self._settings.task_dialect == "auto":
            return default
        return "object" if self._settings.task_dialect == "object" else "string"
