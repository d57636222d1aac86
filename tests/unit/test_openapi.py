"""The table of shapes and the OpenAPI document say what the routes are."""

from __future__ import annotations

import inspect
import json
import re

from farshore.api.application import ROUTERS
from farshore.api.openapi import QUERIES, document
from farshore.api.rights import RIGHTS
from farshore.api.shapes import SHAPES, models

ROUTES = {
    (method, str(getattr(route, "path", ""))): getattr(route, "endpoint", None)
    for router in ROUTERS
    for route in router.routes
    for method in getattr(route, "methods", ())
}
DOCUMENT = document()


def test_every_route_has_its_shape_and_every_shape_its_route() -> None:
    """In both directions; and no route twice."""
    shapes = [(shape.method, shape.path) for shape in SHAPES]
    assert sorted(set(ROUTES) - set(shapes)) == []
    assert sorted(set(shapes) - set(ROUTES)) == []
    assert len(shapes) == len(set(shapes))


def test_a_shape_names_a_body_just_where_the_route_reads_one() -> None:
    """By the route's own source."""
    reading = {route for route, endpoint in ROUTES.items() if "read_body(" in inspect.getsource(endpoint)}
    assert reading == {(shape.method, shape.path) for shape in SHAPES if shape.body}
    for shape in SHAPES:
        named = re.findall(r"read_body\(request, (\w+)\)", inspect.getsource(ROUTES[shape.method, shape.path]))
        assert set(named) <= {shape.body}, shape


def test_every_model_that_is_named_exists() -> None:
    """In bodies and replies."""
    known = models()
    assert [shape for shape in SHAPES if {shape.body, shape.reply_model} - {None} - known.keys()] == []


def test_every_reference_of_the_document_leads_somewhere() -> None:
    """No dangling schema, no operation without its right."""
    text = json.dumps(DOCUMENT)
    for kind, name in set(re.findall(r'"#/components/(\w+)/([^"]+)"', text)):
        assert name in DOCUMENT["components"][kind]
    operations = [one for path in DOCUMENT["paths"].values() for one in path.values()]
    assert len(operations) == len(SHAPES)
    assert len({one["operationId"] for one in operations}) == len(operations)
    assert {one["x-farshore-right"] for one in operations} == {right.value for right in RIGHTS.values()}


def test_bounds_have_the_names_of_json_schema() -> None:
    """A tool that does not know a word does not heed it."""
    member = DOCUMENT["components"]["schemas"]["FailoverDataApi"]["properties"]["TimeToWaitBeforeShutdownInSec"]
    assert member["anyOf"][0] == {"type": "integer", "minimum": 0, "maximum": 2147483647}
    assert not re.search(r'"(ge|le|min_length|title)":', json.dumps(DOCUMENT["components"]["schemas"]))


def test_every_list_with_filters_is_a_route() -> None:
    """And filters are of lists alone."""
    assert {("GET", path) for path in QUERIES} <= set(ROUTES)


def test_every_model_with_members_shows_them() -> None:
    """Also one that writes itself in a way of its own."""
    schemas = DOCUMENT["components"]["schemas"]
    bare = [name for name, one in schemas.items() if one.get("type") == "object" and not one.get("properties")]
    assert [name for name in bare if models()[name].model_fields] == []
    report = schemas["RecoveryReportsGeneralApi"]
    assert "EndTime" in report["properties"]
    assert "EndTime" not in report["required"]
