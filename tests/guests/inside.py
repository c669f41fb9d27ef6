# SPDX-License-Identifier: LGPL-2.1-or-later
"""The guest's end of a test session: run the tests that were asked for, write each report for the host to replay."""

import gc
import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from guests.bridge import NODE_IDS, REPORTS
from guests.running import limited


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--bridge", type=Path, required=True, help="the folder shared with the host")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Reporter(config, config.getoption("--bridge")))


class Reporter:
    """Selects the tests and writes their reports."""

    def __init__(self, config: pytest.Config, folder: Path) -> None:
        self._config = config
        self._wanted: list[str] = json.loads((folder / NODE_IDS).read_text())
        self._target = folder / REPORTS
        self._limit_s: float = config.getoption("--test-timeout")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        by_id = {item.nodeid: item for item in items}
        selected = [by_id[nodeid] for nodeid in self._wanted if nodeid in by_id]
        chosen = set(selected)
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        # In the host's order: a plugin there may have changed it.
        items[:] = selected

    def pytest_collection_finish(self) -> None:
        gc.collect()
        gc.freeze()  # in tests that fork, garbage is looked for in what they have made themselves

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self) -> Generator[None, object, object]:
        with limited(self._limit_s):
            return (yield)

    pytest_runtest_call = pytest_runtest_teardown = pytest_runtest_setup

    def pytest_runtest_logstart(self, nodeid: str, location: tuple[str, int | None, str]) -> None:
        self._write({"event": "start", "nodeid": nodeid, "location": location})

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        self._write({"event": "report", "data": data})

    def pytest_runtest_logfinish(self, nodeid: str, location: tuple[str, int | None, str]) -> None:
        self._write({"event": "finish", "nodeid": nodeid, "location": location})

    def _write(self, event: dict[str, Any]) -> None:
        # Closed each time: that is when hostfs hands the data to the host, and a guest may die in the next test.
        with self._target.open("a") as file:
            file.write(json.dumps(event, default=str) + "\n")
