# SPDX-License-Identifier: LGPL-2.1-or-later
"""The one conftest of all tests: what makes kernel tests run in a guest, and what they work with."""

# Here and not by `-p` in pyproject.toml: pytest 8 resolves that before it has read `pythonpath`.
pytest_plugins = ["guests.plugin", "guests.fixtures"]
