"""The tree of all errors. Each one carries a fact (what is so) and a remedy (what to look at or do).

FarshoreError
├── NotFound      the thing that was named does not exist                 (API 404)
├── BadInput      what was sent cannot be accepted                        (API 400)
│   └── TooLarge  it is longer than what is read                          (API 413)
├── Conflict      the present state does not allow it                     (API 409)
├── NotSignedIn   no valid session                                        (API 401)
│   └── TooMany   too many wrong tries; the right password is not looked at yet (API 429)
├── NotPermitted  signed in, but not allowed                              (API 403)
├── Unavailable   something that must answer does not; nothing was begun  (API 503)
├── Unsupported   this product, driver or version does not offer it       (API 501)
└── Fault         an operation failed; the state is as the fact says      (API 500)
    └── Damaged   stored data are not what was written
"""

from __future__ import annotations

from typing import Any, ClassVar


class FarshoreError(Exception):
    """Base of all errors of Farshore: `fact` in one sentence, `remedy` in one sentence (may be empty)."""

    kind: ClassVar[str] = "error"

    def __init__(self, fact: str, remedy: str = "") -> None:
        super().__init__(fact)
        self.fact = fact
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.fact} {self.remedy}".strip()

    def to_json(self) -> dict[str, Any]:
        """The shape in which errors cross our own control connections."""
        return {"kind": self.kind, "fact": self.fact, "remedy": self.remedy}


class NotFound(FarshoreError):
    """The thing that was named does not exist."""

    kind = "not_found"


class BadInput(FarshoreError):
    """What was sent cannot be accepted; nothing was changed."""

    kind = "bad_input"


class TooLarge(BadInput):
    """What was sent is longer than what is read; nothing was changed."""

    kind = "too_large"


class Conflict(FarshoreError):
    """The present state does not allow it; nothing was changed."""

    kind = "conflict"


class NotSignedIn(FarshoreError):
    """There is no valid session."""

    kind = "not_signed_in"


class TooMany(NotSignedIn):
    """Too many wrong passwords came from there: nothing is looked at before `wait_seconds` have passed."""

    kind = "too_many"

    def __init__(self, fact: str, remedy: str = "", wait_seconds: float = 0.0) -> None:
        super().__init__(fact, remedy)
        self.wait_seconds = wait_seconds


class NotPermitted(FarshoreError):
    """The account may not do this."""

    kind = "not_permitted"


class Unavailable(FarshoreError):
    """Something that must answer does not; nothing was begun."""

    kind = "unavailable"


class Unsupported(FarshoreError):
    """This product, driver or version does not offer it."""

    kind = "unsupported"


class Fault(FarshoreError):
    """An operation failed; the state is as the fact says."""

    kind = "fault"


class Damaged(Fault):
    """Stored data are not what was written."""

    kind = "damaged"


_KINDS: dict[str, type[FarshoreError]] = {
    c.kind: c
    for c in (
        NotFound,
        BadInput,
        TooLarge,
        Conflict,
        NotSignedIn,
        TooMany,
        NotPermitted,
        Unavailable,
        Unsupported,
        Fault,
        Damaged,
    )
}


def error_from_json(data: dict[str, Any]) -> FarshoreError:
    """The error that `FarshoreError.to_json` described; an unknown kind becomes a Fault."""
    cls = _KINDS.get(str(data.get("kind")), Fault)
    return cls(str(data.get("fact", "an error without a word")), str(data.get("remedy", "")))
