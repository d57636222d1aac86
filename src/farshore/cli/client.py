"""The site's API as the command line uses it: sign in, call, turn refusals into Farshore's errors.

Signing in is classic (`POST /v1/session/add`, then the header x-zerto-session) or by token (the password grant of
the token path, then a bearer token). It happens at the first call, and once more when a session has ended.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from farshore.cli.access import Access, SignIn
from farshore.errors import (
    BadInput,
    Conflict,
    FarshoreError,
    Fault,
    NotFound,
    NotPermitted,
    NotSignedIn,
    TooLarge,
    TooMany,
    Unavailable,
    Unsupported,
)

if TYPE_CHECKING:  # imported when a client is made: commands name the class, and `--help` must be quick
    import httpx

TIMEOUT_SECONDS = 15.0
TOKEN_PATH = "/auth/realms/zerto/protocol/openid-connect/token"  # noqa: S105 - a path
SESSION_HEADER = "x-zerto-session"

_ERRORS: dict[int, tuple[type[FarshoreError], str]] = {
    400: (BadInput, "Mend the value that is named."),
    401: (NotSignedIn, "Check user and password."),
    403: (NotPermitted, "Sign in with an account that may do this."),
    404: (NotFound, "Look at what there is with the `list` command."),
    405: (Unsupported, "Look whether client and site are of the same version."),
    413: (TooLarge, "Send less at once."),
    429: (TooMany, "Wait a minute; from another address it goes at once."),
    409: (Conflict, "Wait until the state has changed, or end what stands in the way."),
    501: (Unsupported, ""),
    503: (Unavailable, "Look at both sites with `farshore site status`."),
}


class SiteClient:
    """One site's API, signed in as one account. A context manager. Not for several threads at once."""

    def __init__(
        self, access: Access, sign_in: SignIn = "classic", transport: httpx.BaseTransport | None = None
    ) -> None:
        import httpx

        self.access = access
        self.named_by = ""
        """The options that named the site, as they go behind a command that a person is told to type."""
        self.site_dir: Path | None = None
        """The site's folder, where it was named."""
        self._sign_in = sign_in
        self._authorization: dict[str, str] = {}
        verify = _trust(access.ca) if transport is None else True
        # The environment's proxies and CA bundles are not for a site's manager: it is named, and so is its CA.
        self._http = httpx.Client(
            base_url=access.url, verify=verify, transport=transport, timeout=TIMEOUT_SECONDS, trust_env=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Sign out (as far as the site still answers) and close the connection."""
        import httpx

        if SESSION_HEADER in self._authorization and not self._http.is_closed:
            try:
                self._http.delete("/v1/session", headers=self._authorization, timeout=2.0)
            except httpx.HTTPError:
                self._authorization = {}  # the session ends by itself
        self._http.close()

    def get(self, path: str, **query: Any) -> Any:
        """GET /v1`path`; the reply's JSON. Raises a FarshoreError that fits the reply's status."""
        return self.call("GET", path, query={k: v for k, v in query.items() if v is not None})

    def post(self, path: str, body: Any = None) -> Any:
        """POST `body` as JSON (none: an empty body) to /v1`path`; the reply's JSON."""
        return self.call("POST", path, body=body)

    def put(self, path: str, body: Any) -> Any:
        """PUT `body` as JSON to /v1`path`; the reply's JSON."""
        return self.call("PUT", path, body=body)

    def delete(self, path: str, body: Any = None) -> Any:
        """DELETE /v1`path`, with a JSON body if given; the reply's JSON."""
        return self.call("DELETE", path, body=body)

    def call(self, method: str, path: str, *, query: dict[str, Any] | None = None, body: Any = None) -> Any:
        """One call, signed in; after a 401 signed in once more."""
        if not self._authorization:
            self._authorize()
        reply = self._send(method, "/v1" + path, params=query or None, json=body, headers=self._authorization)
        if reply.status_code == 401:
            self._authorize()
            reply = self._send(method, "/v1" + path, params=query or None, json=body, headers=self._authorization)
        return _content(reply)

    def _authorize(self) -> None:
        import httpx

        if self._sign_in == "token":
            form = {"grant_type": "password", "client_id": "zerto-client"}
            form |= {"username": self.access.user, "password": self.access.password}
            token = _content(self._send("POST", TOKEN_PATH, data=form))
            self._authorization = {"Authorization": f"Bearer {token['access_token']}"}
            return
        basic = httpx.BasicAuth(self.access.user, self.access.password)
        reply = self._send("POST", "/v1/session/add", auth=basic)
        _content(reply)
        session = reply.headers.get(SESSION_HEADER)
        if not session:
            raise Fault(f"{self.access.url} answered the sign-in without a session.", "Is it a Farshore site?")
        self._authorization = {SESSION_HEADER: session}

    def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        import httpx

        try:
            return self._http.request(method, path, **arguments)
        except httpx.TimeoutException as error:
            raise Unavailable(
                f"{self.access.url} did not answer within {TIMEOUT_SECONDS:.0f} s.",
                "Look at its processes with `farshore site status`.",
            ) from error
        except httpx.TransportError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise Unavailable(
                    f"The certificate of {self.access.url} was not accepted: {error}.",
                    "Name the CA of that site with --ca; if it is the right one, something else answers there.",
                ) from error
            raise Unavailable(
                f"No site answers at {self.access.url}: {error}.", "Start it with: farshore site run --dir DIR"
            ) from error


def task_id_of(reply: Any) -> str:
    """The task's identifier in an action's reply, in either dialect. Raises Fault when there is none."""
    value = reply.get("TaskIdentifier") if isinstance(reply, dict) else reply
    if not isinstance(value, str) or not value:
        raise Fault(f"The site answered with no task: {reply!r}.", "Are client and site of the same version?")
    return value


def _trust(ca: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca or None)
    except (OSError, ssl.SSLError) as error:
        raise BadInput(f"The CA file {ca} cannot be read: {error}.", "Name the site's CA file with --ca.") from error


def _content(reply: httpx.Response) -> Any:
    if reply.status_code >= 300:
        raise _refusal(reply)
    if not reply.content:
        return None
    try:
        return reply.json()
    except ValueError as error:
        raise Fault(
            f"{reply.request.url} answered with something that is not JSON.", "Is it the API of a Farshore site?"
        ) from error


def _refusal(reply: httpx.Response) -> FarshoreError:
    try:
        data = reply.json()
    except ValueError:
        data = None
    message = data.get("Message", "") if isinstance(data, dict) else ""
    kind, remedy = _ERRORS.get(reply.status_code, (Fault, "Look into the manager's log."))
    return kind(
        message or f"{reply.request.url} answered {reply.status_code} {reply.reason_phrase}.", "" if message else remedy
    )
