# SPDX-License-Identifier: LGPL-2.1-or-later
"""JSON renderings of the objects that the text output is made of.

One top object a command; "output_version" names the command and its schema's version. A minor version adds members, a
major one changes or removes some. Numbers are integers; names that are not UTF-8 have their odd bytes as lone
surrogates, written as \\udcXX.
"""

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from dmctl.info import Info
    from dmctl.table import Line

_LISTS = {"targets": "targets", "target-version": "targets", "version": "versions"}


def document(command: str, rows: "Sequence[dict[str, object]]") -> str:
    """The JSON text of a command's answer, with its newline."""
    top: dict[str, object] = {"output_version": {"command": command, "vers_major": 1, "vers_minor": 0}}
    if command == "version":
        top.update(*rows)
    else:
        top[_LISTS.get(command, "devices")] = list(rows)
    return json.dumps(top, indent=2) + "\n"


def _identity(info: "Info") -> dict[str, object]:
    return {"name": info.name, "uuid": info.uuid, "major": info.devno[0], "minor": info.devno[1]}


def list_object(info: "Info") -> dict[str, object]:
    """A device of ls."""
    return {**_identity(info), "event_nr": info.event_nr}


def info_object(info: "Info") -> dict[str, object]:
    """A device of info. open_count is null where it was not asked for, read_ahead_sectors where it is not known."""
    return {
        **_identity(info),
        "suspended": info.suspended,
        "read_only": info.read_only,
        "deferred_remove": info.deferred_remove,
        "internal_suspend": info.internal_suspend,
        "live_table": info.live_table,
        "inactive_table": info.inactive_table,
        "open_count": info.open_count if info.open_count >= 0 else None,
        "event_nr": info.event_nr,
        "target_count": info.target_count if info.target_count >= 0 else None,
        "read_ahead_sectors": info.read_ahead_sectors,
    }


def deps_object(info: "Info", devnos: "Sequence[tuple[int, int]]") -> dict[str, object]:
    """A device of deps."""
    return {**_identity(info), "dependencies": [{"major": major, "minor": minor} for major, minor in devnos]}


def lines_object(info: "Info", lines: "Sequence[Line]", text: str) -> dict[str, object]:
    """A device of table (text: "params") or status (text: "status"), with that text decoded beside it.

    The lines of a table come without keys where none may be shown, so what is decoded from them has none either.
    """
    return {
        **_identity(info),
        "lines": [
            {
                "start_sectors": line.start_sectors,
                "length_sectors": line.length_sectors,
                "target": line.target,
                text: line.params,
                "arguments" if text == "params" else "state": _decoded(line, text),
            }
            for line in lines
        ],
    }


def _decoded(line: "Line", text: str) -> dict[str, object] | None:
    """The fields of a line's parameters or status; None where dmctl does not know the target, or the text."""
    from dmctl.targets import ParamsError, StatusError, parse_params, parse_status

    try:
        if text == "params":
            return parse_params(line.target, line.params).to_dict(show_keys=True)
        return parse_status(line.target, line.params).to_dict()
    except (ParamsError, StatusError):
        return None
