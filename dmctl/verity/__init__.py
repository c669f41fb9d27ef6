# SPDX-License-Identifier: LGPL-2.1-or-later
"""dm-verity: hash trees over block devices."""
