# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl build without a kernel: what becomes of its words, what each target's help says, and what wrong usage gets."""

import json
import re
from dataclasses import MISSING, fields

import pytest

from dmctl.cli import build as command
from dmctl.cli import stream
from dmctl.cli.build import OPTIONS
from dmctl.cli.main import main
from dmctl.cli.target_options import option_name, positional
from dmctl.errors import UsageError
from dmctl.targets import TARGETS, arguments_class
from dmctl.targets.fields import ITEMS, spec_of

KEY = "9f86d081884c7d659a2feaa0c55ad015"
OTHER_KEY = "b1946ac92492d2347c6235b4d2611184"
CRYPT = ("crypt", "aes-xts-plain64", KEY, "8:0", "--size", "8")
INTEGRITY = ("integrity", "8:0", "0", "J", "--size", "8", "--internal-hash", "hmac(sha256)")

# Of each target words, separated by blanks, and the line as Documentation/admin-guide/device-mapper, or for what is not
# there the target's constructor, reads it.
LINES = {
    "bow 8:0 --block-size 4K": "bow 8:0 1 block_size:4096",
    "cache 8:0 8:16 8:32 256K --mode passthrough --metadata2 --no-discard-passdown --policy mq --migration-threshold 1M"
    " --policy-options random_threshold=4 --policy-options sequential_threshold=8": (
        "cache 8:0 8:16 8:32 512 3 passthrough metadata2 no_discard_passdown"
        " mq 6 migration_threshold 2048 random_threshold 4 sequential_threshold 8"
    ),
    "clone 8:0 8:16 8:32 4K --no-hydration --hydration-threshold 4 --hydration-batch-size 5": (
        "clone 8:0 8:16 8:32 8 1 no_hydration 4 hydration_threshold 4 hydration_batch_size 5"
    ),
    f"crypt aes-xts-plain64 {KEY} 8:0 --iv-offset 2M --offset 8 --allow-discards "
    "--integrity 28:aead --sector-size 4K": (
        f"crypt aes-xts-plain64 {KEY} 4096 8:0 8 3 allow_discards integrity:28:aead sector_size:4096"
    ),
    "crypt aes-xts-plain64 :32:logon:a:b 8:0": "crypt aes-xts-plain64 :32:logon:a:b 0 8:0 0",
    "crypt cipher_null-ecb - 8:0": "crypt cipher_null-ecb - 0 8:0 0",
    "delay 8:0 500 --offset 1M --write 8:16,2M,400 --flush 8:32,0,333": "delay 8:0 2048 500 8:16 4096 400 8:32 0 333",
    "dust 8:0 4K --offset 8": "dust 8:0 8 4096",
    "ebs 8:0 1K --offset 64K --underlying 4K": "ebs 8:0 128 2 8",
    "era 8:0 8:16 2M": "era 8:0 8:16 4096",
    "error": "error ",
    "error --device 8:0,1M": "error 8:0 2048",
    "flakey 8:0 1M 5 1 --drop-writes --corrupt-byte 32,r,1,0": "flakey 8:0 2048 5 1 6 drop_writes corrupt_bio_byte 32 r"
    " 1 0",
    f"integrity 8:0 0 J --tag-size 32 --meta-device 8:16 --block-size 4K --internal-hash hmac(sha256)"
    f" --internal-hash-key {KEY} --journal-mac hmac(sha1) --journal-mac-key {OTHER_KEY} --commit-time 500": (
        "integrity 8:0 0 32 J 5 meta_device:8:16 block_size:4096 commit_time:500"
        f" internal_hash:hmac(sha256):{KEY} journal_mac:hmac(sha1):{OTHER_KEY}"
    ),
    "linear 8:0 --offset 1.5M": "linear 8:0 3072",
    "log-writes 8:0 8:16": "log-writes 8:0 8:16",
    "mirror 8:0,1M 8:16 --log disk --log-device 8:32 --region 512K --sync nosync --handle-errors": (
        "mirror disk 3 8:32 1024 nosync 2 8:0 2048 8:16 0 1 handle_errors"
    ),
    "multipath service-time,8:0=1=4,8:16=1=2 round-robin,8:32 --queue-if-no-path --hw-handler alua": (
        "multipath 1 queue_if_no_path 1 alua 2 1 service-time 0 2 2 8:0 1 4 8:16 1 2 round-robin 0 1 0 8:32"
    ),
    "raid raid5_ls 8:0 8:16,8:32 - --chunk 64K --rebuild 0 --rebuild 2 --region 8M --delta-disks -1": (
        "raid raid5_ls 9 128 rebuild 0 rebuild 2 region_size 16384 delta_disks -1 3 - 8:0 8:16 8:32 - -"
    ),
    "snapshot 8:0 8:16 --persistent PO --chunk 8K --discard-zeroes-cow": "snapshot 8:0 8:16 PO 16 1 discard_zeroes_cow",
    "snapshot-merge 8:0 8:16 --chunk 8K": "snapshot-merge 8:0 8:16 P 16",
    "snapshot-origin 8:0": "snapshot-origin 8:0",
    "striped 64K 8:0 8:16,1M": "striped 2 128 8:0 0 8:16 2048",
    "switch 64K 8:0 8:16,1M": "switch 2 128 0 8:0 0 8:16 2048",
    "thin 8:0 7 --external-origin 8:16": "thin 8:0 7 8:16",
    "thin-pool 8:0 8:16 64K --low-water 8 --skip-block-zeroing": "thin-pool 8:0 8:16 128 8 1 skip_block_zeroing",
    "unstriped 4 128K 3 8:0 --offset 1M": "unstriped 4 256 3 8:0 2048",
    "vdo 8:0 262144 --min-io 512b --max-discard 8 --compression on --others new,1": (
        "vdo V4 8:0 262144 512 32768 16380 maxDiscard 8 compression on new 1"
    ),
    f"verity 1 8:0 8:16 4K 4K 256 1 sha256 {KEY * 2} --salt {KEY} --on-corruption restart": (
        f"verity 1 8:0 8:16 4096 4096 256 1 sha256 {KEY * 2} {KEY} 1 restart_on_corruption"
    ),
    "writecache s 8:0 8:16 4K --start 1M --max-age 5000 --fua off": (
        "writecache s 8:0 8:16 4096 5 start_sector 2048 max_age 5000 nofua"
    ),
    "zero": "zero ",
    "zoned 8:0 8:16": "zoned 8:0 8:16",
}


@pytest.fixture
def build(capfd):
    """build(word, …): exit status, output, error output."""

    def run(*words):
        status = main(["dmctl", "build", *words])
        return (status, *capfd.readouterr())

    return run


def test_lines(build):
    assert {words.split()[0] for words in LINES} == set(TARGETS)
    for words, expected in LINES.items():
        target, *rest = words.split()
        # Sizes: 2048 sectors.
        assert build(target, *rest, "--size", "1M", "--showkeys") == (0, f"0 2048 {expected}\n", ""), words
        # Options may stand before the arguments as well.
        options, arguments = rest[first_option(rest) :], rest[: first_option(rest)]
        assert (
            build(target, "--showkeys", *options, "--size", "1M", *["--"][: len(arguments)], *arguments)[1]
            == f"0 2048 {expected}\n"
        )


def first_option(words):
    return next((place for place, word in enumerate(words) if word.startswith("--")), len(words))


@pytest.mark.parametrize(
    ("size", "sectors"),
    [("8", 8), ("8s", 8), ("4096b", 8), ("64K", 128), ("64kib", 128), ("1.5M", 3072), ("512 kB", 1000)],
)
def test_sizes(build, size, sectors):
    assert build("zero", "--size", size) == (0, f"0 {sectors} zero \n", "")
    assert build("linear", "8:0", "--offset", size, "--size", "8")[1] == f"0 8 linear 8:0 {sectors}\n"
    # Of a field in bytes a number without a unit is in bytes.
    bare = [build("dust", "8:0", block, "--size", "8")[1] for block in ("4096", "8s", "4K")]
    assert bare == ["0 8 dust 8:0 0 4096\n"] * 3


def test_lines_one_behind_the_other(build):
    words = ("zero", "--size", "8", "--then", "linear", "8:0", "--offset", "8K", "--size", "1M", "--then", "error")
    words += ("--size", "1s")
    assert build(*words) == (0, "0 8 zero \n8 2048 linear 8:0 16\n2056 1 error \n", "")
    # The options of the whole command may stand in any line.
    assert json.loads(build(*words, "--json")[1]) == json.loads(build("--json", *words)[1])


def test_json(build):
    status, out, err = build("striped", "64K", "8:0", "8:16,1M", "--size", "1M", "--json")
    assert (status, err) == (0, "")
    assert json.loads(out) == {
        "output_version": {"command": "build", "vers_major": 1, "vers_minor": 0},
        "name": None,
        "lines": [
            {
                "start_sectors": 0,
                "length_sectors": 2048,
                "target": "striped",
                "params": "2 128 8:0 0 8:16 2048",
                "arguments": {
                    "chunk_sectors": 128,
                    "stripes": [
                        {"device": "8:0", "offset_sectors": 0},
                        {"device": "8:16", "offset_sectors": 2048},
                    ],
                },
            }
        ],
    }


@pytest.mark.parametrize("target", TARGETS)
def test_help_of_a_target(build, target):
    status, out, err = build(target, "--help")
    assert (status, err) == (0, "")
    assert out == build(target, "-h")[1]
    assert max(map(len, out.splitlines())) <= 80
    assert target in out.partition("\n\n")[0]
    listed = {line.split()[0].rstrip(",") for line in out.splitlines() if re.match(r"  \S", line)}
    told = " ".join(out.split())
    taken = {f"--{option.long}" for option in OPTIONS} | {"--help"}
    for field in fields(arguments_class(target)):
        spec = spec_of(field)
        name = positional(field.name, spec) if field.default is MISSING else option_name(field.name, spec)
        assert name in listed, f"{name} is not listed"
        assert name not in taken, f"{name} is something else already"
        taken.add(name)
        assert without_blanks(spec.help.rstrip(".")) in without_blanks(told)
        if spec.kind == ITEMS and field.default is not MISSING:
            assert "may be repeated" in told
        if spec.secret:
            assert "@FILE" in told


def without_blanks(text):
    """argparse breaks lines at hyphens too."""
    return "".join(text.split())


def test_help_of_build(build):
    status, out, err = build("--help")
    assert (status, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    assert [line.split()[0] for line in out.partition("Targets:\n")[2].splitlines() if line[2] != " "] == list(TARGETS)
    assert all(f"--{option.long}" in out for option in OPTIONS)
    assert build() == (2, "", out)


# Words, separated by |, and what the message must have; each is the whole sentence's beginning or a part of it.
WRONG = {
    "frob|8:0": "There is no target 'frob' that dmctl knows; dmctl build --help lists them.",
    "linaer|8:0": "There is no target 'linaer' that dmctl knows; did you mean linear?",
    "LINEAR|8:0": "There is no target 'LINEAR'",
    "|8:0": "There is no target ''",
    "linear": "linear: the following arguments are required: DEVICE.",
    "striped|64K": "striped: the following arguments are required: DEVICE[,OFFSET].",
    "linear|8:0|1M|--size|8": "linear: unrecognized arguments: 1M.",
    "zero|1|--size|8": "zero: unrecognized arguments: 1.",
    "linear|8:0|--frob|--size|8": "linear: unrecognized arguments: --frob.",
    "linear|8:0|--ofset|8|--size|8": "unrecognized arguments: --ofset 8; did you mean --offset?",
    "linear|8:0|--off|8|--size|8": "linear: unrecognized arguments: --off",
    "linear|8:0|--offset": "linear: argument --offset: expected one argument.",
    "linear|8:0|--size": "linear: argument --size: expected one argument.",
    "crypt|aes|00|0|8:0|--size|8|--allow-discards=yes": "crypt: argument --allow-discards: takes no value.",
    "zero|--size|8x": "zero: argument --size: Size '8x' has the unknown unit 'x'",
    "zero|--size|": "zero: argument --size: A size is empty.",
    "zero|--size|-8": "zero: argument --size: Size '-8' is negative.",
    "zero|--size|0": "zero: argument --size: the length must not be 0.",
    "zero|--size|100b": "zero: argument --size: A size of 100 bytes is not a whole number of 512-byte sectors.",
    "zero|--size|x": "zero: argument --size: Size 'x' does not start with a number",
    "zero|--size|16E": "zero: argument --size: Size '16E' is over 18446744073709551615 bytes.",
    "zero|--size|8E": "zero: The line ends at sector 18014398509481984, beyond the largest device",
    "zero": "zero: --size must be given, as no device tells it.",
    "linear|/nonexistent": "linear: --size must be given, as '/nonexistent' is not a block device that exists.",
    "linear|8:0|--offset|1.7s|--size|8": "linear: argument --offset: Size '1.7s' is not a whole number of bytes.",
    "linear|a b|--size|8": "linear: DEVICE must be one word without blanks, not 'a b'.",
    "linear||--size|8": "linear: DEVICE must be one word without blanks, not ''.",
    "cache|8:0|8:1|8:2|64K|--policy|a b|--size|8": "cache: --policy must be one word without blanks, not 'a b'.",
    "striped|64K|8:0|8:1 x|--size|8": "striped: argument DEVICE[,OFFSET]: device must be one word without blanks",
    "striped|64K|8:0|8:1,x|--size|8": "striped: argument DEVICE[,OFFSET]: Size 'x' does not start with a number",
    "raid|raid1|8:0|8:1|--rebuild|x|--size|8": "raid: argument --rebuild: 'x' is not a number.",
    "raid|raid7|8:0|8:1|--size|8": "raid: RAID-TYPE must be one of raid0,",
    "raid|raid1|8:0|8:1|--delta-disks|-300|--size|8": "raid: --delta-disks must be -251 to 251, not -300.",
    "delay|8:0|-1|--size|8": "delay: argument DELAY: '-1' is not a number.",
    "delay|8:0|5|--write|8:0,5|--size|8": "delay: argument --write: '8:0,5' is not of the form DEVICE,OFFSET,DELAY.",
    "writecache|x|8:0|8:1|4K|--size|8": "writecache: KIND must be one of",
    "multipath|round-robin|--size|8": "'round-robin' is not of the form SELECTOR,DEVICE",
    "zero|--size|8|--then|frob": "There is no target 'frob'",
    "zero|--size|8|--then|linear|a b|--size|8": "linear: DEVICE must be one word without blanks",
    "zero|--size|8|--then": "On both sides of --then there must be a TARGET with its arguments.",
    "--then|zero|--size|8": "On both sides of --then",
    "--json": "TARGET",
    "zero|--size|8|--then|--then|zero|--size|8": "On both sides of --then",
    "zero|--size|8|--uuid|x": "--uuid and --readonly are for a device, which --create NAME makes.",
    "zero|--size|8|--readonly": "--uuid and --readonly are for a device, which --create NAME makes.",
    "zero|--size|8|--create": "Argument --create: expected one argument.",
    "zero|--size|8|--json=x": "Argument --json: takes no value.",
    "thin-pool|8:0|8:1|64K|--size|8|--then|zero|--size|8": "line 1, thin-pool: A thin-pool line must be the table's",
    "striped|3s|8:0|8:1|--size|8": "striped: ",
    "integrity|8:0|0|X|--size|8": "integrity: MODE must be one of J, B, D, R, I, not what is given.",
    "integrity|8:0|0|J|--size|8|--journal-watermarks|5": "did you mean --journal-watermark?",
    "integrity|8:0|0|J|--size|8|--journal-mac-key|00": "integrity: --journal-mac-key needs --journal-mac.",
}


@pytest.mark.parametrize("words", WRONG)
def test_wrong_usage(build, words):
    status, out, err = build(*words.split("|"))
    assert (status, out) == (2, "")
    if words == "--json":  # as without anything, the help
        assert WRONG[words] in err
        return
    assert err.startswith("dmctl: ") and WRONG[words] in err
    assert err.count("\n") == 1 and err[-2] in ".?"


def test_keys_are_zeros(build, tmp_path):
    zeros, warning = "0" * 32, "dmctl: warning: zeros stand in the place of the key; --showkeys prints it.\n"
    assert build(*CRYPT) == (0, f"0 8 crypt aes-xts-plain64 {zeros} 0 8:0 0\n", warning)
    assert build(*CRYPT, "--showkeys") == (0, f"0 8 crypt aes-xts-plain64 {KEY} 0 8:0 0\n", "")
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    assert build("crypt", "aes", f"@{file}", "8:0", "--size", "8") == (
        0,
        f"0 8 crypt aes {zeros} 0 8:0 0\n",
        warning,
    )
    assert build("crypt", "aes", f"@{file}", "8:0", "--size", "8", "--showkeys")[1] == f"0 8 crypt aes {KEY} 0 8:0 0\n"
    options = [
        word for name in ("internal-hash", "journal-mac", "journal-crypt") for word in (f"--{name}-key", f"@{file}")
    ]
    words = [*INTEGRITY, "--journal-mac", "hmac(sha1)", "--journal-crypt", "ctr(aes)", *options]
    for more, shown in (([], zeros), (["--showkeys"], KEY)):
        text, document = build(*words, *more)[1], json.loads(build(*words, *more, "--json")[1])
        assert text.count(shown) == 3 and (KEY in text) == bool(more)
        (line,) = document["lines"]
        assert line["params"] == text.split(" ", 3)[3].rstrip("\n")
        assert {line["arguments"][f"{name}_key"] for name in ("internal_hash", "journal_mac", "journal_crypt")} == {
            shown
        }
    # What is no key is not hidden, and nothing is said.
    for key in (":32:logon:a:b", "-"):
        assert build("crypt", "aes", key, "8:0", "--size", "8") == (0, f"0 8 crypt aes {key} 0 8:0 0\n", "")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "the file cannot be read: No such file or directory"),
        ("folder", "the file cannot be read: Is a directory"),
        (b"", "the file is empty"),
        (b"\n", "the file is empty"),
        (b"\xff\x00binary", "the file holds more than hexadecimal digits"),
        (f"{KEY} {KEY}".encode(), "a key must be hexadecimal digits only"),
        (f"{KEY[:-1]}g".encode(), "a key must be hexadecimal digits only"),
    ],
)
def test_key_files(build, tmp_path, content, told):
    file = tmp_path / "key"
    if content == "folder":
        file.mkdir()
    elif content is not None:
        file.write_bytes(content)
    # Somebody may have written the key itself behind the @, so that the name is not quoted.
    for words, name in (
        (("crypt", "aes", f"@{file}", "8:0"), "KEY"),
        ((*INTEGRITY, "--internal-hash-key", f"@{file}"), "--internal-hash-key"),
    ):
        assert build(*words) == (2, "", f"dmctl: {words[0]}: argument {name}: {told}.\n")


def misplaced():
    """Command lines with a key in every place where somebody may put it."""
    lines = {
        (KEY, *CRYPT[1:]),
        (*CRYPT, "--create"),
        ("crypt", f"@{KEY}", "aes", "8:0"),
        ("crypt", "aes", f"@{KEY}", "8:0"),
    }
    for plain in (CRYPT, INTEGRITY):
        words = [word for word in plain if word != KEY]
        for place in range(1, len(words) + 1):
            for wrong in (KEY, f"--{KEY}", f"-{KEY}", f"--size={KEY}", f"--json={KEY}", f"--then={KEY}", f"0:{KEY}"):
                lines.add((*words[:place], wrong, *words[place:]))  # one word more
                lines.add((*words[:place], wrong, *words[place + 1 :]))
    values = (
        "--offset",
        "--integrity",
        "--integrity-key-size",
        "--sector-size",
        "--allow-discards",
        "--uuid",
        "--frob",
    )
    for option in values:
        lines |= {(*CRYPT, option, KEY), (*CRYPT, f"{option}={KEY}"), (*CRYPT, option, f"{KEY}:aead")}
    for option in (
        "--internal-hash-key",
        "--journal-mac",
        "--journal-crypt",
        "--commit-time",
        "--tag-size",
        "--fix-hmac",
    ):
        lines |= {
            (*INTEGRITY, option, f"{KEY} "),
            (*INTEGRITY, option, f"{KEY}:{KEY}"),
            (*INTEGRITY, f"{option}={KEY}x"),
        }
    return sorted(lines)


def test_no_message_has_a_key(capfd):
    """Called without main(), which prints nothing of an error but its text: typer would take most of the time."""
    refused = 0
    parts = {KEY[at : at + 8] for at in range(len(KEY) - 7)}
    for words in misplaced():
        told = ""
        try:
            status = command.build(list(words))
        except UsageError as error:
            status, told = error.exit_status, str(error)
        stream.flush()
        out, err = capfd.readouterr()
        refused += status == 2
        assert not any(part in err + told for part in parts), (words, err, told)
        # A key in the place of a cipher, an algorithm or a device cannot be told from one.
        assert status == 0 or (status, out) == (2, ""), words
    assert refused > 80
