# SPDX-License-Identifier: LGPL-2.1-or-later
"""User-mode Linux: the everyday guest. An ordinary process, so no KVM and no privilege is needed on the host."""

import os
import selectors
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from guests.base import Guest, GuestResult, GuestUnavailable, tail
from guests.process import PATH, TICK_S, Limit, exit_status_in, kill_group, watchdog, write_job

MODULES = Path("/usr/lib/uml/modules")
UDEVD = Path("/lib/systemd/systemd-udevd")
# What init.sh covers with a tmpfs, and so what a path must not simply lie below.
COVERED = tuple(Path(p) for p in ("/run", "/tmp", "/var/tmp", "/var/lib", "/dev/shm"))

_NEEDED = (
    (Path("/usr/bin/linux.uml"), "user-mode-linux"),
    (MODULES, "user-mode-linux"),
    (UDEVD, "udev"),
    (Path("/sbin/modprobe"), "kmod"),
    (Path("/bin/mount"), "mount"),
)


@dataclass(frozen=True, slots=True)
class UmlGuest(Guest):
    """User-mode Linux over the host's root (hostfs, read-only).

    processor: the only one that it runs on. Each of its system calls goes to and fro between two processes of the host,
    which takes a fifth less time where both are on one processor.
    """

    mem_mib: int = 1024
    udev: bool = True
    processor: int | None = None

    def unavailable(self) -> str | None:
        for path, package in _NEEDED:
            if not path.exists():
                return f"no user-mode Linux guest: {path} is missing (Debian package {package})"
        try:
            _memory_folder(self.mem_mib)
        except GuestUnavailable as error:
            return str(error)
        return None

    def run(
        self,
        command: Sequence[str],
        results: Path,
        *,
        timeout_s: float,
        env: Mapping[str, str],
        cwd: Path,
        stdout: BinaryIO | None = None,
        stderr: BinaryIO | None = None,
        tick: Callable[[], None] | None = None,
    ) -> GuestResult:
        if (reason := self.unavailable()) is not None:
            raise GuestUnavailable(reason)
        results = results.resolve(strict=True)
        for name in ("exit-status", "dmesg"):
            (results / name).unlink(missing_ok=True)
        with ExitStack() as stack:
            console = stack.enter_context((results / "console").open("wb", buffering=0))
            if stdout is None:
                stdout = stack.enter_context((results / "stdout").open("wb", buffering=0))
            if stderr is None:
                stderr = stack.enter_context((results / "stderr").open("wb", buffering=0))
            # /tmp by name: the folder goes on the kernel's command line (no blanks) and holds a socket (short path).
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="dmctl-guest-", dir="/tmp"))
            _prepare(Path(folder), command, results, env, cwd)
            timed_out = self._boot(Path(folder), results, (console, stdout, stderr), timeout_s, tick)
        if tick is not None:
            tick()
        dmesg = results / "dmesg"
        return GuestResult(
            exit_status=exit_status_in(results),
            timed_out=timed_out,
            console_tail=tail(results / "console"),
            dmesg=dmesg if dmesg.exists() else None,
        )

    def _boot(
        self,
        folder: Path,
        results: Path,
        outputs: tuple[BinaryIO, BinaryIO, BinaryIO],
        timeout_s: float,
        tick: Callable[[], None] | None,
    ) -> bool:
        """Start the kernel, copy its three consoles until it ends; True when it had to be killed for its time."""
        with ExitStack() as stack:
            selector = stack.enter_context(selectors.DefaultSelector())
            consoles = []
            ends = []
            for output in outputs:
                read_end, write_end = os.pipe()
                stack.callback(os.close, read_end)
                ends.append(write_end)
                consoles.append((read_end, output))
            processors = os.sched_getaffinity(0)
            try:
                if self.processor is not None:
                    os.sched_setaffinity(0, {self.processor})  # of this thread; the guest inherits it
                process = subprocess.Popen(
                    [
                        "linux.uml",
                        f"mem={self.mem_mib}M",
                        *("rootfstype=hostfs", "rootflags=/", "ro", f"init={folder}/init", "quiet"),
                        *("con=null", f"con0=null,fd:{ends[0]}", f"con1=null,fd:{ends[1]}", f"con2=null,fd:{ends[2]}"),
                        *(f"umid={folder.name}", f"uml_dir={folder}/uml/"),
                        # From here on: the environment of init.
                        f"GUEST_DIR={folder}",
                        f"GUEST_MODULES={MODULES}",
                        f"GUEST_UDEV={'yes' if self.udev else 'no'}",
                    ],
                    env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TMPDIR": _memory_folder(self.mem_mib)},
                    stdin=subprocess.DEVNULL,
                    stdout=ends[0],
                    stderr=ends[0],
                    pass_fds=ends,
                    # Its own process group: the helpers UML starts can die with it, and ^C comes to us only.
                    start_new_session=True,
                )
            finally:
                os.sched_setaffinity(0, processors)
                for end in ends:
                    os.close(end)
            stack.callback(kill_group, process)
            stack.enter_context(watchdog(process.pid, folder))
            pidfd = os.pidfd_open(process.pid)
            stack.callback(os.close, pidfd)
            selector.register(pidfd, selectors.EVENT_READ)
            for read_end, output in consoles:
                os.set_blocking(read_end, False)
                selector.register(read_end, selectors.EVENT_READ, output)
            return _pump(selector, pidfd, results, timeout_s, tick)


def _prepare(folder: Path, command: Sequence[str], results: Path, env: Mapping[str, str], cwd: Path) -> None:
    """Fill the runner's folder with what init.sh reads."""
    (folder / "uml").mkdir()
    (folder / "results").symlink_to(results)
    init = folder / "init"
    shutil.copyfile(Path(__file__).with_name("init.sh"), init)
    init.chmod(0o755)
    write_job(folder / "job", command, {**env, "PATH": "/run/guest/bin:" + env.get("PATH", PATH)}, cwd)
    wanted = {Path(p).resolve() for p in (cwd, sys.prefix, sys.base_prefix, Path(__file__).parents[2])}
    hidden = sorted(p for p in wanted if any(p.is_relative_to(c) for c in COVERED))
    (folder / "keep").write_text("".join(f"{p}\n" for p in hidden))


def _memory_folder(mem_mib: int) -> str:
    """Where UML keeps the file that is its memory: roomy, and mappable for execution."""
    looked_at = []
    for name in ("/dev/shm", os.environ.get("TMPDIR", "/tmp"), "/tmp", "/var/tmp"):
        if not os.access(name, os.W_OK | os.X_OK):
            looked_at.append(f"{name}: not writable")
            continue
        stat = os.statvfs(name)
        free_mib = stat.f_bavail * stat.f_frsize >> 20
        if stat.f_flag & os.ST_NOEXEC:
            looked_at.append(f"{name}: mounted noexec")
        elif free_mib < mem_mib:
            looked_at.append(f"{name}: {free_mib} MiB free")
        else:
            return name
    raise GuestUnavailable(f"no folder for the guest's {mem_mib} MiB of memory ({'; '.join(looked_at)})")


def _pump(
    selector: selectors.BaseSelector, pidfd: int, results: Path, timeout_s: float, tick: Callable[[], None] | None
) -> bool:
    """Copy consoles until the process behind `pidfd` ends (False) or the deadline has passed (True)."""
    limit = Limit(results, timeout_s)
    while True:
        ended = False
        for key, _ in selector.select(TICK_S):
            if key.fd == pidfd:
                ended = True
            elif not _copy(key.fd, key.data):
                selector.unregister(key.fd)
        if ended:
            # What was written before the end is still in the pipes.
            for key in list(selector.get_map().values()):
                if key.fd != pidfd:
                    while _copy(key.fd, key.data):
                        pass
            return False
        if tick is not None:
            tick()
        if limit.is_over():
            return limit.timed_out


def _copy(source: int, output: BinaryIO) -> bool:
    """Copy what is there to read; False at the end of the file and when nothing is there."""
    try:
        data = os.read(source, 1 << 16)
    except BlockingIOError:
        return False
    output.write(data)
    output.flush()
    return bool(data)
