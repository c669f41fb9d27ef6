# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl run from the file system that it suspends: nothing is read from there until it is resumed."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from guests.fixtures import Result, dmctl_script
from guests.kernel_state import DMSETUP
from guests.loop import attach, detach
from kernel.stand_in import guest_only, run

# Longer than any run here, on a busy machine; a process that reads from the suspended device would never end.
LIMIT_S = 20
DISK_BYTES = 64 << 20
NAME = "suspended-root"
HOOK = Path(__file__).with_name("drop_caches.c")
OUTSIDE = Path(__file__).with_name("outside.c")
MOUNTED = ("dev", "proc", "sys", "run")
# Prints the files of the interpreter and the libraries.
LOADED = """
import sys
import dmctl.cli.compat.busy, dmctl.cli.compat.change, dmctl.cli.compat.columns, dmctl.cli.compat.run, dmctl.holders
for module in sys.modules.values():
    print(getattr(module, "__file__", None) or "")
    print(getattr(module, "__cached__", None) or "")
for line in open("/proc/self/maps"):
    print("/" + line.rstrip().partition("/")[2])
"""


def copy(source, root):
    """A file, with the links that lead to it and lie on the way or beside it."""
    source = Path(source)
    for folder in reversed(source.parents):
        if folder.is_symlink() and not (root / folder.relative_to("/")).is_symlink():
            (root / folder.relative_to("/")).symlink_to(os.readlink(folder))
        (root / folder.resolve().relative_to("/")).mkdir(parents=True, exist_ok=True)
    target = root / source.relative_to("/")
    if source.is_symlink():
        if not target.is_symlink():
            target.symlink_to(os.readlink(source))
        copy(source.parent / os.readlink(source), root)
    elif source.is_file() and not target.exists():
        shutil.copy2(source, target)
        if ".so" in source.name:
            for other in source.parent.glob(source.name.partition(".so")[0] + ".so*"):
                if other.is_symlink() and other.resolve() == source:
                    copy(other, root)


def fill(root, hook):
    """What a dmctl needs that runs there: the files it has loaded, all of its own package, the mount points."""
    wanted = {
        *filter(None, run(sys.executable, "-P", "-c", LOADED).splitlines()),
        "/etc/ld.so.cache",
        dmctl_script(),
        hook,
    }
    wanted |= {
        Path(sys.prefix, "pyvenv.cfg"),
        *dmctl_script().parent.glob("python*"),
        *Path("/").glob("lib*/ld-linux*"),
    }
    wanted |= {path for path in Path(sysconfig.get_path("purelib"), "dmctl").rglob("*") if path.is_file()}
    for path in wanted:
        copy(path, root)
    (root / os.path.dirname(os.__file__).lstrip("/") / "lib-dynload").mkdir(exist_ok=True)  # else it warns
    for name in MOUNTED:
        (root / name).mkdir(exist_ok=True)


class Root:
    """A root file system on a linear device, for one process at a time to suspend."""

    def __init__(self, mounted, disk, hook):
        self.mounted = mounted
        self.hook = hook
        self.table = f"0 {disk.sectors} linear {disk.path} 0"
        self.other = f"0 8 linear {disk.path} 0"

    def start(self, *words, env=None, limit_s=LIMIT_S):
        """Run a program of it; fail if it reads from what it has suspended, and so does not end."""
        plain = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "LD_PRELOAD": str(self.hook)} | (env or {})
        words = ["/usr/sbin/chroot", self.mounted, *words]
        process = subprocess.Popen(
            words, env=plain, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        try:
            out, err = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            where = Path(f"/proc/{process.pid}/wchan").read_text(), Path(f"/proc/{process.pid}/stat").read_text()
            process.kill()
            self.repair()
            told = process.communicate()
            pytest.fail(f"{words} does not end: {where} {told}")
        return Result(process.returncode, out, err)

    def suspended(self):
        return "Suspended" in run(DMSETUP, "info", "-c", "--noheadings", "-o", "suspended", NAME)

    def repair(self):
        """From outside: the table that it had, active."""
        run(DMSETUP, "load", NAME, "--table", self.table)
        run(DMSETUP, "resume", "--noudevsync", NAME)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    guest_only()
    folder = tmp_path_factory.mktemp("root")
    hook = folder / "drop_caches.so"
    subprocess.run(["gcc", "-Wall", "-shared", "-fPIC", "-o", hook, HOOK, "-ldl"], check=True)
    (folder / "image").touch()
    os.truncate(folder / "image", DISK_BYTES)
    disk = attach(folder / "image")
    mounted = folder / "mounted"
    mounted.mkdir()
    with ExitStack() as undo:
        undo.callback(detach, disk)
        run("mkfs.ext4", "-q", disk.path)
        made = Root(mounted, disk, hook)
        run(DMSETUP, "create", NAME, "--table", made.table)
        undo.callback(run, DMSETUP, "remove", NAME)
        run("mount", f"/dev/mapper/{NAME}", mounted)
        undo.callback(run, "umount", "--recursive", mounted)
        fill(mounted, hook)
        for name in MOUNTED:
            run("mount", "--rbind", f"/{name}", mounted / name)
        # Read-only: nothing has to be written back, before a freeze or to a device that was made to fail.
        run("mount", "-o", "remount,ro", mounted)
        yield made
        made.repair()


@pytest.fixture
def other(root, prefix):
    """Another device, which is not suspended at the end; neither is the root."""
    run(DMSETUP, "create", prefix + "b", "--table", root.other)
    yield prefix + "b"
    root.repair()
    run(DMSETUP, "resume", prefix + "b")
    run(DMSETUP, "remove", prefix + "b")


# A command line, whether the root is suspended afterwards, the exit status, the end of what it says.
SUSPENDING = {
    "two": ("suspend {r} {o}", True, 0, ""),
    "two, verbose": ("-v suspend {r} {o}", True, 0, ""),
    "two, very verbose": ("-vvv suspend {r} {o}", True, 0, ""),
    "twice": ("suspend {r} {r}", True, 0, ""),
    "chosen": ("suspend -S name={r}||name={o}", True, 0, ""),
    "one of two": ("suspend {r} {o}-none {o}", True, 1, "No such device or address\nCommand failed.\n"),
    "resume": ("resume {r}", False, 0, ""),
    "rename": ("rename {r} {o}", False, 1, ""),
    "wipe": ("wipe_table {r} {o}", False, 0, ""),
    "wipe, forced": ("wipe_table -f {r} {o}", False, 0, ""),
    "remove, forced": ("remove --force {r}", False, 1, "busy\ndmctl: held by mount /\nCommand failed.\n"),
}


@pytest.mark.parametrize("case", SUSPENDING)
def test_command_line(case, root, other):
    line, suspended, status, said = SUSPENDING[case]
    words = line.format(r=NAME, o=other).split()
    result = root.start(dmctl_script(), *words, env={"LC_ALL": "C.UTF-8"})
    assert result.status == status, result
    assert root.suspended() == suspended
    assert result.err.decode().endswith(said), result


WITH = """
from dmctl.device import Device, list_devices
from dmctl.errors import DeviceError
from dmctl.table import Line

def locked():
    with open("/proc/self/status") as status:
        return next(line.split()[1] for line in status if line.startswith("VmLck:")) != "0"

device = Device("{r}")
try:
    with device.suspended():
        print(locked(), device.info().suspended)
        {body}
finally:
    print(locked(), device.info().suspended)
"""
# What is done meanwhile, and the end of the error output.
MEANWHILE = {
    "nothing": ("pass", ""),
    "look": ("device.status(); device.deps(); list_devices()", ""),
    "load": ("device.load(device.table()[0]); device.clear(); device.load(device.table()[0])", ""),
    "rename": ("device.rename('{o}-x'); Device('{o}-x').rename('{r}')", ""),
    "another": ("with Device('{o}').suspended(): pass", ""),
    "wipe another": ("Device('{o}').wipe(8)", ""),
    "refused": ("device.load([Line(0, 8, 'linear', '/dev/none 0')])", "failed: No such device\n"),
    "failed": ("raise MemoryError('x')", "MemoryError: x\n"),
}


@pytest.fixture
def outside():
    """A program in /run, which is no disk's, that runs others from there."""
    with tempfile.TemporaryDirectory(dir="/run") as folder:
        program = Path(folder, "outside")
        subprocess.run(["gcc", "-Wall", "-static", "-o", program, OUTSIDE], check=True)
        yield program


def test_command_of_exec(root, other, outside):
    """The command suspends the root file system that dmctl itself is from, and is then run for another device."""
    command = f"{outside} {DMSETUP} suspend"
    result = root.start(dmctl_script(), "status", "--exec", command, NAME, other)
    assert result.status == 0 and not result.err, result
    assert root.suspended()
    assert "Suspended" in run(DMSETUP, "info", "-c", "--noheadings", "-o", "suspended", other)


@pytest.mark.parametrize("case", MEANWHILE)
def test_with_suspended(case, root, other):
    body, said = (text.format(r=NAME, o=other) for text in MEANWHILE[case])
    script = WITH.format(r=NAME, body=body)
    result = root.start(sys.executable, "-P", "-c", script, env={"LC_ALL": "C.UTF-8"})
    assert result.text == "True True\nFalse False\n", result
    assert result.err.decode().endswith(said) and result.status == bool(said), result


def test_reading_is_noticed(root, other):
    """What the tests of this file are for does not end here: an import while the root is suspended."""
    script = WITH.format(r=NAME, body="import dmctl.cli.manual")
    with pytest.raises(pytest.fail.Exception, match="does not end"):
        root.start(sys.executable, "-P", "-c", script, limit_s=3)
    assert not root.suspended()


# Prints, and marks as an error, each file that is opened or looked for from the first suspend or resume on.
AUDITED = r"""
import os, sys
from dmctl.cli.main import main
from dmctl.libdm import task

run, since = task.Task.run, []

def noted(self):
    if self.kind in (task.SUSPEND, task.RESUME):
        since.append(self.verb)
    run(self)

def audit(event, arguments):
    if since and event in ("open", "import", "os.listdir", "os.scandir", "os.exec", "os.posix_spawn", "ctypes.dlopen"):
        os.write(1, f"AUDIT {event} {arguments[0]}\n".encode())

task.Task.run = noted
sys.addaudithook(audit)
status = main(["dmctl", *sys.argv[1:]])
os.write(1, f"AUDIT {status} {since}\n".encode())
os._exit(0)
"""
ON_NO_DISK = ("open /dev/", "open /sys/", "open /run/", "open /proc/")
OPENED = {
    "--debug suspend {a} {b}-none": "1 ['suspend', 'suspend']",
    "-v suspend {a} {b} {a}-none": "1 ['suspend', 'suspend', 'suspend']",
    "suspend -S name={a}||name={b}": "0 ['suspend', 'suspend']",
    "resume {a} {b}": "0 ['resume', 'resume']",
    "wipe_table -f {a} {b}": "0 ['resume', 'resume']",
    "remove --force {a} {b}": "0 ['resume', 'resume']",
}


def test_no_file_is_opened_once_suspended(prefix):
    """But those of the kernel and of udev, which are on no disk."""
    names = {"a": prefix + "a", "b": prefix + "b"}
    for name in names.values():
        run(DMSETUP, "create", name, "--table", "0 8 zero")
    for line, end in OPENED.items():
        out = run(sys.executable, "-P", "-c", AUDITED, *line.format(**names).split())
        *opened, last = (text.removeprefix("AUDIT ") for text in out.splitlines() if text.startswith("AUDIT "))
        assert last == end and "open /dev/kmsg" in opened, (line, out)
        assert not [text for text in opened if not text.startswith(ON_NO_DISK)], (line, out)


# Suspends two devices, and tells after each how much of the process is locked in memory.
LOCKING = r"""
import sys
from dmctl.cli.main import main
from dmctl.libdm import task

run = task.Task.run

def told(self):
    run(self)
    if self.kind == task.SUSPEND:
        with open("/proc/self/status") as status:
            kib = next(int(line.split()[1]) for line in status if line.startswith("VmLck:"))
        print("locked" if kib > 1024 else kib)

task.Task.run = told
sys.exit(main(["dmctl", *sys.argv[1:]]))
"""


def test_locked_from_the_first_device_in_use_on(prefix):
    """Nothing that is needed later can be on a device that nobody has open; locking takes long."""
    run(DMSETUP, "create", prefix + "a", "--table", "0 8 zero")
    run(DMSETUP, "create", prefix + "b", "--table", "0 8 zero")
    names = [prefix + "a", prefix + "b"]
    with open(f"/dev/mapper/{prefix}b", "rb"):
        assert run(sys.executable, "-P", "-c", LOCKING, "suspend", *names) == "0\nlocked\n"
        assert run(sys.executable, "-P", "-c", LOCKING, "suspend", *names[::-1]) == "locked\nlocked\n"
    assert run(sys.executable, "-P", "-c", LOCKING, "suspend", *names) == "0\n0\n"
    run(DMSETUP, "resume", *names)
    run(DMSETUP, "remove", *names)
