"""The pairing token: what it holds, and the proofs that both sites know its secret [I25].

The token is base64url JSON {"fingerprint", "secret", "expires"}: the fingerprint of its issuer's CA, so that the
caller knows whom it talks to before it sends anything; a secret; and the unix time in seconds after which it is void.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass

from farshore.errors import BadInput

TOKEN_LIFETIME_SECONDS = 3600
_REMEDY = "Copy the whole token, or let the other site make a new one."


@dataclass(frozen=True)
class PairingToken:
    """A token, taken apart. `expires` is unix time in seconds."""

    fingerprint: str
    secret: str
    expires: int

    @classmethod
    def issue(cls, fingerprint: str, now: float, lifetime_seconds: int = TOKEN_LIFETIME_SECONDS) -> PairingToken:
        """A new one for the site whose CA has that fingerprint."""
        return cls(fingerprint, secrets.token_urlsafe(32), int(now) + lifetime_seconds)

    def text(self) -> str:
        """As it is handed from person to person."""
        data = {"fingerprint": self.fingerprint, "secret": self.secret, "expires": self.expires}
        return base64.urlsafe_b64encode(json.dumps(data, separators=(",", ":")).encode()).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> PairingToken:
        """Take a token apart; raises BadInput."""
        text = "".join(text.split())  # line breaks come in by mail
        try:
            data = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
            token = cls(data["fingerprint"], data["secret"], data["expires"])
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput("This is not a pairing token.", _REMEDY) from error
        kinds = tuple(type(member) for member in (token.fingerprint, token.secret, token.expires))
        if kinds != (str, str, int) or len(token.fingerprint) != 64 or len(token.secret) < 32:
            raise BadInput("This pairing token is not whole.", _REMEDY)
        return token

    @property
    def id(self) -> str:
        """The token's name, from which its secret cannot be found."""
        return token_id(self.secret)


def token_id(secret: str) -> str:
    """The name of the token with that secret."""
    return hashlib.sha256(b"farshore pairing token " + secret.encode()).hexdigest()


def proof(secret: str, role: str, issuer_fingerprint: str, caller_fingerprint: str) -> str:
    """The proof that `role` ("caller" or "issuer") knows the secret, bound to both sites' CAs."""
    message = f"farshore pairing {role} {issuer_fingerprint} {caller_fingerprint}".encode()
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def proves(given: str, secret: str, role: str, issuer_fingerprint: str, caller_fingerprint: str) -> bool:
    """Whether `given` is that proof (compared in constant time)."""
    return hmac.compare_digest(given.encode(), proof(secret, role, issuer_fingerprint, caller_fingerprint).encode())
