# SPDX-License-Identifier: LGPL-2.1-or-later
"""The error correction's API where things go wrong: numbers that cannot be, files that end early, ^C."""

import errno
import os
import resource
import signal
import threading
import time

import pytest

from dmctl.errors import UsageError
from dmctl.verity import fec
from dmctl.verity.fec import Area, FecIOError, Layout

BLOCK = 4096
HUGE = 2**63


@pytest.fixture
def files(tmp_path):
    """A message of 600 blocks, and a file for the parity."""
    with (tmp_path / "data").open("w+b") as data, (tmp_path / "parity").open("w+b") as parity:
        data.write(os.urandom(600 * BLOCK))
        data.flush()
        yield data.fileno(), parity.fileno()


@pytest.mark.parametrize(
    ("blocks", "roots", "size", "rounds", "size_bytes"),
    [
        (1, 2, 4096, 1, 8192),
        (253, 2, 4096, 1, 8192),
        (254, 2, 4096, 2, 16384),
        (231 * 7, 24, 512, 7, 7 * 24 * 512),
        # Of 2 GiB and their tree, two parts in 253.
        (524288 + 4128, 2, 4096, 2089, 2089 * 8192),
    ],
)
def test_layout(blocks, roots, size, rounds, size_bytes):
    layout = Layout(blocks, roots, size)
    assert (layout.rounds, layout.size_bytes) == (rounds, size_bytes)
    places = [layout.place_of(block) for block in (0, blocks - 1)]
    assert places[0] == (0, 0)
    assert places[1] == ((blocks - 1) % rounds, (blocks - 1) // rounds)
    assert places[1][1] < layout.rows


HOSTILE_LAYOUTS = [
    ("roots", (10, 0, BLOCK)),
    ("roots", (10, 1, BLOCK)),
    ("roots", (10, 25, BLOCK)),
    ("roots", (10, 255, BLOCK)),
    ("roots", (10, -2, BLOCK)),
    ("block_size_bytes", (10, 2, 0)),
    ("block_size_bytes", (10, 2, 256)),
    ("block_size_bytes", (10, 2, 4095)),
    ("block_size_bytes", (10, 2, 1 << 20)),
    ("fec_blocks", (0, 2, BLOCK)),
    ("fec_blocks", (-1, 2, BLOCK)),
    ("fec_blocks", (HUGE // BLOCK, 2, BLOCK)),
    ("fec_blocks", (2**64, 2, BLOCK)),
]


@pytest.mark.parametrize(("argument", "numbers"), HOSTILE_LAYOUTS)
def test_layouts_that_cannot_be(argument, numbers):
    with pytest.raises(UsageError, match=f"^{argument}: "):
        Layout(*numbers)


HOSTILE_AREAS = [
    ("areas", (-BLOCK, BLOCK)),
    ("areas", (0, -BLOCK)),
    ("areas", (0, BLOCK + 512)),
    ("areas", (0, 601 * BLOCK)),
    ("areas", (1, 600 * BLOCK)),
    ("areas", (HUGE, BLOCK)),
    ("areas", (HUGE - BLOCK, BLOCK)),
    ("fec_blocks", (0, HUGE - BLOCK)),
    ("areas", (0, 2**80)),
    ("fec_blocks", (0, 0)),
]


@pytest.mark.parametrize(("argument", "numbers"), HOSTILE_AREAS)
def test_areas_that_cannot_be(files, argument, numbers):
    data, parity = files
    areas = [Area(data, *numbers)]
    with pytest.raises(UsageError, match=f"^{argument}: "):
        fec.encode(areas, parity)
    with pytest.raises(UsageError, match=f"^{argument}: "):
        fec.repair_blocks(areas, parity, 0, [0])
    assert os.fstat(parity).st_size == 0


@pytest.mark.parametrize("argument", ["fec_offset_bytes", "threads", "DMCTL_FEC", "areas"])
def test_other_arguments_that_cannot_be(files, monkeypatch, argument):
    data, parity = files
    areas, offsets, options = [Area(data, 0, 600 * BLOCK)], [0], {}
    pipe = os.pipe()
    if argument == "fec_offset_bytes":
        offsets = [-1, HUGE - 1, HUGE - 3 * 2 * BLOCK, 2**70]
    elif argument == "threads":
        options = {"threads": 0}
    elif argument == "DMCTL_FEC":
        monkeypatch.setenv("DMCTL_FEC", "abacus")
    else:
        areas = [Area(pipe[0], 0, BLOCK)]
    for offset in offsets:
        with pytest.raises(UsageError, match=f"^{argument}: "):
            fec.encode(areas, parity, offset, **options)
        with pytest.raises(UsageError, match=f"^{argument}: "):
            fec.repair_blocks(areas, parity, offset, [0], **options)
    for end in pipe:
        os.close(end)


def test_a_way_that_this_machine_lacks(files, monkeypatch):
    monkeypatch.setattr(fec, "paths", lambda: ["portable"])
    monkeypatch.setenv("DMCTL_FEC", "avx2")
    with pytest.raises(UsageError, match=r"^DMCTL_FEC: 'avx2' is none"):
        fec.encode([Area(files[0], 0, BLOCK)], files[1])


def test_parity_may_not_overwrite_the_message(files):
    data, _ = files
    parity_bytes = Layout(500, 2, BLOCK).size_bytes
    areas = [Area(data, BLOCK, 500 * BLOCK, name="the data")]
    os.ftruncate(data, 0)
    os.ftruncate(data, 600 * BLOCK)
    for offset in (0, BLOCK - 1, 500 * BLOCK, 501 * BLOCK - 1, BLOCK - parity_bytes + 1):
        if offset >= 0:
            with pytest.raises(UsageError, match=r"^fec_offset_bytes: .* overwrite the data"):
                fec.encode(areas, data, offset)
    fec.encode(areas, data, 501 * BLOCK)


@pytest.mark.parametrize("bad", [[-1], [600], [0, 2**64]])
def test_bad_blocks_that_are_not_there(files, bad):
    data, parity = files
    areas = [Area(data, 0, 600 * BLOCK)]
    fec.encode(areas, parity)
    with pytest.raises(UsageError, match=f"^bad: there is no block {bad[-1]} "):
        fec.repair_blocks(areas, parity, 0, bad)


def test_parity_that_is_too_short(files):
    data, parity = files
    areas = [Area(data, 0, 600 * BLOCK)]
    fec.encode(areas, parity)
    os.ftruncate(parity, 6 * BLOCK - 1)
    with pytest.raises(UsageError, match=r"^fec_fd: 24575 bytes "):
        fec.repair_blocks(areas, parity, 0, [0])


@pytest.fixture
def slowly(monkeypatch):
    """On a fast machine, too, what takes long here takes long."""
    monkeypatch.setenv("DMCTL_FEC", "portable")


def long_work(data):
    """The areas of a message that takes much longer than a test may, and arguments to make it so."""
    return [Area(data, 0, 600 * BLOCK)] * 2000, {"roots": 24, "threads": 2}


def test_a_file_that_gets_shorter(files, slowly):
    data, parity = files
    areas, options = long_work(data)
    with pytest.raises(FecIOError, match="the file ends there") as caught:
        fec.encode(areas, parity, progress=lambda *_: os.ftruncate(data, 100 * BLOCK), **options)
    assert caught.value.errno == errno.EIO
    assert caught.value.area in range(2000)
    assert 100 * BLOCK <= caught.value.offset_bytes < 600 * BLOCK
    assert caught.value.exit_status == 1


@pytest.mark.parametrize("threads", [1, 3])
def test_errors_say_where(files, tmp_path, threads):
    data, parity = files
    message = Area(data, 0, 600 * BLOCK)
    with (tmp_path / "tree").open("wb", buffering=0) as unreadable, open("/dev/full", "wb") as full:
        unreadable.write(os.urandom(8 * BLOCK))
        with pytest.raises(FecIOError) as caught:
            fec.encode([message, Area(unreadable.fileno(), 4 * BLOCK, 4 * BLOCK, "the tree")], parity, threads=threads)
        assert (caught.value.errno, caught.value.area) == (errno.EBADF, 1)
        assert 4 * BLOCK <= caught.value.offset_bytes < 8 * BLOCK
        assert "of the tree: Bad file descriptor" in str(caught.value)
        with pytest.raises(FecIOError) as caught:
            fec.encode([message], full.fileno(), 4096, threads=threads)
        assert (caught.value.errno, caught.value.area) == (errno.ENOSPC, None)
        assert caught.value.offset_bytes >= 4096
    fec.encode([message], parity)
    with (tmp_path / "parity").open("ab") as unreadable, pytest.raises(FecIOError) as caught:
        list(fec.repair_blocks([message], unreadable.fileno(), 0, [7], threads=threads))
    assert (caught.value.errno, caught.value.area) == (errno.EBADF, None)


def test_progress(files, slowly):
    data, parity = files
    areas, seen = [Area(data, 0, 600 * BLOCK)] * 60, []
    layout = fec.encode(areas, parity, progress=lambda *numbers: seen.append(numbers), roots=24, threads=1)
    assert seen[-1] == (layout.fec_blocks, layout.fec_blocks) == (36000, 36000)
    assert seen == sorted(seen)
    assert len({done for done, _ in seen}) > 1


def test_progress_ends_it(files, slowly):
    data, parity = files
    areas, options = long_work(data)

    def progress(done, total):
        assert 0 <= done < total
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        fec.encode(areas, parity, progress=progress, **options)
    assert os.fstat(parity).st_size < Layout.of(areas, roots=24, block_size_bytes=BLOCK).size_bytes
    assert not [thread.name for thread in threading.enumerate() if thread.name == "dmctl-fec"]


@pytest.fixture
def interruptible():
    """SIGINT raises, also where the caller of the tests has it ignored, as a shell does for what runs behind it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_interrupt_ends_it(files, slowly, interruptible):
    data, parity = files
    areas, options = long_work(data)
    sent = []

    def interrupt():
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(0.2, interrupt)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        fec.encode(areas, parity, **options)
    # A tenth of a second where the machine has nothing else to do; the whole would take many.
    assert time.monotonic() - sent[0] < 1
    timer.join()


def test_memory_is_bounded(files):
    """However large the message and its numbers are: what the process may add to its memory is far less than either."""
    data, parity = files
    areas = [Area(data, 0, 600 * BLOCK)] * 100
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    layout = fec.encode(areas, parity, roots=24, threads=2)
    bad = range(0, layout.fec_blocks, 2)
    for count, one in enumerate(fec.repair_blocks(areas, parity, 0, bad, roots=24, blind=True, threads=2)):
        assert one.block % 2 == 0
        if count > 200:
            break
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) < 64 * 1024
