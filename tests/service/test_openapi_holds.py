"""The API keeps to its own OpenAPI document: schemathesis calls every route of a real site, in JSON and XML.

Its operations are carried out (appliances and the other site are fakes), so each call meets the state that those before
it made. Nothing may answer 500, nor outside of what the document says: status, content type, the reply's schema.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from defusedxml.ElementTree import fromstring
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from farshore.api.shapes import SHAPES
from tests.faked_site import FakedSite, with_site
from tests.operations_harness import NORTH, VPG
from tests.service.api_of_faked_site import Sender, serving_faked

pytestmark = pytest.mark.filterwarnings(
    "ignore:Do not use the `random` module",  # the site's own thread does
    "ignore::DeprecationWarning",
)
FEW, MANY = 200, 10_000
CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]
LEFT_OUT = {
    "DELETE /v1/session": "it ends the session of the test",
    "POST /v1/accounts/self/password": "as that",
    "POST /v1/peersites": "it would connect to made-up hosts",
}
"""Not called by it; their own tests do."""


class Calls:
    """Calls of one document, with identifiers that are there in most of them."""

    def __init__(self, http: httpx.Client, ca: Path) -> None:
        self.sender = Sender(http)
        self.url = str(http.base_url)
        schema = schemathesis.openapi.from_dict(http.get("/v1/openapi.json").json())
        found = [one.ok() for one in schema.get_all_operations()]
        self.operations = [one for one in found if one.definition.raw["operationId"] not in LEFT_OUT]
        self.session = requests.Session()
        self.session.verify = str(ca)
        self.session.trust_env = False
        self.session.headers["x-zerto-session"] = http.headers["x-zerto-session"]
        self.seen: Counter[int] = Counter()
        self.tasks: list[str] = []

    def there(self, name: str) -> list[str]:
        """What can be named by a path's parameter."""
        known = {
            "vpg_id": [VPG],
            "settings_id": [self.sender.draft],
            "vm_id": [self.sender.vm, "vm2"],
            "site_id": [NORTH],
            "task_id": self.tasks[-20:],
            "name": ["anna"],
            "piece_id": ["a"],
            "time_stamp": [time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())],
        }
        return known.get(name, [])

    def one(self, data: st.DataObject) -> None:
        """One call, and what is looked at in its answer."""
        operation = data.draw(st.sampled_from(self.operations))
        mode = data.draw(st.sampled_from([GenerationMode.POSITIVE, GenerationMode.POSITIVE, GenerationMode.NEGATIVE]))
        case = data.draw(operation.as_strategy(generation_mode=mode))
        accept = data.draw(st.sampled_from(["application/json", "application/json", "application/xml"]))
        chosen, at = data.draw(st.integers(0, 9)), data.draw(st.integers(0, 99))  # drawn whatever the state is
        for name in list(case.path_parameters or {}):
            known = self.there(name)
            if known and chosen > 0:
                case.path_parameters[name] = known[at % len(known)]
        if case.path_parameters.get("name") == "admin":
            return
        headers = {"Accept": accept}
        response = case.call(base_url=self.url, session=self.session, headers=headers, verify=self.session.verify)
        self.seen[response.status_code] += 1
        assert response.status_code < 500 or response.status_code in {501, 503}, (case.as_curl_command(), response.text)
        case.validate_response(response, checks=CHECKS[:1] if "xml" in accept else CHECKS)
        if "xml" in accept and response.content and "xml" in response.headers["content-type"][0]:
            fromstring(response.content)
        elif response.status_code == 200 and b"TaskIdentifier" in response.content and case.method == "POST":
            told = response.json()
            if "TaskIdentifier" in told:  # what an import answers holds them deeper
                self.tasks.append(str(told["TaskIdentifier"]))
        if case.operation.path == "/v1/vpgSettings" and case.method == "POST" and response.status_code == 200:
            self.sender.draft = str(response.json()) if "xml" not in accept else self.sender.draft

    def run(self, count: int) -> None:
        """So many of them; the first that breaks what is promised fails."""

        @settings(
            max_examples=count,
            deadline=None,
            database=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate,),  # the state goes on, so a failure is not made smaller
        )
        @given(st.data())
        def calls(data: st.DataObject) -> None:
            self.one(data)

        calls()


def play(folder: Path, count: int) -> Counter[int]:
    """So many calls of a site; how often each status was answered."""
    seen: list[Counter[int]] = []

    async def test(faked: FakedSite) -> None:
        async with serving_faked(faked) as (http, _):
            ca = faked.site.folder / "identity" / "ca.crt"
            calls: Any = await asyncio.to_thread(Calls, http, ca)
            await asyncio.to_thread(calls.run, count)
            seen.append(calls.seen)
            assert (await asyncio.to_thread(http.get, "/v1/vpgs")).status_code == 200

    with_site(folder, test)
    return seen[0]


def test_every_answer_is_one_that_the_document_has(tmp_path: Path) -> None:
    """Some hundreds of calls."""
    seen = play(tmp_path, FEW)
    assert seen[200] > FEW / 10, seen


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ten_thousand_answers_are_as_the_document_says(tmp_path: Path) -> None:
    """The same with ten thousand."""
    count = int(os.environ.get("FARSHORE_CALLS", MANY))
    seen = play(tmp_path, count)
    assert seen[200] > count / 10, seen
    assert seen[400] > count / 100, seen


def test_what_is_left_out_is_a_route() -> None:
    """And a few only."""
    assert set(LEFT_OUT) <= {f"{shape.method} {shape.path}" for shape in SHAPES}
