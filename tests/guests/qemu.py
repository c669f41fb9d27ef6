# SPDX-License-Identifier: LGPL-2.1-or-later
"""QEMU, with KVM where that works: Debian's Linux 6.12, whose dm-verity has error correction and signatures.

The firmware's database holds certificates of our own, so that the kernel has them in its keyring .platform.
"""

import lzma
import os
import select
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO

from guests.base import Guest, GuestResult, GuestUnavailable, tail
from guests.process import PATH, TICK_S, Limit, exit_status_in, kill_group, watchdog, write_job

HERE = Path(__file__).parent
KERNEL = HERE.parents[1] / ".build" / "guest-kernel"
"""Where `make guest-kernel` unpacks the kernel."""
KEYS = "DMCTL_GUEST_KEYS"
"""Environment variable of the command: a folder with KIND.key and KIND.pem for rsa and ec, which the kernel trusts, and
for other, an RSA key that it does not."""
QEMU = Path("/usr/bin/qemu-system-x86_64")
KVM = Path("/dev/kvm")
BUSYBOX = Path("/bin/busybox")
FIRMWARE = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
VARIABLES = Path("/usr/share/OVMF/OVMF_VARS_4M.fd")
# The modules that qemu_init.sh loads before it has a file system.
_FIRST_MODULES = ("fs/netfs/netfs", "net/9p/9pnet", "net/9p/9pnet_virtio", "fs/9p/9p", "fs/overlayfs/overlay")
_EMULATED = ("-accel", "tcg,thread=single", "-cpu", "max")
_WITH_KVM = ("-accel", "kvm", "-cpu", "host")
_KVM_LIMIT_S = 10

_NEEDED = (
    (QEMU, "Debian package qemu-system-x86"),
    (FIRMWARE, "Debian package ovmf"),
    (BUSYBOX, "Debian package busybox-static"),
    (Path("/usr/bin/openssl"), "Debian package openssl"),
    (KERNEL / "release", "make guest-kernel"),
)


@dataclass(frozen=True, slots=True)
class QemuGuest(Guest):
    """An emulated PC over the host's root (9p, read-only below a tmpfs). Without udev."""

    mem_mib: int = 1536

    def unavailable(self) -> str | None:
        for path, source in _NEEDED:
            if not path.exists():
                return f"no QEMU guest: {path} is missing ({source})"
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
        copies = {"stdout": stdout, "stderr": stderr}
        for name in copies:
            (results / name).write_bytes(b"")
        with ExitStack() as stack:
            # /tmp by name: the folder goes on the kernel's command line (no blanks).
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dmctl-guest-", dir="/tmp")))
            _make_keys(folder)
            env = {"PATH": PATH, **env, "DM_DISABLE_UDEV": "1", KEYS: str(folder)}
            write_job(folder / "job", command, env, cwd)
            # Not on the kernel's command line: these may have blanks.
            (folder / "results").symlink_to(results)
            (folder / "modules").symlink_to(KERNEL / "lib" / "modules")
            (folder / "initrd").write_bytes(_initrd())
            tails = [
                _Tail(stack.enter_context((results / name).open("rb")), output)
                for name, output in copies.items()
                if output is not None
            ]
            console = stack.enter_context((results / "console").open("wb"))
            process = subprocess.Popen(
                _qemu(folder, results, self.mem_mib),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
            stack.callback(kill_group, process)
            stack.enter_context(watchdog(process.pid, folder))
            timed_out = _wait(process, Limit(results, timeout_s), [*tails, *([tick] if tick else [])])
        dmesg = results / "dmesg"
        return GuestResult(
            exit_status=exit_status_in(results),
            timed_out=timed_out,
            console_tail=tail(results / "console"),
            dmesg=dmesg if dmesg.exists() else None,
        )


def _qemu(folder: Path, results: Path, mem_mib: int) -> list[str]:
    return [
        *_machine(_accelerator(), mem_mib),
        *("-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={FIRMWARE}"),
        *("-drive", f"if=pflash,unit=1,format=raw,file={folder}/variables"),
        *("-initrd", str(folder / "initrd"), "-append", f"console=ttyS0 quiet panic=-1 GUEST_DIR={folder}"),
        *("-virtfs", "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap"),
        # A comma in an option's value is written twice.
        *("-virtfs", f"local,path={str(results).replace(',', ',,')},mount_tag=results,security_model=none"),
    ]


def _machine(accelerator: Sequence[str], mem_mib: int) -> list[str]:
    return [
        *(str(QEMU), *accelerator, "-machine", "q35", "-m", str(mem_mib), "-kernel", str(KERNEL / "vmlinuz")),
        *("-display", "none", "-monitor", "none", "-serial", "stdio", "-net", "none", "-no-reboot"),
    ]


@cache
def _accelerator() -> tuple[str, ...]:
    """KVM where a kernel really boots with it: within a virtual machine its device may be there and of no use."""
    if not os.access(KVM, os.R_OK | os.W_OK):
        return _EMULATED
    # A kernel without a root file system: its last words, before it resets, come after all the rest of the boot.
    command = [*_machine(_WITH_KVM, 512), "-append", "console=ttyS0 panic=-1"]
    try:
        done = subprocess.run(
            ["setpriv", "--pdeathsig", "KILL", *command],  # it ends with us, in whatever way we do
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=_KVM_LIMIT_S,
        )
    except subprocess.TimeoutExpired:
        return _EMULATED
    return _WITH_KVM if b"Unable to mount root fs" in done.stdout else _EMULATED


def _wait(process: subprocess.Popen[bytes], limit: Limit, each_tick: Sequence[Callable[[], None]]) -> bool:
    """Wait for the guest's end; True when its time has passed before."""
    pidfd = os.pidfd_open(process.pid)
    try:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        while True:
            ended = bool(poll.poll(TICK_S * 1000))
            for call in each_tick:
                call()
            if ended:
                return False
            if limit.is_over():
                return limit.timed_out
    finally:
        os.close(pidfd)


class _Tail:
    """Copies what is added to a file."""

    def __init__(self, source: BinaryIO, output: BinaryIO) -> None:
        self._source = source
        self._output = output

    def __call__(self) -> None:
        while data := self._source.read(1 << 16):
            self._output.write(data)
            self._output.flush()


def _make_keys(folder: Path) -> None:
    """Key pairs, and the firmware's variables with their certificates in db."""
    owner = str(uuid.uuid4())
    usage = ("-addext", "keyUsage=critical,digitalSignature", "-addext", "basicConstraints=critical,CA:false")
    rsa, curve = ("rsa:2048",), ("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
    for kind, words in {"rsa": rsa, "ec": curve, "other": rsa}.items():
        new = ("openssl", "req", "-x509", "-noenc", "-days", "3650", "-subj", f"/CN=dmctl guest {kind}")
        out = ("-keyout", str(folder / f"{kind}.key"), "-out", str(folder / f"{kind}.pem"))
        _run(*new, *usage, "-newkey", *words, *out)
    changes = [("set-pk", "rsa"), ("add-kek", "rsa"), ("add-db", "rsa"), ("add-db", "ec")]
    lists = [word for what, kind in changes for word in (f"--{what}", owner, str(folder / f"{kind}.pem"))]
    files = ("--input", str(VARIABLES), "--output", str(folder / "variables"))
    _run(sys.executable, "-m", "virt.firmware.vars", *files, *lists)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise GuestUnavailable(f"no QEMU guest: {command[0]} failed: {done.stderr.strip()[-500:]}")


def _initrd() -> bytes:
    """An archive of the kernel's "newc" format: busybox, the init script, the first modules."""
    release = (KERNEL / "release").read_text().strip()
    modules = KERNEL / "lib/modules" / release / "kernel"
    files = {"init": (HERE / "qemu_init.sh").read_bytes(), "bin/busybox": BUSYBOX.read_bytes()}
    for name in _FIRST_MODULES:
        files[f"modules/{name.rpartition('/')[2]}.ko"] = lzma.decompress((modules / f"{name}.ko.xz").read_bytes())
    return b"".join(_archive(files))


def _archive(files: Mapping[str, bytes]) -> Iterator[bytes]:
    folders = sorted({name.partition("/")[0] for name in files if "/" in name} | {"dev"})
    members = [(name, 0o040755, b"") for name in folders] + [(name, 0o100755, data) for name, data in files.items()]
    for number, (name, mode, data) in enumerate([*members, ("TRAILER!!!", 0, b"")], 1):
        path = name.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(path), 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + path
        yield head + bytes(-len(head) % 4)
        yield data + bytes(-len(data) % 4)
