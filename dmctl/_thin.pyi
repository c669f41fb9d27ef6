# SPDX-License-Identifier: LGPL-2.1-or-later
"""Types of the compiled reader of thin metadata: thin.cdef.h as Python sees it. A pointer is a CData."""

from typing import Any, Protocol

CData = Any

class _Lib(Protocol):
    DMCTL_THIN_BLOCK_BYTES: int
    DMCTL_THIN_COUNTS_PER_BITMAP: int
    DMCTL_THIN_MAX_DAMAGES: int
    DMCTL_THIN_RUN_NUMBERS: int
    DMCTL_THIN_MAX_ENTRIES: int
    DMCTL_THIN_SUPERBLOCK_SEED: int
    DMCTL_THIN_NODE_SEED: int
    DMCTL_THIN_BITMAP_SEED: int
    DMCTL_THIN_INDEX_SEED: int
    DMCTL_THIN_UNREADABLE: int
    DMCTL_THIN_OUTSIDE: int
    DMCTL_THIN_CHECKSUM: int
    DMCTL_THIN_NUMBER: int
    DMCTL_THIN_SHAPE: int
    DMCTL_THIN_KEYS: int
    DMCTL_THIN_DEPTH: int
    DMCTL_THIN_VALUE: int
    DMCTL_THIN_TWICE: int
    DMCTL_THIN_XML: int
    DMCTL_THIN_HUMAN: int
    DMCTL_THIN_JSON: int
    def dmctl_thin_checksum(self, block: CData, seed: int) -> int: ...
    def dmctl_thin_checksum_by_table(self, block: CData, seed: int) -> int: ...
    def dmctl_thin_read_block(self, reader: CData, block: int, seed: int, buffer: CData) -> int: ...
    def dmctl_thin_new_block(self) -> CData: ...
    def dmctl_thin_free(self, memory: CData) -> None: ...
    def dmctl_thin_list(
        self,
        reader: CData,
        root: int,
        value_bytes: int,
        next: CData,
        more: CData,
        keys: CData,
        values: CData,
        room: int,
        found: CData,
    ) -> int: ...
    def dmctl_thin_counts_new(self, blocks: int) -> CData: ...
    def dmctl_thin_counts_free(self, counts: CData) -> None: ...
    def dmctl_thin_counts_blocks(self, counts: CData) -> int: ...
    def dmctl_thin_counts_get(self, counts: CData, block: int) -> int: ...
    def dmctl_thin_counts_set(self, counts: CData, block: int, count: int) -> None: ...
    def dmctl_thin_counts_add(self, counts: CData, block: int) -> int: ...
    def dmctl_thin_counts_error(self, counts: CData) -> int: ...
    def dmctl_thin_count_nodes(self, reader: CData, root: int, value_bytes: int, metadata: CData) -> int: ...
    def dmctl_thin_count(self, reader: CData, root: int, metadata: CData, data: CData, remembered: CData) -> int: ...
    def dmctl_thin_exclusive(
        self, reader: CData, roots: CData, thins: int, metadata: CData, data: CData, exclusive: CData
    ) -> int: ...
    def dmctl_thin_mapped(self, reader: CData, roots: CData, thins: int, remembered: CData, mapped: CData) -> int: ...
    def dmctl_thin_runs(
        self,
        reader: CData,
        root: int,
        data_from: int,
        data_to: int,
        next: CData,
        more: CData,
        runs: CData,
        room: int,
        found: CData,
    ) -> int: ...
    def dmctl_thin_text_open(self, format: int) -> CData: ...
    def dmctl_thin_text_close(self, text: CData) -> None: ...
    def dmctl_thin_text_begin(self, text: CData) -> None: ...
    def dmctl_thin_text(
        self,
        reader: CData,
        text: CData,
        root: int,
        next: CData,
        more: CData,
        buffer: CData,
        room: int,
        length: CData,
    ) -> int: ...
    def dmctl_thin_bitmap(self, block: CData, counts: CData, first: int, entries: int) -> None: ...
    def dmctl_thin_compare(
        self, counted: CData, stored: CData, found: CData, room: int, differing: CData, too_low: CData
    ) -> None: ...

class _FFI(Protocol):
    NULL: CData
    def new(self, cdecl: str, init: object = ...) -> CData: ...
    def gc(self, cdata: CData, destructor: object) -> CData: ...
    def buffer(self, cdata: CData, size: int = ...) -> Any: ...
    def unpack(self, cdata: CData, length: int) -> Any: ...
    def from_buffer(self, cdecl: str, buffer: object) -> CData: ...

lib: _Lib
ffi: _FFI
