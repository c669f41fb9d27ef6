# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl: device-mapper from the shell and from Python."""

__version__ = "0.1.0"
