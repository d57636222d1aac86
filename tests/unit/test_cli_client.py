"""The command line's client: signing in, both dialects of a task's identifier, refusals as errors with a fact."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from farshore.cli.access import Access
from farshore.cli.client import SESSION_HEADER, TOKEN_PATH, SiteClient, task_id_of
from farshore.errors import (
    BadInput,
    Conflict,
    FarshoreError,
    Fault,
    NotFound,
    NotPermitted,
    NotSignedIn,
    Unavailable,
)

ACCESS = Access("https://127.0.0.1:9669", "admin", "secret", "")
Answer = Callable[[httpx.Request], httpx.Response]


def _client(answer: Answer, sign_in: str = "classic") -> SiteClient:
    return SiteClient(ACCESS, sign_in, transport=httpx.MockTransport(answer))


def _signed_in(answer: Answer) -> Answer:
    """`answer`, behind a classic sign-in that succeeds."""

    def reply(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/session/add":
            return httpx.Response(200, headers={SESSION_HEADER: "S-1"})
        if request.url.path == "/v1/session":
            return httpx.Response(200, json={})
        return answer(request)

    return reply


def test_a_classic_session_is_added_once_sent_with_each_call_and_ended():
    """One sign-in with Basic, its session in the header of every call, DELETE at the end."""
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append((request.method, request.url.path, request.headers.get(SESSION_HEADER)))
        if request.url.path == "/v1/session/add":
            assert request.headers["Authorization"].startswith("Basic ")
            return httpx.Response(200, headers={SESSION_HEADER: "S-1"})
        return httpx.Response(200, json=[])

    with _client(answer) as api:
        api.get("/vpgs")
        api.get("/tasks")
    assert seen == [
        ("POST", "/v1/session/add", None),
        ("GET", "/v1/vpgs", "S-1"),
        ("GET", "/v1/tasks", "S-1"),
        ("DELETE", "/v1/session", "S-1"),
    ]


def test_a_token_is_asked_for_with_the_password_grant_and_sent_as_bearer():
    """Signing in by token uses the path and form that ZVM 10's clients use."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == TOKEN_PATH:
            assert b"grant_type=password" in request.content
            return httpx.Response(200, json={"access_token": "T", "expires_in": 3600})
        assert request.headers["Authorization"] == "Bearer T"
        return httpx.Response(200, json={"SiteName": "north"})

    with _client(answer, "token") as api:
        assert api.get("/localsite") == {"SiteName": "north"}


def test_a_session_that_has_ended_is_renewed_once():
    """After a 401 the client signs in again and repeats the call; a second 401 is an error."""
    sessions = iter(("old", "new", "newest"))

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/session/add":
            return httpx.Response(200, headers={SESSION_HEADER: next(sessions)})
        if request.headers[SESSION_HEADER] == "new" and request.url.path == "/v1/vpgs":
            return httpx.Response(200, json=[])
        return httpx.Response(401, json={"Message": "The session has ended."})

    api = _client(answer)
    assert api.get("/vpgs") == []
    with pytest.raises(NotSignedIn, match="has ended"):
        api.get("/tasks")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadInput),
        (401, NotSignedIn),
        (403, NotPermitted),
        (404, NotFound),
        (409, Conflict),
        (503, Unavailable),
        (500, Fault),
    ],
)
def test_a_refusal_becomes_the_error_of_its_status_with_the_sites_words(status: int, kind: type[FarshoreError]):
    """Each status has one kind of error, and its fact is the Message of the reply."""

    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, json={"Message": "The words of the site."})

    with _client(_signed_in(answer)) as api, pytest.raises(kind) as caught:
        api.get("/vpgs/x")
    assert caught.value.fact == "The words of the site."


def test_a_refusal_without_words_still_says_what_was_asked_and_what_to_do():
    """A proxy's HTML page in the way is not hidden: address, status and a remedy are told."""

    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(404, text="<html>")

    with _client(_signed_in(answer)) as api, pytest.raises(NotFound) as caught:
        api.get("/vpgs")
    assert "/v1/vpgs answered 404" in caught.value.fact
    assert caught.value.remedy


def test_a_site_that_does_not_answer_is_unavailable_with_its_address():
    """A refused connection names the site and how to start it."""

    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("Connection refused", request=request)

    with _client(answer) as api, pytest.raises(Unavailable, match=r"https://127\.0\.0\.1:9669"):
        api.get("/vpgs")


def test_a_task_identifier_is_read_in_both_dialects():
    """The page's object and the bare string of ZVM 10 name the same task; anything else is an error."""
    assert task_id_of({"TaskIdentifier": "A.B"}) == task_id_of("A.B") == "A.B"
    for reply in (None, {}, "", {"TaskIdentifier": None}, ["A.B"]):
        with pytest.raises(Fault):
            task_id_of(reply)
