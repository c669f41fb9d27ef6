# SPDX-License-Identifier: LGPL-2.1-or-later
"""Verity devices opened and closed by dmctl and veritysetup in turn; trees on real block devices."""

import errno
import json
import os
import signal
import subprocess
from contextlib import contextmanager

import pytest

from dmctl.cli import stream, veritysetup
from dmctl.errors import DeviceError, DmctlError, NotFoundError, UsageError
from dmctl.verity import device as verity
from dmctl.verity import support
from dmctl.verity.existing import open_existing
from dmctl.verity.make import Choices, make
from dmctl.verity.places import opened
from dmctl.verity.repair import Parity, repair
from guests import udevd
from guests.fixtures import dmctl_script
from guests.kernel_state import DMSETUP
from kernel.stand_in import run
from keyring import keys_of_this_thread

BLOCKS = 300
VERITYSETUP = "/usr/sbin/veritysetup"


@pytest.fixture(scope="module", autouse=True)
def _module():
    subprocess.run(["modprobe", "-q", "dm-verity"], check=False)


@pytest.fixture
def files(tmp_path):
    """Random data with tree and parity in files: the paths, and the root hash in digits."""
    paths = [str(tmp_path / name) for name in ("data", "hash", "fec")]
    with open(paths[0], "wb") as file:
        file.write(os.urandom(BLOCKS * 4096))
    return *paths, make(*paths[:2], Choices(fec_path=paths[2])).root_hash.hex()


def read(path):
    with open(path, "rb") as file:
        return file.read()


def test_opened_by_dmctl(files, prefix, dmctl):
    """What veritysetup tells of it is what dmctl tells, and veritysetup closes it."""
    data, hashes, _, root_hash = files
    name = prefix + "v"
    assert dmctl("verity", "open", data, name, hashes, root_hash).status == 0
    try:
        assert read(f"/dev/mapper/{name}") == read(data)
        with open(f"/dev/mapper/{name}", "rb"):
            told = dmctl("verity", "status", name).text
            assert told == run(VERITYSETUP, "status", name) and " is active and is in use." in told
            busy = dmctl("verity", "close", name)
            assert busy.status == 5 and f"held by process {os.getpid()} ".encode() in busy.err
        with pytest.raises(DmctlError, match="already") as again:
            verity.open_device(name, data, hashes, root_hash)
        assert again.value.exit_status == 5
    finally:
        run(VERITYSETUP, "close", name)
    gone = dmctl("verity", "status", name)
    assert (gone.status, gone.text) == (3, f"/dev/mapper/{name} is inactive.\n")
    with pytest.raises(NotFoundError):
        verity.close_device(name)


def test_opened_by_veritysetup(files, prefix, dmctl):
    data, hashes, _, root_hash = files
    name = prefix + "v"
    words = ("--ignore-corruption", "--ignore-zero-blocks", "--check-at-most-once")
    run(VERITYSETUP, "open", data, name, hashes, root_hash, *words)
    try:
        assert dmctl("verity", "status", name).text == run(VERITYSETUP, "status", name)
        told = json.loads(dmctl("verity", "status", name, "--json").text)
        assert told["arguments"]["root_digest"] == root_hash and told["state"]["validity"] == "V"
    finally:
        assert dmctl("verity", "close", name).status == 0
    assert not os.path.exists(f"/dev/mapper/{name}")


@pytest.fixture
def curious_udev():
    """udev's rules have a verity device open for a while when it has met a wrong block."""
    rules, flag = "/run/udev/rules.d/00-curious.rules", "/run/curious"
    once = f"[ -e {flag} ] || {{ exec 3</dev/%k; : >{flag}; sleep 1; }}"
    os.makedirs(os.path.dirname(rules), exist_ok=True)
    with open(rules, "w") as file:
        file.write(f"""ENV{{DM_VERITY_ERR_BLOCK_NR}}=="?*", PROGRAM="/bin/sh -c '{once}'"\n""")
    udevd.reload()
    yield flag
    os.unlink(rules)
    os.unlink(flag)
    udevd.reload()


def test_close_while_udev_looks_at_it(files, prefix, curious_udev):
    """A wrong block is an event; what udev's rules have open for a moment is no reason not to close."""
    data, hashes, _, root_hash = files
    name = prefix + "v"
    with open(data, "r+b") as file:
        file.write(b"wrong")
    verity.open_device(name, data, hashes, root_hash)
    with open(f"/dev/mapper/{name}", "rb", buffering=0) as file, pytest.raises(OSError, match="Input/output"):
        file.read(4096)
    while not os.path.exists(curious_udev):
        os.sched_yield()
    assert verity.look_at(name).info.open_count == 1
    verity.close_device(name)
    assert not os.path.exists(f"/dev/mapper/{name}")


def test_wrong_root_hash_is_refused(files, prefix):
    data, hashes, _, root_hash = files
    with pytest.raises(verity.RootHashError):
        verity.open_device(prefix + "v", data, hashes, root_hash[::-1])
    assert not os.path.exists(f"/dev/mapper/{prefix}v")


@pytest.mark.parametrize(
    ("features", "signature", "told"),
    [
        ({}, b"none", r"does not have signatures \(it is built without DM_VERITY_VERIFY_ROOTHASH_SIG\)"),
        ({"fec_path": "fec"}, None, r"does not have error correction \(it is built without DM_VERITY_FEC\)"),
        ({"fec_path": "fec"}, b"none", "does not have error correction .* or signatures "),
        # Before anything is made: there is no version 1.10.0 in this kernel.
        ({"on_error": "panic"}, None, r"verity target, version 1\.[0-9]\.[0-9], does not have panic_on_error\."),
    ],
)
def test_what_this_kernel_does_not_have(files, prefix, features, signature, told):
    """It is named, nothing is made, and the key is gone."""
    data, hashes, parity, root_hash = files
    if features.get("fec_path"):
        features = {"fec_path": parity}
    with pytest.raises(DmctlError, match=told):
        verity.open_device(
            prefix + "v", data, hashes, root_hash, features=verity.Features(**features), signature=signature
        )
    assert not os.path.exists(f"/dev/mapper/{prefix}v")
    assert keys_of_this_thread() == []


def test_options_need_no_module_before(files, prefix, monkeypatch):
    """The target's module is loaded to ask for its version; where that cannot be asked, the kernel's answer tells."""
    data, hashes, _, root_hash = files
    panic = verity.Features(on_error="panic")
    subprocess.run(["modprobe", "-r", "dm-verity"], check=True)
    with pytest.raises(
        DmctlError, match=r"^This kernel's verity target, version [0-9.]+, does not have panic_on_error\.$"
    ):
        verity.open_device(prefix + "v", data, hashes, root_hash, features=panic)

    def cannot(target):
        raise DeviceError("no answer")

    monkeypatch.setattr(support, "target_version", cannot)
    with pytest.raises(DeviceError, match=r"^This kernel's dm-verity does not have panic_on_error\.$"):
        verity.open_device(prefix + "v", data, hashes, root_hash, features=panic)
    verity.open_device(prefix + "v", data, hashes, root_hash)
    verity.close_device(prefix + "v")


@pytest.mark.parametrize(("name", "why"), [("", "empty"), ("a/b", "a /")])
def test_no_name(files, name, why):
    with pytest.raises(UsageError, match=why):
        verity.open_device(name, *files[:2], files[3])


def test_veritysetup_opens_once(disk, prefix):
    """Of a block device too, which the first has taken for itself; and of two at the same moment."""
    data, hashes = disk(1 << 20), disk(1 << 20)
    made = make(data.path, hashes.path, Choices())
    name = prefix + "v"
    words = ("open", data.path, name, hashes.path, made.root_hash.hex())
    start = [dmctl_script(), "veritysetup", *words]
    both = [subprocess.Popen(start, stderr=subprocess.PIPE) for _ in range(2)]
    ends = sorted((one.wait(), one.stderr.read()) for one in both)
    for one in both:
        one.stderr.close()
    assert ends == [(0, b""), (5, f"Device {name} already exists.\n".encode())]
    theirs = subprocess.run([VERITYSETUP, *words], capture_output=True, check=False)
    assert (theirs.returncode, theirs.stderr) == ends[1]
    own = subprocess.run(start, capture_output=True, check=False)
    assert (own.returncode, own.stdout, own.stderr) == (theirs.returncode, theirs.stdout, theirs.stderr)
    verity.close_device(name)


def test_name_and_data_taken_meanwhile(disk, prefix, monkeypatch):
    """By another process that opens the same: what it has taken first, the name, is what is told."""
    data, hashes = disk(1 << 20), disk(1 << 20)
    made = make(data.path, hashes.path, Choices())
    words = (prefix + "v", data.path, hashes.path, made.root_hash.hex())
    look = verity._refuse_in_use

    def too_late(place):
        monkeypatch.undo()
        verity.open_device(*words)
        look(place)

    monkeypatch.setattr(verity, "_refuse_in_use", too_late)
    with pytest.raises(DmctlError, match="already") as refused:
        verity.open_device(*words)
    assert refused.value.errno == errno.EEXIST
    verity.close_device(prefix + "v")


def test_called_veritysetup(files, prefix, dmctl_as, capfdbinary):
    """In this process, for a start takes long in the guest; by its name once."""
    data, hashes, _, root_hash = files
    name = prefix + "v"

    errors = []

    def own(*words):
        status = veritysetup.run(list(words))
        stream.flush()
        out, err = capfdbinary.readouterr()
        errors.append(err)
        return status, os.fsdecode(out)

    def same(*words, then=()):
        done = subprocess.run([VERITYSETUP, *words], capture_output=True, check=False)
        if then:
            run(VERITYSETUP, *then)
        status, out = own(*words)
        assert (status, out.encode(), errors[-1]) == (done.returncode, done.stdout, done.stderr)
        if then:
            assert own(*then)[0] == 0

    for flags in (("--ignore-zero-blocks",), ("--ignore-zero-blocks", "--check-at-most-once", "--use-tasklets")):
        assert own("open", data, name, hashes, root_hash, *flags) == (0, "")
        told = own("status", name)
        expected = run(VERITYSETUP, "status", name)
        assert own("close", name) == (0, "")
        assert told == (0, expected)
    assert own("open", data, name, hashes, root_hash, "--panic-on-corruption") == (0, "")
    try:
        told = dmctl_as("veritysetup", "status", name)
        assert (told.status, told.text) == (0, run(VERITYSETUP, "status", name))
        for words in (
            ("status", f"/dev/mapper/{name}"),
            ("open", data, name, hashes, root_hash),
            ("open", data, "a/b", hashes, root_hash),
            ("open", data, f"{name}2", hashes, root_hash, "--root-hash-signature", "/nowhere"),
        ):
            same(*words)
        with open(f"/dev/mapper/{name}", "rb"):
            assert own("close", name)[0] == 5  # veritysetup tries 25 times, a line each
            same("close", "--deferred", name)
    finally:
        run("udevadm", "settle")
    for words in (("status", name), ("-v", "close", name), ("close", f"/dev/mapper/{name}"), ("status", "/nowhere")):
        same(*words)
    same("open", data, name, hashes, root_hash[::-1], then=("close", name))


FEATURES = {
    "ignore": ({"on_corruption": "ignore"}, "ignore_corruption"),
    "restart": ({"on_corruption": "restart"}, "restart_on_corruption"),
    "panic": ({"on_corruption": "panic"}, "panic_on_corruption"),
    "zero blocks": ({"ignore_zero_blocks": True}, "ignore_zero_blocks"),
    "once": ({"check_at_most_once": True}, "check_at_most_once"),
    "tasklet": ({"try_verify_in_tasklet": True}, "try_verify_in_tasklet"),
}


def test_features_without_superblock(files, prefix, tmp_path):
    """Each by itself, and data and hashes in one file."""
    data = files[0]
    choices = Choices(superblock=False, data_blocks=BLOCKS, hash_offset_bytes=BLOCKS * 4096)
    made = make(data, data, choices)
    for features, said in FEATURES.values():
        name = f"{prefix}{said}"
        verity.open_device(
            name,
            data,
            data,
            made.root_hash.hex(),
            hash_offset_bytes=choices.hash_offset_bytes,
            parameters=made.parameters,
            features=verity.Features(**features),
        )
        try:
            table = run(DMSETUP, "table", name).split()
            assert table[4] == table[5] and table[13:] == ["1", said]
            assert read(f"/dev/mapper/{name}") == read(data)[: BLOCKS * 4096]
        finally:
            verity.close_device(name)


def test_corruption_is_seen(files, prefix):
    """The last block, which udev does not look at; the kernel has not read it before."""
    data, hashes, _, root_hash = files
    with open(data, "r+b") as file:
        os.pwrite(file.fileno(), b"wrong", BLOCKS // 2 * 4096)
    name = prefix + "v"
    verity.open_device(name, data, hashes, root_hash)
    try:
        assert verity.look_at(name).status.validity == "V"
        fd = os.open(f"/dev/mapper/{name}", os.O_RDONLY)
        try:
            assert len(os.pread(fd, 4096, 0)) == 4096
            with pytest.raises(OSError, match="Input/output error"):
                os.pread(fd, 4096, BLOCKS // 2 * 4096)
        finally:
            os.close(fd)
        assert verity.look_at(name).status.validity == "C"
        assert "status:      corrupted" in run(VERITYSETUP, "status", name)
    finally:
        verity.close_device(name)


def test_not_a_verity_device(prefix):
    run(DMSETUP, "create", prefix + "z", "--table", "0 8 zero")
    for act in (verity.look_at, verity.close_device):
        with pytest.raises(DmctlError, match="not a verity device"):
            act(prefix + "z")
    run(DMSETUP, "remove", prefix + "z")


@contextmanager
def device(name, table):
    run(DMSETUP, "create", name, "--table", table)
    try:
        yield f"/dev/mapper/{name}"
    finally:
        run(DMSETUP, "remove", name)


@pytest.mark.parametrize("sector_size", [512, 4096])
def test_devices(sector_size, disk, prefix, tmp_path):
    """Read past the page cache; the last block is no whole page of a device with 4 KiB sectors."""
    data, hashes, parity = (disk(2 << 20, sector_size=sector_size) for _ in range(3))
    content = os.urandom(2 << 20)
    with open(data.path, "r+b") as file:
        file.write(content)
    choices = Choices(salt=b"x", data_block_bytes=1024, hash_block_bytes=1024, data_blocks=2047, fec_path=parity.path)
    made = make(data.path, hashes.path, choices)
    result = run(VERITYSETUP, "verify", data.path, hashes.path, made.root_hash.hex(), "--fec-device", parity.path)
    assert not result
    with open_existing(data.path, hashes.path, write=True) as there:
        assert not list(there.image.damages(made.root_hash))
        os.pwrite(there.data.fd, bytes(1024), 2046 * 1024)
        os.pwrite(there.hashes.fd, bytes(1024), 5 * 1024)
        with opened(parity.path) as place:
            outcomes = list(repair(there, Parity(place, 0, 2), made.root_hash))
    assert sorted((one.where, one.offset_bytes, one.repaired) for one in outcomes) == [
        ("data", 2046 * 1024, True),
        ("hash", 5 * 1024, True),
    ]
    assert read(data.path) == content


def test_device_in_use_is_refused(disk, prefix, tmp_path):
    data, hashes = disk(1 << 20), disk(1 << 20)
    with device(prefix + "h", f"0 8 linear {hashes.path} 0"):
        with pytest.raises(DmctlError, match="in use") as refused:
            make(data.path, hashes.path, Choices())
        assert refused.value.exit_status == 5
    assert not any(read(hashes.path))


def test_signature_is_asked_about(disk, dmctl):
    data, hashes = disk(1 << 20), disk(1 << 20)
    run("mkfs.ext4", "-q", hashes.path)
    before = read(hashes.path)
    refused = dmctl("verity", "format", data.path, hashes.path)
    assert refused.status == 2 and b"holds ext4; --yes" in refused.err
    assert read(hashes.path) == before
    assert dmctl("verity", "format", data.path, hashes.path, "--yes").status == 0


def test_unreadable_blocks_are_wrong(disk, prefix):
    """Told as wrong, and parity knows what was there; that it cannot be written is an error, not an endless loop."""
    data, hashes, parity = (disk(2 << 20) for _ in range(3))
    with open(data.path, "r+b") as file:
        file.write(os.urandom(2 << 20))
    made = make(data.path, hashes.path, Choices(fec_path=parity.path, fec_roots=8))
    # Blocks 100 and 101, and 7.
    parts = ((0, 56, "linear"), (56, 8, "error"), (64, 736, "linear"), (800, 16, "error"), (816, 3280, "linear"))
    lines = [f"{at} {n} {kind}" + (f" {data.path} {at}" if kind == "linear" else "") for at, n, kind in parts]
    with device(prefix + "bad", "\n".join(lines)) as bad, opened(parity.path) as place:
        with open_existing(bad, hashes.path) as there:
            found = [(one.where, one.first_block, one.blocks) for one in there.image.damages(made.root_hash)]
            told = list(repair(there, Parity(place, 0, 8), made.root_hash, dry_run=True))
        assert found == [("data", 7, 1), ("data", 100, 2)]
        assert sorted(one.block for one in told if one.repaired) == [7, 100, 101]
        with open_existing(bad, hashes.path, write=True) as there, pytest.raises(DmctlError, match="written"):
            list(repair(there, Parity(place, 0, 8), made.root_hash))
        for fec_path in (None, parity.path):
            with pytest.raises(DmctlError, match=r"^Reading the data at byte [0-9]+ failed: Input/output"):
                make(bad, hashes.path, Choices(fec_path=fec_path))


def test_full_file_system(files, tmp_path):
    """What was begun is gone again."""
    folder = tmp_path / "full"
    folder.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(folder))
    try:
        with pytest.raises(DmctlError) as failed:
            make(files[0], str(folder / "hash"), Choices())
        assert failed.value.errno == errno.ENOSPC and not os.listdir(folder)
    finally:
        run("umount", str(folder))


def test_interrupted_format_of_a_device(disk):
    """^C once the old superblock is gone: there is none afterwards, and the old root hash is refused."""
    data, hashes = disk(64 << 20), disk(4 << 20)
    with open(data.path, "r+b") as file:
        file.write(os.urandom(64 << 20))
    root_hash = make(data.path, hashes.path, Choices()).root_hash.hex()
    words = ("verity", "format", "-y", "--threads", "1", "--hash", "sha3-512", data.path, hashes.path)
    process = subprocess.Popen([dmctl_script(), *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while read_direct(hashes.path)[:6] == b"verity":
        assert process.poll() is None, "it was too fast"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGINT
    assert not any(read_direct(hashes.path))
    refused = subprocess.run(
        [VERITYSETUP, "verify", data.path, hashes.path, root_hash], check=False, capture_output=True
    )
    assert refused.returncode


def read_direct(path):
    """The first 512 bytes as another process has written them."""
    with open(path, "rb", buffering=0) as file:
        return file.read(512)
