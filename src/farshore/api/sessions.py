"""Who is signed in: classic sessions in memory (they end with the manager), bearer tokens signed (they do not).

A session ends when it was not used for the site's idle time, or by DELETE; a token at its time. Passwords and secrets
are verified two at a time, since each takes a third of a second of processor time and 64 MiB on purpose.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass
from typing import Any, Literal

import jwt

from farshore.api.services import Services
from farshore.api.settings import ApiSettings
from farshore.errors import NotSignedIn
from farshore.model.views import Account

SESSIONS_MAX = 10_000
VERIFICATIONS_AT_ONCE = 2
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

    async def verify_user(self, name: str, password: str) -> Account:
        """The user's account, with or without a Windows domain before or after the name. Raises NotSignedIn."""
        plain = name.rpartition("\\")[2]
        names = dict.fromkeys([plain, plain.partition("@")[0]])
        async with self._turn:
            for wanted in names:
                account = await self._services.verify_password(wanted, password) if wanted else None
                if account is not None:
                    return account
        raise NotSignedIn("User or password is wrong.", "Check both.")

    async def verify_client(self, client_id: str, secret: str) -> Account:
        """The program's account. Raises NotSignedIn."""
        async with self._turn:
            account = await self._services.verify_client(client_id, secret)
        if account is None:
            raise NotSignedIn("Client or secret is wrong.", "Check both.")
        return account

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
            "role": account.role,
            "use": use,
            "azp": client,
            "exp": int(time.time()) + seconds,
            "jti": str(uuid.uuid4()),
        }
        return jwt.encode(claims, self._settings.signing_key, algorithm="HS256")

    def read_token(self, token: str, use: Literal["access", "refresh"]) -> tuple[Account, str]:
        """The account that a token was given to, and the client. Raises NotSignedIn."""
        try:
            claims: dict[str, Any] = jwt.decode(
                token, self._settings.signing_key, algorithms=["HS256"], options={"require": ["exp", "sub"]}
            )
            if claims.get("use") != use:
                raise NotSignedIn(f"This is not a token for {use}.", _REMEDY)
            account = Account(name=claims["sub"], kind=claims["kind"], role=claims["role"])
        except (jwt.InvalidTokenError, KeyError, ValueError) as error:
            raise NotSignedIn("The token is not valid, or has ended.", _REMEDY) from error
        return account, str(claims.get("azp", ""))

    def bearer(self, token: str) -> Caller:
        """Who sent a bearer token. Raises NotSignedIn."""
        account, client = self.read_token(token, "access")
        return Caller(account, self._dialect(account, "string", client))

    def _dialect(
        self, account: Account, default: Literal["object", "string"], client: str = ""
    ) -> Literal["object", "string"]:
        for name in (client, account.name):
            if name and self._settings.account_dialects.get(name) in {"object", "string"}:
                return "object" if self._settings.account_dialects[name] == "object" else "string"
        if self._settings.task_dialect == "auto":
            return default
        return "object" if self._settings.task_dialect == "object" else "string"
