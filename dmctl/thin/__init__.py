# SPDX-License-Identifier: LGPL-2.1-or-later
"""Thin pools: their metadata, read without the kernel's or anybody else's help, and their volumes."""
