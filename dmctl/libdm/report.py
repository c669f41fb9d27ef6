# SPDX-License-Identifier: LGPL-2.1-or-later
"""libdevmapper's report engine: columns, sorting and selection of dmsetup's reports."""

from dmctl import libdm
from dmctl._libdm import ffi, lib
from dmctl.errors import DmctlError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, Self

    from dmctl.libdm.task import Task

    # Text, a number, or the text of a number with what to sort by.
    Value = str | int | tuple[str, int]
    Fields = Callable[[str], Value]

TASK, INFO, DEPS, TREE, NAME, STATS, REGION = (
    lib.DMCTL_REPORT_TASK,
    lib.DMCTL_REPORT_INFO,
    lib.DMCTL_REPORT_DEPS,
    lib.DMCTL_REPORT_TREE,
    lib.DMCTL_REPORT_NAME,
    lib.DMCTL_REPORT_STATS,
    lib.DMCTL_REPORT_REGION,
)
_EVERYTHING = TASK | INFO | DEPS | TREE | NAME | STATS | REGION
ALIGNED: int = lib.DM_REPORT_OUTPUT_ALIGNED
BUFFERED: int = lib.DM_REPORT_OUTPUT_BUFFERED
HEADINGS: int = lib.DM_REPORT_OUTPUT_HEADINGS
NAME_PREFIXES: int = lib.DM_REPORT_OUTPUT_FIELD_NAME_PREFIX
UNQUOTED: int = lib.DM_REPORT_OUTPUT_FIELD_UNQUOTED
ROWS: int = lib.DM_REPORT_OUTPUT_COLUMNS_AS_ROWS


class _Row:
    """The row that libdevmapper is asking about. Its callback knows neither the report's object nor an exception."""

    value: "Fields | None" = None
    error: BaseException | None = None


class Report:
    """A report: which fields, sorted and selected how. What it prints comes through libdevmapper's log.

    wanted: the kinds of fields (TASK, INFO, …) to begin with. fields, sort_keys, selection: dmsetup's -o, -O and -S.
    names_as_headings: the fields' own names stand above the columns, not dmsetup's headings.
    kinds is afterwards the union of the kinds that the fields belong to, 0 where the fields asked for help only.
    Raises DmctlError, after libdevmapper has logged why.
    """

    __slots__ = ("_keep", "_report", "kinds")

    def __init__(
        self,
        wanted: int,
        fields: str,
        *,
        separator: str,
        flags: int,
        sort_keys: str,
        selection: str | None,
        names_as_headings: bool = False,
    ):
        kinds = ffi.new("uint32_t *", wanted)
        # libdevmapper keeps the pointers.
        self._keep = [
            ffi.NULL if text is None else ffi.new("char[]", libdm.to_bytes(text))
            for text in (fields, separator, sort_keys, selection)
        ]
        self._report = lib.dm_report_init_with_selection(
            kinds,
            lib.dmctl_report_types,
            lib.dmctl_report_fields_under_their_names() if names_as_headings else lib.dmctl_report_fields,
            self._keep[0],
            self._keep[1],
            flags,
            self._keep[2],
            self._keep[3],
            ffi.NULL,
            ffi.NULL,
        )
        self.kinds = int(kinds[0])
        libdm.check(bool(self._report))

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self, kind: "type[BaseException] | None", value: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        lib.dm_report_free(self._report)

    def set_prefix(self, prefix: str) -> None:
        """What stands before a field's name in DM_FIELD='value'."""
        libdm.check(lib.dm_report_set_output_field_name_prefix(self._report, libdm.to_bytes(prefix)))

    def add(self, value: "Fields", *, kinds: int = _EVERYTHING, task: "Task | None" = None, show: bool = True) -> bool:
        """Take a device, whose fields value() knows by their names; whether it is selected. show: print it, if it is.

        kinds: those of the fields that it has; a report with others fails, and libdevmapper says for which field.
        task: the request that has been answered about it, so that value() is asked only for what that does not have.
        What value() raises comes out; for a DmctlError the device is left out and the others stay.
        """
        selected = ffi.new("int *")
        libdm.check(lib.dmctl_report_row(kinds, task.pointer if task else ffi.NULL))
        _Row.value = value
        added = lib.dm_report_object_is_selected(self._report, lib.dmctl_report_fields, show, selected)
        _Row.value = None
        lib.dmctl_report_row(0, ffi.NULL)
        error, _Row.error = _Row.error, None
        if error:
            libdm.drain_log()
            raise error
        libdm.check(added)
        return bool(selected[0])

    def is_empty(self) -> bool:
        """Whether no row is waiting for output."""
        return bool(lib.dm_report_is_empty(self._report))

    def print_headings(self) -> None:
        """Print the headings once more with the next output."""
        lib.dm_report_column_headings(self._report)
        libdm.drain_log()

    def output(self) -> None:
        """Print the rows, and forget them."""
        lib.dm_report_output(self._report)
        libdm.drain_log()


def _failed(kind: "type[BaseException]", error: BaseException, trace: "Any") -> None:
    _Row.error = error


@ffi.def_extern(error=0, onerror=_failed)
def dmctl_report_value(report: "Any", pool: "Any", field: "Any", number: int) -> int:
    """Called by libdevmapper for each field of a row."""
    if _Row.value is None:
        raise DmctlError("A report asked for a field of no device.")
    value = _Row.value(libdm.to_text(lib.dmctl_report_fields[number].id))
    libdm.drain_log()
    if isinstance(value, str):
        text = ffi.new("char[]", libdm.to_bytes(value))
        return int(lib.dm_report_field_string(report, field, ffi.new("char *[]", [text])))
    if isinstance(value, tuple):
        return int(lib.dmctl_report_set(pool, field, libdm.to_bytes(value[0]), value[1]))
    if value < 0:
        return int(lib.dm_report_field_int32(report, field, ffi.new("int32_t *", value)))
    return int(lib.dm_report_field_uint64(report, field, ffi.new("uint64_t *", value)))


def split_lvm_name(name: str) -> tuple[str, str, str]:
    """Volume group, logical volume and layer in the name of an LVM device, hyphens unescaped."""
    buffer = ffi.new("char[]", libdm.to_bytes(name))
    group, volume, layer = ffi.new("char **", buffer), ffi.new("char **"), ffi.new("char **")
    libdm.check(lib.dm_split_lvm_name(ffi.NULL, ffi.NULL, group, volume, layer))
    return libdm.to_text(group[0]), libdm.to_text(volume[0]), libdm.to_text(layer[0])


def field_names(kinds: int) -> list[str]:
    """The names of the fields of some kinds, in dmsetup's order."""
    names, number = [], 0
    while lib.dmctl_report_fields[number].type:
        if lib.dmctl_report_fields[number].type & kinds:
            names.append(libdm.to_text(lib.dmctl_report_fields[number].id))
        number += 1
    return names
