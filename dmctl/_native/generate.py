# SPDX-License-Identifier: LGPL-2.1-or-later
"""Write the C source of a cffi module: generate.py MODULE DECLARATIONS HEADER OUTPUT (called by CMake)."""

import sys
from pathlib import Path

from cffi import FFI

module, declarations, header, output = sys.argv[1:]
ffi = FFI()
ffi.cdef(Path(declarations).read_text(encoding="ascii"))
ffi.set_source(module, f'#include "{header}"', py_limited_api=True)
ffi.emit_c_code(output)
