# SPDX-License-Identifier: LGPL-2.1-or-later
"""python -m dmctl"""

import sys

from dmctl.cli.main import main

sys.exit(main(["dmctl", *sys.argv[1:]]))
