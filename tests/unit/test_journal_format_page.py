"""docs/journal-format.md is the format: its dump decodes to what it says, its tables are where the bytes are."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path
from typing import Any

from farshore.datapath.journal.files import FILE_BYTES_MAX
from farshore.datapath.journal.note import DurableNote
from farshore.datapath.journal.retired import write_retired
from farshore.datapath.journal.taken import Taken, Taking
from farshore.datapath.replica.image_locks import REFUSED, REFUSED_BASE, USED, USED_BASE
from farshore.datapath.replica.seed import begin_seeded
from farshore.datapath.segment import HEADER_BYTES, Kind, SegmentHeader
from farshore.datapath.segment.index import RECORD
from farshore.datapath.segment.seal import Segment, parse_payload

PAGE = (Path(__file__).parents[2] / "docs" / "journal-format.md").read_text()
ROW = re.compile(r"^\| (\d+) \| (\d+) \| (u8|u16|u32|u64|bytes|zeros) \| (\w+) \|", re.MULTILINE)
LINE = re.compile(r"^([0-9a-f]{6})  ((?:[0-9a-f]{2} )*[0-9a-f]{2}) *  (\S+) ?(.*)$", re.MULTILINE)


def dump() -> tuple[bytes, list[tuple[str, str, int]]]:
    """The dump's bytes, and its explained fields: name, value, offset."""
    block = PAGE.split("```hexdump\n")[1].split("```")[0]
    data, fields = b"", []
    for offset, digits, name, value in LINE.findall(block):
        assert int(offset, 16) == len(data), f"the dump's line {offset} is not where it says"
        if name != ".":
            fields.append((name, value, len(data)))
        data += bytes.fromhex(digits)
    return data, fields


def decoded() -> Segment:
    """The segment in the dump, by the product's own code."""
    data, _ = dump()
    header = SegmentHeader.parse(data)
    assert header.total_bytes == len(data)
    return parse_payload(header, data[HEADER_BYTES:])


def test_the_dump_is_a_whole_segment_of_what_the_page_tells() -> None:
    """One write, zeroes, a tagged marker; the data are where the index says."""
    segment = decoded()
    write, zero = segment.index
    assert (write["kind"], zero["kind"]) == (Kind.WRITE, Kind.ZERO)
    assert bytes(segment.body[write["position"] :][: write["length"]]) == b"Farshore"
    (marker,) = segment.control
    assert (marker["type"], marker["tag"], marker["volumes"]) == ("marker", "before the upgrade", [0, 1])


def test_each_explained_value_is_what_the_bytes_decode_to() -> None:
    """Every line `name value` of the dump says what the header and the index have."""
    segment = decoded()
    told = 0
    for name, value, _ in dump()[1]:
        if name.startswith("header.") and hasattr(segment.header, name[7:]) and value.isdigit():
            assert int(value) == getattr(segment.header, name[7:]), name
            told += 1
        elif name.startswith("index["):
            assert int(value) == segment.index[int(name[6])][name.split(".")[1]], name
            told += 1
    assert told == 13 + 14


def test_the_tables_are_the_layout() -> None:
    """Offsets and sizes of header, index and note, read by the page's tables, give the product's values."""
    tables: list[list[tuple[int, int, str, str]]] = []
    for offset, size, kind, name in ROW.findall(PAGE):
        if offset == "0":
            tables.append([])
        tables[-1].append((int(offset), int(size), kind, name))
    header, index, note = tables
    data, fields = dump()
    at = {name.removeprefix("header."): offset for name, _, offset in fields}
    segment = decoded()
    for offset, size, kind, name in header:
        assert at["zero" if name == "reserved" else name] == offset
        if kind.startswith("u") and hasattr(segment.header, name):
            assert int.from_bytes(data[offset : offset + size], "little") == getattr(segment.header, name)
    assert sum(size for _, size, _, _ in header) == HEADER_BYTES
    assert {name: (RECORD.fields[name][1], RECORD.fields[name][0].itemsize) for name in RECORD.names} == {
        name: (offset, size) for offset, size, _, name in index
    }
    packed = DurableNote(first_ordinal=3, end=4, ordinal=5).pack()
    assert len(packed) == sum(size for _, size, _, _ in note)
    for offset, _, kind, name in note:
        if kind == "u64" and name != "checksum":
            assert struct.unpack_from("<Q", packed, offset)[0] == getattr(DurableNote(3, 4, 5), name)


def test_the_sizes_that_the_page_names_are_the_codes() -> None:
    """64 MiB a file, 64 MiB a payload."""
    assert FILE_BYTES_MAX == SegmentHeader.PAYLOAD_BYTES_MAX == 64 << 20


def table_after(title: str) -> list[str]:
    """The first column of the first table below a heading."""
    block = PAGE.split(f"## {title}")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (\w+) \|", block, re.MULTILINE)
    return rows[1:]


def members(record: dict[str, Any]) -> str:
    """As the page names them."""
    return "{" + ", ".join(f'"{name}"' for name in record) + "}"


def test_the_small_files_have_the_members_that_the_page_names(tmp_path: Path) -> None:
    """taken.json, bases.json, base.json, retired.json and the checkpoint of a seed, as the code writes them."""
    journal, disk = tmp_path / "j", tmp_path / "old.img"
    disk.write_bytes(bytes(1024))
    seed = {"bases": {"3": str(disk)}, "definitions": {"vm": {}}, "time_ns": 7, "tag": "before the failover"}
    begin_seeded(journal, seed, [{"number": 3, "vm_id": "vm", "disk_id": "d", "size_bytes": 1024}])
    Taken([Taking("op", 0, (3,), str(tmp_path))]).save(journal)
    write_retired(journal, 4)

    def read(name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((journal / name).read_bytes())
        return found

    (taking,) = read("replica/taken.json")["takings"]
    assert list(taking) == table_after("Taking out")
    bases = read("replica/bases.json")
    assert list(bases) == table_after("Old disks")
    assert members(bases["disks"]["3"]) in PAGE
    base = read("replica/base.json")
    assert list(base) == table_after("The floor")
    checkpoint = base["checkpoint"]
    assert (checkpoint["id"], checkpoint["marker_id"], checkpoint["ordinal"]) == ("0", "seed", 0)
    assert 'identifier "0", marker "seed"' in PAGE
    assert members(read("retired.json")) in PAGE
    assert (journal / "replica" / "3.raw").readlink() == disk


def test_the_locks_that_the_page_names_are_the_codes() -> None:
    """Bytes 100 to 103 and 201 to 203."""
    assert {USED_BASE + i for i in USED} == {100, 101, 102, 103}
    assert {REFUSED_BASE + i for i in REFUSED} == {201, 202, 203}
    assert "bytes 100 to 103 and 201 to 203" in PAGE
