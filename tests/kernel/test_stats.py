# SPDX-License-Identifier: LGPL-2.1-or-later
"""Statistics of devices that are read and written: counters, rates and histograms against dmstats and the kernel."""

import os
import subprocess

import pytest

from compat.world import first_line
from guests.fixtures import dmctl_script

MIB = 1 << 20
COUNTERS = (
    "read_count,read_sector_count,read_time,write_count,write_sector_count,write_time,in_progress_count,io_ticks,"
    "queue_ticks,read_ticks,write_ticks,reads_merged_count,writes_merged_count"
)
METRICS = (
    "reads_per_sec,writes_per_sec,read_size_per_sec,write_size_per_sec,avg_request_size,queue_size,await,read_await,"
    "write_await,throughput,util,interval,interval_ns"
)
HISTOGRAMS = (
    "hist_count,hist_count_bounds,hist_count_ranges,hist_percent,hist_percent_bounds,hist_percent_ranges,hist_bounds,"
    "hist_ranges,hist_bins"
)


@pytest.fixture
def device(prefix, disk, dmsetup):
    """A device of two lines and 8 MiB, with regions by segments, by area and with a histogram."""
    name, loop = prefix + "io", disk(8 * MIB).path
    table = f"0 8192 linear {loop} 0\n8192 8192 linear {loop} 8192"
    assert dmsetup("create", name, "--table", table).status == 0
    for words in (
        f"create {name} --segments --alias both",
        f"create {name} --areas 4",
        f"create {name} --precise --bounds 20us,100us,10ms,1s",
        f"create {name} --segments --alias precise --precise --bounds 50us,1ms",
    ):
        assert dmsetup("stats", *words.split()).status == 0
    yield name
    subprocess.run(["udevadm", "settle"], check=True)
    assert dmsetup("remove", name).status == 0


def transfer(name, *, reads=16, writes=16):
    """Read and write 64 KiB at a time around the page cache, spread over the device."""
    path = f"/dev/mapper/{name}"
    for count, words in (
        (writes, ["if=/dev/zero", f"of={path}", "oflag=direct", "conv=notrunc"]),
        (reads, [f"if={path}", "of=/dev/null", "iflag=direct"]),
    ):
        subprocess.run(["dd", *words, "bs=64k", f"count={count}"], check=True, capture_output=True)
    subprocess.run(["udevadm", "settle"], check=True)  # udev reads a device that was closed after writing


@pytest.mark.parametrize("fields", [COUNTERS, METRICS, HISTOGRAMS])
@pytest.mark.parametrize("objects", [(), ("--area", "--region", "--group")])
@pytest.mark.parametrize("style", [(), ("--noheadings", "--notimesuffix")])
def test_report_is_dmstats_s_without_clearing(device, dmctl, dmsetup, fields, objects, style):
    transfer(device)
    words = ("stats", "report", *objects, *style, "-o", f"obj_type,region_id,area_id,{fields}", device)
    before = dmsetup("stats", "print", "--allregions", device).out
    own, again = dmctl(*words), dmctl(*words)
    assert dmsetup("stats", "print", "--allregions", device).out == before
    theirs = dmsetup(*words)
    assert theirs.status == own.status == 0
    assert own.out == again.out == theirs.out
    # dmstats has cleared the counters by it.
    assert dmsetup("stats", "print", "--allregions", device).out != before
    assert dmctl(*words).out == dmsetup(*words).out


def test_as_dmstats_it_clears(device, dmctl_as, dmsetup):
    transfer(device)
    words = ("report", "-o", f"region_id,area_id,{COUNTERS}", device)
    before = dmctl_as("dmstats", *words)
    after = dmsetup("stats", *words)
    assert before.status == 0
    assert before.out != after.out
    assert dmctl_as("dmstats", *words).out == after.out


def numbers(line):
    return [int(word) for word in line.split(b":")]


def test_second_report_is_about_the_interval(device, dmctl, dmsetup):
    """Nothing is read or written between the two: the first has all so far, the second nothing."""
    transfer(device, reads=5, writes=7)
    result = dmctl(
        "stats", "report", "--count", "2", "--noheadings", "-o", "read_count,write_count,write_sector_count",
        "-S", "region_id=2", "--region", device,
    )  # fmt: skip
    assert result.status == 0
    first, gap, second = result.out.splitlines()
    assert (numbers(first)[1:], gap, numbers(second)) == ([7, 7 * 128], b"", [0, 0, 0])
    assert numbers(first)[0] >= 5  # and what udev has read
    kernel = dmsetup("message", device, "0", "@stats_print 2").text.splitlines()
    assert sum(int(line.split()[5]) for line in kernel) == 7


def test_cleared_meanwhile(device, dmsetup):
    """Somebody else clears the region between two reports: what is there counts, not a negative difference."""
    transfer(device, reads=0, writes=7)
    with subprocess.Popen(
        [dmctl_script(), "stats", "report", "--count", "2", "--interval", "2", "--noheadings", "-o", "write_count",
         "-S", "region_id=3", "--region", device],
        stdout=subprocess.PIPE,
    ) as report:  # fmt: skip
        assert report.stdout is not None
        assert report.stdout.readline() == b"7\n"
        assert dmsetup("stats", "clear", "--allregions", device).status == 0
        transfer(device, reads=0, writes=3)
        assert report.stdout.read() == b"\n3\n"
    assert report.returncode == 0


def test_clear_with_the_report(device, dmctl, dmsetup):
    transfer(device)
    assert dmctl("stats", "report", "--clear", device).status == 0
    counters = [line.split()[1:9] for line in dmsetup("message", device, "0", "@stats_print 3").out.splitlines()]
    assert counters == [[b"0"] * 8]


def test_rates_that_1_02_185_gets_wrong(device, dmctl, dmsetup):
    """The service time is the busy time by request: dmstats is off by a factor of a million."""
    transfer(device)
    fields = "io_ticks,read_count,write_count,service_time"
    for line in dmctl("stats", "report", "--noheadings", "-o", fields, device).text.splitlines():
        busy, reads, writes, service_ms = line.split(":")
        requests = int(reads) + int(writes)
        assert float(service_ms) == pytest.approx(int(busy) / 1e6 / requests if requests else 0, abs=0.005)


def test_selection_by_rates_and_sizes(device, dmctl, dmsetup):
    transfer(device, writes=16, reads=0)
    for selection, expected in (
        ("region_len=4m", 4),
        ("region_len>4m", 2),
        ("precise=1", 3),
        ("writes_per_sec>=16&&region_len>4m", 2),
        ("writes_per_sec>16", 0),
    ):
        result = dmctl("stats", "report", "--region", "--noheadings", "-o", "region_id", "-S", selection, device)
        assert (selection, len(result.out.splitlines())) == (selection, expected)


@pytest.fixture
def file_system(prefix, disk, dmsetup, tmp_path):
    """A mounted ext4 on a device, and the device's name."""
    name = prefix + "fs"
    assert dmsetup("create", name, "--table", f"0 65536 linear {disk(32 * MIB).path} 0").status == 0
    folder = tmp_path / "mounted"
    folder.mkdir()
    subprocess.run(["mkfs.ext4", "-q", f"/dev/mapper/{name}"], check=True, capture_output=True)
    subprocess.run(["mount", f"/dev/mapper/{name}", folder], check=True)
    yield folder, name
    subprocess.run(["umount", folder], check=True)
    subprocess.run(["udevadm", "settle"], check=True)
    assert dmsetup("remove", name).status == 0


def fragmented(path, other):
    """A file whose extents do not follow each other."""
    for number in range(6):
        for name in (path, other):
            with open(name, "ab") as file:
                file.write(bytes([number]) * 65536)
                os.fsync(file.fileno())
    os.sync()


@pytest.mark.parametrize(
    "options", ["", "--nogroup", "--alias mine", "--precise", "--bounds 1ms,1s", "--programid other", "--follow path"]
)
def test_file_map(file_system, dmctl, dmctl_as, dmsetup, options):
    folder, name = file_system
    path = folder / "data"
    fragmented(path, folder / "between")
    words = ["stats", "create", "--filemap", *options.split(), *["--nomonitor"] * ("follow" not in options), str(path)]
    results, regions = [], []
    for tool in (dmsetup, lambda *given: dmctl_as("dmsetup", *given), dmctl):
        results.append(tool(*words))
        regions.append(dmsetup("message", name, "0", "@stats_list").text)
        for region in regions[-1].splitlines():
            assert dmsetup("message", name, "0", f"@stats_delete {region.split(':')[0]}").status == 0
    theirs, as_dmsetup, own = results
    assert (as_dmsetup.status, as_dmsetup.out) == (own.status, own.out) == (theirs.status, theirs.out)
    assert theirs.status == 0
    assert len(regions[0].splitlines()) > 1
    assert regions[1] == regions[0]
    if options == "--precise":  # which 1.02.185 forgets
        assert "precise_timestamps" not in regions[0]
        assert [line.split()[-1] for line in regions[2].splitlines()] == ["precise_timestamps"] * len(
            regions[0].splitlines()
        )
    else:
        assert regions[2] == regions[0]
    if "follow" in options:  # Debian has no dmfilemapd, and says so from a process of its own
        assert own.err == as_dmsetup.err == b"dmfilemapd: execvp failed: No such file or directory\n"


def test_file_map_of_a_name_with_blanks(file_system, dmctl, dmsetup):
    folder, name = file_system
    path = folder / "my data: 1"
    fragmented(path, folder / "between")
    made = dmctl("stats", "create", "--filemap", "--nomonitor", str(path))
    assert (made.status, made.err) == (0, b"")
    listed = dmsetup("stats", "list", "--group", "--noheadings", "-o", "statsname", name)
    assert (listed.out, listed.err) == (b"my_data__1\n", b"")


def test_update_file_map(file_system, dmctl, dmsetup):
    folder, name = file_system
    path = folder / "data"
    fragmented(path, folder / "between")
    assert dmctl("stats", "create", "--filemap", "--nomonitor", "--alias", "mine", str(path)).status == 0
    before = dmsetup("message", name, "0", "@stats_list").out.splitlines()
    fragmented(path, folder / "between")
    updated = dmctl("stats", "update_filemap", "--nomonitor", "--groupid", "mine", str(path))
    after = dmsetup("message", name, "0", "@stats_list").out.splitlines()
    assert (updated.status, updated.err) == (0, b"")
    assert len(after) > len(before)
    assert updated.out == f"{path}: Updated group ID 0 with {len(after)} region(s).\n".encode()
    theirs = dmsetup("stats", "update_filemap", "--nomonitor", "--groupid", "0", str(path))
    assert theirs.out == updated.out
    assert dmsetup("message", name, "0", "@stats_list").out.splitlines() == after
    missing = dmctl("stats", "update_filemap", "--nomonitor", "--groupid", "nobody", str(path))
    assert (missing.status, first_line(missing.err)) == (1, b'No group has the alias "nobody".')
