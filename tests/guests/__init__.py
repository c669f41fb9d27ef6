# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests: real Linux kernels for the tests, over the host's own root file system."""
