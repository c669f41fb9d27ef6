# SPDX-License-Identifier: LGPL-2.1-or-later
"""All mappings as text: thin_dump's XML, byte for byte what its version 0.9.0 writes, its human_readable, and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from dmctl._thin import ffi, lib
from dmctl.thin.blocks import Reader
from dmctl.thin.metadata import Metadata, Thin
from dmctl.thin.superblock import MetadataError, Superblock

FORMATS = ("xml", "human_readable", "json")
_BUFFER_BYTES = 128 << 10
# Not xml.sax.saxutils, which imports all that a web client needs: 9 MiB, and half of the time that a command takes.
_ESCAPED = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}
)


def dump(
    metadata: Metadata, form: str = "xml", *, thins: Iterable[Thin] | None = None, mappings: bool = True
) -> Iterator[bytes]:
    """Piece by piece. thins: only these. mappings: with what is mapped to what.

    Raises MetadataError at the first block that is damaged: half a dump must not look like a whole one.
    """
    _sound(metadata.reader)
    chosen = list(metadata.thins.values() if thins is None else thins)
    write = {"xml": _xml, "human_readable": _human, "json": _json}[form]
    yield from write(metadata, chosen, mappings)


def superblock_attributes(superblock: Superblock) -> dict[str, str | int]:
    """Under the names that thin_dump has for them."""
    return {
        "uuid": superblock.uuid.rstrip(b"\0").decode("latin-1"),
        "time": superblock.time,
        "transaction": superblock.transaction_id,
        "flags": superblock.flags,
        "version": superblock.version,
        "data_block_size": superblock.data_block_sectors,
        "nr_data_blocks": superblock.data_map.blocks,
    }


def thin_attributes(thin: Thin) -> dict[str, int]:
    """Likewise of a thin."""
    return {
        "dev_id": thin.thin_id,
        "mapped_blocks": thin.mapped_blocks,
        "transaction": thin.transaction_id,
        "creation_time": thin.creation_time,
        "snap_time": thin.snapshot_time,
    }


def xml_attributes(attributes: dict[str, str | int] | dict[str, int]) -> str:
    """Each behind a blank."""
    return "".join(f' {name}="{str(value).translate(_ESCAPED)}"' for name, value in attributes.items())


def _xml(metadata: Metadata, thins: list[Thin], mappings: bool) -> Iterator[bytes]:
    yield f"<superblock{xml_attributes(superblock_attributes(metadata.superblock))}>\n".encode()
    with _Text(lib.DMCTL_THIN_XML) as text:
        for thin in thins:
            yield f"  <device{xml_attributes(thin_attributes(thin))}>\n".encode()
            if mappings:
                yield from text.lines(metadata.reader, thin)
            yield b"  </device>\n"
    yield b"</superblock>\n"


def _human(metadata: Metadata, thins: list[Thin], mappings: bool) -> Iterator[bytes]:
    uuid, *numbers = superblock_attributes(metadata.superblock).values()
    yield f'begin superblock: "{uuid}", {", ".join(map(str, numbers))}\n'.encode()
    with _Text(lib.DMCTL_THIN_HUMAN) as text:
        for thin in thins:
            yield (
                f"device: {thin.thin_id}\nmapped_blocks: {thin.mapped_blocks}\ntransaction: {thin.transaction_id}\n"
                f"creation time: {thin.creation_time}\nsnap time: {thin.snapshot_time}\n"
            ).encode()
            if mappings:
                yield from text.lines(metadata.reader, thin)
            yield b"\n"
    yield b"end superblock\n"


def _json(metadata: Metadata, thins: list[Thin], mappings: bool) -> Iterator[bytes]:
    """Without the outermost braces, which the command line has its own part in."""
    yield b'"superblock": ' + json.dumps(superblock_attributes(metadata.superblock)).encode() + b',\n  "devices": ['
    with _Text(lib.DMCTL_THIN_JSON) as text:
        for number, thin in enumerate(thins):
            attributes = {"thin_id": thin.thin_id, **thin_attributes(thin)}
            del attributes["dev_id"]
            head = json.dumps(attributes)[:-1].encode()
            yield (b",\n    " if number else b"\n    ") + head + (b', "mappings": [' if mappings else b"}")
            if mappings:
                first = True
                for lines in text.lines(metadata.reader, thin):
                    yield lines[1:] if first else lines
                    first = False
                yield b"]}" if first else b"\n      ]}"
    yield b"\n  ]" if thins else b"]"


def _sound(reader: Reader) -> None:
    if reader.damage_count:
        damage = reader.damages()[0]
        raise MetadataError(f"{reader.path}: {damage}.", block=damage.block)


class _Text:
    """Lines of mappings; leaves that thins share are made into text once."""

    def __init__(self, form: int):
        self._text = lib.dmctl_thin_text_open(form)
        if self._text == ffi.NULL:
            raise MemoryError
        self._buffer = ffi.new("char[]", _BUFFER_BYTES)

    def __enter__(self) -> _Text:
        return self

    def __exit__(self, *_: object) -> None:
        lib.dmctl_thin_text_close(self._text)

    def lines(self, reader: Reader, thin: Thin) -> Iterator[bytes]:
        if thin.root is None:
            return
        lib.dmctl_thin_text_begin(self._text)
        start, more, length = ffi.new("uint64_t *"), ffi.new("int *", 1), ffi.new("size_t *")
        while more[0]:
            where = (thin.root, start, more, self._buffer, _BUFFER_BYTES, length)
            reader.run_briefly(lib.dmctl_thin_text, self._text, *where)
            _sound(reader)
            if length[0]:
                yield bytes(ffi.buffer(self._buffer, length[0]))
