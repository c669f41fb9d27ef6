# SPDX-License-Identifier: LGPL-2.1-or-later
"""The time of commands over many devices: dmctl, called as dmsetup, against dmsetup, in a guest (make bench).

dmctl may take 1.5 times as long as dmsetup, and what its start takes longer: the difference between the two for the
same command without any device. The first table is CPU time, which is judged, then comes elapsed time, which also has
what the kernel waits for.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from guests.loop import attach, detach
from guests.uml import UmlGuest

SBIN = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
LIMIT = 1.5
# Every field but those of statistics, which make rows of regions and not of devices.
FIELDS = "name_all,info_all,deps_all,tree_all,splitname_all"
SHOWING = ("ls", "info -c", "table", "status", "info", "deps", "ls --tree", f"info -c -o {FIELDS}")
REMOVING = "remove_all"
# Without the guest's own memory; a linear device takes less than 200 KiB of the kernel.
DEVICE_KIB = 200


class Sample:
    """The times of one process, in seconds."""

    def __init__(self, command: list[str], *, through_pipe: bool):
        """Run it; what it prints goes through a pipe, to be kept, or to /dev/null."""
        null = os.open(os.devnull, os.O_RDWR)
        ends = os.pipe() if through_pipe else None
        output = ends[1] if ends else null
        streams = [(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, output, 1)]
        begin = time.perf_counter()
        child = os.posix_spawn(command[0], command, os.environ, file_actions=streams)
        self.output = b""
        if ends:
            os.close(ends[1])
            with open(ends[0], "rb", buffering=0) as pipe:
                self.output = pipe.read()
        status, usage = os.wait4(child, 0)[1:]
        self.elapsed = time.perf_counter() - begin
        self.cpu = usage.ru_utime + usage.ru_stime
        os.close(null)
        if status:
            raise SystemExit(f"{' '.join(command)} failed")


class Times:
    """What was measured of the two programs: (program, command, through a pipe, number of devices) -> samples."""

    def __init__(self, programs: dict[str, str]):
        self._programs = programs
        self._samples: dict[tuple[str, str, bool, int], list[Sample]] = {}

    def measure(self, command: str, count: int, *, through_pipe: bool, program: str = "") -> None:
        """Run a command by both programs in turn, or by one; both must print the same."""
        outputs = set()
        for name, path in self._programs.items():
            if program in ("", name):
                sample = Sample([path, *command.split()], through_pipe=through_pipe)
                self._samples.setdefault((name, command, through_pipe, count), []).append(sample)
                outputs.add(sample.output)
        if len(outputs) > 1:
            raise SystemExit(f"{command}: the two programs print different things")

    def report(self, title: str, attribute: str, count: int) -> bool:
        """Print one kind of time of all commands; whether all are within the limit."""

        def median(program: str, number: int) -> float:
            samples = self._samples[program, command, through_pipe, number]
            return statistics.median(getattr(sample, attribute) for sample in samples)

        holds = True
        print(f"\n{title:34}{'dmsetup':>10}{'dmctl':>10}{'start-up':>10}{'ratio':>7}")
        for program, command, through_pipe, number in self._samples:
            if program != "dmsetup" or number != count:
                continue
            theirs, ours = median("dmsetup", count), median("dmctl", count)
            start = median("dmctl", 0) - median("dmsetup", 0)
            ratio = (ours - start) / theirs
            holds &= ratio <= LIMIT
            shown = command.replace(FIELDS, "ALL") + ("" if through_pipe else " >/dev/null")
            times = "".join(f"{seconds * 1000:7.0f} ms" for seconds in (theirs, ours, start))
            print(f"{shown:34}{times}{ratio:7.2f}{'' if ratio <= LIMIT else '  too slow'}")
        return holds


def create(count: int, devno: str) -> None:
    """Make the devices in one process: a dmsetup for each would take most of the time."""
    if not count:
        return
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
    times = Times({"dmsetup": dmsetup, "dmctl": str(link)})
    backing = link.with_name("disk")
    with backing.open("wb") as file:
        file.truncate(max(count, 1) * 4096)
    disk = attach(backing)
    for _ in range(rounds):
        for number in (0, count):
            create(number, disk.devno)
            for command in SHOWING:
                for through_pipe in (False, True):
                    times.measure(command, number, through_pipe=through_pipe)
        # It prints nothing, so that a pipe would change nothing.
        times.measure(REMOVING, count, through_pipe=False, program="dmsetup")
        create(count, disk.devno)
        times.measure(REMOVING, count, through_pipe=False, program="dmctl")
        times.measure(REMOVING, 0, through_pipe=False)
    detach(disk)
    print(
        f"{count} devices, {rounds} interleaved runs of each command, medians; ratio: without the start-up difference"
    )
    holds = times.report("CPU time", "cpu", count)
    times.report("Elapsed time", "elapsed", count)
    print(f"\nThe limit of the ratio is {LIMIT}; in CPU time it {'holds' if holds else 'does not hold'}")
    return 0 if holds else 1


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure commands over many devices in a user-mode Linux guest.")
    parser.add_argument("count", type=int, nargs="?", default=1000, metavar="N", help="number of devices (1000)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="runs of each command (5)")
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
