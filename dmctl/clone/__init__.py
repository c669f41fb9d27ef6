# SPDX-License-Identifier: LGPL-2.1-or-later
"""dm-clone from create to finish: a copy that can be used at once, and is made meanwhile."""
