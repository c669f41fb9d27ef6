# SPDX-License-Identifier: LGPL-2.1-or-later
"""The time of commands over many devices: dmctl, called as dmsetup, against dmsetup, in a guest (make bench).

dmctl may take 1.5 times as long as dmsetup, and what its start takes longer. That is the difference between the two for
the same command about a device that there is not: measured side by side with the command itself, for a shared machine
is twice as fast in one minute as in the next. A start takes longer than what is measured, so it takes a dozen runs
until medians are worth something. The least time is worth nothing: user-mode Linux counts CPU time in ticks, and may
find none in a short process. The first table is CPU time, the second elapsed time, with what the kernel waits for.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from guests.loop import attach, detach
from guests.uml import UmlGuest

SBIN = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
LIMIT = 1.5
# Every field but those of statistics, which make rows of regions and not of devices.
FIELDS = "name_all,info_all,deps_all,tree_all,splitname_all"
SHOWING = ("ls", "info -c", "table", "status", "info", "deps", "ls --tree", f"info -c -o {FIELDS}")
REMOVING = "remove_all"
# What is like these in all that is loaded, but can be asked about one device.
START = {"ls": "info", "ls --tree": "info", "remove_all": "info", SHOWING[-1]: "info -c"}
# Without the guest's own memory; a linear device takes less than 200 KiB of the kernel.
DEVICE_KIB = 200


class Sample:
    """The times of one process, in seconds."""

    def __init__(self, command: list[str], *, status: int = 0):
        """Run it, and keep what it prints. status: how it must end."""
        null = os.open(os.devnull, os.O_RDWR)
        end, others_end = os.pipe()
        streams = [(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, others_end, 1)]
        if status:
            streams.append((os.POSIX_SPAWN_DUP2, null, 2))
        begin = time.perf_counter()
        child = os.posix_spawn(command[0], command, os.environ, file_actions=streams)
        os.close(others_end)
        with open(end, "rb", buffering=0) as pipe:
            self.output = pipe.read()
        ended, usage = os.wait4(child, 0)[1:]
        self.elapsed = time.perf_counter() - begin
        self.cpu = usage.ru_utime + usage.ru_stime
        os.close(null)
        if os.waitstatus_to_exitcode(ended) != status:
            raise SystemExit(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(ended)}")


class Round:
    """A command and its start by both programs, one after the other."""

    def __init__(self, programs: tuple[str, str], command: str, remake: Callable[[], None]):
        """programs: dmsetup and dmctl. remake: called between the two."""
        start = START.get(command, command).split()
        self.starts = [Sample([program, *start, "missing"], status=1) for program in programs]
        self.theirs = Sample([programs[0], *command.split()])
        remake()
        self.ours = Sample([programs[1], *command.split()])
        if self.ours.output != self.theirs.output:
            raise SystemExit(f"{command}: the two programs print different things")


def report(title: str, attribute: str, measured: dict[str, list[Round]]) -> bool:
    """Print one kind of time of all commands; whether all are within the limit."""

    def seconds(samples: Iterable[Sample]) -> float:
        return statistics.median(getattr(sample, attribute) for sample in samples)

    holds = True
    print(f"\n{title:34}{'dmsetup':>10}{'dmctl':>10}{'start-up':>10}{'ratio':>7}")
    for command, rounds in measured.items():
        theirs = seconds(one.theirs for one in rounds)
        ours = seconds(one.ours for one in rounds)
        start = seconds(one.starts[1] for one in rounds) - seconds(one.starts[0] for one in rounds)
        ratio = (ours - start) / theirs
        holds &= ratio <= LIMIT
        times = "".join(f"{value * 1000:7.0f} ms" for value in (theirs, ours, start))
        print(f"{command.replace(FIELDS, 'ALL'):34}{times}{ratio:7.2f}{'' if ratio <= LIMIT else '  too slow'}")
    return holds


def create(count: int, devno: str) -> None:
    """Make the devices in one process: a dmsetup for each would take most of the time."""
    devices = (f"device{number},,,rw,0 8 linear {devno} {number * 8}" for number in range(count))
    # From standard input, as an argument has at most 128 KiB.
    subprocess.run(["dmsetup", "create", "--concise"], input=";".join(devices), text=True, check=True)


def inside(count: int, rounds: int) -> int:
    """Measure, in the guest."""
    # There is no udevd in this guest, so nobody would make nodes or complete a cookie.
    os.environ["DM_DISABLE_UDEV"] = "1"
    dmsetup = shutil.which("dmsetup", path=SBIN)
    assert dmsetup
    link = Path(tempfile.mkdtemp(), "dmsetup")
    link.symlink_to(Path(sys.prefix, "bin", "dmctl"))
    programs = (dmsetup, str(link))
    backing = link.with_name("disk")
    with backing.open("wb") as file:
        file.truncate(count * 4096)
    disk = attach(backing)
    measured: dict[str, list[Round]] = {}
    create(count, disk.devno)
    for number in range(rounds):
        for command in SHOWING:
            measured.setdefault(command, []).append(Round(programs, command, lambda: None))
        if number % 3 == 0:  # what is removed has to be made anew, which is dear
            # Just made, for the one as for the other: what the kernel does afterwards could delay the removal.
            subprocess.run([dmsetup, "remove_all"], check=True)
            create(count, disk.devno)
            one = Round(programs, REMOVING, lambda: create(count, disk.devno))
            measured.setdefault(REMOVING, []).append(one)
            create(count, disk.devno)
    subprocess.run([dmsetup, "remove_all"], check=True)
    detach(disk)
    print(f"{count} devices, {rounds} runs of each command, medians; ratio: without the start-up difference")
    holds = report("CPU time", "cpu", measured)
    holds &= report("Elapsed time", "elapsed", measured)
    verdict = "holds" if holds else "does not hold"
    print(f"\nThe limit of the ratio is {LIMIT}; it {verdict}")
    return 0 if holds else 1


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure commands over many devices in a user-mode Linux guest.")
    parser.add_argument("count", type=int, nargs="?", default=1000, metavar="N", help="number of devices (1000)")
    parser.add_argument(
        "--rounds", type=int, default=12, metavar="N", help="runs of each command; a third, of remove_all (12)"
    )
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        return inside(options.count, options.rounds)
    guest = UmlGuest(mem_mib=512 + options.count * DEVICE_KIB // 1024, udev=False)
    command = [sys.executable, "-P", __file__, "--inside", f"--rounds={options.rounds}", str(options.count)]
    environment = {"PATH": SBIN, "PYTHONPATH": str(Path(__file__).parents[1]), "PYTHONDONTWRITEBYTECODE": "1"}
    with tempfile.TemporaryDirectory(prefix="dmctl-results-") as folder:
        result = guest.run(
            command,
            Path(folder),
            timeout_s=3600,
            env=environment,
            cwd=Path.cwd(),
            stdout=sys.stdout.buffer,
            stderr=sys.stderr.buffer,
        )
    if result.exit_status is None:
        print(f"the guest died; its console ends with:\n{result.console_tail}", file=sys.stderr)
    return 1 if result.exit_status is None else result.exit_status


if __name__ == "__main__":
    sys.exit(main())
