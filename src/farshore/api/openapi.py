"""The API's own OpenAPI document, made from the table of shapes and the wire models.

It says the one canonical form of each member; that enumerations are taken by name too, booleans and numbers in quotes,
and members in any case, is beyond what a schema can say (docs/api.md). Replies are exact: no member that is not there.
"""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from farshore import __version__
from farshore.api.offers import NOT_OFFERED
from farshore.api.rights import right_of
from farshore.api.shapes import SHAPES, Shape, models
from farshore.api.wire.actions import TaskIdentifierApi
from farshore.api.wire.reply import ErrorApi
from farshore.api.wire.xml_out import API
from farshore.model.access import Right

NOTATIONS = ("application/json", "application/xml")
_Mode = Literal["validation", "serialization"]
_DATES = ("startDate", "endDate")
QUERIES = {
    "/v1/vpgs": ("name", "status", "subStatus", "priority", "protectedSiteIdentifier", "recoverySiteIdentifier"),
    "/v1/vms": ("vmName", "vpgName", "status", "subStatus", "priority"),
    "/v1/tasks": ("type", "status", "startedAfterDate", "startedBeforeDate"),
    "/v1/peersites": ("pairingStatus", "peerName"),
    "/v1/vpgs/{vpg_id}/Checkpoints": (*_DATES, "limit"),
    "/v1/alerts": (*_DATES, "vpgIdentifier", "level", "isDismissed"),
    "/v1/events": (*_DATES, "vpgIdentifier", "eventType", "category"),
    "/v1/reports/recovery": ("startTime", "endTime", "pageNumber", "pageSize", "vpgName"),
    "/v1/reports/resources": ("startTime", "endTime", "pageNumber", "pageSize"),
    "/v1/serverDateTime/dateTimeArgument": ("dateTime",),
}
"""Filters of lists: texts, all of them optional."""
REFUSALS = {
    "400": "What was sent cannot be accepted; nothing was changed.",
    "401": "Not signed in.",
    "403": "The account may not do this.",
    "404": "It is not there.",
    "405": "The method is not offered there.",
    "409": "The present state does not allow it; nothing was changed.",
    "413": "The body is too long.",
    "429": "Too many wrong passwords.",
    "501": "It is not offered.",
    "503": "Somebody who must answer does not; nothing was begun.",
}

_BOUNDS = {"ge": "minimum", "le": "maximum", "min_length": "minLength", "max_length": "maxLength"}


def document() -> dict[str, Any]:
    """The whole document, OpenAPI 3.1."""
    names, schemas = _schemas()
    paths: dict[str, Any] = {}
    not_offered = {route for offer in NOT_OFFERED for route in offer.routes()}
    for shape in SHAPES:
        path = shape.path.replace(":path}", "}")
        operation = _operation(shape, names, offered=(shape.method, shape.path) not in not_offered)
        paths.setdefault(path, {})[shape.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "Farshore", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {
                status: {"description": words, "content": _content(names[ErrorApi, "serialization"])}
                for status, words in REFUSALS.items()
            },
            "securitySchemes": {
                "session": {"type": "apiKey", "in": "header", "name": "x-zerto-session"},
                "token": {"type": "http", "scheme": "bearer"},
            },
        },
    }


Names = dict[Any, dict[str, Any]]
"""The reference to a schema, by (model, mode)."""


def _schemas() -> tuple[Names, dict[str, Any]]:
    """References by model and mode, and all schemas."""
    known = models()
    wanted: list[tuple[type[BaseModel], _Mode]] = [(known[s.body], "validation") for s in SHAPES if s.body]
    wanted += [(known[s.reply_model], "serialization") for s in SHAPES if s.reply_model]
    wanted += [(ErrorApi, "serialization"), (TaskIdentifierApi, "serialization")]
    unique = list(dict.fromkeys(wanted))
    names, top = models_json_schema(unique, by_alias=True, ref_template="#/components/schemas/{model}")
    schemas: dict[str, Any] = _plain(top["$defs"])
    for key, schema in schemas.items():
        if not schema.get("properties") and _name(key) in known:
            schema.update(_by_members(known[_name(key)]))
    sent = {_name(key) for key in _reached(schemas, [names[one]["$ref"] for one in unique if one[1] == "validation"])}
    for key in _reached(schemas, [names[one]["$ref"] for one in unique if one[1] == "serialization"]):
        if schemas[key].get("type") == "object" and _name(key) not in sent:
            schemas[key]["additionalProperties"] = False  # what was sent is given back with members that are not known
    for key, schema in schemas.items():
        schema["xml"] = {"name": _name(key), "namespace": API}
    return dict(names), schemas


def _plain(schema: Any) -> Any:
    """Bounds by the names that JSON Schema has for them; no titles, which say what the names do."""
    if isinstance(schema, list):
        return [_plain(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {_BOUNDS.get(key, key): _plain(part) for key, part in schema.items()}
    if isinstance(plain.get("title"), str):
        del plain["title"]
    return plain


def _by_members(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of a model that writes itself in a way of its own: it may leave out what is null."""
    found = models_json_schema([(model, "validation")], ref_template="#/components/schemas/{model}")[1]
    members: dict[str, Any] = _plain(found["$defs"][model.__name__]).get("properties", {})
    certain = [name for name, schema in members.items() if {"type": "null"} not in schema.get("anyOf", [])]
    return {"properties": members, "required": certain} if members else {}


def _name(key: str) -> str:
    """A model's name; a schema's tells besides whether it is read or written."""
    return re.sub("-(In|Out)put$", "", key)


def _reached(schemas: dict[str, Any], refs: list[str]) -> set[str]:
    """The schemas that one gets to from those."""
    found: set[str] = set()
    todo = [ref.rpartition("/")[2] for ref in refs]
    while todo:
        key = todo.pop()
        if key not in found:
            found.add(key)
            todo += re.findall(r"#/components/schemas/([^'\"]+)", str(schemas[key]))
    return found


def _operation(shape: Shape, names: Names, *, offered: bool) -> dict[str, Any]:
    right = right_of(shape.method, shape.path)
    found: dict[str, Any] = {
        "operationId": f"{shape.method} {shape.path}",
        "parameters": _parameters(shape),
        "responses": _responses(shape, names, offered=offered),
        "security": [] if right is Right.anybody else [{"session": []}, {"token": []}],
        "x-farshore-right": right.value,
    }
    if shape.body is not None:
        schema = names[models()[shape.body], "validation"]
        found["requestBody"] = {"required": False, "content": {kind: {"schema": schema} for kind in NOTATIONS}}
    return found


def _parameters(shape: Shape) -> list[dict[str, Any]]:
    pieces = re.findall(r"\{(\w+)(?::path)?\}", shape.path)
    text = {"type": "string"}
    found: list[dict[str, Any]] = [{"name": p, "in": "path", "required": True, "schema": text} for p in pieces]
    if shape.method == "GET":
        keys = QUERIES.get(shape.path, ())
        found += [{"name": key, "in": "query", "required": False, "schema": text} for key in keys]
    return found


def _responses(shape: Shape, names: Names, *, offered: bool) -> dict[str, Any]:
    found: dict[str, Any] = {status: {"$ref": f"#/components/responses/{status}"} for status in REFUSALS}
    if not offered:
        return found
    if shape.reply == "nothing":
        found["204" if shape.method == "GET" else "200"] = {"description": "Done."}
    elif shape.reply == "free":
        found["200"] = {"description": "Done.", "content": {"application/json": {"schema": {"type": "object"}}}}
    else:
        found["200"] = {"description": "Done.", "content": _content(_reply_schema(shape, names))}
    return found


def _reply_schema(shape: Shape, names: Names) -> dict[str, Any]:
    text = {"type": "string"}
    if shape.reply == "task":
        return {"anyOf": [names[TaskIdentifierApi, "serialization"], text]}
    if shape.reply == "texts":
        return {"type": "array", "items": text}
    if shape.reply_model is None:
        return text
    one = names[models()[shape.reply_model], "serialization"]
    return {"type": "array", "items": one} if shape.reply.startswith("[") else one


def _content(schema: dict[str, Any]) -> dict[str, Any]:
    return {kind: {"schema": schema} for kind in NOTATIONS}
