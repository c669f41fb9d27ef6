# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `dmctl events` costs while nothing happens on 1000 devices, and how soon it tells, beside `dmsetup wait`.

For the guest, as root:
    PYTHONPATH=tests python -m guests -- python -P tests/bench/events.py
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from dmctl.device import Device

DMCTL = str(Path(sys.executable).with_name("dmctl"))
DEVICES, IDLE_S, EVENTS = 1000, 60, 50


def dmsetup(*words: str, stdin: str = "") -> str:
    return subprocess.run(["dmsetup", *words], input=stdin, text=True, check=True, capture_output=True).stdout


def cpu_seconds(pid: int) -> float:
    """User and system time of a process."""
    words = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def idle() -> None:
    dmsetup("create", "--concise", ";".join(f"bench{number},,,,0 8 zero" for number in range(DEVICES)))
    subprocess.run(["udevadm", "settle", "--timeout=300"], check=True)
    with subprocess.Popen([DMCTL, "events"], stdout=subprocess.PIPE) as process:
        assert process.stdout
        time.sleep(15)  # it has begun
        before = cpu_seconds(process.pid)
        time.sleep(IDLE_S)
        used = cpu_seconds(process.pid) - before
        process.terminate()
        assert process.stdout.read() == b""
    print(f"idle on {DEVICES} devices: {used:.2f} s of a processor in {IDLE_S} s", flush=True)
    dmsetup("remove_all")


def latency() -> None:
    """Of the event of multipath when its path fails, until the line can be read, and until `dmsetup wait` has ended."""
    subprocess.run(["modprobe", "-a", "dm-multipath", "dm-round-robin"], check=True)
    with open("/tmp/path", "wb") as file:
        file.truncate(1 << 20)
    node = subprocess.run(
        ["losetup", "--find", "--show", "/tmp/path"], check=True, capture_output=True, text=True
    ).stdout.strip()
    devno = Path(f"/sys/block/{node.removeprefix('/dev/')}/dev").read_text(encoding="ascii").strip()
    dmsetup("create", "paths", "--table", f"0 2048 multipath 0 0 1 1 round-robin 0 1 0 {devno}")
    for name, measure in {"dmctl events": _events, "dmsetup wait": _wait}.items():
        found = measure(devno)
        print(f"{name}: median {statistics.median(found) * 1000:.1f} ms, worst {max(found) * 1000:.1f} ms", flush=True)
    dmsetup("remove", "paths")
    subprocess.run(["losetup", "--detach", node], check=True)


def _events(devno: str) -> list[float]:
    found = []
    with subprocess.Popen([DMCTL, "events", "paths", "--type", "event"], stdout=subprocess.PIPE) as process:
        assert process.stdout
        time.sleep(5)
        for number in range(EVENTS):
            found.append(_until_read(process.stdout.fileno(), devno, number))
            time.sleep(0.1)
        process.terminate()
    return found


def _wait(devno: str) -> list[float]:
    found = []
    for number in range(EVENTS):
        counter = dmsetup("info", "-c", "--noheadings", "-o", "events", "paths").strip()
        with subprocess.Popen(["dmsetup", "wait", "paths", counter], stdout=subprocess.PIPE) as process:
            assert process.stdout
            time.sleep(0.5)
            found.append(_until_read(process.stdout.fileno(), devno, number))
    return found


def _until_read(descriptor: int, devno: str, number: int) -> float:
    begin = time.monotonic()
    Device("paths").message(0, f"{'reinstate' if number % 2 else 'fail'}_path {devno}")
    os.read(descriptor, 65536)
    return time.monotonic() - begin


if __name__ == "__main__":
    latency()
    idle()
