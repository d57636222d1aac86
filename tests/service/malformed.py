"""Malformed bodies of our own making: each has one member that is wrong, at any depth of a wire model.

What is wrong follows from what the member is (a table of our own, not the model's validator). `Wrong.members` are those
whose names the answer may bear; none for a text that is no JSON or XML, which is told with its place.
"""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Le, MaxLen, MinLen
from hypothesis import strategies as st

from farshore.api.wire.model import Wire, spelled

WORDS = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1, max_size=12)
NO_BOOLEAN = WORDS.filter(lambda t: t.strip().lower() not in {"true", "false", "0", "1"})
NO_NUMBER = WORDS.filter(lambda t: not any(c.isdigit() for c in t))
NO_CHOICE = st.one_of(st.integers(min_value=1000), WORDS.map(lambda t: "no-" + t))
FRACTIONS = st.floats(0.01, 0.99)


@dataclass(frozen=True)
class Leaf:
    """A member that holds a single value or a list: its path, what it is, its bounds."""

    path: tuple[str, ...]
    kind: Any
    bounds: tuple[Any, ...]
    owners: tuple[str, ...]
    """The models on the way to it, one for each piece of the path but `[]`."""


MANDATORY: dict[str, dict[str, Any]] = {
    "NewAccountDataApi": {"Name": "bob", "Role": "viewer"},
    "AccountRoleDataApi": {"Role": "viewer"},
    "OwnPasswordDataApi": {"CurrentPassword": "x"},
    "CheckpointsDataApi": {"CheckpointName": "x"},
    "PairDataApi": {"HostName": "127.0.0.1", "Token": "x"},
    "VpgSettingsVmApi": {"VmIdentifier": "vm1"},
    "CopyVpgSettingsApi": {"VpgIdentifier": "x"},
    "VpgCreateDataApi": {
        "VpgName": "x",
        "SourceSiteIdentifier": "n",
        "TargetSiteIdentifier": "s",
        "VmsIdentifiers": "vm1",
    },
}
"""Beside the member that is wrong stands what must be there."""


@dataclass(frozen=True)
class Wrong:
    """A body that must be refused."""

    notation: str
    text: bytes
    members: tuple[str, ...]


def leaves(model: type[Wire], path: tuple[str, ...] = (), owners: tuple[str, ...] = ()) -> Iterator[Leaf]:
    """All members of a model, those of its parts with their paths."""
    owners = (*owners, model.__name__)
    for name, info in model.model_fields.items():
        here = (*path, info.alias or spelled(name))
        kind, bounds = _bare(info.annotation, tuple(info.metadata))
        item = get_args(kind)[0] if get_origin(kind) is list else None
        if isinstance(kind, type) and issubclass(kind, Wire):
            yield from leaves(kind, here, owners)
        elif isinstance(item, type) and issubclass(item, Wire):
            yield from leaves(item, (*here, "[]"), owners)
        yield Leaf(here, kind, bounds, owners)


def _bare(annotation: Any, bounds: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
    if get_origin(annotation) is Annotated:
        kind, *more = get_args(annotation)
        return _bare(kind, (*bounds, *more))
    if get_origin(annotation) in {Union, types.UnionType}:
        return _bare(next(one for one in get_args(annotation) if one is not types.NoneType), bounds)
    flat = []
    for bound in bounds:
        flat += list(getattr(bound, "metadata", None) or [bound])
    return annotation, tuple(flat)


def wrong_values(leaf: Leaf, notation: str) -> st.SearchStrategy[Any]:
    """Values that such a member cannot have; in XML they are texts. Empty when every text is right there."""
    texts, others = _wrong_texts(leaf), _wrong_shapes(leaf)
    if notation == "xml":
        return texts
    return st.one_of(texts, others)


def _wrong_texts(leaf: Leaf) -> st.SearchStrategy[Any]:
    kind = leaf.kind
    if kind is bool:
        return NO_BOOLEAN
    if kind in {int, float}:
        low = [bound.ge for bound in leaf.bounds if isinstance(bound, Ge)]
        high = [bound.le for bound in leaf.bounds if isinstance(bound, Le)]
        out = [st.integers(-(10**9), int(low[0]) - 1)] if low else []
        out += [st.integers(int(high[0]) + 1, 10**15)] if high else []
        fractions = [FRACTIONS] if kind is int else []
        words = NO_NUMBER.filter(lambda t: t.lower() not in {"inf", "nan", "infinity"})
        return st.one_of(words, *out, *fractions).map(str)
    if (isinstance(kind, type) and issubclass(kind, Enum)) or get_origin(kind) is Literal:
        return NO_CHOICE.map(str)
    if leaf.path[-1] == "CheckpointIdentifier":
        return WORDS.filter(lambda t: not (t.isascii() and t.isdigit())).map(lambda t: "-" + t)
    if kind is str:
        long = [bound.max_length for bound in leaf.bounds if isinstance(bound, MaxLen)]
        short = [st.just("")] if any(isinstance(bound, MinLen) for bound in leaf.bounds) else []
        longer = [st.integers(n + 1, n + 50).map(lambda k: "x" * k) for n in long]
        return st.one_of(*short, *longer) if long or short else st.nothing()
    return st.nothing()


def _wrong_shapes(leaf: Leaf) -> st.SearchStrategy[Any]:
    kind = leaf.kind
    objects = st.dictionaries(WORDS, st.integers(), min_size=1, max_size=2)
    if isinstance(kind, type) and issubclass(kind, Wire):
        return st.one_of(st.integers(), WORDS, st.lists(st.integers(), min_size=1, max_size=3), st.booleans())
    if get_origin(kind) is list:
        if get_args(kind)[0] is str:
            items = st.one_of(st.integers(), st.just(" "))
            return st.one_of(st.integers(), FRACTIONS, st.lists(items, min_size=1, max_size=3))
        return st.one_of(st.integers(), WORDS, st.lists(st.integers(), min_size=1, max_size=3), st.booleans())
    lists = st.lists(st.integers(2, 9), min_size=1, max_size=3)
    if kind is str:
        return st.one_of(objects, lists, FRACTIONS)
    if kind is bool:
        return st.one_of(objects, lists, st.integers(2), FRACTIONS)
    return st.one_of(objects, lists, st.booleans() if kind in {int, float} else FRACTIONS)


@st.composite
def wrong_bodies(draw: st.DrawFn, model: type[Wire]) -> Wrong:
    """A body for that model with one wrong member, in any case; or one that is no JSON or XML at all."""
    notation = draw(st.sampled_from(["json", "json", "xml"]))
    if draw(st.integers(0, 19)) == 0:
        return Wrong(notation, draw(_broken(notation)), ())
    fitting = [leaf for leaf in leaves(model) if not (notation == "xml" and _wrong_texts(leaf).is_empty)]
    if not fitting:
        notation, fitting = "json", list(leaves(model))
    leaf = draw(st.sampled_from(fitting))
    value = draw(wrong_values(leaf, notation))
    if notation == "json" and len(leaf.path) == 1 and draw(st.integers(0, 9)) == 0:
        name = json.dumps(leaf.path[-1])
        return Wrong("json", f"{{{name}: 1, {name}: 0}}".encode(), (leaf.path[-1],))
    change = draw(st.sampled_from([str, str.lower, str.upper]))
    return Wrong(notation, _written(notation, leaf, change, value), (leaf.path[-1],))


def _broken(notation: str) -> st.SearchStrategy[bytes]:
    if notation == "xml":
        return st.sampled_from(
            [b"<A>", b"<A><B></A>", b"<A/><B/>", b"<A b=1/>", b"A", b"<!DOCTYPE a><A/>", b"<A>\x00</A>"]
        )
    texts = [b"{", b'{"A": }', b"[1, 2]", b'"text"', b"17", b"true", b"{'A': 1}", b'{"A": NaN}', b"\xff\xfe\xfd"]
    return st.one_of(st.sampled_from(texts), st.integers(3000, 6000).map(lambda n: b"[" * n))


def _written(notation: str, leaf: Leaf, change: Callable[[str], str], value: Any) -> bytes:
    text = str(value).replace("&", "&amp;").replace("<", "&lt;")
    owners = list(leaf.owners)
    for piece in reversed(leaf.path):
        if piece == "[]":
            value, text = [value], f"<item>{text}</item>"
            continue
        beside = {name: one for name, one in MANDATORY.get(owners.pop(), {}).items() if name != piece}
        value = {change(piece): value} | beside
        text = f"<{change(piece)}>{text}</{change(piece)}>" + "".join(f"<{n}>{v}</{n}>" for n, v in beside.items())
    if notation == "json":
        return json.dumps(value).encode()
    return f"<{leaf.owners[0]}>{text}</{leaf.owners[0]}>".encode()
