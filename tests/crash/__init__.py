# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a disk may hold after a crash, from a log of dm-log-writes."""
