# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmsetup's commands about the driver rather than a device: targets, versions, nodes, help."""

from dmctl import libdm
from dmctl.cli import stream
from dmctl.cli.compat.switches import Request
from dmctl.libdm import task as dm
from dmctl.libdm.task import Task


def targets(request: Request, operands: list[str], multiple: bool) -> None:
    """targets"""
    with Task(dm.LIST_VERSIONS) as task:
        if request.has("checks"):
            task.enable_checks()
        task.run()
        _show_versions(request, task)


def target_version(request: Request, operands: list[str], multiple: bool) -> None:
    """target-version TARGET"""
    with Task(dm.TARGET_VERSION) as task:
        task.set_name(operands[0])
        task.run()
        _show_versions(request, task)


def _show_versions(request: Request, task: Task) -> None:
    for name, version in task.versions():
        if request.json:
            request.gathered.append({"target": name, "version": list(version)})
        else:
            stream.write(f"{name:<16} v{version[0]}.{version[1]}.{version[2]}\n")


def version(request: Request, operands: list[str], multiple: bool) -> None:
    """version: the library's own is printed even where the kernel's cannot be had."""
    library = libdm.library_version()
    if request.json:
        request.gathered.append({"library_version": library, "driver_version": libdm.driver_version()})
        return
    stream.write(f"Library version:   {library}\n")
    stream.write(f"Driver version:    {libdm.driver_version()}\n")


def mknodes(request: Request, operands: list[str], multiple: bool) -> None:
    """mknodes [DEVICE]"""
    libdm.make_nodes(operands[0] if operands else None)


def show_help(request: Request, operands: list[str], multiple: bool) -> None:
    """help [-c]"""
    from dmctl.cli.usage import print_usage

    print_usage(request.program)
    if request.has("columns"):
        from dmctl.cli.compat.columns import print_fields

        print_fields(request)
