# SPDX-License-Identifier: LGPL-2.1-or-later
"""Types of the compiled Reed-Solomon coder: fec.cdef.h as Python sees it. A pointer is a CData."""

from typing import Any, Protocol

CData = Any

class _Lib(Protocol):
    DMCTL_FEC_PORTABLE: int
    DMCTL_FEC_AVX2: int
    DMCTL_FEC_GFNI: int
    DMCTL_FEC_GFNI512: int
    DMCTL_FEC_PATHS: int
    DMCTL_FEC_WINDOW: int
    DMCTL_FEC_AT_PARITY: int
    DMCTL_FEC_NOWHERE: int
    DMCTL_FEC_CONSISTENT: int
    DMCTL_FEC_UNCHECKED: int
    DMCTL_FEC_INCONSISTENT: int
    DMCTL_FEC_BLIND: int
    DMCTL_FEC_LOST: int
    def dmctl_fec_usable(self, path: int) -> int: ...
    def dmctl_fec_encode(self, job: CData) -> int: ...
    def dmctl_fec_decode(self, job: CData, windows: CData, count: int, blind: int) -> int: ...

class _FFI(Protocol):
    def new(self, cdecl: str, init: object = ...) -> CData: ...
    def cast(self, cdecl: str, value: object) -> CData: ...
    def buffer(self, cdata: CData, size: int = ...) -> Any: ...

lib: _Lib
ffi: _FFI
